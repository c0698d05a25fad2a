from django.urls import path

from trees.api import field, households, trees, uploads

urlpatterns = [
    path("households", households.Households.as_view(), name="api-households"),
    path("trees", trees.Trees.as_view(), name="api-trees"),
    path("trees/<str:number>", trees.TreeDetail.as_view(), name="api-tree"),
    path("trees/<str:number>/photos", trees.TreePhotos.as_view(), name="api-tree-photos"),
    path("trees/<str:number>/approve", trees.TreeApproval.as_view(), name="api-tree-approve"),
    path("trees/<str:number>/reject", trees.TreeRejection.as_view(), name="api-tree-reject"),
    path("inspections", field.Inspections.as_view(), name="api-inspections"),
    path("uploads", uploads.Uploads.as_view(), name="api-uploads"),
    path("uploads/<str:sha256>", uploads.UploadParts.as_view(), name="api-upload-parts"),
    path("field/day", field.Day.as_view(), name="api-field-day"),
    path("field/session", field.Session.as_view(), name="api-field-session"),
    path("field/households/<str:reference>/trees", field.HouseholdTrees.as_view(), name="api-field-household-trees"),
]
