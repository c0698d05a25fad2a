"""Donation documents and invoices, attached by finance; statements and transfers to be looked up."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from carbonsink.accounts.models import signed_in
from carbonsink.admin import ReadOnlyMixin
from carbonsink.templatetags.money import yuan
from purchases.models import BankFile, Bill, ByHand, Difference, Transfer, Voucher


@admin.register(Voucher)
class VoucherAdmin(ModelAdmin):
    """Added once, never changed."""

    list_display = ["number", "kind", "order", "issued_on", "attached_by"]
    list_filter = ["kind"]
    search_fields = ["number", "order__number"]
    fields = ["order", "kind", "number", "issued_on"]
    autocomplete_fields = ["order"]

    def has_change_permission(self, *args: object) -> bool:
        return False

    def has_delete_permission(self, *args: object) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Voucher, form: Any, change: bool) -> None:
        obj.attached_by = signed_in(request)
        super().save_model(request, obj, form, change)


@admin.register(Transfer)
class TransferAdmin(ReadOnlyMixin, ModelAdmin):
    list_display = ["serial", "booked_on", "amount", "state", "why", "payment"]
    list_filter = ["state", "why"]
    search_fields = ["serial", "remittance", "back_number"]
    fields = ["bank", "serial", "booked_on", "fen", "remittance", "state", "why", "payment", "refund", "back_number"]

    @admin.display(description=_("amount"), ordering="fen")
    def amount(self, transfer: Transfer) -> str:
        return yuan(transfer.fen)


@admin.register(BankFile)
class BankFileAdmin(ReadOnlyMixin, ModelAdmin):
    list_display = ["name", "bank", "rows", "new_rows", "sent_by", "at"]


@admin.register(ByHand)
class ByHandAdmin(ReadOnlyMixin, ModelAdmin):
    list_display = ["bank_serial", "refund", "transfer", "state", "noted_by", "confirmed_by"]
    list_filter = ["state"]


@admin.register(Bill)
class BillAdmin(ReadOnlyMixin, ModelAdmin):
    list_display = ["gateway", "day", "lines", "captured_fen", "refunded_fen", "compared_at"]
    list_filter = ["gateway"]


@admin.register(Difference)
class DifferenceAdmin(ReadOnlyMixin, ModelAdmin):
    list_display = ["bill", "kind", "reference", "state", "answer"]
    list_filter = ["state", "kind"]
