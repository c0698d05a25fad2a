"""A consent may carry what was signed on the officer's screen; like its text and time, that never changes. A tree has
one open report of its end at most."""

from django.db import migrations, models

GUARDS = """
DROP TRIGGER trees_consent_fixed ON trees_consent;
CREATE TRIGGER trees_consent_fixed
    BEFORE UPDATE OF household_id, text_id, signed_at, signature, signature_sha256 OR DELETE ON trees_consent
    FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
"""
BEFORE = """
DROP TRIGGER trees_consent_fixed ON trees_consent;
CREATE TRIGGER trees_consent_fixed BEFORE UPDATE OF household_id, text_id, signed_at OR DELETE ON trees_consent
    FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("trees", "0004_registry_guards")]
    operations = [
        migrations.AddField(
            "consent", "signature", models.CharField(blank=True, db_default="", editable=False, max_length=120)
        ),
        migrations.AddField(
            "consent", "signature_sha256", models.CharField(blank=True, db_default="", editable=False, max_length=64)
        ),
        migrations.AddConstraint(
            "consent",
            models.CheckConstraint(
                condition=models.Q(("signature", ""), ("signature_sha256", ""))
                | models.Q(
                    models.Q(("signature", ""), _negated=True), ("signature_sha256__regex", "^[0-9a-f]{64}$")
                ),
                name="trees_consent_signature_whole",
            ),
        ),
        migrations.RunSQL(GUARDS, BEFORE),
        migrations.AddConstraint(
            "inspection",
            models.UniqueConstraint(
                fields=["tree"], condition=models.Q(("state", "reported")), name="trees_inspection_one_open_report"
            ),
        ),
    ]
