from django.urls import path, re_path

from trees import desk_views, growth_views, views

app_name = "trees"
urlpatterns = [
    path("officer/", views.officer, name="officer"),
    path("officer/households/new/", views.new_household, name="new-household"),
    path("officer/households/<str:public_id>/", views.household, name="household"),
    path("officer/households/<str:public_id>/trees/new/", views.new_tree, name="new-tree"),
    path("officer/trees/<str:number>/correct/", views.correct_tree, name="correct-tree"),
    path("officer/households/<str:public_id>/tags.pdf", views.tags, name="tags"),
    path("officer/households/<str:public_id>/withdrawal/", growth_views.withdrawal, name="withdrawal"),
    path("officer/inspections/", growth_views.due, name="due"),
    path("officer/inspections/due.json", growth_views.due_list, name="due-list"),
    path("field/", views.field, name="field"),
    path("field/sw.js", views.field_worker, name="field-worker"),
    path("field/manifest.webmanifest", views.field_manifest, name="field-manifest"),
    path("review/", desk_views.villages, name="review"),
    path("review/next/", desk_views.next_tree, name="review-next"),
    path("review/villages/<str:code>/", desk_views.sheet, name="review-sheet"),
    path("review/households/<str:public_id>/", desk_views.household_flags, name="review-household"),
    path("review/second-looks/", desk_views.second_looks, name="second-looks"),
    path("review/second-looks/<int:pk>/", desk_views.second_look, name="second-look"),
    path("review/reports/", growth_views.reports, name="reports"),
    path("review/reports/<int:pk>/", growth_views.report, name="report"),
    path("review/<str:number>/", desk_views.review_tree, name="review-tree"),
    path("review/<str:number>/map/", desk_views.tree_map, name="review-map"),
    re_path(
        r"^media/trees/(?P<name>[0-9a-f]{2}/[0-9a-f]{32}-(large|small)\.(jpg|webp))$", views.picture, name="picture"
    ),
]
