"""What is sold."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from carbonsink.accounts.models import signed_in
from carbonsink.admin import FinanceMixin, ReadOnlyMixin, column, for_each
from carbonsink.templatetags.money import yuan
from purchases import orders
from purchases.models import Order, Replacement, Sink, Stock, Tariff
from purchases.vintages import open_vintage


def _tree_number(sink: Sink) -> str:
    return sink.tree.number


@admin.register(Tariff)
class TariffAdmin(ModelAdmin):
    """A tariff cannot change once its sinks are made: they carry its price."""

    list_display = ["year", "price", "sink_kg", "opens_at", "closes_at", "opened_at"]
    actions = ["open_vintages"]
    year = column("vintage", _("vintage"), str)
    price = column("price_fen", _("price"), yuan)

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
    list_display = ["of_household", "year", "village_code", "total", "sold"]
    list_select_related = ["household"]
    of_household = column("household", _("household"))
    year = column("vintage", _("vintage"), str)
    list_filter = ["vintage"]
    search_fields = ["village_code"]


@admin.register(Order)
class OrderAdmin(FinanceMixin, ModelAdmin):
    list_display = ["number", "year", "quantity", "total", "state", "created_at"]
    list_filter = ["state", "vintage"]
    search_fields = ["number"]
    actions = ["let_go"]

    year = column("vintage", _("vintage"), str)
    total = column("total_fen", _("amount"), yuan)

    @admin.action(description=_("Let go of chosen orders that nobody has paid"), permissions=["finance"])
    def let_go(self, request: HttpRequest, queryset: QuerySet[Order]) -> None:
        for_each(request, queryset, lambda row: orders.cancel_order(row, by=signed_in(request)))

    exclude = ["token", "idempotency_key", "body_hash", "address_digest", "buyer"]


@admin.register(Replacement)
class ReplacementAdmin(ReadOnlyMixin, ModelAdmin):
    list_display = ["of_order", "lost", "replaced_by", "reason", "at"]
    list_select_related = ["order", "old_sink__tree", "new_sink__tree"]
    of_order = column("order", _("order"))
    lost = column("old_sink", _("lost tree"), _tree_number)
    replaced_by = column("new_sink", _("replaced by"), _tree_number)
    list_filter = ["reason"]
    search_fields = ["order__number"]
