"""What a typed number means: an order, a payment, a tree, a certificate, a payout, a row of a statement."""

import re
from dataclasses import dataclass
from typing import Literal

from django.db import connection

from purchases.gateways import codes

MOST = 20
Kind = Literal["order", "tree", "certificate", "payout", "row"]

# Each part asks an index; a row of a payout, also by what two people said, leads to it.
_FIND = """
    SELECT 'order', id, number FROM purchases_order WHERE number = upper(%(text)s)
    UNION SELECT 'order', o.id, o.number FROM purchases_payment p JOIN purchases_order o ON o.id = p.order_id
           WHERE p.reference = lower(%(text)s) OR (p.gateway = ANY(%(gateways)s) AND p.transaction_id = %(text)s)
    UNION SELECT 'order', o.id, o.number FROM purchases_refund r JOIN purchases_payment p ON p.id = r.payment_id
            JOIN purchases_order o ON o.id = p.order_id WHERE r.number = lower(%(text)s)
    UNION SELECT 'tree', id, number FROM trees_tree WHERE number = upper(%(text)s)
    UNION SELECT 'certificate', id, serial FROM purchases_certificate WHERE serial = upper(%(text)s)
    UNION SELECT 'payout', id, out_no FROM payouts_payout WHERE out_no = lower(%(text)s) OR out_no = %(text)s
    UNION SELECT 'payout', id, out_no FROM payouts_payout WHERE bank_reference = %(text)s AND bank_reference <> ''
    UNION SELECT CASE WHEN p.id IS NULL THEN 'row' ELSE 'payout' END, coalesce(p.id, r.id), coalesce(p.out_no, r.serial)
            FROM payouts_statementrow r LEFT JOIN payouts_clarification c ON c.row_id = r.id AND c.state = 'agreed'
            LEFT JOIN payouts_payout p ON p.id = coalesce(r.payout_id, c.follow_up_id, c.payout_id)
           WHERE r.serial = %(text)s OR (r.bank_reference = %(text)s AND r.bank_reference <> '')
     ORDER BY 1, 2 LIMIT %(most)s"""


@dataclass(frozen=True)
class Found:
    """One thing that a number means."""

    kind: Kind
    pk: int
    name: str


def find(text: str) -> list[Found]:
    """All that the text may mean, at most 20; the number of a tree may be typed in groups."""
    text = text.strip().replace("\0", "")
    if re.fullmatch(r"[0-9][0-9 \-]+[0-9A-Za-z]", text):
        text = re.sub(r"[ \-]", "", text)
    if not text or len(text) > 140:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_FIND, {"text": text, "gateways": codes(), "most": MOST})
        return [Found(*row) for row in cursor.fetchall()]
