"""What a reviewer has before them, and how a decision settles it."""

from collections.abc import Collection

from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from trees.models import Flag, Household, Review, Tree


def open_flags(tree: Tree) -> QuerySet[Flag]:
    """The open flags about a tree and its household, oldest first, with all that a page shows beside them."""
    about = Flag.objects.filter(household=tree.household_id, settled_at__isnull=True)
    return (
        about.filter(Q(tree=tree) | Q(tree__isnull=True))
        .select_related(
            "tree__species",
            "other_tree__picture",
            "other_tree__species",
            "other_tree__registered_by",
            "other_tree__household__village",
            "other_household__village",
        )
        .order_by("tree", "pk")
    )


def settle(reviews: Collection[Review], *, by: User) -> int:
    """Settles the open flags of the trees that these reviews decided about; returns how many. A household's own flags
    stay open: they are about more than a tree."""
    mine = Review.objects.filter(pk__in=[review.pk for review in reviews], tree=OuterRef("tree")).values("pk")
    about = Flag.objects.filter(tree__in=[review.tree_id for review in reviews], settled_at__isnull=True)
    return about.update(review=Subquery(mine[:1]), settled_by=by, settled_at=timezone.now())


def settle_claim(tree: Tree, *, by: User, note: str) -> int:
    """Settles what a household said of a tree, that it is not its own, with what somebody found out; returns how many
    flags that were."""
    claims = Flag.objects.filter(tree=tree, kind=Flag.Kind.NOT_MINE, settled_at__isnull=True)
    return claims.update(settled_by=by, settled_at=timezone.now(), note=note[:300])


def settle_household(household: Household, *, by: User, note: str) -> int:
    """Settles a household's own flags with what somebody found out about them; returns how many.

    Raises DomainError when nothing is written, since whoever reads it later must know why all is well, or when `by`
    registered the household.
    """
    if not note.strip():
        raise DomainError("no_note", _("Write what you found out about the household."))
    if by.pk == household.registered_by_id:
        raise DomainError("same_person", _("You registered this household: somebody else must look at it."), 403)
    about = Flag.objects.filter(household=household, tree__isnull=True, settled_at__isnull=True)
    return about.update(settled_by=by, settled_at=timezone.now(), note=note.strip()[:300])
