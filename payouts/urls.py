from django.urls import path

from payouts.views import accounts, household

app_name = "payouts"
urlpatterns = [
    path("h/<str:public_id>/", household.household, name="household"),
    path("h/<str:public_id>/qr.png", household.household_qr, name="household-qr"),
    path("officer/households/<str:public_id>/account/", accounts.new_account, name="new-account"),
]
