"""What the registry's tables refuse, whoever writes to them, beyond 0002.

- An enrolment names those who registered and measured the tree, so that the check "approved by somebody else" means
  what it says; it never changes, but its approval can be taken back, once.
- Corrections, reviews and draws never change. A flag, a second look and an inspection are settled once; what they say
  never changes.
- A photo's file, tree and uploader never change.
"""
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

KNOWN = """
UPDATE trees_tree SET measured_by_id = registered_by_id;
UPDATE trees_enrolment SET measured_by_id = registered_by_id;
UPDATE trees_tree t SET picture_id = p.id
  FROM (SELECT tree_id, max(id) AS id FROM trees_photo WHERE state = 'accepted' GROUP BY tree_id) p
 WHERE p.tree_id = t.id;
SET CONSTRAINTS ALL IMMEDIATE;
"""

GUARDS = """
CREATE OR REPLACE FUNCTION trees_check_enrolment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM trees_photo p WHERE p.tree_id = NEW.tree_id AND p.state = 'accepted') THEN
        RAISE EXCEPTION 'tree % has no accepted photo', NEW.tree_id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NOT EXISTS (
        SELECT FROM trees_tree t WHERE t.id = NEW.tree_id
           AND t.registered_by_id = NEW.registered_by_id AND t.measured_by_id = NEW.measured_by_id
    ) THEN
        RAISE EXCEPTION 'tree % was registered or measured by somebody else', NEW.tree_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER trees_enrolment_grounds BEFORE INSERT ON trees_enrolment
    FOR EACH ROW EXECUTE FUNCTION trees_check_enrolment();
CREATE TRIGGER trees_enrolment_fixed BEFORE UPDATE OF tree_id, first_vintage, last_vintage, dbh_cm, measured_on,
        registered_by_id, measured_by_id, approved_by_id, approved_at OR DELETE ON trees_enrolment
    FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
CREATE TRIGGER trees_enrolment_revoked_once BEFORE UPDATE OF revoked_at ON trees_enrolment
    FOR EACH ROW WHEN (OLD.revoked_at IS NOT NULL) EXECUTE FUNCTION carbonsink_refuse_change();

DROP TRIGGER trees_tree_number_fixed ON trees_tree;
CREATE TRIGGER trees_tree_number_fixed
    BEFORE UPDATE OF number, household_id, ordinal, registered_by_id, imported_from_id OR DELETE ON trees_tree
    FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();

CREATE TRIGGER trees_photo_fixed
    BEFORE UPDATE OF tree_id, inspection_id, sha256, original, uploaded_by_id OR DELETE ON trees_photo
    FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
CREATE TRIGGER trees_correction_fixed BEFORE UPDATE OR DELETE ON trees_correction
    FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
CREATE TRIGGER trees_review_fixed BEFORE UPDATE OR DELETE ON trees_review
    FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
CREATE TRIGGER trees_secondlookdraw_fixed BEFORE UPDATE OR DELETE ON trees_secondlookdraw
    FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();

CREATE TRIGGER trees_flag_fixed BEFORE UPDATE OF kind, household_id, tree_id, other_tree_id, other_household_id,
        evidence, raised_at OR DELETE ON trees_flag
    FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
CREATE TRIGGER trees_flag_settled_once BEFORE UPDATE ON trees_flag
    FOR EACH ROW WHEN (OLD.settled_at IS NOT NULL) EXECUTE FUNCTION carbonsink_refuse_change();

CREATE TRIGGER trees_secondlook_fixed BEFORE UPDATE OF draw_id, review_id, tree_id, first_reviewer_id OR DELETE
    ON trees_secondlook FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
CREATE TRIGGER trees_secondlook_once BEFORE UPDATE ON trees_secondlook
    FOR EACH ROW WHEN (OLD.reviewer_id IS NOT NULL) EXECUTE FUNCTION carbonsink_refuse_change();

CREATE TRIGGER trees_inspection_fixed BEFORE UPDATE OF client_uuid, body_hash, tree_id, condition, cause, dbh_cm, lon,
        lat, accuracy_m, inspected_on, inspected_by_id OR DELETE ON trees_inspection
    FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
CREATE TRIGGER trees_inspection_decided_once BEFORE UPDATE ON trees_inspection
    FOR EACH ROW WHEN (OLD.decided_by_id IS NOT NULL) EXECUTE FUNCTION carbonsink_refuse_change();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('trees', '0003_registry'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunSQL(KNOWN, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name='enrolment',
            name='measured_by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AlterField(
            model_name='tree',
            name='measured_by',
            field=models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
    ]
