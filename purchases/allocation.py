"""Taking sinks from the stock for an order, so that none is taken twice and every household gets its turn.

Locks, always: stock rows by primary key, then sinks. The lock is a courtesy: what makes a double sale impossible is
that a sink has one `order` column, guarded by the database.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection
from django.db.models import F
from django.db.transaction import atomic
from django.db.utils import OperationalError
from django.utils.translation import gettext as _
from psycopg import errors as psycopg_errors

from carbonsink.errors import DomainError
from purchases.models import Order, Sink, Stock

LOCK_TIMEOUT_MS = 5_000


class _TooFew(Exception):
    """The stock rows that could be locked offer too few sinks: so many."""

    def __init__(self, left: int) -> None:
        super().__init__(left)
        self.left = left


@dataclass(frozen=True)
class Level:
    """How much a household has sold and may sell, in sinks; ties are broken by `shuffle`."""

    key: int
    sold: int
    total: int
    shuffle: int = 0


def water_fill(levels: Sequence[Level], wanted: int) -> dict[int, int]:
    """How many sinks to take from each household so that those who have sold least are served first.

    Like water poured over steps: everyone is lifted to the same level as far as the total allows, and what is left of
    the last step goes one by one in shuffled order. Returns {key: sinks > 0}, summing to `wanted`; ValueError when
    there are too few.
    """
    if wanted > sum(level.total - level.sold for level in levels):
        raise ValueError("too few")

    def poured(height: int) -> int:
        return sum(max(0, min(height, level.total) - level.sold) for level in levels)

    low, high = 0, max((level.total for level in levels), default=0)
    while low < high:  # The greatest height that takes no more than is wanted.
        middle = (low + high + 1) // 2
        low, high = (middle, high) if poured(middle) <= wanted else (low, middle - 1)
    takes = {level.key: max(0, min(low, level.total) - level.sold) for level in levels}
    left = wanted - sum(takes.values())
    for level in sorted(levels, key=lambda level: (level.shuffle, level.key)):
        if left and level.sold <= low < level.total:
            takes[level.key] += 1
            left -= 1
    return {key: take for key, take in takes.items() if take}


def take_sinks(order: Order) -> None:
    """Gives the order its sinks; to be called in the transaction that writes the order.

    Takes one named tree's sink, or `quantity` sinks of an area. Raises DomainError("sold_out", left=…).
    """
    if order.tree_id is not None:
        _take_tree(order)
        return
    try:
        with atomic():  # Going back to this savepoint lets go of the rows locked so far.
            _take(order, wait=False)
    except _TooFew:
        _take_waiting(order)


def _take_waiting(order: Order) -> None:
    """Waits for buyers who hold the missing stock, then takes it or says how many are left."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
    try:
        with atomic():
            _take(order, wait=True)
    except _TooFew as error:
        raise sold_out(error.left) from error
    except OperationalError as error:
        if isinstance(error.__cause__, psycopg_errors.LockNotAvailable):
            raise DomainError("busy", _("Many are buying here just now. Please try again in a moment."), 503) from error
        raise
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = 0")


def sold_out(left: int) -> DomainError:
    """The error that says how many are left."""
    message = (
        _("Only %(left)s trees are left here. Choose fewer, or a larger area.") % {"left": left}
        if left
        else _("All trees here are sold. Choose another place.")
    )
    return DomainError("sold_out", message, status=409, left=left)


def _take(order: Order, *, wait: bool) -> None:
    """Locks the households that have sold least, and takes their sinks."""
    rows = Stock.objects.filter(vintage=order.vintage, sold__lt=F("total"))
    if order.area is not None:
        rows = rows.filter(village_code__startswith=order.area.prefix)
    if wait:
        locked = list(rows.order_by("pk").select_for_update())
    else:
        # Whoever has sold least comes first: n sinks touch at most n households, so n rows are enough.
        locked = list(rows.order_by("sold", "shuffle", "pk").select_for_update(skip_locked=True)[: order.quantity])
    levels = [Level(row.household_id, row.sold, row.total, row.shuffle) for row in locked]
    left = sum(row.unsold for row in locked)
    if left < order.quantity:
        raise _TooFew(left)
    _hold(order, water_fill(levels, order.quantity))


def _take_tree(order: Order) -> None:
    """Takes the sink of one named tree: its household's stock row first, then the sink.

    The order refers to the tree, so committing it waits for whoever moves the tree; who moves it waits for the stock.
    Hence the tree comes before the stock here too, or the two would wait for each other.
    """
    assert order.tree is not None
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM trees_tree WHERE id = %s FOR KEY SHARE", [order.tree_id])
    stock = Stock.objects.filter(household=order.tree.household_id, vintage=order.vintage).select_for_update().first()
    taken = Sink.objects.filter(tree=order.tree, vintage=order.vintage, order=None, open=True).update(order=order)
    if stock is None or taken != 1:
        raise DomainError("sold_out", _("This tree is sold or not for sale. Choose another one."), status=409, left=0)
    Stock.objects.filter(pk=stock.pk).update(sold=F("sold") + 1)


def _hold(order: Order, takes: dict[int, int]) -> None:
    """Writes the order into each household's next unsold sinks, and counts them as sold."""
    households, numbers = list(takes), list(takes.values())
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE purchases_stock s SET sold = s.sold + t.n
                 FROM unnest(%s::bigint[], %s::int[]) AS t(household_id, n)
                WHERE s.household_id = t.household_id AND s.vintage = %s""",
            [households, numbers, order.vintage],
        )
        cursor.execute(
            """UPDATE purchases_sink SET order_id = %s
                WHERE order_id IS NULL AND id = ANY(ARRAY(
                  SELECT s.id FROM unnest(%s::bigint[], %s::int[]) AS t(household_id, n) CROSS JOIN LATERAL (
                    SELECT id FROM purchases_sink k
                     WHERE k.household_id = t.household_id AND k.vintage = %s AND k.order_id IS NULL AND k.open
                     ORDER BY k.rank LIMIT t.n FOR UPDATE) s))""",
            [order.pk, households, numbers, order.vintage],
        )
        if cursor.rowcount != order.quantity:
            raise RuntimeError(
                f"stock and sinks disagree: order {order.pk} wanted {order.quantity}, got {cursor.rowcount}; run audit"
            )


def release_sinks(order: Order) -> None:
    """Gives an unpaid order's sinks back to the stock."""
    rows = Stock.objects.filter(
        vintage=order.vintage, household__in=Sink.objects.filter(order=order).values("household")
    )
    list(rows.order_by("pk").select_for_update())
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH freed AS (
                   UPDATE purchases_sink SET order_id = NULL WHERE order_id = %s RETURNING household_id, open
               ), counted AS (
                   SELECT household_id, count(*) AS n, count(*) FILTER (WHERE NOT open) AS closed FROM freed GROUP BY 1
               )
               UPDATE purchases_stock s SET sold = s.sold - c.n, total = s.total - c.closed
                 FROM counted c WHERE s.household_id = c.household_id AND s.vintage = %s""",
            [order.pk, order.vintage],
        )
