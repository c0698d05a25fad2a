"""A bank that takes its fee from the supervised account says so on a row of its own."""

from django.db import migrations, models

KINDS = [
    ("settlement", "settlement by a gateway"),
    ("sponsor", "paid in by the sponsor"),
    ("payout", "payout to a household"),
    ("return", "returned payout"),
    ("fee", "charged by the bank"),
    ("suspense", "to be explained"),
    ("information", "a row without an amount"),
]


class Migration(migrations.Migration):
    dependencies = [("payouts", "0010_reconciliation")]

    operations = [
        migrations.AlterField(
            "statementrow", "kind", models.CharField(choices=KINDS, max_length=11, verbose_name="kind")
        ),
    ]
