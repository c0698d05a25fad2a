"""A tree over the years: deciding what was reported of it, the end of its vintages, what is due, and its history.

A renewal needs no service of its own: an expired tree that is measured anew waits for a review again, and approving it
enrols it from that year on.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.states import move, move_many, note
from trees.models import Enrolment, Household, Inspection, Photo, Review, SecondLook, Tree
from trees.registration import withdraw_consent
from trees.review import is_whose

EXPIRED_AT_ONCE = 2_000
BETWEEN_INSPECTIONS = timedelta(days=365)


@transaction.atomic
def decide_inspection(inspection: Inspection, *, reviewer: User, confirm: bool, remark: str = "") -> None:
    """Confirms that a tree is dead or felled, or refutes it; the history keeps who, when and why.

    Confirmed, the tree leaves the scheme for good; what was sold of it is replaced or refunded afterwards
    (`purchases.replacements`). Refuted, it is back in the scheme, unless something else still keeps it out. Raises
    DomainError when the reviewer reported it or the tree is theirs (403), it is decided already (409), or it is refuted
    without a word.
    """
    # The tree's row comes first: reports of the same tree are decided one after the other.
    tree = Tree.objects.select_for_update(no_key=True).get(pk=inspection.tree_id)
    if inspection.inspected_by_id == reviewer.pk or inspection.photos.filter(uploaded_by=reviewer).exists():
        raise DomainError("same_person", _("You reported this tree: somebody else must decide about it."), status=403)
    if is_whose(tree, reviewer):
        raise DomainError("same_person", _("You registered this tree: somebody else must review it."), status=403)
    remark = remark.strip()
    if not confirm and not remark:
        raise DomainError("no_reason", _("Write in the note what shows that the tree stands."))
    if confirm and tree.state == Tree.State.SUBMITTED:
        raise DomainError("wrong_state", _("This tree waits for a review: reject it there first."), status=409)
    to = Inspection.State.CONFIRMED if confirm else Inspection.State.REFUTED
    move(inspection, to, by=reviewer, reason=remark, decided_by=reviewer, decided_at=timezone.now())
    if confirm and tree.state in (Tree.State.APPROVED, Tree.State.SUSPENDED):
        move(tree, inspection.condition, by=reviewer, reason=inspection.cause)
    elif tree.state == Tree.State.SUSPENDED and _suspended_by(inspection) and not _is_doubted(tree):
        move(tree, Tree.State.APPROVED, by=reviewer, reason="report refuted")


def _suspended_by(report: Inspection) -> bool:
    """Whether it was this report that suspended the tree, and not a second look before it."""
    return report.tree.history().filter(to_state=Tree.State.SUSPENDED, at__gte=report.received_at).exists()


def _is_doubted(tree: Tree) -> bool:
    """Whether a second look that disagreed was the last word about the approval."""
    approvals = Review.objects.filter(decision=Review.Decision.APPROVED, tree=OuterRef("tree"))
    later = approvals.filter(pk__gt=OuterRef("review"))
    disagreed = SecondLook.objects.filter(tree=tree, verdict=SecondLook.Verdict.DISAGREES)
    return disagreed.exclude(Exists(later)).exists()


def open_reports(user: User) -> QuerySet[Inspection]:
    """Reports of dead and felled trees of the user's area that wait for a decision, oldest first."""
    reports = Inspection.objects.filter(state=Inspection.State.REPORTED, tree__in=Tree.objects.visible_to(user))
    return reports.select_related(
        "tree__species", "tree__household__village", "tree__picture", "inspected_by"
    ).order_by("received_at", "pk")


@transaction.atomic
def record_withdrawal(household: Household, *, by: User, on: date, reason: str) -> int:
    """Records that a household withdraws its consent: who wrote it down, when the household said so, and why.

    Its trees leave the scheme in the same transaction; what was sold of them is replaced or refunded afterwards.
    Returns how many trees left. Raises DomainError when there is no consent in force, no reason, or the day is wrong.
    """
    Household.objects.select_for_update(no_key=True).get(pk=household.pk)
    consent = household.consents.filter(withdrawn_at__isnull=True).first()
    if consent is None:
        raise DomainError("no_consent", _("This household has no consent in force."), status=409)
    reason = " ".join(reason.split())
    if not reason:
        raise DomainError("no_reason", _("Write down why the household withdraws, in its own words."))
    if not timezone.localdate(consent.signed_at) <= on <= timezone.localdate():
        raise DomainError("invalid", _("The day must be between that of the signature and today. Correct the date."))
    before = household.trees.filter(state=Tree.State.WITHDRAWN).count()
    withdraw_consent(household, by=by, reason=f"{on.isoformat()}: {reason}")
    note(consent, "in force", "withdrawn", by=by, reason=f"{on.isoformat()}: {reason}")
    return household.trees.filter(state=Tree.State.WITHDRAWN).count() - before


def expire_trees() -> int:
    """Ends approved trees whose last vintage is over, by the local calendar, and returns how many. In small
    transactions; can be run again at any time."""
    year, ended = timezone.localdate().year, 0
    running = Enrolment.objects.filter(tree=OuterRef("pk"), last_vintage__gte=year, revoked_at__isnull=True)
    over = Tree.objects.filter(~Exists(running), state=Tree.State.APPROVED)
    while ids := list(over.order_by("pk").values_list("pk", flat=True)[:EXPIRED_AT_ONCE]):
        # Asked again inside: a tree that was renewed meanwhile stays.
        moved = move_many(over.filter(pk__in=ids), Tree.State.EXPIRED, reason=f"vintages over before {year}")
        ended += len(moved)
        if not moved:
            break
    return ended


def due_for_inspection(user: User) -> QuerySet[Any]:
    """Approved trees the user may see that should be looked at, longest unseen first.

    Due is a tree that nobody has measured or inspected for 12 months, and one in this year's sample that nobody has
    inspected this year. In the sample are, of the trees measured before this year, those for which SHA-256 of
    "year:tree number", its first 32 bits read as a fraction, is below the programme's percentage: everybody can repeat
    it. Adds `seen_on` and `in_sample`.
    """
    today = timezone.localdate()
    looked = Inspection.objects.filter(tree=OuterRef("pk")).order_by()
    newest = looked.values("tree").annotate(day=Max("inspected_on")).values("day")
    fraction = RawSQL(
        "('x' || left(encode(sha256(convert_to(%s || ':' || trees_tree.number, 'UTF8')), 'hex'), 8))::bit(32)::bigint"
        " / 4294967296.0 * 100",
        [str(today.year)],
    )
    trees = Tree.objects.visible_to(user).filter(state=Tree.State.APPROVED)
    trees = trees.annotate(
        inspected_on=Subquery(newest),
        seen_on=Greatest("measured_on", Coalesce(Subquery(newest), F("measured_on"))),
        drawn=fraction,
    )
    first_day = today.replace(month=1, day=1)
    in_sample = Q(drawn__lt=F("household__programme__inspection_percent"), seen_on__lt=first_day)
    due = trees.filter(Q(seen_on__lt=today - BETWEEN_INSPECTIONS) | in_sample)
    return due.select_related("species", "household__village", "picture").order_by("seen_on", "pk")


@dataclass(frozen=True)
class Sight:
    """What was seen of a tree on a day. `dbh_cm` is None where it was not measured."""

    day: date
    dbh_cm: Decimal | None
    condition: str = Inspection.Condition.ALIVE
    state: str = Inspection.State.RECORDED
    cause: str = ""
    has_photo: bool = False
    is_inspection: bool = True


def history(tree: Tree) -> list[Sight]:
    """All that was seen of a tree, oldest first: what it was enrolled with, each inspection, and what is recorded now.

    One measurement a day: an inspection says more than the tree's own measurement of that day.
    """
    photos = Photo.objects.filter(inspection=OuterRef("pk"), state=Photo.State.ACCEPTED)
    sights = {
        (sight.inspected_on, sight.pk): Sight(
            day=sight.inspected_on,
            dbh_cm=sight.dbh_cm,
            condition=sight.condition,
            state=sight.state,
            cause=sight.get_cause_display() if sight.cause else "",
            has_photo=bool(sight.pictures),  # type: ignore[attr-defined]
        )
        for sight in tree.inspections.annotate(pictures=Exists(photos)).order_by("inspected_on", "pk")
    }
    days = {day for day, _pk in sights}
    enrolled = tree.enrolments.filter(revoked_at__isnull=True).values_list("measured_on", "dbh_cm")
    for day, dbh_cm in {*enrolled, (tree.measured_on, tree.dbh_cm)}:
        if day not in days:
            sights[(day, 0)] = Sight(day, dbh_cm, has_photo=tree.picture_id is not None, is_inspection=False)
    return [sights[key] for key in sorted(sights)]


def measurements(sights: list[Sight]) -> list[tuple[date, Decimal]]:
    """The diameters (cm) by day, oldest first, at which the tree stood."""
    standing = (Inspection.Condition.ALIVE, Inspection.Condition.DAMAGED)
    return [(sight.day, sight.dbh_cm) for sight in sights if sight.dbh_cm is not None and sight.condition in standing]
