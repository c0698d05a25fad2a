"""The reviewer's decisions: trees become part of the scheme, go back with a reason, or leave it again unsold.

Locks, always: households by primary key, then trees by primary key; what the market locks comes after.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.states import move, move_many
from trees import flags
from trees.models import Consent, Correction, Enrolment, Flag, Household, Photo, Review, Tree

MOST_AT_ONCE = 500
IN_THE_SCHEME = [Tree.State.APPROVED, Tree.State.SUSPENDED]


@dataclass(frozen=True)
class Told:
    """What became of many trees: the numbers of those decided, and for each of the others why not."""

    done: list[str]
    refused: dict[str, DomainError]


def approve_tree(tree: Tree, *, reviewer: User, seen: str | None = None) -> Enrolment:
    """Enrols a tree for the programme's vintages, from this year on, and settles its flags.

    A tree that comes back within vintages it was approved for keeps that enrolment. `seen` is what the page said with
    `sight`. Raises DomainError when the tree is not waiting for review or has changed since it was seen, the reviewer
    registered it, no photo is accepted, the household has withdrawn its consent, or has its most trees.
    """
    with transaction.atomic():
        _lock([tree.pk])
        told = _approve(_judged([tree.pk], reviewer), reviewer, views={tree.number: seen} if seen else {})
        for error in told.refused.values():
            raise error
    tree.refresh_from_db(fields=["state"])
    return tree.enrolments.filter(revoked_at__isnull=True).latest("first_vintage")


def approve_trees(ids: Collection[int], *, reviewer: User, views: dict[str, str] | None = None) -> Told:
    """Approves many trees in one transaction of few statements: each as `approve_tree` would, or told why not.

    A tree with an open flag of its own or of its household is never among them: somebody looks at it alone. `views`
    gives by number what was seen of each. Raises DomainError("too_many") for more than 500.
    """
    with transaction.atomic():
        _lock(ids)
        return _approve(_judged(ids, reviewer), reviewer, views=views or {}, clean_only=True)


def reject_tree(tree: Tree, *, reviewer: User, reason: str, note: str = "", seen: str | None = None) -> Review:
    """Sends a tree back to the officer with a coded reason, and settles its flags. DomainError when it is not waiting
    for review, or has changed since it was seen."""
    views = {tree.number: seen} if seen else {}
    told = reject_trees([tree.pk], reviewer=reviewer, reason=reason, note=note, views=views)
    for error in told.refused.values():
        raise error
    tree.refresh_from_db(fields=["state"])
    return tree.reviews.latest("pk")


def reject_trees(
    ids: Collection[int], *, reviewer: User, reason: str, note: str = "", views: dict[str, str] | None = None
) -> Told:
    """Sends many trees back with the same reason, in one transaction; those that cannot go are told."""
    _check_reason(reason, note)
    with transaction.atomic():
        _lock(ids)
        chosen, refused = [], {}
        for tree in _judged(ids, reviewer):
            error = _not_waiting(tree) or _not_as_seen(tree, (views or {}).get(tree.number))
            if error is None:
                chosen.append(tree)
            else:
                refused[tree.number] = error
        _decide(chosen, Review.Decision.REJECTED, reviewer, reason, note)
    return Told([tree.number for tree in chosen], refused)


@transaction.atomic
def take_back_approval(tree: Tree, *, reviewer: User, reason: str, note: str = "") -> Review:
    """Makes an approved tree wait for a review again, while nothing of it is sold: its enrolment is revoked, its
    sinks go off sale. Approved once more, it gets a new enrolment.

    Raises DomainError when the tree is not approved, no reason is given, or an order has one of its sinks ("sold").
    """
    _check_reason(reason, note)
    _lock([tree.pk])
    tree.refresh_from_db(fields=["state"])
    if tree.state != Tree.State.APPROVED:
        raise DomainError("wrong_state", _("This tree is not approved any more. Reload the page."), status=409)
    move(tree, Tree.State.SUBMITTED, by=reviewer, reason=reason)  # The market refuses here what is sold.
    newest = tree.enrolments.filter(revoked_at__isnull=True).order_by("-first_vintage").values("pk")[:1]
    Enrolment.objects.filter(pk__in=newest).update(revoked_at=timezone.now())
    return Review.objects.create(
        tree=tree, reviewer=reviewer, decision=Review.Decision.TAKEN_BACK, reason=reason, note=note.strip()
    )


def sight(tree: Any) -> str:
    """What a reviewer sees of a tree, in short: its revision, its picture and its newest open flag. A decision made in
    another sight than this is refused. The tree comes from `with_sight`."""
    return f"{tree.revision}-{tree.picture_id or 0}-{tree.newest_flag or 0}"


def with_sight(trees: QuerySet[Tree]) -> QuerySet[Any]:
    """Adds `newest_flag`: the newest open flag about the tree or its household, if there is any."""
    flags = Flag.objects.filter(household=OuterRef("household"), settled_at__isnull=True)
    about = flags.filter(Q(tree=OuterRef("pk")) | Q(tree__isnull=True))
    return trees.annotate(newest_flag=about.order_by("-pk").values("pk")[:1])


def is_whose(tree: Tree, user: User) -> bool:
    """Whether the user registered, measured, corrected, photographed or imported the tree, and so must not judge it."""
    whose = {tree.registered_by_id, tree.measured_by_id, tree.imported_from and tree.imported_from.imported_by_id}
    made = tree.photos.filter(uploaded_by=user).exists() or tree.corrections.filter(by=user).exists()
    return user.pk in whose or made


def _lock(ids: Collection[int]) -> None:
    """Locks trees after their households: of two reviewers at once, the second one sees what the first one did."""
    if len(ids) > MOST_AT_ONCE:
        raise DomainError("too_many", _("Decide about at most %(most)s trees at once.") % {"most": MOST_AT_ONCE})
    trees = Tree.objects.filter(pk__in=ids).order_by("pk")
    households = Household.objects.filter(pk__in=trees.order_by().values("household")).order_by("pk")
    list(households.select_for_update(no_key=True).values_list("pk", flat=True))
    list(trees.select_for_update(no_key=True).values_list("pk", flat=True))


def _judged(ids: Collection[int], reviewer: User) -> list[Any]:
    """The trees with all that decides about them; asked after locking, so that nothing of it is old."""
    photos = Photo.objects.filter(tree=OuterRef("pk"))
    consents = Consent.objects.filter(household=OuterRef("household"), withdrawn_at__isnull=True)
    trees = with_sight(Tree.objects.filter(pk__in=ids)).annotate(
        imported_by=F("imported_from__imported_by"),
        photographed=Exists(photos.filter(state=Photo.State.ACCEPTED)),
        photographed_by_reviewer=Exists(photos.filter(uploaded_by=reviewer)),
        # Whoever corrected it after them sent on what they had written.
        corrected_by_reviewer=Exists(Correction.objects.filter(tree=OuterRef("pk"), by=reviewer)),
        consented=Exists(consents),
    )
    return list(trees.order_by("pk"))


def _not_waiting(tree: Any) -> DomainError | None:
    if tree.state == Tree.State.SUBMITTED:
        return None
    return DomainError("wrong_state", _("This tree is not waiting for review. Reload the page."), status=409)


def _not_as_seen(tree: Any, before: str | None) -> DomainError | None:
    if before is None or before == sight(tree):
        return None
    return DomainError("changed_meanwhile", _("This tree has changed since you opened it. Look at it again."), 409)


def _not_approvable(tree: Any, reviewer: User) -> DomainError | None:
    whose = (tree.registered_by_id, tree.measured_by_id, tree.imported_by)
    if reviewer.pk in whose or tree.photographed_by_reviewer or tree.corrected_by_reviewer:
        return DomainError("same_person", _("You registered this tree: somebody else must review it."), status=403)
    if (error := _not_waiting(tree)) is not None:
        return error
    if not tree.photographed:
        return DomainError("no_photo", _("The tree has no accepted photo yet. Wait for it, or ask for another one."))
    if not tree.consented:
        return DomainError("no_consent", _("The household has withdrawn its consent. Have it signed again first."))
    return None


def _approve(trees: list[Any], reviewer: User, *, views: dict[str, str], clean_only: bool = False) -> Told:
    """Approves those of the locked trees that can be, in the order of their registration."""
    homes = {
        home.pk: home
        for home in Household.objects.filter(pk__in={tree.household_id for tree in trees})
        .select_related("programme")
        .only("programme__vintages", "programme__max_trees_per_household")
        .annotate(enrolled=Count("trees", filter=Q(trees__state__in=IN_THE_SCHEME)))
    }
    places = {pk: home.programme.max_trees_per_household - home.enrolled for pk, home in homes.items()}
    chosen, refused = [], {}
    for tree in trees:
        error = _not_approvable(tree, reviewer) or _not_as_seen(tree, views.get(tree.number))
        if error is None and clean_only and tree.newest_flag is not None:
            error = DomainError("flagged", _("This tree or its household has a flag: look at the tree alone."), 409)
        if error is None and places[tree.household_id] < 1:
            most = homes[tree.household_id].programme.max_trees_per_household
            error = DomainError("household_full", _("The household has its %(most)s trees already.") % {"most": most})
        if error is None:
            places[tree.household_id] -= 1
            chosen.append(tree)
        else:
            refused[tree.number] = error
    _enrol(chosen, homes, reviewer)
    _decide(chosen, Review.Decision.APPROVED, reviewer)
    return Told([tree.number for tree in chosen], refused)


def _enrol(trees: list[Any], homes: Mapping[int, Household], reviewer: User) -> None:
    now = timezone.now()
    first = timezone.localtime(now).year
    known = set(
        Enrolment.objects.filter(
            tree__in=trees, first_vintage__lte=first, last_vintage__gte=first, revoked_at__isnull=True
        ).values_list("tree", flat=True)
    )
    Enrolment.objects.bulk_create(
        Enrolment(
            tree=tree,
            first_vintage=first,
            last_vintage=first + homes[tree.household_id].programme.vintages - 1,
            dbh_cm=tree.dbh_cm,
            measured_on=tree.measured_on,
            registered_by_id=tree.registered_by_id,
            measured_by_id=tree.measured_by_id,
            approved_by=reviewer,
            approved_at=now,
        )
        for tree in trees
        if tree.pk not in known
    )


def _decide(trees: list[Any], decision: str, reviewer: User, reason: str = "", note: str = "") -> None:
    """Writes the reviews of locked trees that wait, settles the trees' flags and moves them. Moving comes last, so
    that whoever listens finds the enrolments."""
    reviews = Review.objects.bulk_create(
        Review(tree=tree, reviewer=reviewer, decision=decision, reason=reason, note=note.strip()) for tree in trees
    )
    flags.settle(reviews, by=reviewer)
    approved = decision == Review.Decision.APPROVED
    to = Tree.State.APPROVED if approved else Tree.State.REJECTED
    move_many(Tree.objects.filter(pk__in=[tree.pk for tree in trees]), to, by=reviewer, reason=reason)


def _check_reason(reason: str, note: str) -> None:
    if reason not in Review.Reason.values:
        raise DomainError("no_reason", _("Choose the reason."))
    if reason == Review.Reason.OTHER and not note.strip():
        raise DomainError("no_reason", _("Write in the note what the officer should correct."))
