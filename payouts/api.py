"""The way out's API: bank accounts as the officer's device sends them, and their approval."""

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from carbonsink.accounts.models import signed_in
from carbonsink.accounts.roles import FINANCE, OFFICER
from payouts.accounts import approve_account, enter_account
from payouts.models import BankAccount
from trees.api import HasRole
from trees.registration import household_of


class BankAccountIn(serializers.Serializer):
    """An account as it stands on the card or passbook."""

    client_uuid = serializers.UUIDField()
    household = serializers.CharField(max_length=36)
    holder = serializers.CharField(max_length=40)
    bank_name = serializers.CharField(max_length=80)
    bank_code = serializers.CharField(max_length=20)
    number = serializers.CharField(max_length=40)
    is_card = serializers.BooleanField(default=True)
    number_checked = serializers.BooleanField(
        default=False,
        help_text="The officer has compared each digit of a card number whose check digit does not fit: it is right.",
    )


class BankAccountOut(serializers.ModelSerializer):
    """An account, masked."""

    class Meta:
        model = BankAccount
        fields = [
            "id",
            "client_uuid",
            "version",
            "bank_name",
            "masked_number",
            "check_digit_fits",
            "state",
            "usable_from",
        ]


class BankAccounts(APIView):
    """Entering accounts."""

    permission_classes = [HasRole]
    roles = [OFFICER]

    @extend_schema(request=BankAccountIn, responses={201: BankAccountOut})
    def post(self, request: Request) -> Response:
        sent = BankAccountIn(data=request.data)
        sent.is_valid(raise_exception=True)
        data = sent.validated_data
        household = household_of(signed_in(request), data.pop("household"))
        account = enter_account(officer=signed_in(request), household=household, **data)
        return Response(BankAccountOut(account).data, status.HTTP_201_CREATED)


class BankAccountApproval(APIView):
    """Approving an account."""

    permission_classes = [HasRole]
    roles = [FINANCE]

    @extend_schema(request=None, responses=BankAccountOut)
    def post(self, request: Request, pk: int) -> Response:
        account = get_object_or_404(BankAccount, pk=pk)
        approve_account(account, by=signed_in(request))
        return Response(BankAccountOut(account).data)
