"""Alerts: raised once for a thing, closed by a person's answer or when it is well again."""

import structlog
from django.db.models import QuerySet
from django.utils import timezone

from carbonsink.accounts.models import User
from carbonsink.states import move_many
from payouts.models import Alert

log = structlog.get_logger(__name__)


def raise_alert(kind: str, about: str, text: str, *, stops: bool = False) -> None:
    """Raises an alert, unless one of this kind is open for the same thing. `stops`: no run of payouts before it is
    closed."""
    alert = Alert(kind=kind, about=about[:120], text=text[:300], stops=stops, raised_at=timezone.now())
    if Alert.objects.filter(kind=kind, about=alert.about, state=Alert.State.OPEN).exists():
        return
    Alert.objects.bulk_create([alert], ignore_conflicts=True)
    log.error("alert", kind=kind, about=about, stops=stops)


def close_alerts(kind: str, about: str, *, reason: str, by: User | None = None) -> int:
    """Closes what is open of this kind for the thing; returns how many were."""
    found = Alert.objects.filter(kind=kind, about=about[:120], state=Alert.State.OPEN)
    return len(move_many(found, Alert.State.CLOSED, by=by, reason=reason))


def stopping() -> QuerySet[Alert]:
    """The open alerts that keep runs from starting, oldest first."""
    return Alert.objects.filter(state=Alert.State.OPEN, stops=True).order_by("pk")
