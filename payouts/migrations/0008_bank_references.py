"""So that finance finds a payout by what its bank calls it."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('ledger', '0002_guards'),
        ('payouts', '0007_daily_statements'),
        ('trees', '0011_looked_at_imports'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='payout',
            index=models.Index(condition=models.Q(('bank_reference', ''), _negated=True), fields=['bank_reference'], name='payouts_payout_bank_reference'),
        ),
        migrations.AddIndex(
            model_name='statementrow',
            index=models.Index(fields=['serial'], name='payouts_statementrow_serial'),
        ),
        migrations.AddIndex(
            model_name='statementrow',
            index=models.Index(fields=['bank_reference'], name='payouts_statementrow_reference'),
        ),
    ]
