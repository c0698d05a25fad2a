"""What households' trees earned: sold, paid and waiting, for a household's page and for the papers of a village.

Everything is asked for many households at once. Sums come from the sinks, the payouts and the ledger; amounts in fen.
"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count, Exists, OuterRef, Q, Sum, Value
from django.db.models.functions import Concat
from django.utils import timezone

from carbonsink.ledger.models import Entry, Line
from payouts import waiting
from payouts.models import BankAccount, Payout
from payouts.waiting import Reason
from purchases.models import Sink
from purchases.proceeds import reversed_reference
from trees.models import Household

ENDED = (Payout.State.SUCCEEDED, Payout.State.FAILED, Payout.State.RETURNED, Payout.State.CANCELLED)


@dataclass(frozen=True)
class Sold:
    """What was sold of one vintage: trees, kg of CO2 by tariff, fen."""

    vintage: int
    trees: int
    kg: int
    fen: int


@dataclass
class Earnings:
    """One household's money. `paid` are the payouts that arrived in the period, `arrived_fen` all that ever did."""

    household: Household
    account: BankAccount | None = None
    sold: list[Sold] = field(default_factory=list)
    paid: list[Payout] = field(default_factory=list)
    arrived_fen: int = 0
    on_the_way_fen: int = 0
    waiting_fen: int = 0
    # Of what waits or is held now; None where nothing is, or where the period is over.
    why: Reason | None = None

    @property
    def sold_trees(self) -> int:
        """Trees sold in the period."""
        return sum(one.trees for one in self.sold)

    @property
    def sold_fen(self) -> int:
        """What they brought."""
        return sum(one.fen for one in self.sold)

    @property
    def paid_fen(self) -> int:
        """What arrived in the period."""
        return sum(one.fen for one in self.paid)


def earnings_of(
    households: Collection[Household], since: datetime | None = None, until: datetime | None = None
) -> list[Earnings]:
    """The earnings of these households in their order: sold and paid from `since` up to `until`, on the way and waiting
    as it was then. Without bounds: all there ever was, as it is now."""
    found = {household.pk: Earnings(household) for household in households}
    _add_accounts(found)
    _add_sold(found, since, until)
    _add_paid(found, since, until)
    _add_open(found, until)
    if until is None or until > timezone.now():
        for household, reason in waiting.reasons(found.keys()).items():
            found[household].why = reason
    return list(found.values())


def _between(name: str, since: datetime | None, until: datetime | None) -> Q:
    after = Q(**{f"{name}__gte": since}) if since else Q()
    return after & Q(**{f"{name}__lt": until}) if until else after


def _add_accounts(found: dict[int, Earnings]) -> None:
    for account in BankAccount.objects.filter(household__in=found, state=BankAccount.State.APPROVED):
        found[account.household_id].account = account


def _add_sold(found: dict[int, Earnings], since: datetime | None, until: datetime | None) -> None:
    # By way of the trees, whose index leads to their sinks; those of an order that went back have no order any more.
    sinks = Sink.objects.filter(_between("order__paid_at", since, until), tree__household__in=found)
    rows = sinks.filter(order__paid_at__isnull=False).values_list("tree__household", "vintage")
    totals = rows.annotate(trees=Count("pk"), kg_total=Sum("kg"), fen=Sum("price_fen"))
    for household, *sold in totals.order_by("tree__household", "-vintage"):
        found[household].sold.append(Sold(*sold))


def _add_paid(found: dict[int, Earnings], since: datetime | None, until: datetime | None) -> None:
    arrived = Payout.objects.filter(household__in=found, state=Payout.State.SUCCEEDED)
    rows = arrived.filter(_between("completed_at", since, until)).select_related("account")
    for payout in rows.order_by("-completed_at", "-pk"):
        found[payout.household_id].paid.append(payout)
    ever = arrived.filter(_between("completed_at", None, until)).values_list("household")
    for household, fen in ever.annotate(Sum("fen")):
        found[household].arrived_fen = fen


def _add_open(found: dict[int, Earnings], until: datetime | None) -> None:
    """What is owed is the balance of the account: a payout takes its amount from it when it is written."""
    lines = Line.objects.filter(_between("entry__at", None, until), account__owner__in=found)
    for household, fen in lines.values_list("account__owner").annotate(Sum("fen")):
        found[household].waiting_fen = -fen
    payouts = Payout.objects.filter(_between("created_at", None, until), household__in=found)
    if until is None:
        payouts = payouts.exclude(state__in=ENDED)
    else:
        reference = Concat(Value(reversed_reference("")), OuterRef("out_no"))
        ended = Entry.objects.filter(reference=reference, at__lt=until)
        payouts = payouts.exclude(completed_at__lt=until).exclude(Exists(ended))
    for household, fen in payouts.values_list("household").annotate(Sum("fen")):
        found[household].on_the_way_fen = fen


def payouts_by_household(household: Household, newest: int) -> list[Payout]:
    """A household's newest payouts, whatever became of them, with what it said about each."""
    rows = household.payouts.select_related("account").prefetch_related("cases").order_by("-created_at", "-pk")
    return list(rows[:newest])


def month_totals(earnings: Collection[Earnings]) -> dict[str, int]:
    """Sums over households: households, trees, kg, and fen sold, paid, on the way and waiting."""
    sums: dict[str, int] = defaultdict(int)
    for one in earnings:
        sums["households"] += 1
        sums["trees"] += one.sold_trees
        sums["kg"] += sum(sold.kg for sold in one.sold)
        sums["sold_fen"] += one.sold_fen
        sums["paid_fen"] += one.paid_fen
        sums["open_fen"] += one.on_the_way_fen + one.waiting_fen
    return sums
