"""A payout begins prepared, sent nowhere yet, and to an account of its own household: by one look at all that a
statement writes, since a run writes thousands."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION payouts_check_beginnings() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    number text;
BEGIN
    SELECT n.out_no INTO number
      FROM begun n LEFT JOIN payouts_bankaccount b ON b.id = n.account_id AND b.household_id = n.household_id
     WHERE b.id IS NULL OR n.state <> 'prepared' OR n.completed_at IS NOT NULL OR n.bank_reference <> '' LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'payout % does not begin like this', number USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER payouts_payout_begins AFTER INSERT ON payouts_payout REFERENCING NEW TABLE AS begun
    FOR EACH STATEMENT EXECUTE FUNCTION payouts_check_beginnings();
"""


class Migration(migrations.Migration):
    dependencies = [("payouts", "0024_account_guards")]
    operations = [migrations.RunSQL(FORWARD, migrations.RunSQL.noop)]
