"""The market that is measured: the world's households and trees, all on sale, in a database of its own.

The rows are written by SQL with the guards off, since making them is not what is measured; the guards are on again
when selling begins.
"""

import psycopg

from bench.database import Databases, without_indexes
from bench.world import World

MARKET = "bench_market"
VINTAGE = 2026
PRICE_FEN, SINK_KG = 300, 10

_HOUSEHOLDS = """
INSERT INTO trees_household (id, public_id, client_uuid, body_hash, programme_id, village_id, ordinal, head_name,
    head_name_digest, id_number, id_number_digest, phone, phone_digest, category, area_mu, tenure, tenure_number,
    trees_numbered, registered_by_id, registered_at)
SELECT n, lpad(n::text, 20, '0'), gen_random_uuid(), '', (SELECT min(id) FROM trees_programme), left(code, 12),
       right(code, 3)::int, 'x', 'x', 'x', n::text, 'x', 'x', 'poor', 1, 'returned_farmland', '', 0,
       (SELECT min(id) FROM accounts_user), now()
  FROM unnest(%s::text[]) WITH ORDINALITY AS h(code, n)"""
_ACCOUNTS = """
INSERT INTO ledger_account (code, kind, owner) SELECT 'household:' || id, 'household', id FROM trees_household"""
_TREES = """
INSERT INTO trees_tree (number, client_uuid, body_hash, household_id, ordinal, species_id, dbh_cm, measured_on, state,
    registered_by_id, registered_at, measured_by_id, revision)
SELECT h.village_id || lpad(h.ordinal::text, 3, '0') || lpad(n::text, 3, '0') || '0', gen_random_uuid(), '', h.id, n,
       (SELECT min(id) FROM trees_species) + n %% 4, 7.5, '2026-01-01', 'approved', h.registered_by_id, now(),
       h.registered_by_id, 1
  FROM trees_household h, generate_series(1, %(least)s + (h.id <= %(more)s)::int) n"""
_TARIFF = """
INSERT INTO purchases_tariff (vintage, price_fen, sink_kg, opens_at, closes_at, opened_at)
VALUES (%(vintage)s, %(fen)s, %(kg)s, now() - interval '1 day', now() + interval '1 year', now())"""
_SINKS = """
INSERT INTO purchases_sink (tree_id, vintage, household_id, rank, price_fen, kg, open)
SELECT id, %(vintage)s, household_id, ordinal, %(fen)s, %(kg)s, true FROM trees_tree ORDER BY household_id, ordinal"""
_STOCK = """
INSERT INTO purchases_stock (household_id, vintage, village_code, total, sold, species, shuffle)
SELECT s.household_id, s.vintage, h.village_id, count(*), 0, array_agg(DISTINCT t.species_id),
       hashint8(s.household_id * 10000 + s.vintage)
  FROM purchases_sink s JOIN trees_household h ON h.id = s.household_id JOIN trees_tree t ON t.id = s.tree_id
 GROUP BY 1, 2, 3"""


def open_market(databases: Databases, scale: float, template: str) -> str:
    """Makes the market's database from one with divisions, and gives its name."""
    world = World(scale)
    name = databases.fresh(MARKET, template)
    least, more = divmod(world.trees, world.households)
    params = {"least": least, "more": more, "vintage": VINTAGE, "fen": PRICE_FEN, "kg": SINK_KG}
    with databases.connect(name) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(_HOUSEHOLDS, [world.household_codes()])
        connection.execute(_ACCOUNTS)
        with without_indexes(connection, "trees_tree"):
            connection.execute(_TREES, params)
        connection.execute(_TARIFF, params)
        with without_indexes(connection, "purchases_sink"):
            connection.execute(_SINKS, params)
        connection.execute(_STOCK)
        connection.execute(f"CREATE SEQUENCE IF NOT EXISTS purchases_certificate_serial_{VINTAGE}")
        vacuum(connection)
    return name


def sell_most(connection: psycopg.Connection, share: float) -> None:
    """Has a share of each household's sinks sold, as long ago: vacuumed, and no longer watched by anybody."""
    connection.execute("SET session_replication_role = replica")
    connection.execute(
        """UPDATE purchases_sink k SET order_id = 0 FROM purchases_stock s
            WHERE s.household_id = k.household_id AND s.vintage = k.vintage AND k.order_id IS NULL
              AND k.rank <= s.total * %s""",
        [share],
    )
    connection.execute(
        """UPDATE purchases_stock s SET sold = k.n FROM (
                  SELECT household_id, vintage, count(order_id) AS n FROM purchases_sink GROUP BY 1, 2) k
            WHERE s.household_id = k.household_id AND s.vintage = k.vintage"""
    )
    connection.execute("SET session_replication_role = DEFAULT")
    vacuum(connection)


def vacuum(connection: psycopg.Connection) -> None:
    """What autovacuum does in its own time."""
    connection.execute("VACUUM ANALYZE")
    connection.execute("CHECKPOINT")
