"""What an officer's device takes along for a day without reception."""

from typing import NamedTuple

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from carbonsink.accounts.models import User
from carbonsink.templatetags.places import place
from trees.models import Division, Household, Photo, Species, Tree

MOST_TO_CORRECT = 500


class Village(NamedTuple):
    """A village; `path` has the names of what it lies in, from the province down."""

    code: str
    name: str
    path: str


def villages_of(officer: User) -> list[Village]:
    """The officer's villages."""
    villages = Division.objects.filter(level=Division.Level.VILLAGE, code__startswith=officer.area or "-")
    levels = [digits for level, digits in Division.DIGITS.items() if level != Division.Level.VILLAGE]
    above = {village: [village.code[:digits].ljust(12, "0") for digits in levels] for village in villages}
    found = Division.objects.filter(code__in={code for codes in above.values() for code in codes})
    names = dict(found.values_list("code", "name"))
    return [
        Village(village.code, place(village.name), " ".join(names[code] for code in codes if code in names))
        for village, codes in above.items()
    ]


def species_list() -> QuerySet[Species]:
    """All species that can be registered."""
    return Species.objects.all()


def households_of(user: User) -> QuerySet[Household]:
    """The households the user may see, newest first, each with how many trees it has and how far they are."""
    return (
        Household.objects.visible_to(user)
        .annotate(
            trees_in_all=Count("trees"),
            trees_approved=Count("trees", filter=Q(trees__state=Tree.State.APPROVED)),
            trees_rejected=Count("trees", filter=Q(trees__state=Tree.State.REJECTED)),
        )
        .order_by("-registered_at")
    )


def trees_to_correct(officer: User) -> QuerySet[Tree]:
    """Trees that wait for the officer: rejected, or submitted without a photo that is accepted or may become so."""
    hopeful = Photo.objects.filter(tree=OuterRef("pk"), state__in=[Photo.State.RECEIVED, Photo.State.ACCEPTED])
    return (
        Tree.objects.visible_to(officer)
        .filter(
            Q(state=Tree.State.REJECTED)
            | (Q(state__in=[Tree.State.DRAFT, Tree.State.SUBMITTED], picture=None) & ~Exists(hopeful))
        )
        .order_by("household", "ordinal")[:MOST_TO_CORRECT]
    )
