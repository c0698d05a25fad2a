"""What is sold."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from carbonsink.accounts.models import signed_in
from carbonsink.admin import FinanceMixin, ReadOnlyMixin, for_each
from carbonsink.templatetags.money import yuan
from purchases import orders
from purchases.models import Order, Replacement, Stock, Tariff
from purchases.vintages import open_vintage


@admin.register(Tariff)
class TariffAdmin(ModelAdmin):
    """A tariff cannot change once its sinks are made: they carry its price."""

    list_display = ["vintage", "price_fen", "sink_kg", "opens_at", "closes_at", "opened_at"]
    actions = ["open_vintages"]

    def get_readonly_fields(self, request: HttpRequest, obj: Tariff | None = None) -> list[str]:
        return ["vintage", "price_fen", "sink_kg"] if obj and obj.opened_at else []

    def has_delete_permission(self, *args: object) -> bool:
        return False

    @admin.action(description=_("Open the vintage: make the sinks of all approved trees"), permissions=["change"])
    def open_vintages(self, request: HttpRequest, queryset: object) -> None:
        for tariff in queryset:  # type: ignore[attr-defined]
            made = open_vintage(tariff)
            messages.success(request, _("%(year)s: %(made)s sinks made.") % {"year": tariff.vintage, "made": made})


@admin.register(Stock)
class StockAdmin(ReadOnlyMixin, ModelAdmin):
    list_display = ["household", "vintage", "village_code", "total", "sold"]
    list_filter = ["vintage"]
    search_fields = ["village_code"]


@admin.register(Order)
class OrderAdmin(FinanceMixin, ModelAdmin):
    list_display = ["number", "vintage", "quantity", "total", "state", "created_at"]
    list_filter = ["state", "vintage"]
    search_fields = ["number"]
    actions = ["let_go"]

    @admin.display(description=_("amount"), ordering="total_fen")
    def total(self, order: Order) -> str:
        return yuan(order.total_fen)

    @admin.action(description=_("Let go of chosen orders that nobody has paid"), permissions=["finance"])
    def let_go(self, request: HttpRequest, queryset: QuerySet[Order]) -> None:
        for_each(request, queryset, lambda row: orders.cancel_order(row, by=signed_in(request)))

    exclude = ["token", "idempotency_key", "body_hash", "address_digest", "buyer"]


@admin.register(Replacement)
class ReplacementAdmin(ReadOnlyMixin, ModelAdmin):
    list_display = ["order", "old_sink", "new_sink", "reason", "at"]
    list_filter = ["reason"]
    search_fields = ["order__number"]
