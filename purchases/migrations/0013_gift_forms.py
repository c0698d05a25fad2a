"""Which form a gift was made by: the same form sent twice makes it once."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("purchases", "0012_receipts")]

    operations = [
        migrations.AddField("gift", "form_token", models.UUIDField(editable=False, null=True)),
        migrations.AddField("gift", "ordinal", models.PositiveSmallIntegerField(default=0, editable=False)),
        migrations.AddConstraint(
            "gift",
            models.UniqueConstraint(
                condition=models.Q(("form_token__isnull", False)),
                fields=("order", "form_token", "ordinal"),
                name="purchases_gift_form_once",
            ),
        ),
    ]
