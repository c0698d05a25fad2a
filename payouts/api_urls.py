from django.urls import path

from payouts import api

urlpatterns = [
    path("bank-accounts", api.BankAccounts.as_view(), name="api-bank-accounts"),
    path("bank-accounts/<int:pk>/approve", api.BankAccountApproval.as_view(), name="api-bank-account-approve"),
]
