"""Ledger against the gateways' bills. Lines were compared with them by `purchases.bills`; here their sums are."""

from collections.abc import Mapping
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
from purchases.gateways.base import Funds, GatewayError
from purchases.models import Bill, Difference, Payment

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
_CAPTURES = ("capture_here", "capture_there", "capture_fen")


def codes() -> list[str]:
    """The gateways whose bills are compared."""
    return [code for code in settings.PAYMENT_GATEWAYS if code != TRANSFER]


def read_funds(day: date) -> dict[str, Funds | None]:
    """What moved on our account with each gateway on a day; None for one that does not answer."""
    return {code: read(code, day) for code in codes()}


def read_before(day: date) -> dict[str, list[Funds]]:
    """What moved on the days before, newest first, as far back as a settlement may take or each gateway tells."""
    told: dict[str, list[Funds]] = {}
    first = working_days_before(day, settings.SETTLEMENT_DAYS)
    for code in codes():
        told[code], earlier = [], day - timedelta(days=1)
        while earlier >= first and (funds := read(code, earlier)) is not None:
            told[code].append(funds)
            earlier -= timedelta(days=1)
    return told


def read(code: str, day: date) -> Funds | None:
    """What moved on our account with a gateway on a day; None when it does not answer."""
    try:
        return gateway(code).funds(day)
    except GatewayError as error:
        log.warning("funds_not_read", gateway=code, day=str(day), outcome=error.outcome, code=error.code)
        return None


def book_missed_fees(day: date) -> dict[str, Funds | None]:
    """What `read_funds` gives; the fees in it that nobody has booked are booked now."""
    told = read_funds(day)
    for code, funds in told.items():
        if funds and booked(code, funds) != sum(fee.fen for fee in funds.fees):
            log.warning("fees_booked_late", gateway=code, day=str(day), fees=fees.book(code, funds.fees))
    return told


def booked(code: str, funds: Funds, *, from_: datetime | None = None) -> int:
    """Fen of a day's fees that the ledger has, perhaps only those booked from a moment on."""
    references = [fees.reference(code, fee) for fee in funds.fees]
    lines = Line.objects.filter(entry__reference__in=references, account__kind=Account.Kind.FEES)
    if from_ is not None:
        lines = lines.filter(entry__at__gte=from_)
    return lines.aggregate(fen=Sum("fen", default=0))["fen"]


def compare_fees(look: Look, day: date, told: Mapping[str, Funds | None]) -> None:
    """Adds what the gateways kept back on a day, and what of it the ledger has."""
    for code, funds in told.items():
        ours, theirs = (None, None) if funds is None else (booked(code, funds), sum(fee.fen for fee in funds.fees))
        look.add("fees", "ledger", ours)
        look.add("fees", "gateway", theirs)
        if funds is None:
            look.untold.add((Kind.FEES, code))
        if ours != theirs:
            look.found.append(Found(Kind.FEES, f"{code}:{day}", ours, theirs, bounds(day)[1], True))


def compare(look: Look, day: date) -> None:
    """Adds what the bills of a day say and what the ledger has, and where the sums differ."""
    for code in codes():
        begin, end = bounds(day)
        where = {"code": code, "begin": begin, "end": end, "near": MIDNIGHT}
        captured, refunded = sum_of(_CAPTURED, where), sum_of(_REFUNDED, where)
        bill = Bill.objects.filter(gateway=code, day=day).first()
        look.add("captured", "ledger", captured)
        look.add("refunded", "ledger", refunded)
        look.add("captured", "gateway", bill.captured_fen if bill else None)
        look.add("refunded", "gateway", bill.refunded_fen if bill else None)
        if bill is None:
            if captured or refunded or Payment.objects.filter(gateway=code, created_at__lt=end).exists():
                patient = working_days_before(timezone.localdate(), settings.SETTLEMENT_DAYS) <= day
                look.found.append(Found(Kind.BILL_MISSING, f"{code}:{day}", captured, None, end, not patient))
            continue
        for name, ours, theirs, nearby in (
            ("captured", captured, bill.captured_fen, _CAPTURED_NEARBY),
            ("refunded", refunded, bill.refunded_fen, _REFUNDED_NEARBY),
        ):
            rest = theirs - ours - _known_delta(bill, captures=name == "captured")
            if rest:
                kind = _kind_of_rest(rest, amounts_of(nearby, where), bill)
                if kind:
                    look.found.append(Found(kind, f"{code}:{name}:{day}", ours, theirs, begin, kind == Kind.BILL_SUM))


def sum_of(query: str, where: dict[str, Any]) -> int:
    """The one sum that a query gives."""
    with connection.cursor() as cursor:
        cursor.execute(query, where)
        return int(cursor.fetchone()[0])


def amounts_of(query: str, where: dict[str, Any]) -> list[int]:
    """The amounts that a query gives."""
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
    if rest not in reachable(nearby) and len(nearby) < MANY_SUMS:
        return Kind.BILL_SUM
    following = Bill.objects.filter(gateway=bill.gateway, day=bill.day + timedelta(days=1)).exists()
    return None if following else Kind.OTHER_DAY


def reachable(amounts: list[int]) -> set[int]:
    """The sums that some of the amounts make; not more than MANY_SUMS of them."""
    sums = {0}
    for amount in amounts:
        sums |= {one + amount for one in sums}
        if len(sums) > MANY_SUMS:
            break
    return sums
