"""What the market's tables refuse, whoever writes to them, when sold trees leave.

- A replacement names a sink that was released from the order and one that belongs to it, alike in vintage, price and
  kilograms; it never changes.
- A sink that was released after it was sold never goes on sale again, and a closed sink is given to no order.
- A refund's payment, number, amount and reason never change; a payment is never refunded with more than was captured:
  refunds of one payment wait for each other at its row, and count those before them.
"""

from django.db import migrations

FORWARD = """
CREATE FUNCTION purchases_check_replacement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM purchases_sink o
          JOIN purchases_sinkrelease r ON r.sink_id = o.id AND r.order_id = NEW.order_id AND r.refund_id IS NULL
          JOIN purchases_sink n ON n.id = NEW.new_sink_id AND n.order_id = NEW.order_id
               AND (n.vintage, n.price_fen, n.kg) = (o.vintage, o.price_fen, o.kg)
         WHERE o.id = NEW.old_sink_id AND o.order_id IS NULL
    ) THEN
        RAISE EXCEPTION 'sink % cannot stand in for sink % in order %', NEW.new_sink_id, NEW.old_sink_id, NEW.order_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER purchases_replacement_fits BEFORE INSERT ON purchases_replacement
    FOR EACH ROW EXECUTE FUNCTION purchases_check_replacement();
CREATE TRIGGER purchases_replacement_append_only BEFORE UPDATE OR DELETE ON purchases_replacement
    FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();

CREATE FUNCTION purchases_check_reopening() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM purchases_sinkrelease r WHERE r.sink_id = NEW.id) THEN
        RAISE EXCEPTION 'sink % was sold and released: it never goes on sale again', NEW.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER purchases_sink_stays_closed BEFORE UPDATE ON purchases_sink FOR EACH ROW
    WHEN (NEW.open AND (NOT OLD.open OR (OLD.certificate_id IS NOT NULL AND NEW.order_id IS NULL)))
    EXECUTE FUNCTION purchases_check_reopening();
CREATE FUNCTION purchases_refuse_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'sink % is not for sale', OLD.id USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER purchases_sink_closed_is_not_sold BEFORE UPDATE ON purchases_sink FOR EACH ROW
    WHEN (OLD.order_id IS NULL AND NEW.order_id IS NOT NULL AND NOT OLD.open)
    EXECUTE FUNCTION purchases_refuse_closed();

CREATE FUNCTION purchases_check_refund() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    captured bigint;
BEGIN
    SELECT p.captured_fen INTO captured FROM purchases_payment p WHERE p.id = NEW.payment_id FOR NO KEY UPDATE;
    IF NEW.fen + (SELECT coalesce(sum(r.fen), 0) FROM purchases_refund r WHERE r.payment_id = NEW.payment_id)
       > coalesce(captured, 0) THEN
        RAISE EXCEPTION 'refunds of payment % would be more than was captured', NEW.payment_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER purchases_refund_within_capture BEFORE INSERT ON purchases_refund
    FOR EACH ROW EXECUTE FUNCTION purchases_check_refund();
CREATE TRIGGER purchases_refund_fixed BEFORE UPDATE OF payment_id, number, fen, reason OR DELETE ON purchases_refund
    FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("purchases", "0004_replacements")]
    operations = [migrations.RunSQL(FORWARD, migrations.RunSQL.noop)]
