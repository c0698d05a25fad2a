from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from carbonsink.accounts.models import signed_in
from carbonsink.admin import FinanceMixin, ReadOnlyMixin, for_each
from carbonsink.crypto import digests, mask_name
from carbonsink.templatetags.money import yuan
from payouts import accounts, approvals, sending
from payouts.models import Alert, Attempt, BankAccount, Payout, StatementRow


@admin.register(BankAccount)
class BankAccountAdmin(FinanceMixin, ModelAdmin):
    list_display = [
        "household",
        "masked_holder",
        "bank_name",
        "masked_number",
        "shared",
        "state",
        "entered_by",
        "usable_from",
    ]
    list_select_related = ["household", "entered_by"]
    list_filter = ["state"]
    fields = [
        "household",
        "version",
        "bank_name",
        "bank_code",
        "masked_number",
        "state",
        "entered_by",
        "approved_by",
    ]
    actions = ["approve", "reject"]

    @admin.display(description=_("account holder"))
    def masked_holder(self, account: BankAccount) -> str:
        return mask_name(account.holder)

    @admin.display(description=_("other households with this number"))
    def shared(self, account: BankAccount) -> int:
        others = BankAccount.objects.filter(number_digest__in=digests(account.number))
        return others.exclude(household=account.household_id).values("household").distinct().count()

    @admin.action(description=_("Approve the chosen accounts"), permissions=["finance"])
    def approve(self, request: HttpRequest, queryset: QuerySet[BankAccount]) -> None:
        for_each(request, queryset, lambda row: accounts.approve_account(row, by=signed_in(request)))

    @admin.action(description=_("Reject the chosen accounts"), permissions=["finance"])
    def reject(self, request: HttpRequest, queryset: QuerySet[BankAccount]) -> None:
        for_each(request, queryset, lambda row: accounts.reject_account(row, by=signed_in(request), reason="finance"))


@admin.register(Payout)
class PayoutAdmin(FinanceMixin, ModelAdmin):
    list_display = ["out_no", "household", "amount", "state", "created_at", "bank_reference"]
    list_filter = ["state"]
    search_fields = ["out_no", "bank_reference"]
    list_select_related = ["household"]
    actions = ["approve_held", "cancel"]

    @admin.display(description=_("amount"), ordering="fen")
    def amount(self, payout: Payout) -> str:
        return yuan(payout.fen)

    @admin.action(description=_("Approve the chosen held payouts"), permissions=["finance"])
    def approve_held(self, request: HttpRequest, queryset: QuerySet[Payout]) -> None:
        for_each(request, queryset, lambda row: approvals.approve_held(row, by=signed_in(request)))

    @admin.action(description=_("Cancel the chosen payouts that were not sent"), permissions=["finance"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Payout]) -> None:
        for_each(request, queryset, lambda row: sending.cancel(row, by=signed_in(request), reason="finance"))


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyMixin, ModelAdmin):
    list_display = ["payout", "state", "created_at"]
    list_filter = ["state"]


@admin.register(Alert)
class AlertAdmin(ReadOnlyMixin, ModelAdmin):
    list_display = ["raised_at", "kind", "about", "text", "stops", "state"]
    list_filter = ["state", "stops", "kind"]
    search_fields = ["about"]


@admin.register(StatementRow)
class StatementRowAdmin(FinanceMixin, ModelAdmin):
    list_display = ["serial", "bank", "booked_at", "amount", "kind", "payout"]
    list_filter = ["kind", "bank"]
    search_fields = ["serial"]

    @admin.display(description=_("amount"), ordering="fen")
    def amount(self, row: StatementRow) -> str:
        return yuan(row.fen)

    fields = ["serial", "bank", "booked_at", "fen", "kind", "remittance", "bank_reference", "payout", "entry"]
