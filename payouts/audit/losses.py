"""Trees that have left, and what replaced them."""

from purchases.losses import LOST

CHECKS = {
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
}
