"""What is sold stays approved: an enrolment is not taken back while an order has a sink of its vintages."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION purchases_refuse_revocation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM purchases_sink s WHERE s.tree_id = NEW.tree_id AND s.order_id IS NOT NULL
           AND s.vintage BETWEEN NEW.first_vintage AND NEW.last_vintage
    ) THEN
        RAISE EXCEPTION 'tree % is sold: its approval cannot be taken back', NEW.tree_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER purchases_enrolment_not_sold BEFORE UPDATE OF revoked_at ON trees_enrolment
    FOR EACH ROW WHEN (NEW.revoked_at IS NOT NULL) EXECUTE FUNCTION purchases_refuse_revocation();
"""


class Migration(migrations.Migration):
    dependencies = [("purchases", "0002_guards"), ("trees", "0004_registry_guards")]
    operations = [migrations.RunSQL(FORWARD, migrations.RunSQL.noop)]
