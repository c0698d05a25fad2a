"""What is always true (design: invariants), as queries that find what breaks it. None of them changes anything."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import connection

from carbonsink.states import Stateful

# {sentence: query whose rows are the offenders}
CHECKS = {
    "orders whose sinks are not as many as ordered": """
        SELECT o.number FROM purchases_order o LEFT JOIN purchases_sink s ON s.order_id = o.id
         WHERE o.state IN ('held', 'paid') GROUP BY o.id HAVING count(s.id) <> o.quantity""",
    "sinks held by orders that have ended": """
        SELECT s.id FROM purchases_sink s LEFT JOIN purchases_order o ON o.id = s.order_id
         WHERE s.order_id IS NOT NULL AND (o.id IS NULL OR o.state IN ('expired', 'cancelled', 'short', 'refunded'))""",
    "sinks without their tree, or of another household than their tree": """
        SELECT s.id FROM purchases_sink s LEFT JOIN trees_tree t ON t.id = s.tree_id
         WHERE t.id IS NULL OR t.household_id <> s.household_id""",
    "stock rows that do not count their sinks": """
        SELECT k.id FROM purchases_stock k FULL JOIN (
               SELECT household_id, vintage, count(*) FILTER (WHERE open OR order_id IS NOT NULL) AS total,
                      count(order_id) AS sold FROM purchases_sink GROUP BY 1, 2) s
            ON s.household_id = k.household_id AND s.vintage = k.vintage
         WHERE (k.total, k.sold) IS DISTINCT FROM (s.total, s.sold)""",
    "captures that are not in the ledger with their amount": """
        SELECT p.reference FROM purchases_payment p
          LEFT JOIN ledger_entry e ON e.reference = 'capture:' || p.reference
          LEFT JOIN ledger_line l ON l.entry_id = e.id
          LEFT JOIN ledger_account a ON a.id = l.account_id AND a.code = 'gateway:' || p.gateway
         WHERE p.state = 'captured' GROUP BY p.id HAVING coalesce(sum(l.fen) FILTER (WHERE a.id IS NOT NULL), 0)
               <> p.captured_fen""",
    "capture entries without a captured payment": """
        SELECT e.reference FROM ledger_entry e WHERE e.kind = 'capture' AND NOT EXISTS (
               SELECT FROM purchases_payment p
                WHERE e.reference = 'capture:' || p.reference AND p.state = 'captured')""",
    "certificates of orders that were never paid": """
        SELECT c.serial FROM purchases_certificate c JOIN purchases_order o ON o.id = c.order_id
         WHERE o.paid_at IS NULL""",
    "paid orders without a certificate": """
        SELECT o.number FROM purchases_order o WHERE o.state = 'paid'
           AND NOT EXISTS (SELECT FROM purchases_certificate c WHERE c.order_id = o.id)""",
    "payouts whose settled lines are not their amount": """
        SELECT p.out_no FROM payouts_payout p
          LEFT JOIN ledger_settlement s ON s.payout_reference = p.out_no
          LEFT JOIN ledger_line l ON l.id = s.line_id
          LEFT JOIN ledger_entry e ON e.id = l.entry_id
         GROUP BY p.id
        HAVING coalesce(-sum(l.fen) FILTER (WHERE e.reference <> 'payout:' || p.out_no), 0) <> p.fen
            OR coalesce(sum(l.fen), 1) <> 0""",
    "arrived payouts that are not in the ledger once": """
        SELECT p.out_no FROM payouts_payout p LEFT JOIN ledger_entry e ON e.reference = 'arrived:' || p.out_no
         WHERE (p.state IN ('succeeded', 'returned')) <> (e.id IS NOT NULL)""",
    "ended payouts whose money is not owed again": """
        SELECT p.out_no FROM payouts_payout p LEFT JOIN ledger_entry e ON e.reference = 'reversed:' || p.out_no
         WHERE (p.state IN ('failed', 'returned', 'cancelled')) <> (e.id IS NOT NULL)""",
    "payouts to an account that was not approved, or by whoever entered it": """
        SELECT p.out_no FROM payouts_payout p JOIN payouts_bankaccount b ON b.id = p.account_id
         WHERE b.household_id <> p.household_id OR b.approved_by_id IS NULL OR b.approved_by_id = b.entered_by_id
            OR b.usable_from > p.created_at""",
    "numbers sent to the bank with more than one content": """
        SELECT p.out_no FROM payouts_attempt t JOIN payouts_payout p ON p.id = t.payout_id
         GROUP BY p.out_no HAVING count(DISTINCT t.request_sha256) > 1""",
    "bank debits that are not the payout they name": """
        SELECT r.serial FROM payouts_statementrow r JOIN payouts_payout p ON p.id = r.payout_id
         WHERE r.kind = 'payout' AND (r.fen <> -p.fen OR p.state IN ('failed', 'cancelled'))""",
    "late captures without sinks and without a refund": """
        SELECT p.reference FROM purchases_payment p JOIN purchases_order o ON o.id = p.order_id
         WHERE p.state = 'captured' AND o.state = 'expired' AND p.captured_fen = o.total_fen
           AND p.captured_at < now() - interval '10 minutes'
           AND NOT EXISTS (SELECT FROM purchases_refund r WHERE r.payment_id = p.id)""",
}


@dataclass(frozen=True)
class Finding:
    """Something that should never be: the sentence, and up to ten of those it is true of."""

    sentence: str
    offenders: list[str]


def findings() -> Iterator[Finding]:
    """All that is wrong; nothing when all is well."""
    for sentence, query in CHECKS.items():
        offenders = _rows(query)
        if offenders:
            yield Finding(sentence, offenders)
    for model in apps.get_models():
        if issubclass(model, Stateful):
            offenders = _illegal_moves(model)
            if offenders:
                yield Finding(f"states of {model._meta.label_lower} changed outside its table", offenders)


def _illegal_moves(model: type[Stateful]) -> list[str]:
    """Moves that the table does not allow, and objects whose state is not where their last move led."""
    pairs = [f"{source}>{to}" for source, targets in model.MOVES.items() for to in targets]
    label, table = model._meta.label_lower, connection.ops.quote_name(model._meta.db_table)
    forbidden = (
        "SELECT object_id FROM carbonsink_statechange WHERE thing = %s AND from_state || '>' || to_state <> ALL(%s)"
    )
    strayed = f"""
        SELECT o.id FROM {table} o JOIN (
               SELECT DISTINCT ON (object_id) object_id, to_state FROM carbonsink_statechange
                WHERE thing = %s ORDER BY object_id, id DESC) c ON c.object_id = o.id
         WHERE o.state <> c.to_state"""  # noqa: S608
    return _rows(forbidden, [label, pairs]) + _rows(strayed, [label])


def _rows(query: str, params: list[Any] | None = None) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return [str(row[0]) for row in cursor.fetchmany(10)]
