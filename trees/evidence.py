"""What the desk shows of flags, and how a decision settles them."""

from collections.abc import Collection

from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from trees.models import Flag, Household, Review, Tree


def open_flags(tree: Tree) -> QuerySet[Flag]:
    """The open flags about a tree or its household, oldest first, with what they compare it with."""
    about = Flag.objects.filter(household=tree.household_id, settled_at__isnull=True)
    return (
        about.filter(Q(tree=tree) | Q(tree__isnull=True))
        .select_related(
            "other_tree__picture",
            "other_tree__species",
            "other_tree__registered_by",
            "other_tree__household__village",
            "other_household__village",
        )
        .order_by("tree", "pk")
    )


def settle(reviews: Collection[Review], *, by: User) -> None:
    """Settles the open flags of the trees that these reviews decided about. A household's flags stay open."""
    mine = Review.objects.filter(pk__in=[review.pk for review in reviews], tree=OuterRef("tree")).values("pk")
    open_ones = Flag.objects.filter(tree__in=[review.tree_id for review in reviews], settled_at__isnull=True)
    open_ones.update(review=Subquery(mine[:1]), settled_by=by, settled_at=timezone.now())


def settle_household(household: Household, *, by: User, note: str) -> int:
    """Settles a household's own flags with what somebody found out about them; returns how many.

    DomainError when nothing is written: whoever reads it later must know why all is well.
    """
    if not note.strip():
        raise DomainError("no_note", _("Write what you found out about the household."))
    if by.pk == household.registered_by_id:
        raise DomainError("same_person", _("You registered this household: somebody else must look at it."), 403)
    open_ones = Flag.objects.filter(household=household, tree__isnull=True, settled_at__isnull=True)
    return open_ones.update(settled_by=by, settled_at=timezone.now(), note=note.strip()[:300])


UNITS = {"m": "m", "km": "km", "cm": "cm", "min": "min", "h": "h", "s": "s", "percent": "%"}


def explain(flag: Flag) -> str:
    """The figures behind a flag in one line: {"distance_m": 0.4, "trees": 3} becomes "distance 0.4 m · trees 3"."""
    parts = []
    for name, value in flag.evidence.items():
        words, _line, unit = name.rpartition("_")
        known = bool(words) and unit in UNITS
        label = (words if known else name).replace("_", " ")
        parts.append(f"{label} {value} {UNITS[unit]}" if known else f"{label} {value}")
    return " · ".join(parts)
