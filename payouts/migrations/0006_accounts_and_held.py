"""An account version knows the mobile number that the household had when it was entered; those there are get today's.
Held payouts are found by their run."""

from django.db import migrations, models

import carbonsink.crypto

COPY = """
UPDATE payouts_bankaccount a SET phone = h.phone FROM trees_household h WHERE h.id = a.household_id;
ALTER TABLE payouts_bankaccount ALTER COLUMN phone SET NOT NULL;
"""


class Migration(migrations.Migration):
    dependencies = [("payouts", "0005_more_guards")]
    operations = [
        migrations.AddField("bankaccount", "phone", carbonsink.crypto.EncryptedField(null=True)),
        migrations.RunSQL(COPY, migrations.RunSQL.noop),
        migrations.AddIndex(
            "payout",
            models.Index(condition=models.Q(("state", "held")), fields=["run"], name="payouts_payout_held"),
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.AlterField("bankaccount", "phone", carbonsink.crypto.EncryptedField())]
        ),
    ]
