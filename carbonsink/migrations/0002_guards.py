"""The history of states is append-only."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION carbonsink_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: it is append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER carbonsink_statechange_append_only BEFORE UPDATE OR DELETE ON carbonsink_statechange
    FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
CREATE TRIGGER carbonsink_statechange_no_truncate BEFORE TRUNCATE ON carbonsink_statechange
    FOR EACH STATEMENT EXECUTE FUNCTION carbonsink_refuse_change();
"""
BACKWARD = """
DROP TRIGGER carbonsink_statechange_append_only ON carbonsink_statechange;
DROP TRIGGER carbonsink_statechange_no_truncate ON carbonsink_statechange;
DROP FUNCTION carbonsink_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("carbonsink", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
