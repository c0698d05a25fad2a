"""What the registry's tables refuse, whoever writes to them.

- A household without a consent cannot be committed.
- A consent's text and time never change.
- An enrolment needs an accepted photo, and names the officer who registered the tree as such, so that the check
  “approved by somebody else” means what it says.
- A tree's number, household and ordinal never change.
"""

from django.db import migrations

FORWARD = """
CREATE FUNCTION trees_check_household_consent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM trees_consent c WHERE c.household_id = NEW.id) THEN
        RAISE EXCEPTION 'household % has no consent', NEW.id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER trees_household_has_consent AFTER INSERT ON trees_household
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION trees_check_household_consent();

CREATE TRIGGER trees_consent_fixed BEFORE UPDATE OF household_id, text_id, signed_at OR DELETE ON trees_consent
    FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
CREATE TRIGGER trees_consenttext_fixed BEFORE UPDATE OR DELETE ON trees_consenttext
    FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
CREATE TRIGGER trees_tree_number_fixed BEFORE UPDATE OF number, household_id, ordinal OR DELETE ON trees_tree
    FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
CREATE TRIGGER trees_enrolment_fixed BEFORE UPDATE OR DELETE ON trees_enrolment
    FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();

CREATE FUNCTION trees_check_enrolment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM trees_photo p WHERE p.tree_id = NEW.tree_id AND p.state = 'accepted') THEN
        RAISE EXCEPTION 'tree % has no accepted photo', NEW.tree_id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NOT EXISTS (SELECT FROM trees_tree t WHERE t.id = NEW.tree_id AND t.registered_by_id = NEW.registered_by_id) THEN
        RAISE EXCEPTION 'tree % was registered by somebody else', NEW.tree_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER trees_enrolment_grounds BEFORE INSERT ON trees_enrolment
    FOR EACH ROW EXECUTE FUNCTION trees_check_enrolment();
"""


class Migration(migrations.Migration):
    dependencies = [("trees", "0001_initial"), ("carbonsink", "0002_guards")]
    operations = [migrations.RunSQL(FORWARD, migrations.RunSQL.noop)]
