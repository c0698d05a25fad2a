from django.urls import path

from payouts.views import accounts, finance, household

app_name = "payouts"
urlpatterns = [
    path("h/<str:public_id>/", household.household, name="household"),
    path("h/<str:public_id>/qr.png", household.household_qr, name="household-qr"),
    path("officer/households/<str:public_id>/account/", accounts.new_account, name="new-account"),
    path("officer/accounts/", accounts.accounts, name="accounts"),
    path("officer/accounts/<int:pk>/stop", accounts.stop_account, name="stop-account"),
    path("finance/accounts/", accounts.finance_accounts, name="finance-accounts"),
    path("finance/accounts/<int:pk>/", accounts.decide_account, name="finance-account"),
    path("finance/runs/", finance.runs_list, name="finance-runs"),
    path("finance/runs/<int:pk>/", finance.run, name="finance-run"),
    path("finance/runs/<int:pk>/approve", finance.approve, name="finance-approve-run"),
    path("finance/runs/<int:pk>/release", finance.release, name="finance-release-run"),
    path("finance/payouts/<int:pk>/release", finance.release_payout, name="finance-release-payout"),
    path("finance/waiting/", finance.waiting_money, name="finance-waiting"),
]
