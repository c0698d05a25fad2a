"""Where the money of an order is, read from the ledger alone: waiting, on its way, or arrived."""

from dataclasses import dataclass
from datetime import timedelta

from django.core.cache import cache
from django.db.models import Q, Sum
from django.utils import timezone

from carbonsink.ledger.models import Account, Entry, Line
from purchases.models import Order, Payment, Refund


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
    taken = {row["settlement__payout_reference"]: -row["fen"] for row in groups}
    names = [make(ref) for ref in taken if ref for make in (arrived_reference, reversed_reference)]
    known = set(Entry.objects.filter(reference__in=names).values_list("reference", flat=True))
    waiting = on_the_way = arrived = 0
    for reference, fen in taken.items():
        if reference is None or reversed_reference(reference) in known:
            waiting += fen
        elif arrived_reference(reference) in known:
            arrived += fen
        else:
            on_the_way += fen
    return Proceeds(waiting, on_the_way, arrived)


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
