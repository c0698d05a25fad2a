"""What is always true (design: invariants), as queries that find what breaks it. None of them changes anything."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import connection

from carbonsink.states import Stateful
from purchases.losses import LOST

# {sentence: query whose rows are the offenders}
CHECKS = {
    "orders whose sinks are not as many as ordered": """
        SELECT o.number FROM purchases_order o LEFT JOIN purchases_sink s ON s.order_id = o.id
         WHERE o.state IN ('allocating', 'held', 'paid', 'partly_refunded', 'refunded') GROUP BY o.id
        HAVING count(s.id) + (SELECT count(r.refund_id) FROM purchases_sinkrelease r WHERE r.order_id = o.id)
               <> CASE o.state WHEN 'allocating' THEN o.allocated ELSE o.quantity END""",
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
    "paid orders whose households are not owed their price": """
        SELECT o.number FROM purchases_order o
          LEFT JOIN purchases_payment p ON p.order_id = o.id
          LEFT JOIN ledger_entry e ON e.reference = 'capture:' || p.reference
          LEFT JOIN ledger_line l ON l.entry_id = e.id
               AND EXISTS (SELECT FROM ledger_account a WHERE a.id = l.account_id AND a.kind = 'household')
         WHERE o.state IN ('paid', 'partly_refunded', 'refunded')
         GROUP BY o.id HAVING coalesce(-sum(l.fen), 0) <> o.total_fen""",
    "captures owed back to buyers that are not their refunds": """
        SELECT p.reference FROM purchases_payment p
          LEFT JOIN (SELECT payment_id, sum(fen) AS fen FROM purchases_refund GROUP BY 1) r ON r.payment_id = p.id
          LEFT JOIN (SELECT id, 'capture:' || reference AS of FROM purchases_payment
                     UNION ALL SELECT id, 'sendback:' || reference FROM purchases_payment
                     UNION ALL SELECT payment_id, 'giveback:' || number || suffix FROM purchases_refund
                     CROSS JOIN (VALUES (''), (':stand-in')) v(suffix) WHERE reason IN ('gone', 'asked')
               ) w ON w.id = p.id
          LEFT JOIN ledger_entry e ON e.reference = w.of
          LEFT JOIN ledger_line l ON l.entry_id = e.id
               AND EXISTS (SELECT FROM ledger_account a WHERE a.id = l.account_id AND a.kind = 'refunds')
         GROUP BY p.id, r.fen HAVING coalesce(-sum(l.fen), 0) <> coalesce(r.fen, 0)""",
    "refunds that are not in the ledger once they have arrived": """
        SELECT r.number FROM purchases_refund r LEFT JOIN ledger_entry e ON e.reference = 'refund:' || r.number
         WHERE (r.state = 'succeeded') <> (e.id IS NOT NULL)""",
    "money owed back to buyers that is not that of open refunds and returning transfers": """
        SELECT a.code FROM ledger_account a
         WHERE a.kind = 'refunds'
           AND (SELECT coalesce(-sum(l.fen), 0) FROM ledger_line l WHERE l.account_id = a.id)
            <> (SELECT coalesce(sum(r.fen), 0) FROM purchases_refund r WHERE r.state <> 'succeeded')
             + (SELECT coalesce(sum(t.fen), 0) FROM purchases_transfer t WHERE t.state = 'going_back')""",
    "valid certificates that do not cover their trees": """
        SELECT c.serial FROM purchases_certificate c LEFT JOIN purchases_sink s ON s.certificate_id = c.id
         WHERE c.state IN ('valid', 'retired') GROUP BY c.id
        HAVING count(s.id) <> c.trees OR count(s.id) FILTER (WHERE s.order_id <> c.order_id) > 0""",
    "orders whose certificates cover more or fewer trees than they have": """
        SELECT o.number FROM purchases_order o
          LEFT JOIN (SELECT order_id, sum(trees) AS n FROM purchases_certificate
                      WHERE state IN ('valid', 'retired') GROUP BY 1) c ON c.order_id = o.id
          LEFT JOIN (SELECT order_id, count(*) AS n FROM purchases_sink WHERE order_id IS NOT NULL GROUP BY 1
               ) s ON s.order_id = o.id
         WHERE o.paid_at IS NOT NULL AND coalesce(c.n, 0) <> coalesce(s.n, 0)""",
    "retired certificates without a retirement, or retirements of others": """
        SELECT c.serial FROM purchases_certificate c LEFT JOIN purchases_retirement r ON r.certificate_id = c.id
         WHERE CASE WHEN r.id IS NULL THEN c.state = 'retired' ELSE c.state IN ('valid', 'transferred') END""",
    "sinks that serve again after they were retired": """
        WITH RECURSIVE kin AS (
               SELECT certificate_id AS id FROM purchases_retirement
               UNION SELECT c.id FROM purchases_certificate c JOIN kin ON kin.id = c.parent_id)
        SELECT s.id FROM purchases_sink s JOIN kin ON kin.id = s.certificate_id
          JOIN purchases_certificate c ON c.id = kin.id WHERE c.state <> 'retired'""",
    "certificates of orders that were never paid": """
        SELECT c.serial FROM purchases_certificate c JOIN purchases_order o ON o.id = c.order_id
         WHERE o.paid_at IS NULL""",
    "paid orders without a certificate": """
        SELECT o.number FROM purchases_order o WHERE o.state IN ('paid', 'partly_refunded') AND NOT EXISTS (
               SELECT FROM purchases_certificate c
                WHERE c.order_id = o.id AND c.state NOT IN ('replaced', 'revoked'))""",
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
    "runs that are not the sum of their payouts": """
        SELECT r.id FROM payouts_run r LEFT JOIN payouts_payout p ON p.run_id = r.id
         GROUP BY r.id HAVING count(p.id) <> r.payouts OR coalesce(sum(p.fen), 0) <> r.fen""",
    "payouts that went with fewer approvals than they need": """
        SELECT p.out_no FROM payouts_payout p LEFT JOIN payouts_approval a ON a.payout_id = p.id
         WHERE p.approvals_needed > 0 AND p.state NOT IN ('prepared', 'held', 'cancelled')
         GROUP BY p.id HAVING count(a.id) < p.approvals_needed""",
    "approvals of a payout by whoever entered its account": """
        SELECT a.id FROM payouts_approval a JOIN payouts_payout p ON p.id = a.payout_id
          JOIN payouts_bankaccount b ON b.id = p.account_id WHERE b.entered_by_id = a.by_id""",
    "numbers sent to the bank with more than one content": """
        SELECT p.out_no FROM payouts_attempt t JOIN payouts_payout p ON p.id = t.payout_id
         GROUP BY p.out_no HAVING count(DISTINCT t.request_sha256) > 1""",
    "bank debits that are not the payout they name": """
        SELECT r.serial FROM payouts_statementrow r JOIN payouts_payout p ON p.id = r.payout_id
         WHERE r.kind = 'payout' AND (r.fen <> -p.fen OR p.state IN ('failed', 'cancelled'))""",
    "statement rows that are not in the ledger": """
        SELECT r.serial FROM payouts_statementrow r
         WHERE r.kind NOT IN ('payout', 'information') AND r.entry_id IS NULL""",
    "supervised accounts whose balance is not the bank's statement": """
        SELECT b.bank FROM (SELECT bank FROM payouts_statementrow UNION SELECT bank FROM payouts_payout) b
         WHERE (SELECT coalesce(sum(l.fen), 0) FROM ledger_line l JOIN ledger_account a ON a.id = l.account_id
                 WHERE a.code = 'escrow:' || b.bank)
            <> (SELECT coalesce(sum(r.fen), 0) FROM payouts_statementrow r WHERE r.bank = b.bank)
             - (SELECT coalesce(sum(p.fen), 0) FROM payouts_payout p
                 WHERE p.bank = b.bank AND p.state IN ('succeeded', 'returned') AND NOT EXISTS (
                       SELECT FROM payouts_statementrow r WHERE r.payout_id = p.id AND r.kind = 'payout'))""",
    "payouts that succeeded more than a day ago and are on no statement": """
        SELECT p.out_no FROM payouts_payout p
         WHERE p.state IN ('succeeded', 'returned') AND p.completed_at < now() - interval '1 day' AND NOT EXISTS (
               SELECT FROM payouts_statementrow r WHERE r.payout_id = p.id AND r.kind = 'payout')""",
    "money that nobody has explained": """
        SELECT a.code FROM ledger_account a JOIN ledger_line l ON l.account_id = a.id
         WHERE a.kind = 'suspense' AND a.code <> 'suspense:transfers' GROUP BY a.id HAVING sum(l.fen) <> 0""",
    "bank transfers that are not in the ledger once, or were used without an answer": """
        SELECT t.bank || ':' || t.serial FROM purchases_transfer t
          LEFT JOIN ledger_entry c ON c.reference = 'transfer:' || t.bank || ':' || t.serial
          LEFT JOIN ledger_line cl ON cl.entry_id = c.id AND cl.account_id = (
                    SELECT id FROM ledger_account WHERE code = 'suspense:transfers')
          LEFT JOIN ledger_entry u ON u.reference = 'transfer-used:' || t.bank || ':' || t.serial
          LEFT JOIN ledger_line ul ON ul.entry_id = u.id AND ul.account_id = cl.account_id
          LEFT JOIN ledger_entry s ON s.reference = 'transfer-sent:' || t.bank || ':' || t.serial
         WHERE coalesce(-cl.fen, 0) <> t.fen OR (t.state = 'waiting') <> (u.id IS NULL)
            OR coalesce(ul.fen, t.fen) <> t.fen OR (t.state = 'sent_back') <> (s.id IS NOT NULL)""",
    "transfers' money in suspense that is not that of the waiting ones": """
        SELECT a.code FROM ledger_account a
         WHERE a.code = 'suspense:transfers'
           AND (SELECT coalesce(-sum(l.fen), 0) FROM ledger_line l WHERE l.account_id = a.id)
            <> (SELECT coalesce(sum(t.fen), 0) FROM purchases_transfer t WHERE t.state = 'waiting')""",
    "paid transfers that are not together their payment and what went back of it": """
        SELECT p.reference FROM purchases_payment p JOIN purchases_transfer t ON t.payment_id = p.id
          LEFT JOIN purchases_refund r ON r.id = t.refund_id
         GROUP BY p.id HAVING sum(t.fen) <> p.captured_fen + coalesce(sum(r.fen), 0) OR p.state <> 'captured'""",
    "captured bank transfers that no bank told of": """
        SELECT p.reference FROM purchases_payment p
         WHERE p.gateway = 'transfer' AND p.state = 'captured'
           AND NOT EXISTS (SELECT FROM purchases_transfer t WHERE t.payment_id = p.id)
           AND NOT EXISTS (SELECT FROM purchases_refund r JOIN purchases_transfer t ON t.refund_id = r.id
                            WHERE r.payment_id = p.id)""",
    "refunds by hand that nobody else has confirmed": """
        SELECT r.number FROM purchases_refund r LEFT JOIN purchases_byhand h ON h.refund_id = r.id
               AND h.state = 'confirmed'
          JOIN purchases_payment p ON p.id = r.payment_id
         WHERE (r.state = 'succeeded' AND p.gateway = 'transfer' AND h.id IS NULL)
            OR (h.id IS NOT NULL AND (r.state <> 'succeeded' OR h.confirmed_by_id = h.noted_by_id))""",
    "sinks on sale of trees that are not in the scheme": """
        SELECT s.id FROM purchases_sink s JOIN trees_tree t ON t.id = s.tree_id
         WHERE s.open AND s.order_id IS NULL AND t.state <> 'approved'""",
    "sinks on sale of years that no enrolment covers": """
        SELECT s.id FROM purchases_sink s JOIN trees_tree t ON t.id = s.tree_id
         WHERE s.open AND s.order_id IS NULL AND NOT EXISTS (
               SELECT FROM trees_enrolment e WHERE e.tree_id = s.tree_id AND e.revoked_at IS NULL
                  AND s.vintage BETWEEN e.first_vintage AND e.last_vintage)""",
    "guards that are missing or switched off": """
        SELECT t.wanted FROM (VALUES ('purchases_sink_sold_once'), ('purchases_sink_released'),
            ('purchases_sink_fixed'), ('purchases_sink_stays'),
            ('purchases_sink_stays_closed'), ('purchases_sink_closed_is_not_sold'), ('purchases_replacement_fits'),
            ('purchases_replacement_append_only'), ('purchases_refund_within_capture'), ('purchases_refund_fixed'),
            ('purchases_tariff_fixed'), ('purchases_notification_append_only'), ('purchases_sinkrelease_append_only'),
            ('purchases_certificate_fixed'), ('purchases_retirement_append_only'), ('purchases_transfer_fixed'),
            ('purchases_voucher_append_only'), ('purchases_sink_succession'), ('purchases_certificate_stays_ended'),
            ('purchases_retirement_of_retired'), ('purchases_certificate_retired_says_why'),
            ('purchases_byhand_fixed'),
            ('payouts_payout_fixed'), ('payouts_attempt_fixed'), ('payouts_bankaccount_fixed'),
            ('payouts_bankaccount_number_fixed'), ('payouts_statementrow_fixed'),
            ('payouts_payout_approved_by_enough'), ('payouts_approval_by_another'), ('payouts_approval_append_only'),
            ('payouts_run_append_only'), ('payouts_batch_fixed'), ('payouts_bankreport_fixed'),
            ('carbonsink_statechange_append_only')) t(wanted)
         WHERE NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgname = t.wanted AND g.tgenabled IN ('O', 'A'))""",
    "late captures without sinks and without a refund": """
        SELECT p.reference FROM purchases_payment p JOIN purchases_order o ON o.id = p.order_id
         WHERE p.state = 'captured' AND o.state IN ('expired', 'cancelled') AND p.captured_fen = o.total_fen
           AND p.captured_at < now() - interval '10 minutes'
           AND NOT EXISTS (SELECT FROM purchases_refund r WHERE r.payment_id = p.id)""",
    "sold sinks of trees that have left, neither replaced nor refunded": f"""
        SELECT s.id {LOST} AND o.paid_at < now() - interval '10 minutes'
           AND l.left_at < now() - interval '10 minutes'""",
    "released sinks that were neither replaced nor refunded, or both": """
        SELECT r.id FROM purchases_sinkrelease r LEFT JOIN purchases_replacement p ON p.old_sink_id = r.sink_id
         WHERE CASE r.kind WHEN 'lost' THEN (p.id IS NULL) = (r.refund_id IS NULL) ELSE r.refund_id IS NULL END""",
    "released sinks that are sold or for sale again": """
        SELECT s.id FROM purchases_sink s JOIN purchases_sinkrelease r ON r.sink_id = s.id AND r.kind = 'lost'
         WHERE s.open OR s.order_id IS NOT NULL""",
    "replacements of another order, vintage or price": """
        SELECT p.id FROM purchases_replacement p
          JOIN purchases_sink o ON o.id = p.old_sink_id JOIN purchases_sink n ON n.id = p.new_sink_id
          LEFT JOIN purchases_sinkrelease r ON r.sink_id = o.id AND r.kind = 'lost'
         WHERE (o.vintage, o.price_fen, o.kg) <> (n.vintage, n.price_fen, n.kg)
            OR r.order_id IS DISTINCT FROM p.order_id
            OR (n.order_id IS DISTINCT FROM p.order_id AND NOT EXISTS (
                SELECT FROM purchases_sinkrelease later WHERE later.sink_id = n.id AND later.order_id = p.order_id))""",
    "replacements by another household that the sponsor has not paid": """
        SELECT p.id FROM purchases_replacement p
          JOIN purchases_sink o ON o.id = p.old_sink_id JOIN purchases_sink n ON n.id = p.new_sink_id
          LEFT JOIN ledger_entry e ON e.reference = 'replacement:' || o.id
          LEFT JOIN ledger_line l ON l.entry_id = e.id LEFT JOIN ledger_account a ON a.id = l.account_id
         GROUP BY p.id, o.household_id, n.household_id, n.price_fen
        HAVING coalesce(sum(l.fen) FILTER (WHERE a.code = 'sponsor'), 0)
               <> CASE WHEN o.household_id = n.household_id THEN 0 ELSE n.price_fen END
            OR coalesce(-sum(l.fen) FILTER (WHERE a.owner = n.household_id), 0)
               <> CASE WHEN o.household_id = n.household_id THEN 0 ELSE n.price_fen END""",
    "replacement entries without a replacement": """
        SELECT e.reference FROM ledger_entry e WHERE e.kind = 'replacement' AND NOT EXISTS (
               SELECT FROM purchases_replacement p WHERE e.reference = 'replacement:' || p.old_sink_id)""",
    "refunds for trees that are not the price of their sinks": """
        SELECT f.number FROM purchases_refund f JOIN purchases_payment p ON p.id = f.payment_id
          LEFT JOIN purchases_sinkrelease r ON r.refund_id = f.id AND r.order_id = p.order_id
               AND f.reason = CASE r.kind WHEN 'lost' THEN 'gone' ELSE 'asked' END
          LEFT JOIN purchases_sink s ON s.id = r.sink_id
         WHERE f.reason IN ('gone', 'asked') OR EXISTS (
               SELECT FROM purchases_sinkrelease x WHERE x.refund_id = f.id)
         GROUP BY f.id HAVING coalesce(sum(s.price_fen), 0) <> f.fen""",
    "orders whose gifts are more trees than they had": """
        SELECT o.number FROM purchases_order o JOIN purchases_gift g ON g.order_id = o.id AND g.state <> 'cancelled'
         GROUP BY o.id HAVING sum(g.trees) > o.quantity""",
    "taken gifts whose certificate is another order's or another size": """
        SELECT g.id FROM purchases_gift g JOIN purchases_certificate c ON c.id = g.certificate_id
         WHERE g.state = 'taken' AND (c.order_id <> g.order_id OR c.trees <> g.trees)""",
    "payments refunded with more than was captured": """
        SELECT p.reference FROM purchases_payment p JOIN purchases_refund r ON r.payment_id = p.id
         GROUP BY p.id HAVING sum(r.fen) > coalesce(p.captured_fen, 0)""",
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
    """Moves that the table does not allow, and objects whose state is not where their last move (or none) led."""
    pairs = [f"{source}>{to}" for source, targets in model.MOVES.items() for to in targets]
    label, table = model._meta.label_lower, connection.ops.quote_name(model._meta.db_table)
    forbidden = (
        "SELECT object_id FROM carbonsink_statechange WHERE thing = %s AND from_state || '>' || to_state <> ALL(%s)"
    )
    strayed = f"""
        SELECT o.id FROM {table} o LEFT JOIN (
               SELECT DISTINCT ON (object_id) object_id, to_state FROM carbonsink_statechange
                WHERE thing = %s ORDER BY object_id, id DESC) c ON c.object_id = o.id
         WHERE o.state <> ALL(CASE WHEN c.to_state IS NULL THEN %s ELSE ARRAY[c.to_state]::text[] END)"""  # noqa: S608
    return _rows(forbidden, [label, pairs]) + _rows(strayed, [label, _first_states(model)])


def _first_states(model: type[Stateful]) -> list[str]:
    """The states an object can begin in: the default one, and all that no move leads to."""
    field = model._meta.get_field("state")  # type: ignore[misc]
    default = [field.get_default()] if field.has_default() else []  # type: ignore[union-attr]
    reached = set().union(*model.MOVES.values())
    return default + [state for state in model.State.values if state not in reached]  # type: ignore[attr-defined]


def _rows(query: str, params: list[Any] | None = None) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return [str(row[0]) for row in cursor.fetchmany(10)]
