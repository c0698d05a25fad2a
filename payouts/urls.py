from django.urls import path

from payouts import views

app_name = "payouts"
urlpatterns = [
    path("h/<str:public_id>/", views.household, name="household"),
    path("h/<str:public_id>/qr.png", views.household_qr, name="household-qr"),
    path("officer/households/<str:public_id>/account/", views.new_account, name="new-account"),
]
