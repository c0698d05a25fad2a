"""A version says whether its card's check digit fits; where it does not, the officer has confirmed the number."""

from django.db import migrations, models

# Until now a card was refused then.
GUARD = """
DROP TRIGGER payouts_bankaccount_fixed ON payouts_bankaccount;
CREATE TRIGGER payouts_bankaccount_fixed
    BEFORE UPDATE OF household_id, version, check_digit_fits, entered_by_id, entered_at OR DELETE
    ON payouts_bankaccount FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [('payouts', '0022_encrypted_banks')]
    operations = [
        migrations.AddField(
            "bankaccount",
            "check_digit_fits",
            models.BooleanField(db_default=True, default=True, editable=False, verbose_name="check digit fits"),
        ),
        migrations.RunSQL(GUARD, migrations.RunSQL.noop),
    ]
