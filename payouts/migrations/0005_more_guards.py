"""What the tables of the way out refuse, whoever writes to them.

- Of a payout, its run, why it is held and how many must approve it never change; one that is held is approved once
  that many people have said so.
- Nobody approves a payout to an account they entered themselves, nor one that is not held. Approvals never change.
- Runs never change; of a file for a bank only its state and when it was handed over, of one from a bank nothing but
  the ciphertext.
"""

import django.db.models.deletion
from django.db import migrations, models

FORWARD = """
DROP TRIGGER payouts_payout_fixed ON payouts_payout;
CREATE TRIGGER payouts_payout_fixed BEFORE UPDATE OF run_id, household_id, account_id, bank, out_no, fen, created_at,
    held_for, approvals_needed OR DELETE
    ON payouts_payout FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
DROP TRIGGER payouts_attempt_fixed ON payouts_attempt;
CREATE TRIGGER payouts_attempt_fixed BEFORE UPDATE OF payout_id, request_sha256, batch_id, created_at OR DELETE
    ON payouts_attempt FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
CREATE TRIGGER payouts_statementrow_fixed
    BEFORE UPDATE OF bank, serial, booked_at, fen, remittance, bank_reference, kind, payout_id, entry_id OR DELETE
    ON payouts_statementrow FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();

CREATE FUNCTION payouts_check_approvals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM payouts_approval a WHERE a.payout_id = NEW.id) < NEW.approvals_needed THEN
        RAISE EXCEPTION 'payout % needs % approvals', NEW.out_no, NEW.approvals_needed
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER payouts_payout_approved_by_enough BEFORE UPDATE OF state ON payouts_payout FOR EACH ROW
    WHEN (NEW.state NOT IN ('prepared', 'held', 'cancelled') AND NEW.approvals_needed > 0)
    EXECUTE FUNCTION payouts_check_approvals();

CREATE FUNCTION payouts_check_approval() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM payouts_payout p JOIN payouts_bankaccount b ON b.id = p.account_id
         WHERE p.id = NEW.payout_id AND p.state = 'held' AND b.entered_by_id <> NEW.by_id
    ) THEN
        RAISE EXCEPTION 'user % cannot approve payout %', NEW.by_id, NEW.payout_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER payouts_approval_by_another BEFORE INSERT ON payouts_approval FOR EACH ROW
    EXECUTE FUNCTION payouts_check_approval();
CREATE TRIGGER payouts_approval_append_only BEFORE UPDATE OR DELETE ON payouts_approval FOR EACH ROW
    EXECUTE FUNCTION carbonsink_refuse_change();
CREATE TRIGGER payouts_run_append_only BEFORE UPDATE OR DELETE ON payouts_run FOR EACH ROW
    EXECUTE FUNCTION carbonsink_refuse_change();
CREATE TRIGGER payouts_batch_fixed
    BEFORE UPDATE OF bank, number, name, sha256, payouts, fen, created_at OR DELETE
    ON payouts_batch FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
CREATE TRIGGER payouts_bankreport_fixed
    BEFORE UPDATE OF bank, name, kind, sha256, reports, movements, read_at, read_by_id OR DELETE
    ON payouts_bankreport FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("payouts", "0004_runs_of_former_payouts")]
    operations = [
        migrations.AlterField(
            model_name="payout",
            name="run",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="paid", to="payouts.run"
            ),
        ),
        migrations.RunSQL(FORWARD, migrations.RunSQL.noop),
    ]
