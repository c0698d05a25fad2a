"""The money that comes in and goes back."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from carbonsink.accounts.models import signed_in
from carbonsink.admin import FinanceMixin, ReadOnlyMixin, column, for_each
from carbonsink.templatetags.money import yuan
from purchases import payments
from purchases.models import Notification, Payment, Refund


@admin.register(Payment)
class PaymentAdmin(FinanceMixin, ModelAdmin):
    list_display = ["reference", "of_order", "gateway", "amount", "state", "captured_at"]
    list_filter = ["state", "gateway"]
    search_fields = ["reference", "transaction_id"]
    list_select_related = ["order"]
    actions = ["send_back", "note_went_back"]
    of_order = column("order", _("order"))

    @admin.display(description=_("amount"), ordering="fen")
    def amount(self, payment: Payment) -> str:
        return yuan(payment.captured_fen or payment.fen)

    @admin.action(description=_("Send back chosen payments of a wrong amount"), permissions=["finance"])
    def send_back(self, request: HttpRequest, queryset: QuerySet[Payment]) -> None:
        for_each(request, queryset, lambda row: payments.send_back(row, by=signed_in(request)))

    @admin.action(
        description=_("Note that all of the chosen payments went back at the payment service"), permissions=["finance"]
    )
    def note_went_back(self, request: HttpRequest, queryset: QuerySet[Payment]) -> None:
        for_each(request, queryset, lambda row: payments.note_went_back(row, by=signed_in(request)))


@admin.register(Refund)
class RefundAdmin(ReadOnlyMixin, ModelAdmin):
    list_display = ["number", "of_payment", "amount", "reason", "state"]
    list_filter = ["state", "reason"]
    list_select_related = ["payment"]
    of_payment = column("payment", _("payment"))
    amount = column("fen", _("amount"), yuan)


@admin.register(Notification)
class NotificationAdmin(ReadOnlyMixin, ModelAdmin):
    list_display = ["event_id", "gateway", "of_payment", "received_at"]
    list_select_related = ["payment"]
    of_payment = column("payment", _("payment"))
    fields = ["event_id", "gateway", "payment", "received_at", "headers"]
