"""Alerts: raised once for a thing, told to people, closed by a person's answer or when it is well again."""

from datetime import timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.messages.services import write_message
from carbonsink.states import move, move_many
from payouts.alert_kinds import kind_of
from payouts.models import Alert

log = structlog.get_logger(__name__)

# How often people are told of what is still open, and how many a mail lists.
AGAIN = timedelta(days=1)
LISTED = 30


def raise_alert(kind: str, about: str, text: str, *, stops: bool = False) -> None:
    """Raises an alert, unless one of this kind is open for the same thing. `stops`: no run of payouts before it is
    closed. One that is open and does not stop them does so from now on, and people are told anew."""
    alert = Alert(kind=kind, about=about[:120], text=text[:300], stops=stops, raised_at=timezone.now())
    open_ones = Alert.objects.filter(kind=kind, about=alert.about, state=Alert.State.OPEN)
    if stops:
        open_ones.filter(stops=False).update(stops=True, text=alert.text, told_at=None)
    if open_ones.exists():
        return
    Alert.objects.bulk_create([alert], ignore_conflicts=True)
    log.error("alert", kind=kind, about=about, stops=stops)


def close_alerts(kind: str, about: str, *, reason: str, by: User | None = None) -> int:
    """Closes what is open of this kind for the thing; returns how many were."""
    found = Alert.objects.filter(kind=kind, about=about[:120], state=Alert.State.OPEN)
    return len(move_many(found, Alert.State.CLOSED, by=by, reason=reason))


def open_alerts() -> QuerySet[Alert]:
    """The open alerts, oldest first."""
    return Alert.objects.filter(state=Alert.State.OPEN).order_by("raised_at", "pk")


def stopping() -> QuerySet[Alert]:
    """The open alerts that keep runs from starting, oldest first."""
    return Alert.objects.filter(state=Alert.State.OPEN, stops=True).order_by("pk")


def answer(alert: Alert, *, text: str, by: User) -> None:
    """Closes an alert with what a person found out.

    Raises DomainError: "no_answer" without a text, "closes_by_itself" for one that only ends with its cause.
    """
    text = text.replace("\0", "").strip()
    if not text:
        raise DomainError("no_answer", _("Write what you found out."))
    if kind_of(alert.kind).by_itself:
        raise DomainError("closes_by_itself", _("This closes by itself once its cause is gone."), status=409)
    move(alert, Alert.State.CLOSED, by=by, reason=text)


@transaction.atomic
def tell_people() -> int:
    """Writes to everybody of ALERT_MAIL_TO: of what is new at once, and once a day of all that is still open. Returns
    how many alerts are told of. Called twice, or by two at once, nobody is told twice."""
    if not settings.ALERT_MAIL_TO:
        return 0
    now = timezone.now()
    found = list(open_alerts().select_for_update())
    told = [one for one in found if one.told_at is None]
    if any(one.told_at is not None and one.told_at <= now - AGAIN for one in found):
        told = found
    if not told:
        return 0
    listed = [{"alert": one, "kind": kind_of(one.kind)} for one in told[:LISTED]]
    context = {
        "alerts": listed,
        "count": len(told),
        "more": len(told) - len(listed),
        "stops": any(one.stops for one in told),
        "link": settings.PUBLIC_BASE_URL + reverse("payouts:alerts"),
    }
    for to in settings.ALERT_MAIL_TO:
        key = f"alerts:{now:%Y%m%d%H%M%S%f}:{to}"[:120]
        write_message(key, to=to, template="alerts", language=settings.LANGUAGE_CODE, context=context)
    Alert.objects.filter(pk__in=[one.pk for one in told]).update(told_at=now)
    return len(told)
