"""Second looks: a random sample of the approvals, drawn afterwards, that somebody else than the reviewer looks at.

The seed is drawn after the approvals are made, so nobody knows beforehand which tree will be in the sample; it is
kept with the draw, so anybody can repeat it.
"""

import hashlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, Min, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink.accounts.models import User
from carbonsink.days import midnight
from carbonsink.errors import DomainError
from carbonsink.locks import one_after_another
from carbonsink.states import move
from trees import review
from trees.models import Household, Programme, Review, SecondLook, SecondLookDraw, Tree


def is_drawn(seed: str, number: str, percent: Decimal) -> bool:
    """Whether SHA-256("seed:tree number"), read as a fraction of 2^256, is below `percent` of a hundred."""
    digest = hashlib.sha256(f"{seed}:{number}".encode()).digest()
    return int.from_bytes(digest) * 1000 < int(percent * 10) << 256


def draw_second_looks(until: datetime | None = None) -> list[SecondLookDraw]:
    """Draws for every programme from the approvals since its last draw, up to the last midnight or `until`.

    By then every approval of the time before is committed. Run again, or by two at once, nothing is drawn twice.
    """
    until = until or midnight(timezone.localdate())
    drawn = (_draw(programme, until) for programme in Programme.objects.order_by("pk"))
    return [draw for draw in drawn if draw is not None]


@transaction.atomic
def _draw(programme: Programme, until: datetime) -> SecondLookDraw | None:
    one_after_another(f"second looks of programme {programme.pk}")
    last = SecondLookDraw.objects.filter(programme=programme).order_by("-until").first()
    since = last.until if last else _approvals(programme).aggregate(first=Min("at"))["first"]
    if since is None or since >= until:
        return None
    approvals = _approvals(programme).filter(at__gte=since, at__lt=until).order_by("pk")
    seed, percent, chosen, count = secrets.token_hex(32), programme.second_look_percent, [], 0
    for row in approvals.values_list("pk", "tree", "reviewer", "tree__number").iterator():
        count += 1
        if is_drawn(seed, row[3], percent):
            chosen.append(row)
    draw = SecondLookDraw.objects.create(
        programme=programme, since=since, until=until, seed=seed, percent=percent, approvals=count, drawn=len(chosen)
    )
    looks = (SecondLook(draw=draw, review_id=pk, tree_id=tree, first_reviewer_id=by) for pk, tree, by, _n in chosen)
    SecondLook.objects.bulk_create(looks, batch_size=2000)
    return draw


def _approvals(programme: Programme) -> QuerySet[Review]:
    return Review.objects.filter(decision=Review.Decision.APPROVED, tree__household__programme=programme)


def differences(draw: SecondLookDraw) -> Iterator[str]:
    """Repeats a draw from its seed and tells, in sentences, where the stored sample is another one."""
    approvals = _approvals(draw.programme).filter(at__gte=draw.since, at__lt=draw.until)
    rows = dict(approvals.values_list("pk", "tree__number").iterator())
    expected = {pk: number for pk, number in rows.items() if is_drawn(draw.seed, number, draw.percent)}
    stored = dict(draw.looks.values_list("review", "tree__number"))
    if len(rows) != draw.approvals:
        yield f"draw {draw.pk}: {draw.approvals} approvals are recorded, {len(rows)} are there"
    if len(stored) != draw.drawn:
        yield f"draw {draw.pk}: {draw.drawn} second looks are recorded, {len(stored)} are there"
    for pk, number in expected.items():
        if pk not in stored:
            yield f"draw {draw.pk}: tree {number} belongs to the sample and is missing"
    for pk, number in stored.items():
        if pk not in expected:
            yield f"draw {draw.pk}: tree {number} does not belong to the sample"


def due(user: User) -> QuerySet[SecondLook]:
    """The second looks that this user may take: of trees they may see, whose approval still holds and is another
    reviewer's. Oldest draw first."""
    later = Review.objects.filter(tree=OuterRef("tree"), pk__gt=OuterRef("review"))
    return (
        SecondLook.objects.filter(
            reviewer__isnull=True,
            tree__state=Tree.State.APPROVED,
            tree__household__in=Household.objects.visible_to(user),
        )
        .exclude(Exists(later))
        .exclude(Q(first_reviewer=user) | Q(tree__registered_by=user) | Q(tree__measured_by=user))
        .order_by("draw", "pk")
    )


@transaction.atomic
def take_second_look(look: SecondLook, *, reviewer: User, verdict: str, reason: str = "", note: str = "") -> SecondLook:
    """Records what a second reviewer finds. Who disagrees gives a reason: the approval is taken back, or, where
    something of the tree is sold, the tree is suspended.

    Raises DomainError when it is the reviewer's own approval or tree, somebody has looked already, or the approval
    does not hold any more.
    """
    if verdict not in SecondLook.Verdict.values:
        raise DomainError("no_verdict", _("Say whether you agree with the approval."))
    # Household, tree, look: in this order, like every decision.
    Household.objects.select_for_update(of=["self"], no_key=True).only("pk").get(trees=look.tree_id)
    tree = Tree.objects.select_for_update(of=["self"], no_key=True).select_related("imported_from").get(pk=look.tree_id)
    look = SecondLook.objects.select_for_update().get(pk=look.pk)
    _check_open(look, tree, reviewer)
    if verdict == SecondLook.Verdict.DISAGREES:
        _undo(tree, reviewer, reason, note)
    else:
        reason = ""
    look.reviewer, look.verdict, look.at = reviewer, verdict, timezone.now()
    look.reason, look.note = reason, note.strip()
    look.save(update_fields=["reviewer", "verdict", "at", "reason", "note"])
    return look


def _check_open(look: SecondLook, tree: Tree, reviewer: User) -> None:
    if look.reviewer_id is not None:
        raise DomainError("wrong_state", _("Somebody else has taken this second look already."), status=409)
    if look.first_reviewer_id == reviewer.pk:
        raise DomainError("same_person", _("You approved this tree: somebody else must take the second look."), 403)
    if review.is_whose(tree, reviewer):
        raise DomainError("same_person", _("You registered this tree: somebody else must review it."), 403)
    later = Review.objects.filter(tree=tree, pk__gt=look.review_id)
    if tree.state != Tree.State.APPROVED or later.exists():
        raise DomainError("wrong_state", _("The approval does not hold any more: no second look is needed."), 409)


def _undo(tree: Tree, reviewer: User, reason: str, note: str) -> None:
    """Takes the approval back, or suspends the tree where that is too late."""
    try:
        with transaction.atomic():
            review.take_back_approval(tree, reviewer=reviewer, reason=reason, note=note)
    except DomainError as error:
        if error.code != "sold":
            raise
        move(tree, Tree.State.SUSPENDED, by=reviewer, reason=reason)


@dataclass(frozen=True)
class Agreement:
    """How often others agreed with a reviewer's approvals."""

    reviewer: User
    drawn: int
    agreed: int
    disagreed: int

    @property
    def percent(self) -> float | None:
        """Agreed, of those that were looked at again; None while there are none."""
        looked = self.agreed + self.disagreed
        return round(100 * self.agreed / looked, 1) if looked else None


def agreement() -> list[Agreement]:
    """For each first reviewer, how many of their approvals were drawn, and what others found; least agreed first."""
    counts: Any = SecondLook.objects.values("first_reviewer").annotate(
        drawn=Count("pk"),
        agreed=Count("pk", filter=Q(verdict=SecondLook.Verdict.AGREES)),
        disagreed=Count("pk", filter=Q(verdict=SecondLook.Verdict.DISAGREES)),
    )
    people = User.objects.in_bulk([row["first_reviewer"] for row in counts])
    rows = [Agreement(people[row.pop("first_reviewer")], **row) for row in counts]
    return sorted(rows, key=lambda row: (row.percent is None, row.percent or 0.0, row.reviewer.pk))
