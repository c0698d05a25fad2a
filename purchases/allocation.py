"""Taking sinks from the stock for an order, so that none is taken twice and every household gets its turn.

Locks, always: stock rows by primary key, then sinks. The lock is a courtesy: what makes a double sale impossible is
that a sink has one `order` column, guarded by the database.
"""

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.transaction import atomic
from django.db.utils import OperationalError
from django.utils.translation import gettext as _
from psycopg import errors as psycopg_errors

from carbonsink.errors import DomainError
from purchases.models import Order

LOCK_TIMEOUT_MS = 5_000
# So many households more than are needed are looked at, since others may be locked by other buyers.
SPARE = 64
SKIP_LOCKED = "FOR UPDATE OF s SKIP LOCKED"


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

    Takes one named tree's sink, or `quantity` sinks of what was chosen, all or nothing. Raises DomainError
    ("sold_out", left=…), or "busy" when others have held all that is left for too long.
    """
    if order.tree_id is not None:
        _take_tree(order)
        return
    try:
        # Going back to the savepoint lets go of the rows locked so far. One tree locks one row or none.
        with nullcontext() if order.quantity == 1 else atomic():
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


def levels(order: Order) -> list[Level]:
    """The households that the order's choice draws from, with what they have sold and may sell of it; nobody is kept
    from buying meanwhile."""
    where, params = _chosen(order)
    return _levels(order, _rows(f"{_STOCK} WHERE {where}", params))


def levels_of(order: Order, households: list[int]) -> list[Level]:
    """What these households have sold, and may sell of the order's species if it names one."""
    params = {"vintage": order.vintage, "homes": households}
    return _levels(order, _rows(f"{_STOCK} WHERE s.vintage = %(vintage)s AND s.household_id = ANY(%(homes)s)", params))


def unsold_of(order: Order) -> int:
    """How many sinks of the order's choice can be bought now."""
    return sum(level.total - level.sold for level in levels(order))


def take_from(order: Order, takes: dict[int, int]) -> int:
    """Takes so many sinks from each household, or as many as it has left by now; returns how many they were. Waits for
    the households' stock rows, in primary-key order."""
    params = {"vintage": order.vintage, "homes": list(takes)}
    where = "s.vintage = %(vintage)s AND s.household_id = ANY(%(homes)s) AND s.sold < s.total"
    rows = _rows(f"{_STOCK} WHERE {where} ORDER BY s.id FOR UPDATE", params)
    left = {level.key: level.total - level.sold for level in _levels(order, rows)}
    found = {home: min(take, left.get(home, 0)) for home, take in takes.items()}
    return _hold(order, {home: take for home, take in found.items() if take})


# What `_levels` reads of the stock.
_STOCK = "SELECT s.household_id, s.sold, s.total, s.shuffle FROM purchases_stock s"


def _rows(query: str, params: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return cursor.fetchall()


def _chosen(order: Order) -> tuple[str, dict[str, Any]]:
    """The stock rows `s` with unsold sinks that the order's choice draws from, as a condition and its parameters."""
    conditions = ["s.vintage = %(vintage)s", "s.sold < s.total"]
    params: dict[str, Any] = {"vintage": order.vintage}
    if order.household_id is not None:
        conditions.append("s.household_id = %(household)s")
        params["household"] = order.household_id
    if order.area is not None:
        # Not LIKE: only a range of codes finds its way through the index.
        conditions.append("s.village_code BETWEEN %(first)s AND %(last)s")
        params |= {"first": order.area.prefix.ljust(12, "0"), "last": order.area.prefix.ljust(12, "9")}
    if order.species_id is not None:
        conditions.append("s.species @> ARRAY[%(species)s]::bigint[]")
        params["species"] = order.species_id
    return " AND ".join(conditions), params


def _levels(order: Order, rows: Iterable[tuple[Any, ...]]) -> list[Level]:
    """Stock rows as levels; of an order of a species, with only that species' sinks to sell."""
    found = [Level(*row) for row in rows]
    if order.species_id is None:
        return found
    left = dict(
        _rows(
            f"SELECT k.household_id, count(*) {_UNSOLD_OF_SPECIES} AND k.household_id = ANY(%(homes)s) GROUP BY 1",
            {"species": order.species_id, "vintage": order.vintage, "homes": [level.key for level in found]},
        )
    )
    return [Level(one.key, one.sold, one.sold + left.get(one.key, 0), one.shuffle) for one in found]


_UNSOLD_OF_SPECIES = """
    FROM purchases_sink k JOIN trees_tree t ON t.id = k.tree_id AND t.species_id = %(species)s
   WHERE k.vintage = %(vintage)s AND k.order_id IS NULL AND k.open"""


def _take(order: Order, *, wait: bool) -> None:
    """Locks the households that have sold least, and takes their sinks."""
    where, params = _chosen(order)
    if wait:
        rows = _rows(f"{_STOCK} WHERE {where} ORDER BY s.id FOR UPDATE", params)
    else:
        rows = _rows(_least_sold(order, where), params | {"n": order.quantity, "most": order.quantity + SPARE})
    found = _levels(order, rows)
    left = sum(level.total - level.sold for level in found)
    if left < order.quantity:
        raise _TooFew(left)
    _hold(order, water_fill(found, order.quantity), exactly=order.quantity)


def _least_sold(order: Order, where: str) -> str:
    """The query that locks those households that have sold least, passing over locked ones. Whoever has sold least
    comes first: n sinks touch at most n households, so n rows are enough."""
    candidates = f"FROM purchases_stock s WHERE {where} ORDER BY s.sold, s.shuffle, s.id"
    if order.species_id is None:
        candidates = f"SELECT s.id {candidates}"
    else:
        # OFFSET 0 keeps the planner from looking into every household for the species before they are sorted.
        has_species = f"(SELECT true {_UNSOLD_OF_SPECIES} AND k.household_id = c.household_id LIMIT 1)"
        candidates = f"SELECT c.id FROM (SELECT s.id, s.household_id {candidates} OFFSET 0) c WHERE {has_species}"  # noqa: S608
    return (
        f"{_STOCK} WHERE s.id = ANY(ARRAY({candidates} LIMIT %(most)s)) AND s.sold < s.total"
        f" ORDER BY s.sold, s.shuffle, s.id LIMIT %(n)s {SKIP_LOCKED}"
    )


def _take_tree(order: Order) -> None:
    """Takes the sink of one named tree: its household's stock row first, then the sink.

    The order refers to the tree, so committing it waits for whoever moves the tree; who moves it waits for the stock.
    Hence the tree comes before the stock here too, or the two would wait for each other.
    """
    assert order.tree is not None
    named = {"tree": order.tree_id, "home": order.tree.household_id, "vintage": order.vintage, "order": order.pk}
    _rows("SELECT FROM trees_tree WHERE id = %(tree)s FOR KEY SHARE", named)
    _rows(f"{_STOCK} WHERE s.household_id = %(home)s AND s.vintage = %(vintage)s FOR UPDATE", named)
    taken = _rows(
        """WITH taken AS (
               UPDATE purchases_sink SET order_id = %(order)s
                WHERE tree_id = %(tree)s AND vintage = %(vintage)s AND order_id IS NULL AND open RETURNING household_id
           )
           UPDATE purchases_stock s SET sold = s.sold + 1 FROM taken
            WHERE s.household_id = taken.household_id AND s.vintage = %(vintage)s RETURNING s.id""",
        named,
    )
    if not taken:
        raise DomainError("sold_out", _("This tree is sold or not for sale. Choose another one."), status=409, left=0)


def _hold(order: Order, takes: dict[int, int], *, exactly: int | None = None) -> int:
    """Writes the order into each household's next unsold sinks, and counts them as sold. The caller has locked the
    households' stock rows. RuntimeError when stock and sinks disagree."""
    wanted = sum(takes.values()) if exactly is None else exactly
    of_species = "JOIN trees_tree r ON r.id = k.tree_id AND r.species_id = %(species)s" if order.species_id else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""WITH t AS MATERIALIZED (
                    SELECT * FROM unnest(%(homes)s::bigint[], %(numbers)s::int[]) AS t(household_id, n)
                ), counted AS (
                    UPDATE purchases_stock s SET sold = s.sold + t.n FROM t
                     WHERE s.household_id = t.household_id AND s.vintage = %(vintage)s
                )
                UPDATE purchases_sink SET order_id = %(order)s
                 WHERE order_id IS NULL AND id = ANY(ARRAY(
                   SELECT s.id FROM t CROSS JOIN LATERAL (
                     SELECT k.id FROM purchases_sink k {of_species}
                      WHERE k.household_id = t.household_id AND k.vintage = %(vintage)s
                        AND k.order_id IS NULL AND k.open
                      ORDER BY k.rank LIMIT t.n FOR UPDATE OF k) s))""",  # noqa: S608 - fixed words only
            {
                "homes": list(takes),
                "numbers": list(takes.values()),
                "vintage": order.vintage,
                "order": order.pk,
                "species": order.species_id,
            },
        )
        if cursor.rowcount != wanted:
            raise RuntimeError(
                f"stock and sinks disagree: order {order.pk} wanted {wanted}, got {cursor.rowcount}; run audit"
            )
    return wanted


def homes_of(order: Order) -> dict[int, int]:
    """How many sinks the order has of each household, in the order of the stock rows."""
    return dict(
        _rows(
            """SELECT h.household_id, h.n FROM (
                   SELECT household_id, count(*) AS n FROM purchases_sink WHERE order_id = %(order)s GROUP BY 1) h
                 JOIN purchases_stock s ON s.household_id = h.household_id AND s.vintage = %(vintage)s
                ORDER BY s.id""",
            {"order": order.pk, "vintage": order.vintage},
        )
    )


def release_sinks(order: Order, homes: list[int] | None = None) -> None:
    """Gives an unpaid order's sinks, or those it has of some households, back to the stock."""
    params = {"order": order.pk, "vintage": order.vintage, "homes": homes}
    mine = "order_id = %(order)s" + ("" if homes is None else " AND household_id = ANY(%(homes)s)")
    _rows(
        f"""SELECT count(*) FROM (
                SELECT FROM purchases_stock
                 WHERE vintage = %(vintage)s AND household_id IN (SELECT household_id FROM purchases_sink WHERE {mine})
                 ORDER BY id FOR UPDATE) locked""",  # noqa: S608 - fixed words only
        params,
    )
    return_sinks(order, mine, homes=homes)


def return_sinks(order: Order, which: str, **params: Any) -> None:
    """Takes those of the order's sinks for which the condition holds from it, and counts them as unsold; one whose tree
    has left meanwhile is in no stock. The caller has locked the stock rows."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""WITH freed AS (
                   UPDATE purchases_sink SET order_id = NULL, certificate_id = NULL
                    WHERE order_id = %(order)s AND {which} RETURNING household_id, open
               ), counted AS (
                   SELECT household_id, count(*) AS n, count(*) FILTER (WHERE NOT open) AS closed FROM freed GROUP BY 1
               )
               UPDATE purchases_stock s SET sold = s.sold - c.n, total = s.total - c.closed
                 FROM counted c WHERE s.household_id = c.household_id AND s.vintage = %(vintage)s""",  # noqa: S608
            {"order": order.pk, "vintage": order.vintage, **params},
        )
