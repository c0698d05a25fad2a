"""The species on sale: how many trees of each are left where, about, as the latest survey found them."""

from dataclasses import dataclass

from django.db.models import Count, Sum
from django.db.models.functions import Left

from purchases import areas, survey
from purchases.models import Stock
from trees.models import Division, Photo, Species, Tree


@dataclass(frozen=True)
class Kind:
    """A species with about how many of its trees are for sale (None where nobody has counted), and a picture."""

    species: Species
    unsold: int | None
    picture: Photo | None = None
    tree_number: str = ""


def of_area(vintage: int, prefix: str = "") -> list[Kind]:
    """The species with trees for sale in the divisions whose code begins with `prefix`, the most frequent first."""
    found = survey.latest(vintage)
    if found is None:
        return []
    unsold = {pk: count for pk, count in found.unsold_by_species(prefix).items() if count}
    ranked = sorted(_examples(found, set(unsold)), key=lambda tree: (-unsold[tree.species_id], tree.species_id))
    return [Kind(tree.species, unsold[tree.species_id], tree.picture, tree.number) for tree in ranked]


def kind(vintage: int, species: Species, prefix: str = "") -> Kind:
    """One species in the divisions whose code begins with `prefix`."""
    found = survey.latest(vintage)
    if found is None:
        return Kind(species, None)
    unsold = found.unsold_by_species(prefix)[species.pk]
    for tree in _examples(found, {species.pk}):
        return Kind(species, unsold, tree.picture, tree.number)
    return Kind(species, unsold)


def counties(vintage: int, species: Species) -> list[areas.Area]:
    """The counties where households have trees of a species, those that have sold least first; with the stock of
    those households, of which the species may be a part."""
    rows = (
        Stock.objects.filter(vintage=vintage, species__contains=[species.pk])
        .values_list(Left("village_code", Division.DIGITS["county"]))
        .annotate(Sum("total"), Sum("sold"), Count("id"))
    )
    sums = {county.ljust(12, "0"): numbers for county, *numbers in rows}
    found = [areas.area_of(county, sums[county.code]) for county in Division.objects.filter(code__in=sums)]
    return areas.least_sold_first(found)


def _examples(found: survey.Survey, species: set[int]) -> list[Tree]:
    """A tree of each species."""
    ids = [tree_id for pk, tree_id in found.examples().items() if pk in species]
    return list(Tree.objects.filter(pk__in=ids).select_related("species", "picture"))
