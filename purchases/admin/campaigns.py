"""Campaigns that were applied for: the office reads them, and lets them run or refuses them."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from carbonsink.accounts.models import signed_in
from carbonsink.accounts.roles import ADMINISTRATOR
from carbonsink.admin import ReadOnlyMixin, column, for_each
from purchases import campaigns
from purchases.models import Campaign


@admin.register(Campaign)
class CampaignAdmin(ReadOnlyMixin, ModelAdmin):
    """The contact is shown: the office asks back there."""

    list_display = ["title", "owner", "of_organisation", "state", "target_trees", "begins_on", "ends_on", "created_at"]
    of_organisation = column("organisation", _("organisation"))
    list_filter = ["state"]
    search_fields = ["title", "owner", "slug"]
    list_select_related = ["organisation"]
    ordering = ["-created_at"]
    exclude = ["contact_digest"]
    actions = ["approve", "refuse", "end"]

    def has_office_permission(self, request: HttpRequest) -> bool:
        return signed_in(request).has_role(ADMINISTRATOR)

    @admin.action(description=_("Let chosen campaigns run"), permissions=["office"])
    def approve(self, request: HttpRequest, queryset: QuerySet[Campaign]) -> None:
        for_each(request, queryset, lambda row: campaigns.approve(row, by=signed_in(request)))

    @admin.action(description=_("Refuse chosen campaigns"), permissions=["office"])
    def refuse(self, request: HttpRequest, queryset: QuerySet[Campaign]) -> None:
        for_each(request, queryset, lambda row: campaigns.refuse(row, by=signed_in(request)))

    @admin.action(description=_("End chosen campaigns"), permissions=["office"])
    def end(self, request: HttpRequest, queryset: QuerySet[Campaign]) -> None:
        for_each(request, queryset, lambda row: campaigns.end(row, by=signed_in(request)))
