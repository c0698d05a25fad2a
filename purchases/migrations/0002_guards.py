"""What the market's tables refuse, whoever writes to them.

- A sink that has an order never goes to another one; it must be let go of first.
- A sink's tree, vintage, household, price and kilograms never change.
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
CREATE TRIGGER purchases_sink_fixed BEFORE UPDATE ON purchases_sink FOR EACH ROW
    WHEN ((OLD.tree_id, OLD.vintage, OLD.household_id, OLD.price_fen, OLD.kg)
          IS DISTINCT FROM (NEW.tree_id, NEW.vintage, NEW.household_id, NEW.price_fen, NEW.kg))
    EXECUTE FUNCTION carbonsink_refuse_change();
CREATE TRIGGER purchases_sink_stays BEFORE DELETE ON purchases_sink
    FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
CREATE TRIGGER purchases_notification_append_only BEFORE UPDATE OR DELETE ON purchases_notification
    FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
CREATE TRIGGER purchases_sinkrelease_append_only BEFORE UPDATE OR DELETE ON purchases_sinkrelease
    FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();

-- A stock row is updated by each sale: room on its page keeps the update there.
ALTER TABLE purchases_stock SET (fillfactor = 50);
"""


class Migration(migrations.Migration):
    dependencies = [("purchases", "0001_initial"), ("carbonsink", "0002_guards")]
    operations = [migrations.RunSQL(FORWARD, migrations.RunSQL.noop)]
