from django.urls import path, re_path

from trees import views

app_name = "trees"
urlpatterns = [
    path("officer/", views.officer, name="officer"),
    path("officer/households/new/", views.new_household, name="new-household"),
    path("officer/households/<str:public_id>/", views.household, name="household"),
    path("officer/households/<str:public_id>/trees/new/", views.new_tree, name="new-tree"),
    path("officer/trees/<str:number>/correct/", views.correct_tree, name="correct-tree"),
    path("officer/households/<str:public_id>/tags.pdf", views.tags, name="tags"),
    path("review/", views.review_queue, name="review"),
    path("review/<str:number>/", views.review_tree, name="review-tree"),
    path("review/<str:number>/approve/", views.approve, name="approve"),
    re_path(r"^media/trees/(?P<name>[0-9a-f]{2}/[0-9a-f]{32}-(large|small)\.jpg)$", views.picture, name="picture"),
]
