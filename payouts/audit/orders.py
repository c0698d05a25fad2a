"""Orders, their sinks, the stock, and what is on sale."""

CHECKS = {
    "orders whose sinks are not as many as ordered": """
        SELECT o.number FROM purchases_order o
          LEFT JOIN (SELECT order_id, count(*) AS n FROM purchases_sink WHERE order_id IS NOT NULL GROUP BY 1
               ) s ON s.order_id = o.id
          LEFT JOIN (SELECT order_id, count(refund_id) AS n FROM purchases_sinkrelease GROUP BY 1
               ) r ON r.order_id = o.id
         WHERE o.state IN ('allocating', 'held', 'paid', 'partly_refunded', 'refunded')
           AND coalesce(s.n, 0) + coalesce(r.n, 0)
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
    "sinks on sale of trees that are not in the scheme": """
        SELECT s.id FROM purchases_sink s JOIN trees_tree t ON t.id = s.tree_id
         WHERE s.open AND s.order_id IS NULL AND t.state <> 'approved'""",
    "sinks on sale of years that no enrolment covers": """
        SELECT s.id FROM purchases_sink s JOIN trees_tree t ON t.id = s.tree_id
         WHERE s.open AND s.order_id IS NULL AND NOT EXISTS (
               SELECT FROM trees_enrolment e WHERE e.tree_id = s.tree_id AND e.revoked_at IS NULL
                  AND s.vintage BETWEEN e.first_vintage AND e.last_vintage)""",
}
