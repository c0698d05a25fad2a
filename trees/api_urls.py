from django.urls import path

from trees import api

urlpatterns = [
    path("households", api.Households.as_view(), name="api-households"),
    path("trees", api.Trees.as_view(), name="api-trees"),
    path("trees/<str:number>", api.TreeDetail.as_view(), name="api-tree"),
    path("trees/<str:number>/photos", api.TreePhotos.as_view(), name="api-tree-photos"),
    path("trees/<str:number>/approve", api.TreeApproval.as_view(), name="api-tree-approve"),
    path("trees/<str:number>/reject", api.TreeRejection.as_view(), name="api-tree-reject"),
]
