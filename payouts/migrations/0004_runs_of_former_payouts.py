"""Payouts written before there were runs belong to one run for each bank and moment; those that wait for a person go on
waiting for one."""

from django.db import migrations

FORWARD = """
INSERT INTO payouts_run (kind, bank, at, minimum_fen, payouts, fen)
SELECT 'scheduled', bank, created_at, 1, count(*), sum(fen) FROM payouts_payout GROUP BY bank, created_at;
UPDATE payouts_payout p SET run_id = r.id FROM payouts_run r WHERE r.bank = p.bank AND r.at = p.created_at;
UPDATE payouts_payout SET held_for = 'over_limit', approvals_needed = 1 WHERE state = 'held';
INSERT INTO payouts_statementcursor (bank, after)
SELECT bank, max(serial::bigint)::text FROM payouts_statementrow GROUP BY bank;
"""


class Migration(migrations.Migration):
    dependencies = [("payouts", "0003_the_way_out")]
    operations = [migrations.RunSQL(FORWARD, migrations.RunSQL.noop)]
