"""What the tree of a daily statement is made of: each line of a household's account, and each arrival of one.

A leaf is a canonical JSON text. What was booked for a household is one leaf, with the order it is for; when the payout
that took it arrives or comes back, it is another leaf, of that day, under the same name `line`. The name is half of an
HMAC under a secret, so nobody can guess a leaf from its hash; only proofs tell it. The other half is a salt, told to
nobody but an auditor: `household`, the SHA-256 of the salt and the household's public id, binds the line to its
household without naming it.
"""

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection

# Which order an entry is for: joined to ledger_entry e, gives o.number (null where it is for none).
ORDER_OF_ENTRY = """
    LEFT JOIN purchases_payment captured ON e.kind = 'capture' AND captured.reference = substr(e.reference, 9)
    LEFT JOIN purchases_refund back ON e.kind = 'giveback' AND back.number = split_part(e.reference, ':', 2)
    LEFT JOIN purchases_payment paid ON paid.id = back.payment_id
    LEFT JOIN purchases_replacement stood ON stood.old_sink_id
         = CASE e.kind WHEN 'replacement' THEN split_part(e.reference, ':', 2)::bigint END
    LEFT JOIN purchases_order o ON o.id = coalesce(captured.order_id, paid.order_id, stood.order_id)"""

_COLUMNS = "l.id, -l.fen, h.public_id, o.number"
_HOUSEHOLD = """
    JOIN ledger_account a ON a.id = l.account_id AND a.kind = 'household'
    JOIN trees_household h ON h.id = a.owner"""

_BOOKED = f"""
    SELECT {_COLUMNS}, e.kind, (e.at AT TIME ZONE %(zone)s)::date::text
      FROM payouts_publishedentry p
      JOIN ledger_entry e ON e.id = p.entry_id
      JOIN ledger_line l ON l.entry_id = e.id {_HOUSEHOLD} {ORDER_OF_ENTRY}
     WHERE p.statement_id = %(statement)s ORDER BY l.id"""  # noqa: S608

# Payouts that arrived, or came back after they had, with what they paid: through payouts that had come back before.
_MOVED = f"""
    WITH RECURSIVE moved AS (
        SELECT m.id, m.kind, m.at, split_part(m.reference, ':', 2) AS out_no
          FROM payouts_publishedentry p JOIN ledger_entry m ON m.id = p.entry_id
         WHERE p.statement_id = %(statement)s AND m.kind IN ('arrived', 'reversed') AND (m.kind = 'arrived' OR EXISTS (
               SELECT FROM ledger_entry x WHERE x.reference = 'arrived:' || split_part(m.reference, ':', 2)))
    ), taken(entry_id, line_id) AS (
        SELECT m.id, s.line_id FROM moved m JOIN ledger_settlement s ON s.payout_reference = m.out_no
        UNION ALL
        SELECT t.entry_id, s.line_id FROM taken t
          JOIN ledger_line l ON l.id = t.line_id
          JOIN ledger_entry e ON e.id = l.entry_id AND e.kind = 'reversed'
          JOIN ledger_settlement s ON s.payout_reference = split_part(e.reference, ':', 2)
    )
    SELECT {_COLUMNS}, CASE m.kind WHEN 'arrived' THEN 'arrived' ELSE 'returned' END,
           (m.at AT TIME ZONE %(zone)s)::date::text
      FROM taken t JOIN moved m ON m.id = t.entry_id
      JOIN ledger_line l ON l.id = t.line_id
      JOIN ledger_entry e ON e.id = l.entry_id AND e.kind NOT IN ('payout', 'reversed') {_HOUSEHOLD} {ORDER_OF_ENTRY}
     ORDER BY l.id, m.id"""  # noqa: S608

# The same for the lines of one order alone, forward: from each of them to the payouts that have paid it.
_ORDERS_LINES = f"""
    SELECT l.id FROM purchases_order o
      JOIN LATERAL (
           SELECT 'capture:' || p.reference AS reference FROM purchases_payment p WHERE p.order_id = o.id
           UNION ALL SELECT 'giveback:' || r.number || suffix FROM purchases_payment p
                       JOIN purchases_refund r ON r.payment_id = p.id CROSS JOIN (VALUES (''), (':stand-in')) v(suffix)
                      WHERE p.order_id = o.id
           UNION ALL SELECT 'replacement:' || c.old_sink_id FROM purchases_replacement c WHERE c.order_id = o.id
           ) w ON true
      JOIN ledger_entry e ON e.reference = w.reference
      JOIN ledger_line l ON l.entry_id = e.id {_HOUSEHOLD}
     WHERE o.id = %(order)s"""  # noqa: S608
_WAYS = f"""
    WITH RECURSIVE own AS ({_ORDERS_LINES}),
    way(root, line_id, account_id) AS (
        SELECT l.id, l.id, l.account_id FROM ledger_line l JOIN own ON own.id = l.id
        UNION ALL
        SELECT w.root, again.id, w.account_id FROM way w
          JOIN ledger_settlement s ON s.line_id = w.line_id
          JOIN ledger_entry e ON e.reference = 'reversed:' || s.payout_reference
          JOIN ledger_line again ON again.entry_id = e.id AND again.account_id = w.account_id
    ), moved AS (
        SELECT w.root, m.id, m.kind, m.at FROM way w JOIN ledger_settlement s ON s.line_id = w.line_id
          JOIN LATERAL (VALUES ('arrived:' || s.payout_reference), ('reversed:' || s.payout_reference)) v(reference)
            ON true
          JOIN ledger_entry m ON m.reference = v.reference AND (m.kind = 'arrived' OR EXISTS (
               SELECT FROM ledger_entry x WHERE x.reference = 'arrived:' || s.payout_reference))
        UNION ALL SELECT l.id, e.id, e.kind, e.at FROM ledger_line l JOIN own ON own.id = l.id
                    JOIN ledger_entry e ON e.id = l.entry_id
    )
    SELECT p.statement_id, l.id, -l.fen, h.public_id, %(number)s,
           CASE m.kind WHEN 'reversed' THEN 'returned' ELSE m.kind END,
           (m.at AT TIME ZONE %(zone)s)::date::text
      FROM moved m JOIN payouts_publishedentry p ON p.entry_id = m.id JOIN ledger_line l ON l.id = m.root {_HOUSEHOLD}
     ORDER BY p.statement_id, l.id, m.id"""  # noqa: S608


@dataclass(frozen=True)
class Leaf:
    """A line of a household, or that it arrived or came back: fen positive for the household, the order's number."""

    line_id: int
    fen: int
    household: str
    order: str | None
    entry: str
    day: str

    def text(self, secret: bytes) -> bytes:
        """What is hashed, and told with a proof."""
        name = hmac.digest(secret, str(self.line_id).encode(), "sha512").hex()
        line, salt = name[:64], name[64:]
        household = hashlib.sha256(f"{salt}:{self.household}".encode()).hexdigest()
        # Canonical JSON, put together by hand: there may be a million of them, and nothing in it needs escaping.
        return (
            f'{{"day":"{self.day}","entry":"{self.entry}","fen":{self.fen},"household":"{household}",'
            f'"line":"{line}","order":"{self.order or ""}"}}'
        ).encode()


def of_statement(statement_id: int) -> Iterator[Leaf]:
    """All leaves of a statement, in their order: what was booked, then what arrived or came back."""
    for query in (_BOOKED, _MOVED):
        yield from (Leaf(*row) for row in _rows(query, {"statement": statement_id}))


def of_order(order_id: int, number: str) -> dict[int, list[Leaf]]:
    """The published leaves of an order's lines, by statement."""
    found: dict[int, list[Leaf]] = {}
    for statement, *row in _rows(_WAYS, {"order": order_id, "number": number}):
        found.setdefault(statement, []).append(Leaf(*row))
    return found


def _rows(query: str, values: Mapping[str, Any]) -> Iterator[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query, {**values, "zone": settings.TIME_ZONE})
        while rows := cursor.fetchmany(10_000):
            yield from rows
