"""The gateways' daily bills, compared line by line with our captures and refunds.

What differs is a task for a person; it closes by itself when both agree at the next comparison. A capture near midnight
may stand on the next day's bill: one that a bill lacks is only a difference when no neighbouring day has it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Min, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink.accounts.models import User
from carbonsink.days import bounds
from carbonsink.errors import DomainError
from carbonsink.locks import one_after_another
from carbonsink.states import StateChange, move
from purchases import payments
from purchases.gateways.base import BillLine, DayBill, PaymentReport
from purchases.models import Bill, ByHand, Difference, Payment, Refund, Stray

log = structlog.get_logger(__name__)
Kind = Difference.Kind

# The last days' bills are always compared again, and what is missing of so many before.
LAST_DAYS = 8
LOOKS_BACK_DAYS = 31


@dataclass(frozen=True)
class _Found:
    """A difference: what kind, of which transaction or refund, and both amounts (None: not known there)."""

    kind: Kind
    reference: str
    theirs_fen: int | None
    ours_fen: int | None


def days_to_fetch(gateway: str) -> int:
    """How many days back the bills of a gateway are to be compared: the last week's, and if one before is missing, from
    the day before it on, since each is compared with its neighbours."""
    today = timezone.localdate()
    began = Payment.objects.filter(gateway=gateway).aggregate(at=Min("created_at"))["at"]
    earliest = today - timedelta(days=LOOKS_BACK_DAYS)
    known = set(Bill.objects.filter(gateway=gateway, day__gte=earliest).values_list("day", flat=True))
    missing = [
        back
        for back in range(LAST_DAYS, LOOKS_BACK_DAYS + 1)
        if began
        and today - timedelta(days=back) >= timezone.localdate(began)
        and today - timedelta(days=back) not in known
    ]
    return max(missing, default=LAST_DAYS - 1) + 1


def compare_days(gateway: str, bills: Mapping[date, DayBill]) -> list[Bill]:
    """Compares each day whose neighbours are known too with our books; of the newest day only what the bill has and
    we lack. Captures that were missed are booked first."""
    compared = []
    for day in sorted(bills):
        if day - timedelta(days=1) not in bills:
            continue
        for line in bills[day].lines:
            if line.kind == "capture":
                _book_missed(gateway, day, line)
        following = bills.get(day + timedelta(days=1))
        near = [bills[day - timedelta(days=1)], *([following] if following else [])]
        compared.append(compare(bills[day], gateway, day, near=near, is_last=following is None))
    return compared


def _book_missed(gateway: str, day: date, line: BillLine) -> None:
    """Books a capture of the bill that we never heard of: of a payment of ours like any other, else as money to be
    explained."""
    if Payment.objects.filter(gateway=gateway, transaction_id=line.transaction_id).exists():
        return
    noon = timezone.make_aware(datetime.combine(day, time(12)))
    report = PaymentReport(line.reference, "captured", line.transaction_id, line.fen, noon)
    payment = Payment.objects.filter(gateway=gateway, reference=line.reference).first()
    log.error("capture_missed", gateway=gateway, reference=line.reference, fen=line.fen, known=payment is not None)
    if payment is None:
        payments.book_stray(gateway, report)
    else:
        payments.book_capture(payment, report)


@transaction.atomic
def compare(day_bill: DayBill, gateway: str, day: date, *, near: Iterable[DayBill] = (), is_last: bool = False) -> Bill:
    """Compares one day's bill with our captured payments and refunds, and keeps what differs.

    `near` are the bills of the days beside it; of the last day that has a bill nothing is missing there yet.
    """
    one_after_another(f"bill.{gateway}")
    lines = day_bill.lines
    sums = {kind: sum(line.fen for line in lines if line.kind == kind) for kind in ("capture", "refund")}
    bill, _made = Bill.objects.update_or_create(
        gateway=gateway,
        day=day,
        defaults={
            "sha256": day_bill.sha256,
            "lines": len(lines),
            "captured_fen": sums["capture"],
            "refunded_fen": sums["refund"],
            "compared_at": timezone.now(),
        },
    )
    found = [*_captures_here(gateway, lines), *_refunds_here(gateway, lines)]
    if not is_last:
        around = [*lines, *(line for other in near for line in other.lines)]
        found += [*_captures_there(gateway, day, around), *_refunds_there(gateway, day, around)]
    _keep(bill, found)
    return bill


def _captures_here(gateway: str, lines: list[BillLine]) -> list[_Found]:
    theirs = {line.transaction_id: line.fen for line in lines if line.kind == "capture"}
    known = Payment.objects.filter(gateway=gateway, transaction_id__in=theirs, state=Payment.State.CAPTURED)
    ours = {str(number): fen or 0 for number, fen in known.values_list("transaction_id", "captured_fen")}
    # Those without an order are known too, once two people have said that they go back.
    ours |= dict(_going_back(gateway).filter(transaction_id__in=theirs).values_list("transaction_id", "fen"))
    return _differing(theirs, ours, Kind.CAPTURE_MISSING_HERE, Kind.CAPTURE_AMOUNT)


def _refunds_here(gateway: str, lines: list[BillLine]) -> list[_Found]:
    """Refunds of the bill that we do not know so. One that somebody has sent by hand too has gone twice."""
    theirs = {line.number: line.fen for line in lines if line.kind == "refund"}
    known = Refund.objects.filter(payment__gateway=gateway, number__in=theirs).exclude(pk__in=_by_hand())
    strays = _going_back(gateway).filter(back_number__in=theirs, noted_by__isnull=True)
    ours = dict(known.values_list("number", "fen")) | {str(one.back_number): one.fen for one in strays}
    return _differing(theirs, ours, Kind.REFUND_MISSING_HERE, Kind.REFUND_AMOUNT)


def _going_back(gateway: str) -> QuerySet[Stray]:
    return Stray.objects.filter(gateway=gateway, back_number__isnull=False)


def _differing(theirs: Mapping[str, int], ours: Mapping[str, int], missing: Kind, amount: Kind) -> list[_Found]:
    return [
        _Found(missing if reference not in ours else amount, reference, fen, ours.get(reference))
        for reference, fen in theirs.items()
        if ours.get(reference) != fen
    ]


def _captures_there(gateway: str, day: date, around: list[BillLine]) -> list[_Found]:
    """Captures of the day that no bill near it has."""
    theirs = {line.transaction_id for line in around if line.kind == "capture"}
    begin, end = bounds(day)
    ours = Payment.objects.filter(gateway=gateway, captured_at__gte=begin, captured_at__lt=end)
    rows = ours.filter(state=Payment.State.CAPTURED).values_list("transaction_id", "captured_fen")
    return [_Found(Kind.CAPTURE_MISSING_THERE, str(number), None, fen) for number, fen in rows if number not in theirs]


def _refunds_there(gateway: str, day: date, around: list[BillLine]) -> list[_Found]:
    """Refunds that arrived on the day by the gateway, and are on no bill near it."""
    theirs = {line.number for line in around if line.kind == "refund"}
    begin, end = bounds(day)
    arrived = StateChange.objects.filter(
        thing=Refund._meta.label_lower, to_state=Refund.State.SUCCEEDED, at__gte=begin, at__lt=end
    )
    ours = Refund.objects.filter(payment__gateway=gateway, pk__in=arrived.values("object_id"))
    ours = ours.exclude(pk__in=_by_hand())
    rows = ours.values_list("number", "fen")
    return [_Found(Kind.REFUND_MISSING_THERE, number, None, fen) for number, fen in rows if number not in theirs]


def _by_hand() -> QuerySet[ByHand, Any]:
    """Refunds that somebody has sent at the bank."""
    live = ByHand.objects.exclude(state=ByHand.State.WITHDRAWN)
    return live.filter(refund__isnull=False).values("refund")


def _keep(bill: Bill, found: list[_Found]) -> None:
    """Opens what is new or differs again, and closes what agrees by now. What was answered stays answered."""
    known = {(one.kind, one.reference): one for one in bill.differences.select_for_update()}
    for one in found:
        former = known.pop((one.kind, one.reference), None)
        if former is None:
            bill.differences.create(
                kind=one.kind, reference=one.reference, theirs_fen=one.theirs_fen, ours_fen=one.ours_fen
            )
        elif former.state == Difference.State.AGREED:
            move(former, Difference.State.OPEN, reason="differs again")
        if former is None or former.state == Difference.State.OPEN:
            log.error("bill_differs", gateway=bill.gateway, day=str(bill.day), kind=str(one.kind), of=one.reference)
    for former in known.values():
        if former.state == Difference.State.OPEN:
            move(former, Difference.State.AGREED, reason="agrees meanwhile")


def answer(difference: Difference, *, text: str, by: User) -> None:
    """Closes a difference with what a person found out. DomainError("no_answer") without a text."""
    text = text.replace("\0", "").strip()
    if not text:
        raise DomainError("no_answer", _("Write what you found out."))
    move(difference, Difference.State.ANSWERED, by=by, reason=text, answer=text[:200], answered_by=by)


def last_compared() -> list[Bill]:
    """The newest bill of each gateway."""
    return list(Bill.objects.order_by("gateway", "-day").distinct("gateway"))
