from django.urls import path

from payouts.views import accounts, alerts, files, finance, follow, household, money, reconciliation

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
    path("finance/follow/", follow.follow, name="follow"),
    path("money/", money.money, name="money"),
    path("money/verify_money.py", money.verifier, name="money-verifier"),
    path("money/orders/<str:token>/", money.order, name="money-order"),
    path("money/<str:day>.json", money.statement_json, name="money-json"),
    path("money/<str:day>/", money.statement, name="money-day"),
    path("money/<str:day>/proof", money.proof, name="money-proof"),
    path("finance/files/", files.files, name="finance-files"),
    path("finance/files/<str:number>/download", files.download, name="finance-download-batch"),
    path("finance/files/<str:number>/delivered", files.delivered, name="finance-batch-delivered"),
    path("finance/alerts/", alerts.alerts_page, name="alerts"),
    path("finance/alerts/<int:pk>/answer", alerts.answer_alert, name="answer-alert"),
    path("finance/reconciliation/", reconciliation.days, name="reconciliation"),
    path("finance/reconciliation/<str:day>/", reconciliation.day, name="reconciliation-day"),
    path("finance/reconciliation/answer/<int:pk>", reconciliation.answer, name="answer-discrepancy"),
]
