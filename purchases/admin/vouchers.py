"""Donation documents and invoices, attached by finance; statements and transfers to be looked up."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from carbonsink.accounts.models import signed_in
from carbonsink.admin import ReadOnlyMixin, column
from carbonsink.templatetags.money import yuan
from purchases.models import BankFile, Bill, ByHand, Difference, Transfer, Voucher


@admin.register(Voucher)
class VoucherAdmin(ModelAdmin):
    """Added once, never changed."""

    list_display = ["number", "kind", "of_order", "issued_on", "attached_by"]
    of_order = column("order", _("order"))
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
    list_display = ["serial", "booked_on", "amount", "state", "why", "of_payment"]
    list_filter = ["state", "why"]
    search_fields = ["serial", "remittance", "back_number"]
    fields = ["bank", "serial", "booked_on", "fen", "remittance", "state", "why", "payment", "refund", "back_number"]

    list_select_related = ["payment"]
    amount = column("fen", _("amount"), yuan)
    of_payment = column("payment", _("payment"))


@admin.register(BankFile)
class BankFileAdmin(ReadOnlyMixin, ModelAdmin):
    list_display = ["name", "bank", "rows", "new_rows", "sent_by", "at"]


@admin.register(ByHand)
class ByHandAdmin(ReadOnlyMixin, ModelAdmin):
    list_display = ["bank_serial", "of_refund", "of_transfer", "state", "noted_by", "confirmed_by"]
    list_filter = ["state"]
    list_select_related = ["refund", "transfer", "noted_by", "confirmed_by"]
    of_refund = column("refund", _("refund"), lambda refund: refund.number)
    of_transfer = column("transfer", _("bank transfer"), lambda transfer: transfer.serial)


@admin.register(Bill)
class BillAdmin(ReadOnlyMixin, ModelAdmin):
    list_display = ["gateway", "day", "lines", "captured", "refunded", "compared_at"]
    list_filter = ["gateway"]
    captured = column("captured_fen", _("captured"), yuan)
    refunded = column("refunded_fen", _("refunded"), yuan)


@admin.register(Difference)
class DifferenceAdmin(ReadOnlyMixin, ModelAdmin):
    list_display = ["of_bill", "kind", "reference", "state", "answer"]
    list_filter = ["state", "kind"]
    list_select_related = ["bill"]
    of_bill = column("bill", _("bill"), lambda bill: f"{bill.gateway} {bill.day}")
