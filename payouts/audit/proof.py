"""Certificates, retirements and gifts: what a buyer can show."""

CHECKS = {
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
    "orders whose gifts are more trees than they had": """
        SELECT o.number FROM purchases_order o JOIN purchases_gift g ON g.order_id = o.id AND g.state <> 'cancelled'
         GROUP BY o.id HAVING sum(g.trees) > o.quantity""",
    "taken gifts whose certificate is another order's or another size": """
        SELECT g.id FROM purchases_gift g JOIN purchases_certificate c ON c.id = g.certificate_id
         WHERE g.state = 'taken' AND (c.order_id <> g.order_id OR c.trees <> g.trees)""",
}
