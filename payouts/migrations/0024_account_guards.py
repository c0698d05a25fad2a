"""What the table of accounts refuses besides, whoever writes to it.

- When a version was approved, by whom, and from when it may be used is said once, by its approval. Only putting it back
  in force says anew who approved it and when; never from when it may be used.
- A version begins waiting for approval.
"""

from django.db import migrations

FORWARD = """
CREATE FUNCTION payouts_refuse_beginning() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a row of % does not begin like this', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER payouts_bankaccount_begins BEFORE INSERT ON payouts_bankaccount FOR EACH ROW
    WHEN (NEW.state <> 'entered' OR NEW.approved_by_id IS NOT NULL OR NEW.approved_at IS NOT NULL
          OR NEW.usable_from IS NOT NULL)
    EXECUTE FUNCTION payouts_refuse_beginning();
CREATE TRIGGER payouts_bankaccount_approved_once BEFORE UPDATE ON payouts_bankaccount FOR EACH ROW
    WHEN ((OLD.usable_from, OLD.approved_at, OLD.approved_by_id)
              IS DISTINCT FROM (NEW.usable_from, NEW.approved_at, NEW.approved_by_id)
          AND NOT (OLD.state = 'entered' AND NEW.state = 'approved' AND OLD.usable_from IS NULL
                   AND NEW.usable_from >= NEW.approved_at)
          AND NOT (OLD.state IN ('bounced', 'superseded') AND NEW.state = 'approved'
                   AND OLD.usable_from = NEW.usable_from))
    EXECUTE FUNCTION carbonsink_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("payouts", "0023_check_digits")]
    operations = [migrations.RunSQL(FORWARD, migrations.RunSQL.noop)]
