from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from carbonsink.accounts.models import signed_in
from carbonsink.admin import FinanceMixin, ReadOnlyMixin, for_each
from carbonsink.crypto import digests, mask_name
from carbonsink.templatetags.money import yuan
from payouts import accounts, approvals, sending
from payouts.models import Alert, Attempt, BankAccount, Payout, StatementRow


def followed(number: str, shown: str) -> str:
    """A link to where the money of this number is followed."""
    return format_html('<a href="{}?{}">{}</a>', reverse("payouts:follow"), urlencode({"q": number}), shown)


@admin.register(BankAccount)
class BankAccountAdmin(FinanceMixin, ModelAdmin):
    list_display = [
        "household",
        "masked_holder",
        "bank",
        "masked_number",
        "check_digit_fits",
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
        "check_digit_fits",
        "state",
        "entered_by",
        "approved_by",
    ]
    actions = ["approve", "reject"]

    @admin.display(description=_("account holder"))
    def masked_holder(self, account: BankAccount) -> str:
        return mask_name(account.holder)

    # A method: nobody can sort by what is encrypted.
    @admin.display(description=_("bank"))
    def bank(self, account: BankAccount) -> str:
        return account.bank_name

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
    list_display = ["out_no", "household", "amount", "state", "created_at", "bank_reference", "follow"]
    list_filter = ["state"]
    search_fields = ["out_no", "bank_reference"]
    list_select_related = ["household"]
    actions = ["approve_held", "cancel"]

    @admin.display(description=_("amount"), ordering="fen")
    def amount(self, payout: Payout) -> str:
        return yuan(payout.fen)

    @admin.display(description=_("Follow the money"))
    def follow(self, payout: Payout) -> str:
        return followed(payout.out_no, gettext("Follow"))

    @admin.action(description=_("Approve the chosen held payouts"), permissions=["finance"])
    def approve_held(self, request: HttpRequest, queryset: QuerySet[Payout]) -> None:
        for_each(request, queryset, lambda row: approvals.approve_held(row, by=signed_in(request)))

    @admin.action(description=_("Cancel the chosen payouts that were not sent"), permissions=["finance"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Payout]) -> None:
        for_each(request, queryset, lambda row: sending.cancel(row, by=signed_in(request), reason="finance"))


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyMixin, ModelAdmin):
    list_display = ["payout", "state", "created_at", "file", "follow"]
    list_filter = ["state"]
    search_fields = ["payout__out_no", "batch__number", "batch__name"]
    fields = ["payout", "request_sha256", "file", "state", "created_at", "follow"]
    readonly_fields = ["file", "follow"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Attempt]:
        """Without what stands in the files."""
        return super().get_queryset(request).select_related("payout", "batch").defer("batch__content")

    @admin.display(description=_("file"), ordering="batch")
    def file(self, attempt: Attempt) -> str | None:
        return followed(attempt.batch.number, attempt.batch.name) if attempt.batch else None

    @admin.display(description=_("Follow the money"))
    def follow(self, attempt: Attempt) -> str:
        return followed(attempt.payout.out_no, gettext("Follow"))


@admin.register(Alert)
class AlertAdmin(ReadOnlyMixin, ModelAdmin):
    list_display = ["raised_at", "kind", "about", "text", "stops", "state"]
    list_filter = ["state", "stops", "kind"]
    search_fields = ["about"]


@admin.register(StatementRow)
class StatementRowAdmin(FinanceMixin, ModelAdmin):
    list_display = ["serial", "bank", "booked_at", "amount", "kind", "payout", "follow"]
    list_select_related = ["payout"]
    list_filter = ["kind", "bank"]
    search_fields = ["serial"]

    @admin.display(description=_("amount"), ordering="fen")
    def amount(self, row: StatementRow) -> str:
        return yuan(row.fen)

    @admin.display(description=_("Follow the money"))
    def follow(self, row: StatementRow) -> str:
        return followed(row.serial, gettext("Follow"))

    fields = ["serial", "bank", "booked_at", "fen", "kind", "remittance", "bank_reference", "payout", "entry", "follow"]
    readonly_fields = ["follow"]
