
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


# What was said of a payout never changes, and what was agreed or withdrawn is final; nor does the number a row names.
GUARD = """
CREATE TRIGGER payouts_clarification_fixed
    BEFORE UPDATE OF kind, payout_id, row_id, why, proposed_by_id, proposed_at OR DELETE
    ON payouts_clarification FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
CREATE TRIGGER payouts_clarification_final BEFORE UPDATE ON payouts_clarification FOR EACH ROW
    WHEN (OLD.state <> 'proposed') EXECUTE FUNCTION carbonsink_refuse_change();
DROP TRIGGER payouts_statementrow_fixed ON payouts_statementrow;
CREATE TRIGGER payouts_statementrow_fixed
    BEFORE UPDATE OF bank, serial, booked_at, fen, remittance, bank_reference, named, kind, payout_id, entry_id
    OR DELETE ON payouts_statementrow FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('payouts', '0014_held_after_a_file'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Clarification',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('debit', "the row is this payout's debit"), ('return', "the row is this payout's return"), ('never_left', 'the money never left the account'), ('sponsor', "the row is the sponsor's")], max_length=10, verbose_name='kind')),
                ('why', models.CharField(max_length=200, verbose_name='how one knows')),
                ('state', models.CharField(choices=[('proposed', 'to be confirmed by somebody else'), ('agreed', 'agreed and booked'), ('withdrawn', 'not agreed')], default='proposed', max_length=9, verbose_name='state')),
                ('proposed_at', models.DateTimeField(auto_now_add=True, verbose_name='said at')),
                ('agreed_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('follow_up', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='clarified', to='payouts.payout')),
                ('payout', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='clarifications', to='payouts.payout')),
                ('proposed_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('row', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='clarifications', to='payouts.statementrow')),
            ],
            options={
                'verbose_name': 'clarification',
                'verbose_name_plural': 'clarifications',
                'constraints': [models.CheckConstraint(condition=models.Q(('why', ''), _negated=True), name='payouts_clarification_has_reason'), models.CheckConstraint(condition=models.Q(models.Q(('kind', 'never_left'), ('row__isnull', True)), models.Q(models.Q(('kind', 'never_left'), _negated=True), ('row__isnull', False)), _connector='OR'), name='payouts_clarification_of_a_row'), models.CheckConstraint(condition=models.Q(models.Q(('kind', 'sponsor'), ('payout__isnull', True)), models.Q(models.Q(('kind', 'sponsor'), _negated=True), ('payout__isnull', False)), _connector='OR'), name='payouts_clarification_of_a_payout'), models.CheckConstraint(condition=models.Q(models.Q(models.Q(('state', 'agreed'), _negated=True), ('agreed_by__isnull', True)), models.Q(('agreed_by__isnull', False), ('state', 'agreed'), models.Q(('agreed_by', models.F('proposed_by')), _negated=True)), _connector='OR'), name='payouts_clarification_two_people'), models.CheckConstraint(condition=models.Q(('follow_up__isnull', True), models.Q(('kind', 'debit'), ('state', 'agreed')), _connector='OR'), name='payouts_clarification_follow_up'), models.UniqueConstraint(condition=models.Q(('state', 'withdrawn'), _negated=True), fields=('row',), name='payouts_clarification_one_per_row'), models.UniqueConstraint(condition=models.Q(('state', 'withdrawn'), _negated=True), fields=('payout', 'kind'), name='payouts_clarification_once')],
            },
        ),
        migrations.AddField(
            model_name='statementrow',
            name='named',
            field=models.CharField(blank=True, db_default='', max_length=64, verbose_name='number named'),
        ),
        migrations.AddIndex(
            model_name='statementrow',
            index=models.Index(condition=models.Q(('kind', 'suspense')), fields=['booked_at'], name='payouts_statementrow_suspense'),
        ),
        migrations.AlterField(
            model_name='payout',
            name='held_for',
            field=models.CharField(blank=True, choices=[('', 'nothing'), ('over_limit', 'the amount is above the limit'), ('large_run', 'the whole run is above the limit'), ('flagged', 'the household is flagged'), ('after_file', 'a file said that the one before failed or came back')], default='', max_length=10, verbose_name='waits because'),
        ),
        migrations.RunSQL(GUARD, migrations.RunSQL.noop),
    ]
