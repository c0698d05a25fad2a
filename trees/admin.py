from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from carbonsink.admin import ReadOnlyMixin
from trees.import_admin import ImportAdmin
from trees.models import (
    ConsentText,
    Division,
    Flag,
    Household,
    Import,
    Programme,
    Review,
    SecondLook,
    SecondLookDraw,
    Species,
    Tree,
)
from trees.second_looks import agreement

admin.site.register(Import, ImportAdmin)


@admin.register(Division)
class DivisionAdmin(ReadOnlyMixin, ModelAdmin):
    list_display = ["code", "name", "level"]
    list_filter = ["level"]
    search_fields = ["name", "code"]


@admin.register(Species)
class SpeciesAdmin(ModelAdmin):
    list_display = ["name_zh", "scientific_name", "form"]


@admin.register(Programme)
class ProgrammeAdmin(ModelAdmin):
    list_display = ["name", "min_dbh_cm", "min_age_years", "vintages", "max_trees_per_household", "second_look_percent"]
    fieldsets = [
        (None, {"fields": ["name", "vintages", "max_trees_per_household"]}),
        (_("Which trees are taken"), {"fields": ["min_dbh_cm", "max_dbh_cm", "min_age_years"]}),
        (
            _("What makes reviewers look twice"),
            {"fields": ["max_trees_per_hour", "village_radius_km", "second_look_percent"]},
        ),
    ]


@admin.register(ConsentText)
class ConsentTextAdmin(ModelAdmin):
    """A version can be added, never changed."""

    list_display = ["version", "published_at"]

    def has_change_permission(self, *args: object) -> bool:
        return False


@admin.register(Household)
class HouseholdAdmin(ReadOnlyMixin, ModelAdmin):
    list_display = ["__str__", "village", "masked_name", "category", "trees_numbered"]
    fields = [
        "public_id",
        "village",
        "ordinal",
        "masked_name",
        "masked_phone",
        "category",
        "area_mu",
        "tenure",
    ]
    readonly_fields = fields


@admin.register(Tree)
class TreeAdmin(ReadOnlyMixin, ModelAdmin):
    list_display = ["number", "species", "state", "registered_at"]
    list_filter = ["state"]
    search_fields = ["number"]
    show_full_result_count = False
    fields = ["number", "species", "dbh_cm", "planted_year", "measured_on", "state", "registered_at"]


@admin.register(Flag)
class FlagAdmin(ReadOnlyMixin, ModelAdmin):
    """What makes a tree or a household worth a second glance; reviewers settle it at their desk."""

    list_display = ["kind", "household", "tree", "other_tree", "raised_at", "settled_by", "settled_at"]
    list_filter = ["kind", ("settled_at", admin.EmptyFieldListFilter)]
    search_fields = ["tree__number"]
    list_select_related = ["household", "tree", "other_tree", "settled_by"]
    show_full_result_count = False
    fields = [
        "kind", "household", "tree", "other_tree", "other_household", "evidence", "raised_at", "settled_by",
        "settled_at", "note",
    ]  # fmt: skip


@admin.register(Review)
class ReviewAdmin(ReadOnlyMixin, ModelAdmin):
    """Who decided what about which tree."""

    list_display = ["tree", "decision", "reason", "reviewer", "at"]
    list_filter = ["decision", "reason"]
    search_fields = ["tree__number"]
    list_select_related = ["tree", "reviewer"]
    show_full_result_count = False
    fields = ["tree", "decision", "reason", "note", "reviewer", "at"]


@admin.register(SecondLook)
class SecondLookAdmin(ReadOnlyMixin, ModelAdmin):
    """Approvals that others look at again; above the list, how often they agreed with each first reviewer."""

    list_display = ["tree", "first_reviewer", "reviewer", "verdict", "reason", "at"]
    list_filter = ["verdict", "reason"]
    search_fields = ["tree__number"]
    list_select_related = ["tree", "first_reviewer", "reviewer"]
    show_full_result_count = False
    list_before_template = "trees/_agreement.html"
    fields = ["draw", "tree", "first_reviewer", "reviewer", "verdict", "reason", "note", "at"]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {**(extra_context or {}), "agreement": agreement()})


@admin.register(SecondLookDraw)
class SecondLookDrawAdmin(ReadOnlyMixin, ModelAdmin):
    """Each night's draw with its seed, from which anybody can repeat it."""

    list_display = ["programme", "since", "until", "percent", "approvals", "drawn"]
    list_select_related = ["programme"]
    fields = ["programme", "since", "until", "percent", "approvals", "drawn", "seed", "at"]
