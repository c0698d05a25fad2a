"""The market sold out: every sink bought within a year, paid and certified, the money in the supervised account,
nobody paid yet; and everybody paid.

Orders of mixed sizes take from whoever has sold least, as selling does: a thousand trees come from a thousand
households, and each of them has its own line in the ledger. The rows are those that the doors write, so that the audit
holds; they are written by SQL with the guards off.
"""

import random

import psycopg

from bench.database import Databases, without_indexes
from bench.market import PRICE_FEN, SINK_KG, VINTAGE, open_market, vacuum
from bench.world import World

# What part of the trees is sold in orders of so many. Those of a thousand and more shrink with the world.
MIX = {1: 0.10, 3: 0.15, 20: 0.25, 1_000: 0.25, 100_000: 0.25}
BANK, GATEWAY = "standin", "wechatpay"
LARGE = 1_000
# For so many days they were sold, one after another, in a small world for fewer; then all are paid, and for so many
# days the payouts arrive.
SELLING_DAYS, SOLD_A_DAY, PAYING_DAYS = 335, 1_000, 30

_SALES = """
CREATE UNLOGGED TABLE sale AS
SELECT n AS id, size::int AS trees, sum(size) OVER (ORDER BY n) - size AS before, md5('order' || n) AS reference,
       now() - interval '1 day' * (%(paying)s + %(selling)s * (1 - (n - 0.5) / count(*) OVER ())) AS at
  FROM unnest(%(sizes)s::int[]) WITH ORDINALITY AS t(size, n);
CREATE UNIQUE INDEX ON sale (id)"""
_SINKS = """
INSERT INTO purchases_sink (tree_id, vintage, household_id, rank, price_fen, kg, open, order_id, certificate_id)
SELECT t.id, %(vintage)s, t.household_id, t.ordinal, %(fen)s, %(kg)s, true, s.id, s.id
  FROM (SELECT id, household_id, ordinal, row_number() OVER (ORDER BY ordinal, household_id) AS n FROM trees_tree) t
  JOIN (SELECT id, before + generate_series(1, trees) AS n FROM sale) s ON s.n = t.n ORDER BY t.n"""
# {table whose indexes are rebuilt afterwards: the rows that selling writes into it}
_ROWS = {
    "purchases_buyer": """
        INSERT INTO purchases_buyer (id, kind, contact, contact_digest, contact_person, language, created_at)
        SELECT id, 'individual', 'x', id, 'x', 'zh-hans', at FROM sale""",
    "purchases_order": """
        INSERT INTO purchases_order (id, number, token, buyer_id, vintage, holder, dedication, quantity, allocated,
               price_fen, kg, total_fen, pays_by, state, idempotency_key, body_hash, address_digest, expires_at,
               created_at, paid_at, told_at)
        SELECT id, lpad(id::text, 12, '0'), left(reference, 22), id, %(vintage)s, '', '', trees,
               trees, %(fen)s, %(kg)s, trees::bigint * %(fen)s, 'online',
               'paid', reference, reference, '', at, at, at, at FROM sale""",
    "purchases_payment": """
        INSERT INTO purchases_payment (id, order_id, gateway, product, reference, transaction_id, fen, captured_fen,
               pay_url, prepay_id, state, created_at, captured_at)
        SELECT id, id, %(gateway)s, 'native', reference, reference, trees::bigint * %(fen)s, trees::bigint * %(fen)s,
               'x', '', 'captured', at, at FROM sale""",
    "purchases_certificate": """
        INSERT INTO purchases_certificate (id, serial, token, order_id, owner_id, holder, dedication, vintage, trees,
               kg, trees_sha256, state, issued_at, key_id, signature)
        SELECT id, 'DZTH-2026-' || lpad(id::text, 7, '0'), left(reference, 22), id, id, '', '', %(vintage)s, trees,
               trees * %(kg)s, md5(reference), 'valid', at, 'x', 'x' FROM sale""",
    "carbonsink_statechange": """
        INSERT INTO carbonsink_statechange (thing, object_id, from_state, to_state, by_id, reason, at)
        SELECT 'trees.tree', id, 'submitted', 'approved', (SELECT max(id) FROM accounts_user), '',
               now() - interval '400 days' FROM trees_tree
        UNION ALL SELECT 'purchases.order', id, 'allocating', 'held', NULL, '', at FROM sale
                   WHERE trees > %(large)s
        UNION ALL SELECT 'purchases.order', id, 'held', 'paid', NULL, '', at FROM sale
        UNION ALL SELECT 'purchases.payment', id, 'created', 'captured', NULL, '', at FROM sale""",
    "ledger_entry": """
        INSERT INTO ledger_entry (id, reference, kind, at)
        SELECT id, 'capture:' || reference, 'capture', at FROM sale""",
    "ledger_line": """
        INSERT INTO ledger_line (entry_id, account_id, fen)
        SELECT * FROM (
               SELECT s.order_id, a.id, -sum(s.price_fen) FROM purchases_sink s
                 JOIN ledger_account a ON a.owner = s.household_id GROUP BY 1, 2
               UNION ALL SELECT s.id, a.id, s.trees::bigint * %(fen)s FROM sale s, ledger_account a
                          WHERE a.code = 'gateway:' || %(gateway)s) l(entry_id, account_id, fen) ORDER BY entry_id""",
}
_ACCOUNTS = """
INSERT INTO ledger_account (code, kind) VALUES ('transit', 'transit'), ('escrow:' || %(bank)s, 'escrow'),
       ('gateway:' || %(gateway)s, 'gateway');
INSERT INTO payouts_bankaccount (client_uuid, body_hash, household_id, version, holder, holder_digest, phone, bank_name,
       bank_code, number, number_digest, seal, state, entered_by_id, entered_at, approved_by_id, approved_at,
       usable_from)
SELECT gen_random_uuid(), '', id, 1, 'x', 'x', '', 'x', 'x', 'x', 'x', 'x', 'approved', registered_by_id,
       now() - interval '400 days', (SELECT max(id) FROM accounts_user), now() - interval '399 days',
       now() - interval '399 days'
  FROM trees_household ORDER BY id;
INSERT INTO carbonsink_statechange (thing, object_id, from_state, to_state, by_id, reason, at)
SELECT 'payouts.bankaccount', id, 'entered', 'approved', approved_by_id, '', approved_at FROM payouts_bankaccount"""
_SETTLED = """
WITH total AS (SELECT sum(total_fen) AS fen FROM purchases_order), entry AS (
    INSERT INTO ledger_entry (reference, kind, at)
    VALUES ('statement:' || %(bank)s || ':1', 'settlement', now() - interval '1 day' * %(paying)s) RETURNING id
), lines AS (
    INSERT INTO ledger_line (entry_id, account_id, fen)
    SELECT entry.id, a.id, CASE a.kind WHEN 'escrow' THEN fen ELSE -fen END FROM entry, total, ledger_account a
     WHERE a.code IN ('escrow:' || %(bank)s, 'gateway:' || %(gateway)s)
)
INSERT INTO payouts_statementrow (bank, serial, booked_at, fen, counterparty, remittance, bank_reference, kind,
       entry_id)
SELECT %(bank)s, '1', now() - interval '1 day' * %(paying)s, fen, 'x', '', '1', 'settlement', entry.id
  FROM entry, total"""
_NUMBERED = ["purchases_buyer", "purchases_order", "purchases_payment", "purchases_certificate", "ledger_entry"]


def sell_all(databases: Databases, scale: float, template: str) -> str:
    """Makes the market's database anew, sells all of it, and gives its name."""
    name = open_market(databases, scale, template)
    params = {"vintage": VINTAGE, "fen": PRICE_FEN, "kg": SINK_KG, "large": LARGE, "bank": BANK, "gateway": GATEWAY}
    trees = World(scale).trees
    params |= {"selling": min(SELLING_DAYS, 1 + trees // SOLD_A_DAY), "paying": PAYING_DAYS}
    params |= {"sizes": sizes(trees, scale)}
    # The parameters are put in by the client: some of the texts are several statements.
    with databases.connect(name) as connection, psycopg.ClientCursor(connection) as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(_SALES, params)
        cursor.execute("TRUNCATE purchases_sink CASCADE")
        with without_indexes(connection, "purchases_sink"):
            cursor.execute(_SINKS, params)
        cursor.execute("UPDATE purchases_stock SET sold = total")
        cursor.execute(_ACCOUNTS, params)
        for table, rows in _ROWS.items():
            with without_indexes(connection, table):
                cursor.execute(rows, params)
        for table in _NUMBERED:
            cursor.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}")  # noqa: S608
        cursor.execute(_SETTLED, params)
        cursor.execute("DROP TABLE sale")
        vacuum(connection)
    return name


def sizes(trees: int, scale: float) -> list[int]:
    """How many trees each order has: the mix, one after another as chance will, and together exactly all trees."""
    chance = random.Random(4)  # noqa: S311 - made-up data
    made: list[int] = []
    for size, part in MIX.items():
        scaled = size if size < LARGE else max(LARGE // 50, round(size * scale))
        made += [scaled] * int(trees * part / scaled)
    chance.shuffle(made)
    return made + [1] * (trees - sum(made))


_PAID = """
UPDATE ledger_entry SET at = now() - interval '1 day' * %(paying)s WHERE kind = 'payout';
INSERT INTO payouts_attempt (payout_id, request_sha256, state, created_at)
SELECT id, md5(out_no), 'succeeded', now() FROM payouts_payout ORDER BY id;
INSERT INTO carbonsink_statechange (thing, object_id, from_state, to_state, reason, at)
SELECT 'payouts.attempt', id, 'sending', 'succeeded', '', now() FROM payouts_attempt
UNION ALL SELECT 'payouts.payout', id, 'approved', 'sending', '', now() FROM payouts_payout
UNION ALL SELECT 'payouts.payout', id, 'sending', 'succeeded', '', now() FROM payouts_payout ORDER BY 3;
UPDATE payouts_payout SET state = 'succeeded', completed_at = now() - interval '1 day' * (1 + id %% %(paying)s),
       bank_reference = 'B' || id;
WITH entries AS (
    INSERT INTO ledger_entry (reference, kind, at)
    SELECT 'arrived:' || out_no, 'arrived', completed_at FROM payouts_payout ORDER BY id RETURNING id, reference)
INSERT INTO ledger_line (entry_id, account_id, fen)
SELECT e.id, a.id, CASE a.kind WHEN 'transit' THEN p.fen ELSE -p.fen END
  FROM entries e JOIN payouts_payout p ON e.reference = 'arrived:' || p.out_no
  JOIN ledger_account a ON a.code IN ('transit', 'escrow:' || p.bank) ORDER BY e.id;
INSERT INTO payouts_statementrow (bank, serial, booked_at, fen, counterparty, remittance, bank_reference, kind,
       payout_id)
SELECT bank, id + 1, completed_at, -fen, 'x', '', bank_reference, 'payout', id FROM payouts_payout ORDER BY id"""


def pay_all(connection: psycopg.Connection) -> None:
    """Has all payouts arrive on the days that are left of the year, as the bank's statement shows them."""
    with psycopg.ClientCursor(connection) as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(_PAID, {"paying": PAYING_DAYS})
        cursor.execute("SET session_replication_role = DEFAULT")
    vacuum(connection)
