from django.contrib import admin
from unfold.admin import ModelAdmin, TabularInline

from carbonsink.ledger.models import Account, Entry, Line


class ReadOnlyMixin:
    """The books are read here and written by the services only."""

    def has_add_permission(self, *args: object) -> bool:
        return False

    def has_change_permission(self, *args: object) -> bool:
        return False

    def has_delete_permission(self, *args: object) -> bool:
        return False


class LineInline(ReadOnlyMixin, TabularInline):
    model = Line
    fields = ["account", "fen"]
    extra = 0


@admin.register(Entry)
class EntryAdmin(ReadOnlyMixin, ModelAdmin):
    list_display = ["reference", "kind", "at"]
    list_filter = ["kind"]
    search_fields = ["reference"]
    inlines = [LineInline]


@admin.register(Account)
class AccountAdmin(ReadOnlyMixin, ModelAdmin):
    list_display = ["code", "kind"]
    list_filter = ["kind"]
    search_fields = ["code"]
