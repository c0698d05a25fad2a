"""Sold sinks whose tree has left the scheme: which they are, and which sinks can stand in for them.

A tree has left when it is dead, felled or withdrawn. Its sinks of the year in which it left and of later years are
lost; those of earlier years stand, since the tree stood in those years. For a tree reported by an inspection, the day
of the inspection counts, not that of the office's decision: its delay is not the buyer's.

Order of locks as everywhere: the order, stock rows by primary key, then sinks.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from django.conf import settings
from django.db import connection
from django.db.models import F, Q
from django.db.transaction import atomic
from django.utils.translation import gettext as _

from carbonsink.errors import DomainError
from purchases.allocation import Level, levels_of, water_fill
from purchases.models import Order, Sink, Stock
from purchases.orders import expire_order

# The sinks, as rows of s (sink), t (its tree), o (the order that has it) and l (left_on, left_at).
LOST = f"""
    FROM purchases_sink s
    JOIN trees_tree t ON t.id = s.tree_id AND t.state IN ('dead', 'felled', 'withdrawn')
    JOIN purchases_order o ON o.id = s.order_id AND o.state IN ('held', 'paid', 'partly_refunded')
    CROSS JOIN LATERAL (
        SELECT max(c.at) AS left_at, least(
               (max(c.at) AT TIME ZONE '{settings.TIME_ZONE}')::date,
               (SELECT min(i.inspected_on) FROM trees_inspection i
                 WHERE i.tree_id = t.id AND i.state = 'confirmed')) AS left_on
          FROM carbonsink_statechange c
         WHERE c.thing = 'trees.tree' AND c.object_id = t.id AND c.to_state = t.state) l
    WHERE s.vintage >= extract(year FROM l.left_on)"""  # noqa: S608


class _Exhausted(Exception):
    """The households that were locked have too few unsold sinks."""


@dataclass(frozen=True)
class Loss:
    """A lost sink of an order, the state in which its tree left, and the day it was found."""

    sink_id: int
    household_id: int
    price_fen: int
    state: str
    left_on: date


@dataclass(frozen=True)
class Choice:
    """Losses of an order, and by lost sink the one that stands in. Where there is none, the sink is gone."""

    losses: list[Loss]
    stand_ins: dict[int, Sink]

    @property
    def gone(self) -> list[Loss]:
        """Those that nothing stands in for."""
        return [loss for loss in self.losses if loss.sink_id not in self.stand_ins]


def orders_with_losses() -> list[int]:
    """Orders, held or paid, that have a sink of a tree that has left; oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT DISTINCT o.id {LOST} ORDER BY o.id LIMIT 200")
        return [row[0] for row in cursor.fetchall()]


def losses_of(order: Order) -> list[Loss]:
    """The order's lost sinks."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT s.id, s.household_id, s.price_fen, t.state, l.left_on {LOST} AND o.id = %s ORDER BY s.id",
            [order.pk],
        )
        return [Loss(*row) for row in cursor.fetchall()]


def has_losses(order_id: int) -> bool:
    """Whether an order has a sink of a tree that has left."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {LOST} AND o.id = %s LIMIT 1", [order_id])
        return cursor.fetchone() is not None


def choose(order: Order) -> Choice:
    """Locks the stock and the sinks that stand in for the order's losses; the caller has locked the order.

    The next unsold sinks of the same household, by rank; else of the households of the village that have sold least.
    For an order of a species, of that species only.
    """
    try:
        with atomic():  # Going back to this savepoint lets go of the rows locked so far.
            return _choose(order, whole_village=False)
    except _Exhausted:
        return _choose(order, whole_village=True)


def _choose(order: Order, *, whole_village: bool) -> Choice:
    homes = {loss.household_id for loss in losses_of(order)}
    rows = Stock.objects.filter(vintage=order.vintage)
    wanted = Q(household__in=homes)
    if whole_village:
        villages = set(rows.filter(wanted).values_list("village_code", flat=True))
        wanted |= Q(village_code__in=villages, sold__lt=F("total"))
    stock = list(rows.filter(wanted).order_by("pk").select_for_update())
    unsold = {one.key: one.total - one.sold for one in levels_of(order, [row.household_id for row in stock])}
    # Asked again behind the locks: whose tree came back meanwhile has lost nothing, and nobody's can come back now.
    losses = [loss for loss in losses_of(order) if loss.household_id in homes]
    givers = _givers_at_home(unsold, losses)
    if len(givers) < len(losses):
        if not whole_village:
            raise _Exhausted
        givers |= _givers_nearby(stock, unsold, losses, givers)
    sinks = {home: _next_sinks(order, home, number) for home, number in Counter(givers.values()).items()}
    return Choice(losses, {sink_id: sinks[home].pop(0) for sink_id, home in givers.items()})


def _givers_at_home(unsold: dict[int, int], losses: Sequence[Loss]) -> dict[int, int]:
    """By lost sink, its own household, as long as that has unsold sinks."""
    unsold = dict(unsold)
    givers: dict[int, int] = {}
    for loss in losses:
        if unsold[loss.household_id]:
            unsold[loss.household_id] -= 1
            givers[loss.sink_id] = loss.household_id
    return givers


def _givers_nearby(
    stock: Sequence[Stock], unsold: dict[int, int], losses: Sequence[Loss], at_home: dict[int, int]
) -> dict[int, int]:
    """By lost sink that its own household cannot make up for, the household of the village that gives another one."""
    given = Counter(at_home.values())
    givers: dict[int, int] = {}
    for village in sorted({row.village_code for row in stock}):
        rows = [row for row in stock if row.village_code == village]
        homes = {row.household_id for row in rows}
        levels = [
            Level(home, row.sold + given[home], row.sold + unsold[home], row.shuffle)
            for row in rows
            for home in [row.household_id]
        ]
        left = [loss.sink_id for loss in losses if loss.household_id in homes and loss.sink_id not in at_home]
        takes = water_fill(levels, min(len(left), sum(level.total - level.sold for level in levels)))
        households = [home for home, number in takes.items() for _one in range(number)]
        givers.update(zip(left, households, strict=False))
    return givers


def _next_sinks(order: Order, household_id: int, number: int) -> list[Sink]:
    unsold = Sink.objects.filter(household=household_id, vintage=order.vintage, order=None, open=True)
    if order.species_id is not None:
        unsold = unsold.filter(tree__species=order.species_id)
    found = list(unsold.order_by("rank").select_for_update(of=["self"])[:number])
    if len(found) != number:
        raise RuntimeError(f"stock and sinks of household {household_id} disagree; run audit")
    return found


def swap(order: Order, choice: Choice) -> None:
    """Takes the lost sinks from the order, gives it those that stand in, and counts both in the stock."""
    lost = [loss.sink_id for loss in choice.losses]
    # No sink of a tree that has left is open, so it leaves the total with its order.
    Sink.objects.filter(pk__in=lost).update(order=None, certificate=None, open=False)
    Sink.objects.filter(pk__in=[sink.pk for sink in choice.stand_ins.values()]).update(order=order)
    freed = Counter(loss.household_id for loss in choice.losses)
    given = Counter(sink.household_id for sink in choice.stand_ins.values())
    homes = sorted(freed | given)
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE purchases_stock s SET sold = s.sold + d.sold, total = s.total - d.freed
                 FROM unnest(%s::bigint[], %s::int[], %s::int[]) AS d(household_id, sold, freed)
                WHERE s.household_id = d.household_id AND s.vintage = %s""",
            [homes, [given[home] - freed[home] for home in homes], [freed[home] for home in homes], order.vintage],
        )


def refuse_unsettled(tree_ids: list[int], to: str) -> None:
    """Refuses that a withdrawn tree comes back while an order still has a sink that was lost with it: afterwards nobody
    could tell. DomainError("being_replaced"); the sweep needs some seconds. Only its last withdrawal counts: what was
    sold between an earlier one and this one stands."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT FROM carbonsink_statechange c
                 JOIN purchases_sink s ON s.tree_id = c.object_id
                  AND s.vintage >= extract(year FROM c.at AT TIME ZONE %s)
                 JOIN purchases_order o ON o.id = s.order_id
                  AND o.state IN ('allocating', 'held', 'paid', 'partly_refunded')
                WHERE c.thing = 'trees.tree' AND c.object_id = ANY(%s) AND c.to_state = 'withdrawn'
                  AND NOT EXISTS (SELECT FROM carbonsink_statechange n
                                   WHERE n.thing = c.thing AND n.object_id = c.object_id
                                     AND n.to_state = 'withdrawn' AND n.id > c.id)
                  AND 'withdrawn' = (SELECT b.from_state FROM carbonsink_statechange b
                                      WHERE b.thing = c.thing AND b.object_id = c.object_id
                                      ORDER BY b.id DESC LIMIT 1)
                LIMIT 1""",
            [settings.TIME_ZONE, tree_ids],
        )
        if cursor.fetchone() is not None:
            raise DomainError(
                "being_replaced",
                _("What was sold of this tree is just being replaced. Try again in a minute."),
                status=409,
            )


@atomic
def settle_unpaid(order_id: int) -> None:
    """Sees to it that an unpaid order holds no sink of a tree that has left.

    In an order of an area, others of the same household or village take their place: the buyer asked for trees there,
    and none of these is paid; in one of a household only others of the household do. Who chose the very tree that left,
    or when too few are left, the order expires at once: a payment that still arrives finds other trees of the choice or
    goes back, like any late one.
    """
    order = Order.objects.select_for_update().get(pk=order_id)
    if order.state != Order.State.HELD or not losses_of(order):
        return
    if order.tree_id is None:
        try:
            with atomic():
                choice = choose(order)
                homes = {sink.household_id for sink in choice.stand_ins.values()}
                if choice.gone or (order.household_id and homes != {order.household_id}):
                    raise _Exhausted
                swap(order, choice)
                return
        except _Exhausted:  # Its locks are let go of: releasing all sinks takes them anew, in order.
            pass
    expire_order(order, reason="a tree has left")
