from collections.abc import Callable

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from carbonsink.accounts.roles import FINANCE
from carbonsink.errors import DomainError
from carbonsink.ledger.admin import ReadOnlyMixin
from payouts import accounts, sending
from payouts.models import Attempt, BankAccount, Payout, StatementRow


def for_each(request: HttpRequest, queryset: QuerySet, act: Callable[[object], None]) -> None:
    """Acts on each chosen row, and says how many went well and what stood in the way of the others."""
    done = 0
    for row in queryset:
        try:
            act(row)
        except DomainError as error:
            messages.error(request, f"{row}: {error.message}")
        else:
            done += 1
    messages.success(request, _("Done: %(count)s") % {"count": done})


class FinanceMixin(ReadOnlyMixin):
    """Rows are read here; the actions are finance's alone."""

    def has_finance_permission(self, request: HttpRequest) -> bool:
        return request.user.has_role(FINANCE)  # type: ignore[union-attr]


@admin.register(BankAccount)
class BankAccountAdmin(FinanceMixin, ModelAdmin):
    list_display = [
        "household",
        "version",
        "bank_name",
        "masked_number",
        "state",
        "entered_by",
        "usable_from",
    ]
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

    @admin.action(description=_("Approve the chosen accounts"), permissions=["finance"])
    def approve(self, request: HttpRequest, queryset: QuerySet[BankAccount]) -> None:
        for_each(request, queryset, lambda row: accounts.approve_account(row, by=request.user))  # type: ignore[arg-type]

    @admin.action(description=_("Reject the chosen accounts"), permissions=["finance"])
    def reject(self, request: HttpRequest, queryset: QuerySet[BankAccount]) -> None:
        for_each(request, queryset, lambda row: accounts.reject_account(row, by=request.user, reason="finance"))  # type: ignore[arg-type]


@admin.register(Payout)
class PayoutAdmin(FinanceMixin, ModelAdmin):
    list_display = ["out_no", "household", "fen", "state", "created_at", "bank_reference"]
    list_filter = ["state"]
    search_fields = ["out_no", "bank_reference"]
    actions = ["approve_held", "cancel"]

    @admin.action(description=_("Approve the chosen held payouts"), permissions=["finance"])
    def approve_held(self, request: HttpRequest, queryset: QuerySet[Payout]) -> None:
        for_each(request, queryset, lambda row: sending.approve_held(row, by=request.user))  # type: ignore[arg-type]

    @admin.action(description=_("Cancel the chosen payouts that were not sent"), permissions=["finance"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Payout]) -> None:
        for_each(request, queryset, lambda row: sending.cancel(row, by=request.user, reason="finance"))  # type: ignore[arg-type]


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyMixin, ModelAdmin):
    list_display = ["payout", "state", "created_at"]
    list_filter = ["state"]


@admin.register(StatementRow)
class StatementRowAdmin(ReadOnlyMixin, ModelAdmin):
    list_display = ["serial", "bank", "booked_at", "fen", "kind", "payout"]
    list_filter = ["kind", "bank"]
    fields = ["serial", "bank", "booked_at", "fen", "kind", "remittance", "bank_reference", "payout", "entry"]
