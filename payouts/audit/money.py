"""Money from buyers: captures, refunds, bank transfers, and what is in suspense."""

CHECKS = {
    "captures that are not in the ledger with their amount": """
        SELECT p.reference FROM purchases_payment p
          LEFT JOIN (
               SELECT e.reference, a.code, sum(l.fen) AS fen FROM ledger_account a
                 JOIN ledger_line l ON l.account_id = a.id JOIN ledger_entry e ON e.id = l.entry_id
                WHERE a.kind <> 'household' GROUP BY 1, 2
               ) b ON b.reference = 'capture:' || p.reference AND b.code = 'gateway:' || p.gateway
         WHERE p.state = 'captured' AND coalesce(b.fen, 0) <> p.captured_fen""",
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
        WITH booked AS (
               SELECT e.reference, -sum(l.fen) AS fen FROM ledger_account a
                 JOIN ledger_line l ON l.account_id = a.id JOIN ledger_entry e ON e.id = l.entry_id
                WHERE a.kind = 'refunds' GROUP BY 1
        ), named AS (
               SELECT id, 'capture:' || reference AS of FROM purchases_payment
               UNION ALL SELECT id, 'sendback:' || reference FROM purchases_payment
               UNION ALL SELECT payment_id, 'giveback:' || number || suffix FROM purchases_refund
               CROSS JOIN (VALUES (''), (':stand-in')) v(suffix) WHERE reason IN ('gone', 'asked'))
        SELECT p.reference FROM purchases_payment p
          LEFT JOIN (SELECT payment_id, sum(fen) AS fen FROM purchases_refund GROUP BY 1) r ON r.payment_id = p.id
          LEFT JOIN (SELECT n.id, sum(b.fen) AS fen FROM booked b JOIN named n ON n.of = b.reference GROUP BY 1
               ) b ON b.id = p.id
         WHERE coalesce(b.fen, 0) <> coalesce(r.fen, 0)""",
    "refunds that are not in the ledger once they have arrived": """
        SELECT r.number FROM purchases_refund r LEFT JOIN ledger_entry e ON e.reference = 'refund:' || r.number
         WHERE (r.state = 'succeeded') <> (e.id IS NOT NULL)""",
    "money owed back to buyers that is not that of open refunds and returning transfers": """
        SELECT a.code FROM ledger_account a
         WHERE a.kind = 'refunds'
           AND (SELECT coalesce(-sum(l.fen), 0) FROM ledger_line l WHERE l.account_id = a.id)
            <> (SELECT coalesce(sum(r.fen), 0) FROM purchases_refund r WHERE r.state <> 'succeeded')
             + (SELECT coalesce(sum(t.fen), 0) FROM purchases_transfer t WHERE t.state = 'going_back')
             + (SELECT coalesce(sum(y.fen), 0) FROM purchases_stray y
                 WHERE y.state IN ('going_back', 'sending', 'unknown', 'failed', 'by_hand'))""",
    "captures without an order that are not in the ledger once, or were used without two people": """
        SELECT y.gateway || ':' || y.transaction_id FROM purchases_stray y
          LEFT JOIN ledger_entry c ON c.reference = 'stray:' || y.gateway || ':' || y.transaction_id
          LEFT JOIN ledger_line l ON l.entry_id = c.id AND l.account_id = (
                    SELECT id FROM ledger_account WHERE code = 'suspense')
          LEFT JOIN ledger_entry u ON u.reference = 'stray-used:' || y.id
          LEFT JOIN ledger_line ul ON ul.entry_id = u.id AND ul.account_id = l.account_id
          LEFT JOIN ledger_entry s ON s.reference = 'stray-sent:' || y.id
          LEFT JOIN purchases_payment p ON p.id = y.payment_id
         WHERE coalesce(-l.fen, 0) <> y.fen OR (y.state IN ('waiting', 'proposed')) <> (u.id IS NULL)
            OR coalesce(ul.fen, y.fen) <> y.fen OR (y.state = 'sent_back') <> (s.id IS NOT NULL)
            OR (u.id IS NOT NULL AND (y.agreed_by_id IS NULL OR y.agreed_by_id = y.proposed_by_id))
            OR (p.id IS NOT NULL AND (p.transaction_id, p.captured_fen) IS DISTINCT FROM (y.transaction_id, y.fen))""",
    "ledger entries of captures without an order that nobody can answer": """
        SELECT e.reference FROM ledger_entry e WHERE e.kind IN ('stray', 'stray-used', 'stray-sent') AND NOT EXISTS (
               SELECT FROM purchases_stray y
                WHERE e.reference IN ('stray:' || y.gateway || ':' || y.transaction_id,
                                      'stray-used:' || y.id, 'stray-sent:' || y.id))""",
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
    "late captures without sinks and without a refund": """
        SELECT p.reference FROM purchases_payment p JOIN purchases_order o ON o.id = p.order_id
         WHERE p.state = 'captured' AND o.state IN ('expired', 'cancelled') AND p.captured_fen = o.total_fen
           AND p.captured_at < now() - interval '10 minutes'
           AND NOT EXISTS (SELECT FROM purchases_refund r WHERE r.payment_id = p.id)""",
    "payments refunded with more than was captured": """
        SELECT p.reference FROM purchases_payment p JOIN purchases_refund r ON r.payment_id = p.id
         GROUP BY p.id HAVING sum(r.fen) > coalesce(p.captured_fen, 0)""",
}
