"""What goes to a bank again under a payout's number is what went before: a trigger refuses another content."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION payouts_check_content() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM payouts_attempt t WHERE t.payout_id = NEW.payout_id AND t.request_sha256 <> NEW.request_sha256
    ) THEN
        RAISE EXCEPTION 'payout % went with another content before', NEW.payout_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER payouts_attempt_same_content BEFORE INSERT ON payouts_attempt FOR EACH ROW
    EXECUTE FUNCTION payouts_check_content();
"""


class Migration(migrations.Migration):
    dependencies = [('payouts', '0020_settled_files')]
    operations = [migrations.RunSQL(FORWARD, migrations.RunSQL.noop)]
