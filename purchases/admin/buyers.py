"""Who buys: organisations, and whether somebody has checked them."""

from typing import Any

from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from carbonsink.accounts.models import signed_in
from carbonsink.accounts.roles import ADMINISTRATOR, FINANCE
from carbonsink.admin import for_each
from purchases import organisations
from purchases.models import Organisation


class CheckedFilter(admin.SimpleListFilter):
    """Those that wait for somebody, or those that are done."""

    title = _("checked against the public register")
    parameter_name = "checked"

    def lookups(self, *_args: Any) -> list[tuple[str, Any]]:
        return [("no", _("not yet")), ("yes", _("checked"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Organisation]) -> QuerySet[Organisation]:
        if self.value() in ("no", "yes"):
            return queryset.filter(checked_at__isnull=self.value() == "no")
        return queryset


@admin.register(Organisation)
class OrganisationAdmin(ModelAdmin):
    """Those that wait come first. A name can be put right until it is checked, and never afterwards; who speaks for it
    may change."""

    list_display = ["name", "code", "kind", "checked_at", "checked_by", "created_at"]
    list_filter = [CheckedFilter, "kind"]
    search_fields = ["name", "code"]
    list_select_related = ["checked_by"]
    fields = ["code", "name", "kind", "contact", "checked_by", "checked_at", "created_at"]
    readonly_fields = ["code", "checked_by", "checked_at", "created_at"]
    ordering = [F("checked_at").desc(nulls_first=True), "-created_at"]
    actions = ["confirm"]

    def has_office_permission(self, request: HttpRequest) -> bool:
        """Finance and administrators."""
        return signed_in(request).has_role(FINANCE, ADMINISTRATOR)

    def get_readonly_fields(self, request: HttpRequest, obj: Organisation | None = None) -> list[str]:
        return [*self.readonly_fields, *(["name", "kind"] if obj and obj.is_checked else [])]

    def has_add_permission(self, *args: object) -> bool:
        return False

    def has_delete_permission(self, *args: object) -> bool:
        return False

    @admin.action(description=_("Checked against the public register"), permissions=["office"])
    def confirm(self, request: HttpRequest, queryset: QuerySet[Organisation]) -> None:
        for_each(request, queryset, lambda row: organisations.confirm_organisation(row, by=signed_in(request)))
