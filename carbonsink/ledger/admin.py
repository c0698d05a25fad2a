from django.contrib import admin
from unfold.admin import ModelAdmin, TabularInline

from carbonsink.admin import ReadOnlyMixin
from carbonsink.ledger.models import Account, Entry, Line


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
