"""What finance does by hand: money sent at the bank, and trees that their buyers give back.

A sink that its buyer gave back may be sold again; one that was lost with its tree never.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

GUARDS = """
-- A release that is older than the certificate belongs to an earlier time at which the order had the sink.
CREATE OR REPLACE FUNCTION purchases_check_release() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM purchases_sinkrelease r JOIN purchases_certificate c ON c.id = OLD.certificate_id
         WHERE r.sink_id = OLD.id AND r.order_id = OLD.order_id AND r.at >= c.issued_at
    ) THEN
        RAISE EXCEPTION 'sink % is sold: a release must say why it is taken from order %', OLD.id, OLD.order_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE FUNCTION purchases_check_reopening() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM purchases_sinkrelease r WHERE r.sink_id = NEW.id AND r.kind = 'lost') THEN
        RAISE EXCEPTION 'sink % was sold and released: it never goes on sale again', NEW.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
-- What was sent by hand, under which of the bank's numbers and by whom, never changes.
CREATE TRIGGER purchases_byhand_fixed BEFORE UPDATE OF refund_id, transfer_id, bank_serial, noted_by_id OR DELETE
    ON purchases_byhand FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('purchases', '0007_proof'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ByHand',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('bank_serial', models.CharField(max_length=64, verbose_name="bank's serial number")),
                ('state', models.CharField(choices=[('noted', 'to be confirmed by somebody else'), ('confirmed', 'confirmed'), ('withdrawn', 'was not sent')], default='noted', max_length=10, verbose_name='state')),
                ('at', models.DateTimeField(auto_now_add=True, verbose_name='at')),
            ],
            options={
                'verbose_name': 'payment by hand',
                'verbose_name_plural': 'payments by hand',
            },
        ),
        migrations.AddField(
            model_name='sinkrelease',
            name='kind',
            field=models.CharField(choices=[('lost', 'lost'), ('given', 'given back')], default='lost', max_length=5, verbose_name='kind'),
        ),
        migrations.AddField(
            model_name='transfer',
            name='back_number',
            field=models.CharField(max_length=32, null=True, unique=True, verbose_name='number'),
        ),
        migrations.AlterField(
            model_name='refund',
            name='reason',
            field=models.CharField(choices=[('late', 'The payment came after the order had expired, and the trees were gone.'), ('second', 'The order was paid twice.'), ('amount', 'The amount was not that of the order.'), ('gone', 'A tree was lost, and no other one could stand in for it.'), ('asked', 'The buyer gave trees back.'), ('over', 'More was transferred than the order costs.')], max_length=10, verbose_name='reason'),
        ),
        migrations.AlterField(
            model_name='refund',
            name='state',
            field=models.CharField(choices=[('requested', 'requested'), ('sending', 'being sent'), ('succeeded', 'refunded'), ('failed', 'failed'), ('unknown', "waiting for the gateway's answer"), ('by_hand', 'sent by hand at the bank')], default='requested', max_length=10, verbose_name='state'),
        ),
        migrations.AlterField(
            model_name='replacement',
            name='new_sink',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='stood_in', to='purchases.sink'),
        ),
        migrations.AlterField(
            model_name='sinkrelease',
            name='sink',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='releases', to='purchases.sink'),
        ),
        migrations.AlterField(
            model_name='transfer',
            name='state',
            field=models.CharField(choices=[('waiting', 'waiting for a person'), ('matched', 'belongs to an order'), ('going_back', 'to be sent back'), ('sent_back', 'sent back')], default='waiting', max_length=10, verbose_name='state'),
        ),
        migrations.AddConstraint(
            model_name='sinkrelease',
            constraint=models.UniqueConstraint(condition=models.Q(('kind', 'lost')), fields=('sink',), name='purchases_sink_lost_once'),
        ),
        migrations.AddConstraint(
            model_name='sinkrelease',
            constraint=models.CheckConstraint(condition=models.Q(('kind', 'lost'), models.Q(('kind', 'given'), ('refund__isnull', False)), _connector='OR'), name='purchases_release_given_refunded'),
        ),
        migrations.AddConstraint(
            model_name='transfer',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state__in', ['going_back', 'sent_back']), _negated=True), ('back_number__isnull', False), _connector='OR'), name='purchases_transfer_going_back_has_number'),
        ),
        migrations.AddField(
            model_name='byhand',
            name='confirmed_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='confirmed by'),
        ),
        migrations.AddField(
            model_name='byhand',
            name='noted_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='noted by'),
        ),
        migrations.AddField(
            model_name='byhand',
            name='refund',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='by_hand', to='purchases.refund'),
        ),
        migrations.AddField(
            model_name='byhand',
            name='transfer',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='by_hand', to='purchases.transfer'),
        ),
        migrations.AddConstraint(
            model_name='byhand',
            constraint=models.CheckConstraint(condition=models.Q(('refund__isnull', True), ('transfer__isnull', True), _connector='XOR'), name='purchases_byhand_of_one'),
        ),
        migrations.AddConstraint(
            model_name='byhand',
            constraint=models.CheckConstraint(condition=models.Q(('confirmed_by__isnull', True), models.Q(('confirmed_by', models.F('noted_by')), _negated=True), _connector='OR'), name='purchases_byhand_confirmed_by_another'),
        ),
        migrations.AddConstraint(
            model_name='byhand',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'withdrawn'), _negated=True), fields=('refund',), name='purchases_byhand_refund_once'),
        ),
        migrations.AddConstraint(
            model_name='byhand',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'withdrawn'), _negated=True), fields=('transfer',), name='purchases_byhand_transfer_once'),
        ),
        migrations.AddConstraint(
            model_name='byhand',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'withdrawn'), _negated=True), fields=('bank_serial',), name='purchases_byhand_serial_once'),
        ),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
    ]
