"""A seal beside each day's tree. Days that are published already have none, and are audited leaf by leaf."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [('payouts', '0018_household_pages')]

    operations = [
        migrations.AddField("dailytree", "seal", models.CharField(blank=True, default="", max_length=64)),
        migrations.AddConstraint(
            "dailytree",
            models.CheckConstraint(
                condition=models.Q(("seal__regex", "^([0-9a-f]{64})?$")), name="payouts_dailytree_seal"
            ),
        ),
    ]
