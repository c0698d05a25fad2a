"""Ledger against the gateways' bills, and what the gateways have yet to settle.

Lines were compared with the bills by `purchases.bills`; here their sums are, and the balance of each gateway's account.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from carbonsink.days import bounds
from carbonsink.ledger.models import Account, Line
from payouts.models import Discrepancy
from payouts.reconciliation.found import Found, Look, working_days_before
from purchases import fees
from purchases.gateways import TRANSFER, gateway
from purchases.gateways.base import GatewayError
from purchases.models import Bill, Difference

log = structlog.get_logger(__name__)
Kind = Discrepancy.Kind

# A capture so near midnight may stand on the neighbouring day's bill.
MIDNIGHT = timedelta(minutes=10)
# Beyond so many different sums nobody counts on: it waits for the next day's bill.
MANY_SUMS = 50_000

_CAPTURED = """
    SELECT coalesce(sum(l.fen), 0)::bigint FROM purchases_payment p
      JOIN ledger_entry e ON e.reference = 'capture:' || p.reference
      JOIN ledger_line l ON l.entry_id = e.id
      JOIN ledger_account a ON a.id = l.account_id AND a.code = 'gateway:' || p.gateway
     WHERE p.gateway = %(code)s AND p.state = 'captured' AND p.captured_at >= %(begin)s AND p.captured_at < %(end)s"""
_REFUNDED = """
    SELECT coalesce(-sum(l.fen), 0)::bigint FROM purchases_refund r
      JOIN ledger_entry e ON e.reference = 'refund:' || r.number AND e.at >= %(begin)s AND e.at < %(end)s
      JOIN ledger_line l ON l.entry_id = e.id
      JOIN ledger_account a ON a.id = l.account_id AND a.code = 'gateway:' || %(code)s"""
# Captures beside midnight: those of the day may be missing on its bill, those of its neighbours may be on it.
_CAPTURED_NEARBY = """
    SELECT CASE WHEN captured_at >= %(begin)s AND captured_at < %(end)s THEN -captured_fen ELSE captured_fen END
      FROM purchases_payment
     WHERE gateway = %(code)s AND state = 'captured'
       AND (captured_at BETWEEN %(begin)s - %(near)s AND %(begin)s + %(near)s
            OR captured_at BETWEEN %(end)s - %(near)s AND %(end)s + %(near)s)"""
# Refunds asked for by the end of the day whose success we learnt after it or have yet to learn, or before it and learnt
# on it.
_REFUNDED_NEARBY = """
    SELECT CASE WHEN e.at >= %(begin)s AND e.at < %(end)s THEN -r.fen ELSE r.fen END
      FROM purchases_refund r JOIN purchases_payment p ON p.id = r.payment_id AND p.gateway = %(code)s
      LEFT JOIN ledger_entry e ON e.reference = 'refund:' || r.number
     WHERE (r.created_at < %(begin)s AND e.at >= %(begin)s AND e.at < %(end)s)
        OR (r.created_at < %(end)s AND (e.at IS NULL OR e.at >= %(end)s))"""
# What belongs before a moment by its own clock, and was booked after it: captures and settlements that we learnt late.
_BOOKED_LATE = """
    SELECT coalesce(sum(l.fen), 0)::bigint FROM ledger_line l
      JOIN ledger_entry e ON e.id = l.entry_id AND e.at >= %(end)s
     WHERE l.account_id = %(account)s
       AND (EXISTS (SELECT FROM payouts_statementrow r WHERE r.entry_id = e.id AND r.booked_at < %(end)s)
            OR EXISTS (SELECT FROM purchases_payment p WHERE e.kind = 'capture' AND p.captured_at < %(end)s
                          AND p.reference = substr(e.reference, 9)))"""
_CAPTURES = ("capture_here", "capture_there", "capture_fen")


def codes() -> list[str]:
    """The gateways whose bills are compared."""
    return [code for code in settings.PAYMENT_GATEWAYS if code != TRANSFER]


# {gateway: {reference of the entry: fen}}; None for a gateway that does not answer.
Fees = dict[str, dict[str, int] | None]


def read_fees(day: date) -> Fees:
    """The fees on each gateway's bill of a day."""
    kept: Fees = {}
    for code in codes():
        try:
            kept[code] = {f"fee:{code}:{fee.number}": fee.fen for fee in gateway(code).fees(day) if fee.fen}
        except GatewayError as error:
            log.warning("fees_not_read", gateway=code, day=str(day), outcome=error.outcome, code=error.code)
            kept[code] = None
    return kept


def book_missed_fees(day: date) -> Fees:
    """The fees on each gateway's bill of a day; what nobody has booked of them is booked now."""
    kept = read_fees(day)
    for code, listed in kept.items():
        if listed and _booked(listed) != sum(listed.values()):
            log.warning("fees_booked_late", gateway=code, day=str(day), fees=fees.book_fees(code, day))
    return kept


def _booked(references: Iterable[str], *, from_: datetime | None = None) -> int:
    """Fen that the ledger has as fees under these references, perhaps only those booked from a moment on."""
    lines = Line.objects.filter(entry__reference__in=list(references), account__kind=Account.Kind.FEES)
    if from_ is not None:
        lines = lines.filter(entry__at__gte=from_)
    return lines.aggregate(fen=Sum("fen", default=0))["fen"]


def compare_fees(look: Look, day: date, kept: Fees) -> None:
    """Adds what the gateways kept back on a day, and what of it the ledger has."""
    for code, listed in kept.items():
        ours, theirs = (None, None) if listed is None else (_booked(listed), sum(listed.values()))
        look.add("fees", "ledger", ours)
        look.add("fees", "gateway", theirs)
        if ours != theirs:
            look.found.append(Found(Kind.FEES, f"{code}:{day}", ours, theirs, bounds(day)[1], True))


def compare(look: Look, day: date) -> None:
    """Adds what the bills of a day say and what the ledger has, and where the sums differ."""
    for code in codes():
        begin, end = bounds(day)
        where = {"code": code, "begin": begin, "end": end, "near": MIDNIGHT}
        captured, refunded = _sum(_CAPTURED, where), _sum(_REFUNDED, where)
        bill = Bill.objects.filter(gateway=code, day=day).first()
        look.add("captured", "ledger", captured)
        look.add("refunded", "ledger", refunded)
        look.add("captured", "gateway", bill.captured_fen if bill else None)
        look.add("refunded", "gateway", bill.refunded_fen if bill else None)
        if bill is None:
            if captured or refunded:
                patient = working_days_before(timezone.localdate(), settings.SETTLEMENT_DAYS) <= day
                look.found.append(Found(Kind.BILL_MISSING, f"{code}:{day}", captured, None, end, not patient))
            continue
        for name, ours, theirs, nearby in (
            ("captured", captured, bill.captured_fen, _CAPTURED_NEARBY),
            ("refunded", refunded, bill.refunded_fen, _REFUNDED_NEARBY),
        ):
            rest = theirs - ours - _known_delta(bill, captures=name == "captured")
            if rest:
                kind = _kind_of_rest(rest, _amounts(nearby, where), bill)
                if kind:
                    look.found.append(Found(kind, f"{code}:{name}:{day}", ours, theirs, begin, kind == Kind.BILL_SUM))


def _sum(query: str, where: dict[str, Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(query, where)
        return int(cursor.fetchone()[0])


def _amounts(query: str, where: dict[str, Any]) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(query, where)
        return [row[0] for row in cursor.fetchall()]


def _known_delta(bill: Bill, *, captures: bool) -> int:
    """By how much the bill has more, as its lines are known to differ."""
    rows = bill.differences.exclude(state=Difference.State.AGREED).values_list("kind", "theirs_fen", "ours_fen")
    return sum((theirs or 0) - (ours or 0) for kind, theirs, ours in rows if (kind in _CAPTURES) == captures)


def _kind_of_rest(rest: int, nearby: list[int], bill: Bill) -> Discrepancy.Kind | None:
    """What is left is known if captures or refunds beside midnight make it up: until the next day's bill, by which
    every line has found its place."""
    if rest not in _reachable(nearby) and len(nearby) < MANY_SUMS:
        return Kind.BILL_SUM
    following = Bill.objects.filter(gateway=bill.gateway, day=bill.day + timedelta(days=1)).exists()
    return None if following else Kind.OTHER_DAY


def _reachable(amounts: list[int]) -> set[int]:
    """The sums that some of the amounts make; not more than MANY_SUMS of them."""
    sums = {0}
    for amount in amounts:
        sums |= {one + amount for one in sums}
        if len(sums) > MANY_SUMS:
            break
    return sums


def settlements(look: Look, day: date, kept: Fees) -> None:
    """Adds what each gateway has captured and, by the end of a day, not settled to the supervised account. The day's
    fees, which are booked on the next one, are no money that is still to come."""
    end = bounds(day)[1]
    for account in Account.objects.filter(kind=Account.Kind.GATEWAY).order_by("code"):
        code = account.code.partition(":")[2]
        lines = Line.objects.filter(account=account, entry__at__lt=end)
        fen = lines.aggregate(fen=Sum("fen", default=0))["fen"] - _booked(kept.get(code) or (), from_=end)
        fen += _sum(_BOOKED_LATE, {"account": account.pk, "end": end})
        if fen < 0:
            early = code == TRANSFER  # The office swept the account before its statement was read.
            kind = Kind.SWEPT_EARLY if early else Kind.SETTLED_TOO_MUCH
            look.found.append(Found(kind, f"{code}:{day}", fen, None, end, not early))
        elif fen > 0:
            latest = bounds(working_days_before(day, settings.SETTLEMENT_DAYS))[0]
            recent = lines.filter(fen__gt=0, entry__at__gte=latest).aggregate(fen=Sum("fen", default=0))["fen"]
            kind = Kind.SETTLEMENT_OVERDUE if fen > recent else Kind.SETTLEMENT
            look.found.append(Found(kind, f"{code}:{day}", fen, None, _waits_since(account, fen, end)))


def _waits_since(account: Account, fen: int, end: datetime) -> datetime:
    """Since when the oldest of the unsettled fen waits: settlements pay what came first."""
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH days AS (SELECT date_trunc('day', e.at, %s) AS day, sum(l.fen) AS fen
                               FROM ledger_line l JOIN ledger_entry e ON e.id = l.entry_id
                              WHERE l.account_id = %s AND l.fen > 0 AND e.at < %s GROUP BY 1)
               SELECT max(day) FROM (
                      SELECT day, sum(fen) OVER (ORDER BY day DESC) AS so_far FROM days) t WHERE so_far >= %s""",
            [settings.TIME_ZONE, account.pk, end, fen],
        )
        return cursor.fetchone()[0] or end
