"""Where the money of an order is, read from the ledger alone: waiting, on its way, or arrived."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from django.core.cache import cache
from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone

from carbonsink.ledger.models import Account, Entry, Line, Settlement
from purchases.models import Order, Payment, Refund, Replacement, Sink


@dataclass(frozen=True)
class Proceeds:
    """Fen of an order by where they are now."""

    waiting_fen: int
    on_the_way_fen: int
    arrived_fen: int

    @property
    def total_fen(self) -> int:
        """All that the households are owed for the order."""
        return self.waiting_fen + self.on_the_way_fen + self.arrived_fen


def sent_reference(payout_reference: str) -> str:
    """The reference of the ledger entry by which a payout takes what a household is owed."""
    return f"payout:{payout_reference}"


def arrived_reference(payout_reference: str) -> str:
    """The reference of the ledger entry that says a payout has reached its household."""
    return f"arrived:{payout_reference}"


def reversed_reference(payout_reference: str) -> str:
    """The reference of the ledger entry that undoes a payout which failed or came back."""
    return f"reversed:{payout_reference}"


def capture_reference(payment: Payment) -> str:
    """The reference of the ledger entry that shares a capture among the households."""
    return f"capture:{payment.reference}"


def giveback_reference(refund: Refund, *, stand_in: bool = False) -> str:
    """The reference of the entry that takes a lost sink's price from its household or the sponsor, for the buyer;
    `stand_in` for sinks of households that the sponsor had paid, as theirs stood in for lost ones."""
    return f"giveback:{refund.number}" + (":stand-in" if stand_in else "")


def proceeds(order: Order) -> Proceeds:
    """Where the money of a paid order is."""
    payments = order.payments.prefetch_related("refunds")
    entries = [capture_reference(payment) for payment in payments]
    # What went back to the buyer because a tree was lost, as far as it was taken from what a household is owed.
    entries += [giveback_reference(refund) for payment in payments for refund in payment.refunds.all()]
    lines = Line.objects.filter(entry__reference__in=entries, account__kind=Account.Kind.HOUSEHOLD)
    groups = lines.values("settlement__payout_reference").annotate(fen=Sum("fen"))
    taken = Counter({row["settlement__payout_reference"] or "": -row["fen"] for row in groups})
    fen: Counter[str] = Counter()
    while taken:
        names = [make(reference) for reference in taken for make in (arrived_reference, reversed_reference)]
        known = set(Entry.objects.filter(reference__in=names).values_list("reference", flat=True))
        came_back = {reference: sum_ for reference, sum_ in taken.items() if reversed_reference(reference) in known}
        for reference, sum_ in taken.items() - came_back.items():
            state = "arrived" if arrived_reference(reference) in known else "on_the_way"
            fen[state if reference else "waiting"] += sum_
        taken = _taken_again(came_back)
    return Proceeds(fen["waiting"], fen["on_the_way"], fen["arrived"])


def _taken_again(came_back: Mapping[str, int]) -> Counter[str]:
    """Fen of payouts that were undone, by the payouts that have taken them since; empty for what none has."""
    made = {reversed_reference(reference): sum_ for reference, sum_ in came_back.items()}
    owed = Line.objects.filter(entry__reference__in=made, account__kind=Account.Kind.HOUSEHOLD)
    found: Counter[str] = Counter()
    for reference, taken_by in owed.values_list("entry__reference", "settlement__payout_reference"):
        found[taken_by or ""] += made[reference]
    return found


@dataclass(frozen=True)
class Arrived:
    """Fen that have arrived with all households: ever, and in the last 30 days. What came back is taken off."""

    fen: int
    lately_fen: int


def arrived() -> Arrived:
    """How much has arrived with the households, as it was at most ten minutes ago."""
    found = cache.get("arrived-1")
    if found is None:
        found = _arrived()
        cache.set("arrived-1", found, 600)
    return Arrived(*found)


def _arrived() -> tuple[int, int]:
    # An arrival takes the money out of the supervised account; one that the bank gives back puts it there again.
    lines = Line.objects.filter(account__kind=Account.Kind.ESCROW, entry__kind__in=["arrived", "reversed"])
    lately = Q(entry__at__gte=timezone.now() - timedelta(days=30))
    sums = lines.aggregate(ever=Sum("fen", default=0), lately=Sum("fen", filter=lately, default=0))
    return -sums["ever"], max(0, -sums["lately"])


State = Literal["waiting", "on_the_way", "arrived"]


@dataclass(frozen=True)
class Share:
    """What one household is owed for some of an order's sinks, and where that money is now, since when."""

    household_id: int
    order_id: int
    trees: int
    fen: int
    state: State
    at: datetime | None


def shares(sinks: QuerySet[Sink]) -> list[Share]:
    """Where the money for these sinks is, by household and order. A payout that came back is followed to the next."""
    grouped = sinks.order_by("household_id", "order_id").values_list("household_id", "order_id")
    groups = list(grouped.annotate(trees=Count("pk"), fen=Sum("price_fen")))
    lines = _lines_of(sinks, {order for _household, order, _trees, _fen in groups})
    known = _whereabouts(lines)
    found = []
    for household, order, trees, fen in groups:
        state, at = known.get(lines.get((household, order), 0), ("waiting", None))
        found.append(Share(household, order, trees, fen, state, at))
    return found


def summed(parts: Iterable[Share]) -> Proceeds:
    """The sums of some shares."""
    fen: Counter[str] = Counter()
    for part in parts:
        fen.update({part.state: part.fen})
    return Proceeds(fen["waiting"], fen["on_the_way"], fen["arrived"])


def _lines_of(sinks: QuerySet[Sink], orders: set[int]) -> dict[tuple[int, int], int]:
    """The payable line of each household and order: of the capture, or of the sponsor's for one that stands in."""
    stand_ins = Replacement.objects.filter(new_sink__in=sinks, order__in=orders)
    of = {f"replacement:{sink}": order for sink, order in stand_ins.values_list("old_sink", "order")}
    captures = Payment.objects.filter(order__in=orders, state=Payment.State.CAPTURED)
    of |= {f"capture:{reference}": order for reference, order in captures.values_list("reference", "order")}
    lines = Line.objects.filter(
        entry__reference__in=of, account__kind=Account.Kind.HOUSEHOLD, account__owner__in=sinks.values("household_id")
    )
    # The capture's come last, and stay where a household has both.
    ordered = lines.order_by("-entry__kind").values_list("pk", "account__owner", "entry__reference")
    return {(household or 0, of[reference]): pk for pk, household, reference in ordered}


def _whereabouts(lines: dict[tuple[int, int], int]) -> dict[int, tuple[State, datetime | None]]:
    """What has become of payable lines, by line."""
    found: dict[int, tuple[State, datetime | None]] = {}
    households = {pk: household for (household, _order), pk in lines.items()}
    # What stands for them now: each itself, or the line that a payout which came back has made of them.
    now: dict[int, list[int]] = {pk: [pk] for pk in households}
    while now:
        taken = dict(Settlement.objects.filter(line__in=now).values_list("line", "payout_reference"))
        makers = (sent_reference, arrived_reference, reversed_reference)
        names = {make(reference) for reference in taken.values() for make in makers}
        at = dict(Entry.objects.filter(reference__in=names).values_list("reference", "at"))
        again: dict[tuple[str, int], list[int]] = {}
        for line, firsts in now.items():
            reference = taken.get(line, "")
            state: tuple[State, datetime | None] = ("waiting", None)
            if reversed_reference(reference) in at:
                again.setdefault((reversed_reference(reference), households[firsts[0]]), []).extend(firsts)
            elif arrived_reference(reference) in at:
                state = ("arrived", at[arrived_reference(reference)])
            elif reference:
                state = ("on_the_way", at.get(sent_reference(reference)))
            found |= dict.fromkeys(firsts, state)
        now = _owed_again(again)
    return found


def _owed_again(reversals: dict[tuple[str, int], list[int]]) -> dict[int, list[int]]:
    """The new payable line of each reversal (its reference and household), with what it stands for."""
    if not reversals:
        return {}
    references = {reference for reference, _household in reversals}
    owed = Line.objects.filter(entry__reference__in=references, account__kind=Account.Kind.HOUSEHOLD)
    rows = owed.values_list("pk", "entry__reference", "account__owner")
    return {pk: reversals[reference, owner or 0] for pk, reference, owner in rows}
