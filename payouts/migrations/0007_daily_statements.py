"""The daily statement, its tree, and which entries it has published.

None of them ever changes: of a statement only the ciphertext of its secret may be renewed under a new key. An entry is
published with a statement that is being written, never added to one that stands.
"""

import django.db.models.deletion
from django.db import migrations, models

import carbonsink.crypto

FORWARD = """
CREATE TRIGGER payouts_dailystatement_fixed BEFORE UPDATE OF number, day, body, root, lines, signature, key_id,
    published_at OR DELETE ON payouts_dailystatement FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
CREATE TRIGGER payouts_dailytree_append_only BEFORE UPDATE OR DELETE ON payouts_dailytree
    FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
CREATE TRIGGER payouts_publishedentry_append_only BEFORE UPDATE OR DELETE ON payouts_publishedentry
    FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();

CREATE FUNCTION payouts_check_published() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM payouts_dailystatement d WHERE d.id IN (SELECT n.statement_id FROM new_entries n)) THEN
        RAISE EXCEPTION 'the statement is published: nothing is added to it'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER payouts_publishedentry_before_its_day AFTER INSERT ON payouts_publishedentry
    REFERENCING NEW TABLE AS new_entries FOR EACH STATEMENT EXECUTE FUNCTION payouts_check_published();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("ledger", "0002_guards"),
        ("payouts", "0006_accounts_and_held"),
    ]

    operations = [
        migrations.CreateModel(
            name="DailyStatement",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField(unique=True, verbose_name="number")),
                ("day", models.DateField(unique=True, verbose_name="day")),
                ("body", models.TextField(verbose_name="signed text")),
                ("root", models.CharField(max_length=64)),
                ("lines", models.PositiveIntegerField(verbose_name="lines")),
                ("signature", models.CharField(max_length=88)),
                ("key_id", models.CharField(max_length=16)),
                ("secret", carbonsink.crypto.EncryptedField()),
                ("published_at", models.DateTimeField(verbose_name="published at")),
            ],
            options={
                "verbose_name": "daily statement",
                "verbose_name_plural": "daily statements",
            },
        ),
        migrations.CreateModel(
            name="PublishedEntry",
            fields=[
                (
                    "entry",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="published",
                        serialize=False,
                        to="ledger.entry",
                    ),
                ),
            ],
            options={
                "verbose_name": "published entry",
                "verbose_name_plural": "published entries",
            },
        ),
        migrations.CreateModel(
            name="DailyTree",
            fields=[
                (
                    "statement",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="tree",
                        serialize=False,
                        to="payouts.dailystatement",
                    ),
                ),
                ("hashes", models.BinaryField()),
            ],
            options={
                "verbose_name": "tree of a daily statement",
                "verbose_name_plural": "trees of daily statements",
            },
        ),
        migrations.AddConstraint(
            model_name="dailystatement",
            constraint=models.CheckConstraint(
                condition=models.Q(("number__gt", 0)), name="payouts_dailystatement_number"
            ),
        ),
        migrations.AddConstraint(
            model_name="dailystatement",
            constraint=models.CheckConstraint(
                condition=models.Q(("root__regex", "^[0-9a-f]{64}$")), name="payouts_dailystatement_root"
            ),
        ),
        migrations.AddField(
            model_name="publishedentry",
            name="statement",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="entries",
                to="payouts.dailystatement",
            ),
        ),
        migrations.RunSQL(FORWARD, migrations.RunSQL.noop),
    ]
