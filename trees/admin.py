from django.contrib import admin
from unfold.admin import ModelAdmin

from carbonsink.admin import ReadOnlyMixin
from trees.models import ConsentText, Division, Household, Programme, Species, Tree


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
    list_display = ["name", "min_dbh_cm", "min_age_years", "vintages", "max_trees_per_household"]


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
