"""Watching for what takes too long: each time anew, so that what is well again closes by itself."""

from collections.abc import Collection, Iterator
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink.money import yuan
from payouts import alerts, checking, reconciliation, sending
from payouts.models import Alert, Payout, StatementCursor

# {kind: query of what such an alert is about, and further values of its text}. The moment counts, not the database's
# clock: the platform's own clock is the one that writes it. Files for banks are watched as a whole (`payouts.batches`).
WATCHES = {
    "unanswered": """
        SELECT p.out_no, p.fen FROM payouts_payout p
         WHERE p.state IN ('sending', 'unknown', 'accepted') AND EXISTS (
               SELECT FROM carbonsink_statechange c WHERE c.thing = 'payouts.payout' AND c.object_id = p.id
                  AND c.to_state = 'sending'
                  AND c.at < %(now)s - CASE p.state WHEN 'accepted' THEN interval '3 days' ELSE '15 minutes' END)
           AND NOT EXISTS (SELECT FROM payouts_attempt t WHERE t.payout_id = p.id AND t.batch_id IS NOT NULL)""",
    "refund_unanswered": """
        SELECT r.number, r.fen FROM purchases_refund r
         WHERE r.state IN ('sending', 'unknown') AND r.created_at < %(now)s - interval '15 minutes'""",
    "refund_refused": """
        SELECT r.number, r.fen FROM purchases_refund r
         WHERE r.state = 'failed' AND r.created_at < %(now)s - interval '15 minutes'""",
    "capture_without_trees": """
        SELECT p.reference, p.captured_fen FROM purchases_order o JOIN purchases_payment p ON p.order_id = o.id
         WHERE o.state IN ('expired', 'cancelled', 'short') AND p.state = 'captured'
           AND p.captured_fen = o.total_fen AND p.captured_at < %(now)s - interval '10 minutes'
           AND NOT EXISTS (SELECT FROM purchases_refund r WHERE r.payment_id = p.id)""",
}
# A bank that is silent for a while is asked again; for so long it is a person's to find out.
NOT_COMPARED = "not_compared"
UNREAD, STATEMENT_SILENT = "statement_unread", timedelta(hours=1)
# Alerts that sending raises, about a payout's number.
OF_SENDING = ["content_changed", "bank_forgot"]


def watch() -> None:
    """Raises an alert for each thing that takes too long, and closes those whose thing is well again."""
    for kind, query in WATCHES.items():
        _settle(kind, dict(_rows(query)))
    _settle(UNREAD, dict(_silent_banks()))
    _settle(NOT_COMPARED, dict(_missed_days()), stops=True)
    refused = _still_refused()
    for kind in checking.KINDS:
        _settle(kind, {out_no: "" for out_no, why in refused.items() if why == kind})
    for kind in OF_SENDING:
        _settle(kind, {payout.out_no: "" for payout in _still_in_trouble(kind)})


def _rows(query: str) -> Iterator[tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(query, {"now": timezone.now()})
        for about, fen in cursor.fetchall():
            yield about, _("%(yuan)s yuan, number %(number)s.") % {"yuan": yuan(fen), "number": about}


def _silent_banks() -> Iterator[tuple[str, str]]:
    before = timezone.now() - STATEMENT_SILENT
    silent = StatementCursor.objects.filter(bank=settings.PAYOUT_BANK, read_at__lt=before)
    for code, since in silent.values_list("bank", "read_at"):
        yield code, _("Not read to its end since %(since)s.") % {"since": f"{timezone.localtime(since):%F %R}"}


def _missed_days() -> Iterator[tuple[str, str]]:
    for day in reconciliation.missed_days():
        values = {"day": day, "command": f"manage.py reconcile --date {day}"}
        yield str(day), _("Nobody has compared %(day)s. Nothing is paid before it is: %(command)s.") % values


def _settle(kind: str, found: dict[str, str], *, stops: bool = False) -> None:
    """Raises what is not open yet, and closes what is well again. A silent bank may leave a whole night's payouts open:
    what is known of them is asked once, not for each."""
    known = set(Alert.objects.filter(kind=kind, state=Alert.State.OPEN).values_list("about", flat=True))
    for about in found.keys() - known:
        alerts.raise_alert(kind, about, found[about], stops=stops)
    for about in known - found.keys():
        alerts.close_alerts(kind, about, reason="well again")


def _open_with_alert(kinds: Collection[str]) -> QuerySet[Payout]:
    numbers = Alert.objects.filter(kind__in=kinds, state=Alert.State.OPEN).values("about")
    return Payout.objects.filter(out_no__in=numbers, state__in=[Payout.State.APPROVED, *sending.OPEN])


def _still_refused() -> dict[str, str]:
    """Why sending refuses payouts, as a kind of alert, by number; those for which nobody was alarmed are left out."""
    found = list(_open_with_alert(checking.KINDS).select_related("account__household"))
    troubles = checking.troubles(found)
    return {payout.out_no: troubles[payout.pk][0] for payout in found if payout.pk in troubles}


def _still_in_trouble(kind: str) -> list[Payout]:
    """Payouts with an open alert of sending, which are not at their end and not on their way again."""
    open_ones = _open_with_alert([kind])
    if kind == "content_changed":
        return [payout for payout in open_ones if not sending.is_live(payout)]
    return list(open_ones.filter(state=Payout.State.UNKNOWN))
