"""Ledger against our accounts with the gateways: what they hold by their word, have sent to the bank, and what has yet
to arrive there."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from itertools import accumulate

from django.conf import settings
from django.db import connection
from django.db.models import F, QuerySet, Sum

from carbonsink.days import bounds
from carbonsink.ledger.models import Account, Line
from payouts.models import Discrepancy
from payouts.reconciliation import gateways
from payouts.reconciliation.found import Found, Look, working_days_before
from purchases.gateways import TRANSFER
from purchases.gateways.base import Funds

Kind = Discrepancy.Kind

# What belongs before a moment by its own clock, and was booked after it: captures and settlements that we learnt late.
_BOOKED_LATE = """
    SELECT coalesce(sum(l.fen), 0)::bigint FROM ledger_line l
      JOIN ledger_entry e ON e.id = l.entry_id AND e.at >= %(end)s
     WHERE l.account_id = %(account)s
       AND (EXISTS (SELECT FROM payouts_statementrow r WHERE r.entry_id = e.id AND r.booked_at < %(end)s)
            OR EXISTS (SELECT FROM purchases_payment p WHERE e.kind = 'capture' AND p.captured_at < %(end)s
                          AND p.reference = substr(e.reference, 9))
            OR EXISTS (SELECT FROM purchases_stray s WHERE e.kind = 'stray' AND s.captured_at < %(end)s
                          AND e.reference = 'stray:' || s.gateway || ':' || s.transaction_id))"""
# What the gateway may have on the other side of the day's end than our books: captures beside midnight, and refunds
# asked for before it whose success we learnt after it or have yet to learn.
_AROUND_THE_END = """
    SELECT CASE WHEN captured_at < %(end)s THEN captured_fen ELSE -captured_fen END FROM purchases_payment
     WHERE gateway = %(code)s AND state = 'captured' AND captured_at BETWEEN %(end)s - %(near)s AND %(end)s + %(near)s
    UNION ALL
    SELECT r.fen FROM purchases_refund r JOIN purchases_payment p ON p.id = r.payment_id AND p.gateway = %(code)s
      LEFT JOIN ledger_entry e ON e.reference = 'refund:' || r.number
     WHERE r.created_at < %(end)s AND (e.at IS NULL OR e.at >= %(end)s)"""


def accounts() -> QuerySet[Account]:
    """Our accounts with gateways, also with those that are not used any more."""
    return Account.objects.filter(kind=Account.Kind.GATEWAY).order_by("code")


def code_of(account: Account) -> str:
    """Whose account it is."""
    return account.code.partition(":")[2]


def compare(look: Look, day: date, told: Mapping[str, Funds | None], before: Mapping[str, Sequence[Funds]]) -> None:
    """Adds what each gateway has captured and, by the end of a day, not settled to the supervised account, and whether
    that is where the gateway says it is: of the day (`told`) and of those `before`, newest first. The day's fees, which
    are booked on the next one, are no money to come."""
    end = bounds(day)[1]
    for account in accounts():
        code = code_of(account)
        funds = told.get(code)
        lines = Line.objects.filter(account=account, entry__at__lt=end)
        fen = lines.aggregate(fen=Sum("fen", default=0))["fen"]
        fen -= gateways.booked(code, funds, from_=end) if funds else 0
        fen += gateways.sum_of(_BOOKED_LATE, {"account": account.pk, "end": end})
        if fen < 0:
            early = code == TRANSFER  # The office swept the account before its statement was read.
            kind = Kind.SWEPT_EARLY if early else Kind.SETTLED_TOO_MUCH
            look.found.append(Found(kind, f"{code}:{day}", fen, None, end, not early))
            continue
        if fen > 0:
            latest = bounds(working_days_before(day, settings.SETTLEMENT_DAYS))[0]
            recent = lines.filter(fen__gt=0, entry__at__gte=latest).aggregate(fen=Sum("fen", default=0))["fen"]
            kind = Kind.SETTLEMENT_OVERDUE if fen > recent else Kind.SETTLEMENT
            look.found.append(Found(kind, f"{code}:{day}", fen, None, _waits_since(account, fen, end)))
        if funds:
            _held(look, code, day, fen, [funds, *before[code]])


def _held(look: Look, code: str, day: date, fen: int, told: Sequence[Funds]) -> None:
    """Adds whether what is not settled yet is, to the fen, what the gateway holds and what it has lately sent to the
    bank. A gateway that keeps back more than its fees, or sends less than it says, is found on the day itself."""
    expected = fen + _explained(code, day)
    closing = next((funds.closing_fen for funds in told if funds.moves), None)
    if closing is None:
        return
    look.untold.discard((Kind.HELD, code))
    sent = [withdrawn for funds in told for withdrawn in reversed(funds.withdrawn)]
    on_its_way = min(accumulate(sent, initial=0), key=lambda so_far: abs(expected - closing - so_far))
    look.add("held", "ledger", expected)
    look.add("held", "gateway", closing + on_its_way)
    around = {"code": code, "end": bounds(day)[1], "near": gateways.MIDNIGHT}
    if expected - closing - on_its_way not in gateways.reachable(gateways.amounts_of(_AROUND_THE_END, around)):
        look.found.append(Found(Kind.HELD, f"{code}:{day}", expected, closing + on_its_way, bounds(day)[1], True))


def _explained(code: str, day: date) -> int:
    """By how much the gateway is known to hold more or less since earlier days."""
    earlier = Discrepancy.objects.filter(kind=Kind.HELD, reference__startswith=f"{code}:", reconciliation__day__lt=day)
    answered = earlier.filter(state=Discrepancy.State.EXPLAINED)
    return answered.aggregate(fen=Sum(F("theirs_fen") - F("ours_fen"), default=0))["fen"]


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
