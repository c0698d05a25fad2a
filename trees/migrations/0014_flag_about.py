"""A flag says what it is that two households share: each shared number has its own."""

from django.db import migrations, models

# What it is about never changes, either.
GUARD = """
DROP TRIGGER trees_flag_fixed ON trees_flag;
CREATE TRIGGER trees_flag_fixed BEFORE UPDATE OF kind, household_id, tree_id, other_tree_id, other_household_id, about,
        evidence, raised_at OR DELETE ON trees_flag
    FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("trees", "0013_household_pages")]
    operations = [
        migrations.AddField("flag", "about", models.CharField(blank=True, db_default="", max_length=40)),
        migrations.RemoveConstraint("flag", "trees_flag_once"),
        migrations.AddConstraint(
            "flag",
            models.UniqueConstraint(
                condition=models.Q(("settled_at__isnull", True)),
                fields=("kind", "household", "tree", "other_tree", "other_household", "about"),
                name="trees_flag_once",
                nulls_distinct=False,
            ),
        ),
        migrations.RunSQL(GUARD, migrations.RunSQL.noop),
    ]
