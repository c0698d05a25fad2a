"""What tells at once whether a published day is still what it was: its entries in the ledger, and its tree.

The database makes a digest of a day's entries, with all their lines, the orders they are for and the lines that the
payouts among them took: all that its leaves are made of, and in a fifth of the time that the leaves take. The seal, an
HMAC of that and of the stored tree under the statement's secret, is kept beside the tree: without the platform's keys
nobody can make one for what was changed.
"""

import hmac
from datetime import date

from django.db import connection

from payouts.leaves import ORDER_OF_ENTRY

_WANTED = "%(statement)s::bigint IS NULL OR p.statement_id = %(statement)s"
# The lines are hashed entry by entry, so that what is joined and sorted afterwards is narrow.
_BOOKED = f"""
    SELECT p.statement_id, sha256(string_agg(convert_to(concat_ws(' ', p.entry_id, e.kind, e.reference, o.number, ''),
           'UTF8') || timestamptz_send(e.at) || p.lines, '' ORDER BY p.entry_id))
      FROM (SELECT p.statement_id, p.entry_id, sha256(convert_to(string_agg(
                   l.id || ' ' || l.fen || ' ' || coalesce(h.public_id, a.code), E'\\n' ORDER BY l.id), 'UTF8'))
                   AS lines
              FROM payouts_publishedentry p
              JOIN ledger_line l ON l.entry_id = p.entry_id
              JOIN ledger_account a ON a.id = l.account_id
              LEFT JOIN trees_household h ON h.id = a.owner
             WHERE {_WANTED} GROUP BY 1, 2) p
      JOIN ledger_entry e ON e.id = p.entry_id {ORDER_OF_ENTRY}
     GROUP BY 1"""  # noqa: S608
_TAKEN = f"""
    SELECT statement_id, sha256(string_agg(lines, '' ORDER BY entry_id))
      FROM (SELECT p.statement_id, p.entry_id,
                   sha256(convert_to(string_agg(s.line_id::text, ' ' ORDER BY s.line_id), 'UTF8')) AS lines
              FROM payouts_publishedentry p
              JOIN ledger_entry e ON e.id = p.entry_id AND e.kind IN ('arrived', 'reversed')
              JOIN ledger_settlement s ON s.payout_reference = split_part(e.reference, ':', 2)
             WHERE {_WANTED} GROUP BY 1, 2) p
     GROUP BY 1"""  # noqa: S608


def digests(statement_id: int | None = None) -> dict[int, bytes]:
    """The digest of the entries of each day that has any, by statement; of one statement alone when it is given."""
    found: dict[int, bytes] = {}
    with connection.cursor() as cursor:
        for query in (_BOOKED, _TAKEN):
            cursor.execute(query, {"statement": statement_id})
            for pk, digest in cursor.fetchall():
                found[pk] = found.get(pk, b"") + bytes(digest)
    return found


def trees() -> dict[int, tuple[str, bytes]]:
    """The seal of each statement, and the SHA-256 of the leaves' hashes that are stored beside it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_id, seal, sha256(hashes) FROM payouts_dailytree")
        return {pk: (seal, bytes(tree)) for pk, seal, tree in cursor.fetchall()}


def seal(secret: str, day: date, tree: bytes, entries: bytes) -> str:
    """The seal of a day under its statement's secret, 64 digits of hex: of the SHA-256 of its leaves' hashes, and of
    the digest of its entries."""
    return hmac.digest(bytes.fromhex(secret), f"seal {day} ".encode() + tree + entries, "sha256").hex()
