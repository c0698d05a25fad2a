"""Opening vintages: one sink for each enrolled tree, and the stock that counts them."""

from typing import Any

from django.db import connection, transaction
from django.db.models import Sum
from django.db.models.functions import Coalesce, Now
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink.errors import DomainError
from purchases.models import Sink, Stock, Tariff
from trees.models import Tree

# Sinks of the approved trees whose enrolment covers the vintage, except those that exist already.
_INSERT_SINKS = """
    INSERT INTO purchases_sink (tree_id, vintage, household_id, rank, price_fen, kg, open)
    SELECT t.id, f.vintage, t.household_id, t.ordinal, f.price_fen, f.sink_kg, true
      FROM purchases_tariff f
      JOIN trees_enrolment e ON f.vintage BETWEEN e.first_vintage AND e.last_vintage AND e.revoked_at IS NULL
      JOIN trees_tree t ON t.id = e.tree_id AND t.state = 'approved'
     WHERE {which}
    ON CONFLICT (tree_id, vintage) DO NOTHING
    RETURNING household_id, vintage, tree_id"""

# Written sinks are added to their household's stock row, which is made when it is the first. Rows that buyers may
# wait for come in primary-key order, like everywhere.
_ADD_STOCK = """
    INSERT INTO purchases_stock (household_id, vintage, village_code, total, sold, species, shuffle)
    SELECT s.household_id, s.vintage, h.village_id, count(*), 0, array_agg(DISTINCT t.species_id),
           hashint8(s.household_id * 10000 + s.vintage)
      FROM (SELECT * FROM made) s JOIN trees_household h ON h.id = s.household_id JOIN trees_tree t ON t.id = s.tree_id
      LEFT JOIN purchases_stock k ON k.household_id = s.household_id AND k.vintage = s.vintage
     GROUP BY s.household_id, s.vintage, h.village_id, k.id ORDER BY k.id, s.household_id
    ON CONFLICT (household_id, vintage) DO UPDATE SET total = purchases_stock.total + EXCLUDED.total,
       species = purchases_stock.species || ARRAY(
           SELECT unnest(EXCLUDED.species) EXCEPT SELECT unnest(purchases_stock.species))
    RETURNING 1"""


def _open(which: str, params: list[Any]) -> int:
    """Inserts missing sinks for which the condition holds, counts them into the stock, returns how many."""
    sql = f"""
        WITH made AS ({_INSERT_SINKS.format(which=which)}), stocked AS ({_ADD_STOCK})
        SELECT (SELECT count(*) FROM made), (SELECT count(*) FROM stocked)"""  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return int(cursor.fetchone()[0])


@transaction.atomic
def open_vintage(tariff: Tariff) -> int:
    """Opens a vintage at its tariff and returns the number of new sinks. Can be run again: it adds what is missing."""
    # Whoever approves or withdraws a tree meanwhile waits for this row, and finds the sinks afterwards.
    Tariff.objects.filter(pk=tariff.pk).update(opened_at=Coalesce("opened_at", Now()))
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE SEQUENCE IF NOT EXISTS {serial_sequence(tariff.vintage)}")
    return _open("f.vintage = %s", [tariff.vintage])


def serial_sequence(vintage: int) -> str:
    """The name of the database sequence that numbers a vintage's certificates."""
    return f"purchases_certificate_serial_{int(vintage)}"


def open_sinks(tree_ids: list[int], to: str) -> None:
    """Follows trees that become approved: opens their sinks of the vintages that are open, or opens them again."""
    _wait_for_openings()
    _lock_stock(tree_ids)
    _change_open(tree_ids, is_open=True)
    _open("t.id = ANY(%s) AND f.opened_at IS NOT NULL AND f.closes_at > now()", [tree_ids])


def refuse_sold(tree_ids: list[int], to: str) -> None:
    """Refuses that an approval is taken back when a sink of the tree is sold, or held by an order that may yet be
    paid: DomainError("sold"). Buyers wait for the stock rows locked here, and find the sinks closed afterwards."""
    _wait_for_openings()
    _lock_stock(tree_ids)
    if Sink.objects.filter(tree__in=tree_ids, order__isnull=False).exists():
        raise DomainError(
            "sold",
            _("A sink of this tree is sold or being paid: its approval stays. Have an officer report the tree."),
            status=409,
        )


def close_sinks(tree_ids: list[int], to: str) -> None:
    """Follows trees that leave the scheme: their unsold sinks are not for sale any more, and a held one will not be
    again when its order expires."""
    _wait_for_openings()
    _lock_stock(tree_ids)
    _change_open(tree_ids, is_open=False)


def _wait_for_openings() -> None:
    """Waits until a vintage that is being opened is open: its sinks cannot be seen before."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM purchases_tariff ORDER BY id FOR SHARE")


def _lock_stock(tree_ids: list[int]) -> None:
    """Locks the stock rows of the trees' households in primary-key order, before any of their sinks."""
    households = Tree.objects.filter(pk__in=tree_ids).values("household")
    list(Stock.objects.filter(household__in=households).order_by("pk").select_for_update())


def _change_open(tree_ids: list[int], *, is_open: bool) -> None:
    """Opens or closes the trees' sinks; those without an order are counted into or out of the stock. One that
    was lost after it was sold stays closed: another one stands in for it, or its price went back. So does one of a
    year that no enrolment covers any more: its approval was taken back."""
    with connection.cursor() as cursor:
        # In primary-key order, as a certificate takes the sinks of its order, or the two would wait for each other.
        cursor.execute(
            """SELECT count(*) FROM (
                   SELECT FROM purchases_sink WHERE tree_id = ANY(%s) ORDER BY id FOR NO KEY UPDATE) locked""",
            [tree_ids],
        )
        cursor.execute(
            """WITH changed AS (
                   UPDATE purchases_sink k SET open = %s WHERE tree_id = ANY(%s) AND open <> %s
                      AND NOT EXISTS (SELECT FROM purchases_sinkrelease r WHERE r.sink_id = k.id AND r.kind = 'lost')
                      AND (k.open OR EXISTS (
                          SELECT FROM trees_enrolment e WHERE e.tree_id = k.tree_id AND e.revoked_at IS NULL
                             AND k.vintage BETWEEN e.first_vintage AND e.last_vintage))
                   RETURNING household_id, vintage, order_id
               ), counted AS (
                   SELECT household_id, vintage, count(*) AS n FROM changed WHERE order_id IS NULL GROUP BY 1, 2
               )
               UPDATE purchases_stock s SET total = s.total + %s * c.n FROM counted c
                WHERE s.household_id = c.household_id AND s.vintage = c.vintage""",
            [is_open, tree_ids, is_open, 1 if is_open else -1],
        )


def current_tariff() -> Tariff | None:
    """The newest tariff whose sale is open now."""
    # By hand, since every order asks.
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT id, vintage, price_fen, sink_kg, opens_at, closes_at, opened_at FROM purchases_tariff
                WHERE opens_at <= %(now)s AND closes_at > %(now)s ORDER BY vintage DESC LIMIT 1""",
            {"now": timezone.now()},
        )
        row = cursor.fetchone()
    fields = ["id", "vintage", "price_fen", "sink_kg", "opens_at", "closes_at", "opened_at"]
    return Tariff.from_db("default", fields, row) if row else None


def unsold(vintage: int, prefix: str = "") -> int:
    """How many sinks of a vintage can be bought within the divisions whose code begins with `prefix`."""
    rows = Stock.objects.filter(vintage=vintage, village_code__startswith=prefix).aggregate(
        total=Sum("total", default=0), sold=Sum("sold", default=0)
    )
    return rows["total"] - rows["sold"]


def sinks_of(tree: Tree) -> list[Sink]:
    """A tree's sinks, newest vintage first."""
    return list(tree.sinks.prefetch_related("releases", "stood_in__old_sink__tree").order_by("-vintage"))
