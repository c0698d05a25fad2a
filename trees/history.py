"""Who did what about a tree, and when: one list of registration, photos, corrections, decisions and moves."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from carbonsink.accounts.models import User
from trees.models import Review, SecondLook, Tree

# Each of these moves comes with a review, which says more.
REVIEWED = {("submitted", "approved"), ("submitted", "rejected"), ("approved", "submitted")}


@dataclass(frozen=True)
class Event:
    """Something that happened to a tree: a sentence, with what was said about it."""

    at: datetime
    by: User | None
    what: str
    note: str = ""


def history_of(tree: Tree) -> list[Event]:
    """All that happened to a tree, oldest first."""
    events = [Event(tree.registered_at, tree.registered_by, _("registered"))]
    events += [*_photos(tree), *_corrections(tree), *_reviews(tree), *_second_looks(tree), *_moves(tree)]
    return sorted(events, key=lambda event: event.at)


def _photos(tree: Tree) -> Iterator[Event]:
    for photo in tree.photos.select_related("uploaded_by"):
        yield Event(photo.received_at, photo.uploaded_by, _("photo: %(state)s") % {"state": photo.get_state_display()})


def _corrections(tree: Tree) -> Iterator[Event]:
    for correction in tree.corrections.select_related("by"):
        before = " · ".join(f"{name} {value}" for name, value in correction.before.items() if value is not None)
        yield Event(correction.at, correction.by, _("corrected"), _("before: %(values)s") % {"values": before})


def _reviews(tree: Tree) -> Iterator[Event]:
    for review in tree.reviews.select_related("reviewer"):
        yield Event(review.at, review.reviewer, str(review.get_decision_display()), reason_of(review))


def _second_looks(tree: Tree) -> Iterator[Event]:
    for look in tree.second_looks.filter(reviewer__isnull=False).select_related("reviewer"):
        if look.at is not None:
            verdict = _("second look: %(verdict)s") % {"verdict": look.get_verdict_display()}
            yield Event(look.at, look.reviewer, verdict, reason_of(look))


def _moves(tree: Tree) -> Iterator[Event]:
    reasons = dict(Review.Reason.choices)
    for change in tree.history().select_related("by"):
        if (change.from_state, change.to_state) not in REVIEWED:
            state = str(Tree.State(change.to_state).label)
            yield Event(change.at, change.by, state, str(reasons.get(change.reason, change.reason)))


def reason_of(decision: Review | SecondLook) -> str:
    """The coded reason of a decision in words, with its note."""
    return " · ".join(filter(None, [str(decision.get_reason_display()) if decision.reason else "", decision.note]))
