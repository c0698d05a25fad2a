"""What a typed number means: an order, a payment, a tree, a certificate, a household, an entry of the ledger, a payout,
a file for a bank, a row of a statement."""

import re
from dataclasses import dataclass
from typing import Any, Literal

from django.conf import settings
from django.db import connection

from payouts import banks
from payouts.leaves import ORDER_OF_ENTRY
from purchases.gateways import codes
from purchases.models import Voucher

MOST = 20
Kind = Literal["order", "tree", "certificate", "household", "payout", "file", "row"]

# Each part asks an index. A row of a payout, also by what two people said, leads to it, and one of a whole file to the
# file; a file's name is its number with an ending.
QUERY = f"""
    WITH e AS (
        SELECT id, kind, reference FROM ledger_entry WHERE reference = %(text)s
    ), refunds AS (
        SELECT payment_id FROM purchases_refund WHERE number = lower(%(text)s)
        UNION SELECT r.payment_id FROM e JOIN purchases_refund r ON r.number = split_part(e.reference, ':', 2)
               WHERE e.kind = 'refund'
        UNION SELECT r.payment_id FROM purchases_byhand b JOIN purchases_refund r ON r.id = b.refund_id
               WHERE b.bank_serial = %(text)s AND b.state <> 'withdrawn'
    ), rows AS (
        SELECT id FROM payouts_statementrow WHERE serial = %(text)s
        UNION SELECT id FROM payouts_statementrow WHERE bank_reference = %(text)s AND bank_reference <> ''
        UNION SELECT r.id FROM e JOIN payouts_statementrow r ON r.entry_id = e.id
    ), orders AS (
        SELECT id FROM purchases_order WHERE number = upper(%(text)s)
        UNION SELECT order_id FROM purchases_payment WHERE reference = lower(%(text)s)
        UNION SELECT order_id FROM purchases_payment
               WHERE gateway = ANY(%(gateways)s) AND transaction_id = %(text)s
        UNION SELECT p.order_id FROM purchases_transfer t JOIN purchases_payment p ON p.id = t.payment_id
               WHERE t.bank = ANY(%(banks)s) AND t.serial = %(text)s
        UNION SELECT p.order_id FROM refunds r JOIN purchases_payment p ON p.id = r.payment_id
        UNION SELECT order_id FROM purchases_voucher WHERE kind = ANY(%(vouchers)s) AND number = %(text)s
        UNION SELECT o.id FROM e {ORDER_OF_ENTRY} WHERE o.id IS NOT NULL
    )
    SELECT 'order', id, number FROM purchases_order WHERE id IN (SELECT id FROM orders)
    UNION SELECT 'tree', id, number FROM trees_tree WHERE number = upper(%(text)s)
    UNION SELECT 'certificate', id, serial FROM purchases_certificate WHERE serial = upper(%(text)s)
    UNION SELECT 'household', id, public_id FROM trees_household WHERE public_id = lower(%(text)s)
    UNION SELECT 'payout', id, out_no FROM payouts_payout WHERE out_no = lower(%(text)s) OR out_no = %(text)s
    UNION SELECT 'payout', id, out_no FROM payouts_payout WHERE bank_reference = %(text)s AND bank_reference <> ''
    UNION SELECT 'payout', p.id, p.out_no FROM e JOIN payouts_payout p ON p.out_no = split_part(e.reference, ':', 2)
           WHERE e.kind IN ('payout', 'arrived', 'reversed')
    UNION SELECT 'file', id, name FROM payouts_batch
           WHERE number = split_part(lower(%(text)s), '.', 1) AND lower(%(text)s) IN (number, lower(name))
    UNION SELECT CASE WHEN p.id IS NOT NULL THEN 'payout' WHEN b.id IS NOT NULL THEN 'file' ELSE 'row' END,
                 coalesce(p.id, b.id, r.id), coalesce(p.out_no, b.name, r.serial)
            FROM rows JOIN payouts_statementrow r ON r.id = rows.id
            LEFT JOIN payouts_clarification c ON c.row_id = r.id AND c.state = 'agreed'
            LEFT JOIN payouts_payout p ON p.id = coalesce(r.payout_id, c.follow_up_id, c.payout_id)
            LEFT JOIN payouts_batch b ON b.id = coalesce(r.batch_id, c.batch_id)
     ORDER BY 1, 2 LIMIT %(most)s"""  # noqa: S608


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
        cursor.execute(QUERY, values_for(text))
        return [Found(*row) for row in cursor.fetchall()]


def values_for(text: str) -> dict[str, Any]:
    """What the query asks with."""
    return {
        "text": text,
        "gateways": codes(),
        "banks": [settings.TRANSFER_BANK_CODE, *banks.codes()],
        "vouchers": Voucher.Kind.values,
        "most": MOST,
    }
