"""The floor of selling: the same rows in the same tables, by hand-written SQL over plain psycopg.

An order is its buyer, itself, the stock rows of the households it takes from, and its sinks, in one transaction; those
who have sold least give first, like ours. Names and keys are taken as encrypted and digested already. It does not know
what ours checks: caps, keys used before, choices, dates, languages.
"""

import functools
import secrets
from collections.abc import Sequence

import psycopg

from bench.market import PRICE_FEN, SINK_KG, VINTAGE
from carbonsink.crypto import fernet
from purchases.allocation import Level, water_fill

_BUYER = """
INSERT INTO purchases_buyer (kind, contact, contact_digest, contact_person, language, created_at)
VALUES ('individual', %s, %s, %s, 'zh-hans', now()) RETURNING id"""
_ORDER = """
INSERT INTO purchases_order (number, token, buyer_id, vintage, holder, dedication, quantity, allocated, price_fen, kg,
    total_fen, pays_by, state, idempotency_key, body_hash, address_digest, expires_at, created_at)
VALUES (%s, %s, %s, %s, '', '', %s, %s, %s, %s, %s, 'online', 'held', %s, %s, '', now() + interval '15 minutes', now())
RETURNING id"""
_LOCK = """
SELECT household_id, sold, total, shuffle FROM purchases_stock WHERE vintage = %s AND sold < total
 ORDER BY sold, shuffle, id LIMIT %s FOR UPDATE SKIP LOCKED"""
_LOCK_FEW = """
SELECT s.household_id, s.sold, s.total, s.shuffle FROM purchases_stock s
 WHERE s.id = ANY(ARRAY(SELECT id FROM purchases_stock WHERE vintage = %s AND sold < total
                         ORDER BY sold, shuffle, id LIMIT 64)) AND s.sold < s.total
 ORDER BY s.sold, s.shuffle, s.id LIMIT %s FOR UPDATE SKIP LOCKED"""
_TAKE = """
WITH t AS (SELECT * FROM unnest(%s::bigint[], %s::int[]) AS t(household_id, n)), counted AS (
    UPDATE purchases_stock s SET sold = s.sold + t.n FROM t WHERE s.household_id = t.household_id AND s.vintage = %s)
UPDATE purchases_sink SET order_id = %s WHERE order_id IS NULL AND id = ANY(ARRAY(
    SELECT s.id FROM t CROSS JOIN LATERAL (
        SELECT id FROM purchases_sink k WHERE k.household_id = t.household_id AND k.vintage = %s
           AND k.order_id IS NULL AND k.open ORDER BY k.rank LIMIT t.n) s))"""


@functools.cache
def _ciphertext() -> str:
    """What a buyer's contact is kept as; ours reads it when it writes the receipt."""
    return fernet().encrypt(b"buyer@example.org").decode()


def place(connection: psycopg.Connection, trees: int) -> int:
    """Holds so many trees, and gives the order's key."""
    with connection.transaction(), connection.cursor() as cursor:
        buyer = _one(cursor, _BUYER, [_ciphertext(), secrets.token_hex(40), _ciphertext()])
        names = [secrets.token_hex(6), secrets.token_urlsafe(16), buyer, VINTAGE, trees, trees, PRICE_FEN, SINK_KG]
        hashes = [secrets.token_hex(32), secrets.token_hex(32)]
        order = _one(cursor, _ORDER, [*names, trees * PRICE_FEN, *hashes])
        lock = _LOCK_FEW if trees == 1 else _LOCK
        levels = _levels(cursor, lock, trees) or _levels(cursor, lock.replace("SKIP LOCKED", ""), trees)
        takes = water_fill(levels, trees)
        cursor.execute(_TAKE, [list(takes), list(takes.values()), VINTAGE, order, VINTAGE])
        if cursor.rowcount != trees:
            raise RuntimeError(f"{cursor.rowcount} trees instead of {trees}")
    return order


def _levels(cursor: psycopg.Cursor, lock: str, trees: int) -> list[Level]:
    """The households that were locked; none when everybody else has them all."""
    cursor.execute(lock, [VINTAGE, trees])
    return [Level(*row) for row in cursor.fetchall()]


def ask_for_payment(connection: psycopg.Connection, order: int) -> str:
    """Writes the open payment that a notification will be about, for either side; gives its reference."""
    reference = secrets.token_hex(16)
    connection.execute(
        """INSERT INTO purchases_payment (order_id, gateway, product, reference, fen, pay_url, prepay_id, state,
               created_at) SELECT id, 'wechatpay', 'native', %s, total_fen, 'x', '', 'created', now()
             FROM purchases_order WHERE id = %s""",
        [reference, order],
    )
    return reference


def book(connection: psycopg.Connection, reference: str, headers: str, body: bytes) -> None:
    """From a notification to committed books, without looking whether it is genuine or signing anything."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.id, p.order_id FROM purchases_payment p JOIN purchases_order o ON o.id = p.order_id"
            " WHERE p.reference = %s FOR UPDATE",
            [reference],
        )
        payment, order = cursor.fetchone() or (None, None)
        cursor.execute(
            "INSERT INTO purchases_notification (gateway, event_id, headers, body, payment_id, received_at)"
            " VALUES ('wechatpay', %s, %s, %s, %s, now())",
            [secrets.token_hex(8), headers, body, payment],
        )
        cursor.execute(
            "UPDATE purchases_payment SET state = 'captured', transaction_id = %s, captured_fen = fen,"
            " captured_at = now() WHERE id = %s",
            [secrets.token_hex(8), payment],
        )
        cursor.execute("UPDATE purchases_order SET state = 'paid', paid_at = now() WHERE id = %s", [order])
        _note_moves(cursor, [("purchases.payment", payment, "created", "captured")])
        _note_moves(cursor, [("purchases.order", order, "held", "paid")])
        entry = _one(
            cursor,
            "INSERT INTO ledger_entry (reference, kind, at) VALUES (%s, 'capture', now()) RETURNING id",
            [f"capture:{reference}"],
        )
        cursor.execute(
            """INSERT INTO ledger_line (entry_id, account_id, fen)
               SELECT %(entry)s, a.id, -s.fen FROM ledger_account a JOIN (
                      SELECT household_id, sum(price_fen) AS fen FROM purchases_sink WHERE order_id = %(order)s
                       GROUP BY 1) s ON s.household_id = a.owner
               UNION ALL SELECT %(entry)s, a.id, o.total_fen FROM ledger_account a, purchases_order o
                WHERE a.code = 'gateway:wechatpay' AND o.id = %(order)s""",
            {"entry": entry, "order": order},
        )
        certificate = _one(
            cursor,
            f"""INSERT INTO purchases_certificate (serial, token, order_id, owner_id, holder, dedication, vintage,
                    trees, kg, trees_sha256, state, issued_at, key_id, signature)
                SELECT nextval('purchases_certificate_serial_{VINTAGE}'), %s, o.id, o.buyer_id, '', '', o.vintage,
                       o.quantity, o.quantity * o.kg, encode(sha256(convert_to(d.text, 'UTF8')), 'hex'), 'valid', now(),
                       'x', 'x'
                  FROM purchases_order o, LATERAL (
                       SELECT string_agg(t.number || E'\\n', '' ORDER BY t.number COLLATE "C") AS text
                         FROM purchases_sink s JOIN trees_tree t ON t.id = s.tree_id WHERE s.order_id = o.id) d
                 WHERE o.id = %s RETURNING id""",  # noqa: S608 - a number
            [secrets.token_urlsafe(16), order],
        )
        cursor.execute("UPDATE purchases_sink SET certificate_id = %s WHERE order_id = %s", [certificate, order])


def expire(connection: psycopg.Connection, order: int) -> None:
    """Gives an order's sinks back to the stock."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("UPDATE purchases_order SET state = 'expired' WHERE id = %s", [order])
        _note_moves(cursor, [("purchases.order", order, "held", "expired")])
        cursor.execute(
            """WITH freed AS (UPDATE purchases_sink SET order_id = NULL WHERE order_id = %s RETURNING household_id),
                    counted AS (SELECT household_id, count(*) AS n FROM freed GROUP BY 1)
               UPDATE purchases_stock s SET sold = s.sold - c.n FROM counted c
                WHERE s.household_id = c.household_id AND s.vintage = %s""",
            [order, VINTAGE],
        )


def _note_moves(cursor: psycopg.Cursor, moves: Sequence[tuple[str, int, str, str]]) -> None:
    for thing, pk, before, after in moves:
        cursor.execute(
            "INSERT INTO carbonsink_statechange (thing, object_id, from_state, to_state, reason, at)"
            " VALUES (%s, %s, %s, %s, '', now())",
            [thing, pk, before, after],
        )


def _one(cursor: psycopg.Cursor, query: str, params: Sequence[object]) -> int:
    cursor.execute(query, params)
    row = cursor.fetchone()
    assert row is not None
    return int(row[0])
