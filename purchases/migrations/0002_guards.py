"""What the market's tables refuse, whoever writes to them.

- A sink that has an order never goes to another one; it must be let go of first.
- A sink under a certificate is only let go of after a release has said why.
- A sink's tree, vintage, household, price and kilograms never change.
- A tariff keeps its price once its sinks are made: they carry it.
- Notifications and releases are append-only.
Conditions in WHEN cost next to nothing on rows they do not concern.
"""

from django.db import migrations

FORWARD = """
CREATE FUNCTION purchases_refuse_resale() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'sink % belongs to order % and cannot be given to order %', OLD.id, OLD.order_id, NEW.order_id
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER purchases_sink_sold_once BEFORE UPDATE ON purchases_sink FOR EACH ROW
    WHEN (OLD.order_id IS NOT NULL AND NEW.order_id IS NOT NULL AND NEW.order_id <> OLD.order_id)
    EXECUTE FUNCTION purchases_refuse_resale();
CREATE FUNCTION purchases_check_release() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM purchases_sinkrelease r WHERE r.sink_id = OLD.id AND r.order_id = OLD.order_id) THEN
        RAISE EXCEPTION 'sink % is sold: a release must say why it is taken from order %', OLD.id, OLD.order_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER purchases_sink_released BEFORE UPDATE ON purchases_sink FOR EACH ROW
    WHEN (OLD.certificate_id IS NOT NULL AND NEW.order_id IS DISTINCT FROM OLD.order_id)
    EXECUTE FUNCTION purchases_check_release();
CREATE TRIGGER purchases_sink_fixed BEFORE UPDATE ON purchases_sink FOR EACH ROW
    WHEN ((OLD.tree_id, OLD.vintage, OLD.household_id, OLD.price_fen, OLD.kg)
          IS DISTINCT FROM (NEW.tree_id, NEW.vintage, NEW.household_id, NEW.price_fen, NEW.kg))
    EXECUTE FUNCTION carbonsink_refuse_change();
CREATE TRIGGER purchases_sink_stays BEFORE DELETE ON purchases_sink
    FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
CREATE TRIGGER purchases_tariff_fixed BEFORE UPDATE ON purchases_tariff FOR EACH ROW
    WHEN (OLD.opened_at IS NOT NULL AND (OLD.vintage, OLD.price_fen, OLD.sink_kg)
          IS DISTINCT FROM (NEW.vintage, NEW.price_fen, NEW.sink_kg))
    EXECUTE FUNCTION carbonsink_refuse_change();
CREATE TRIGGER purchases_notification_append_only BEFORE UPDATE OR DELETE ON purchases_notification
    FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
CREATE TRIGGER purchases_sinkrelease_append_only BEFORE UPDATE OR DELETE ON purchases_sinkrelease
    FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();

CREATE TRIGGER purchases_notification_no_truncate BEFORE TRUNCATE ON purchases_notification
    FOR EACH STATEMENT EXECUTE FUNCTION carbonsink_refuse_change();

-- A stock row is updated by each sale: room on its page keeps the update there.
ALTER TABLE purchases_stock SET (fillfactor = 50);
"""


class Migration(migrations.Migration):
    dependencies = [("purchases", "0001_initial"), ("carbonsink", "0002_guards")]
    operations = [migrations.RunSQL(FORWARD, migrations.RunSQL.noop)]
