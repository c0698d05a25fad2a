"""The reviewer's decisions: a tree becomes part of the scheme, or goes back with a reason."""

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.states import move
from trees.models import Enrolment, Household, Photo, Review, Tree


@transaction.atomic
def approve_tree(tree: Tree, *, reviewer: User) -> Enrolment:
    """Enrols a tree for the programme's vintages, from this year on.

    A tree that comes back within vintages it was approved for keeps that enrolment. Raises DomainError when the tree
    is not waiting for review, the reviewer registered it, no photo is accepted, the household has withdrawn its
    consent, or has its most trees.
    """
    # The household's row comes first: of two reviewers at once, the second one sees what the first one did.
    household = (
        Household.objects.select_for_update(of=["self"], no_key=True)
        .select_related("programme")
        .get(pk=tree.household_id)
    )
    tree.refresh_from_db(fields=["state", "measured_by"])
    _check_approvable(tree, household, reviewer)
    enrolment = _enrol(tree, household, reviewer)
    Review.objects.create(tree=tree, reviewer=reviewer, decision=Review.Decision.APPROVED)
    # After the enrolment, so that whoever listens to the move finds it.
    move(tree, Tree.State.APPROVED, by=reviewer)
    return enrolment


def _check_approvable(tree: Tree, household: Household, reviewer: User) -> None:
    if reviewer.pk in (tree.registered_by_id, tree.measured_by_id) or tree.photos.filter(uploaded_by=reviewer).exists():
        raise DomainError("same_person", _("You registered this tree: somebody else must review it."), status=403)
    if tree.state != Tree.State.SUBMITTED:
        raise DomainError("wrong_state", _("This tree is not waiting for review. Reload the page."), status=409)
    if not tree.photos.filter(state=Photo.State.ACCEPTED).exists():
        raise DomainError("no_photo", _("The tree has no accepted photo yet. Wait for it, or ask for another one."))
    if not household.consents.filter(withdrawn_at__isnull=True).exists():
        raise DomainError("no_consent", _("The household has withdrawn its consent. Have it signed again first."))
    most = household.programme.max_trees_per_household
    if household.trees.filter(state__in=[Tree.State.APPROVED, Tree.State.SUSPENDED]).count() >= most:
        raise DomainError("household_full", _("The household has its %(most)s trees already.") % {"most": most})


def _enrol(tree: Tree, household: Household, reviewer: User) -> Enrolment:
    now = timezone.now()
    first = timezone.localtime(now).year
    known = tree.enrolments.filter(first_vintage__lte=first, last_vintage__gte=first, revoked_at__isnull=True).first()
    return known or Enrolment.objects.create(
        tree=tree,
        first_vintage=first,
        last_vintage=first + household.programme.vintages - 1,
        dbh_cm=tree.dbh_cm,
        measured_on=tree.measured_on,
        registered_by=tree.registered_by,
        measured_by=tree.measured_by,
        approved_by=reviewer,
        approved_at=now,
    )


@transaction.atomic
def reject_tree(tree: Tree, *, reviewer: User, reason: str, note: str = "") -> Review:
    """Sends a tree back to the officer with a coded reason. DomainError when it is not waiting for review."""
    if reason == Review.Reason.OTHER and not note.strip():
        raise DomainError("no_reason", _("Write in the note what the officer should correct."))
    review = Review.objects.create(
        tree=tree, reviewer=reviewer, decision=Review.Decision.REJECTED, reason=reason, note=note.strip()
    )
    move(tree, Tree.State.REJECTED, by=reviewer, reason=reason)
    return review
