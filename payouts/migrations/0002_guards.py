"""What the tables of the way out refuse, whoever writes to them.

- Of a payout, only state, bank reference and time of completion ever change; of an attempt, only its state.
- Of an account version, who it is, its number and who entered it never change. Ciphertext may be renewed under a new
  key (`rotate_keys`); the digests may change with it only.
- Of a statement row, nothing changes but the ciphertext.
"""

from django.db import migrations

FORWARD = """
CREATE TRIGGER payouts_payout_fixed BEFORE UPDATE OF household_id, account_id, bank, out_no, fen, created_at OR DELETE
    ON payouts_payout FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
CREATE TRIGGER payouts_attempt_fixed BEFORE UPDATE OF payout_id, request_sha256, created_at OR DELETE
    ON payouts_attempt FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
CREATE TRIGGER payouts_bankaccount_fixed
    BEFORE UPDATE OF household_id, version, bank_name, bank_code, entered_by_id, entered_at OR DELETE
    ON payouts_bankaccount FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
CREATE TRIGGER payouts_bankaccount_number_fixed BEFORE UPDATE ON payouts_bankaccount FOR EACH ROW
    WHEN (split_part(OLD.number_digest, ':', 1) = split_part(NEW.number_digest, ':', 1)
          AND (OLD.number_digest, OLD.holder_digest) IS DISTINCT FROM (NEW.number_digest, NEW.holder_digest))
    EXECUTE FUNCTION carbonsink_refuse_change();
CREATE TRIGGER payouts_statementrow_fixed
    BEFORE UPDATE OF bank, serial, booked_at, fen, remittance, bank_reference, kind, payout_id, entry_id OR DELETE
    ON payouts_statementrow FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("payouts", "0001_initial"), ("carbonsink", "0002_guards")]
    operations = [migrations.RunSQL(FORWARD, migrations.RunSQL.noop)]
