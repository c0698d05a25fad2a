"""What the market's tables refuse, whoever writes to them, when holders retire, divide or hand on certificates.

- A sink goes from one certificate to another only when the first has ended and the second is its successor, of the
  same order; from a retired one only to one that is retired too. It never loses its certificate while it is sold.
- A certificate that has ended stays so; a retired one is never valid or handed on again.
- A retirement belongs to a retired certificate, and a retired certificate cannot be committed without one.
Giving a sink its first certificate, as each capture does, asks none of this.
"""

from django.db import migrations, models

FORWARD = """
CREATE FUNCTION purchases_check_succession() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM purchases_certificate n
          JOIN purchases_certificate o ON o.id = n.parent_id AND o.state NOT IN ('valid', 'retired')
         WHERE n.id = NEW.certificate_id AND n.parent_id = OLD.certificate_id AND n.order_id = NEW.order_id
           AND (n.state = 'retired'
                OR NOT EXISTS (SELECT FROM purchases_retirement r WHERE r.certificate_id = o.id))
    ) THEN
        RAISE EXCEPTION 'sink % belongs to certificate % and cannot go to %',
            OLD.id, OLD.certificate_id, NEW.certificate_id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER purchases_sink_succession BEFORE UPDATE ON purchases_sink FOR EACH ROW
    WHEN (OLD.certificate_id IS NOT NULL AND NEW.order_id IS NOT NULL
          AND NEW.certificate_id IS DISTINCT FROM OLD.certificate_id)
    EXECUTE FUNCTION purchases_check_succession();

CREATE FUNCTION purchases_refuse_revival() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'certificate % is % and cannot become %', OLD.serial, OLD.state, NEW.state
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER purchases_certificate_stays_ended BEFORE UPDATE OF state ON purchases_certificate FOR EACH ROW
    WHEN (NEW.state <> OLD.state AND (OLD.state NOT IN ('valid', 'retired')
          OR (OLD.state = 'retired' AND NEW.state NOT IN ('replaced', 'revoked'))))
    EXECUTE FUNCTION purchases_refuse_revival();

CREATE FUNCTION purchases_check_retirement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM purchases_certificate c WHERE c.id = NEW.certificate_id AND c.state = 'retired') THEN
        RAISE EXCEPTION 'certificate % is not retired', NEW.certificate_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER purchases_retirement_of_retired BEFORE INSERT ON purchases_retirement
    FOR EACH ROW EXECUTE FUNCTION purchases_check_retirement();

CREATE FUNCTION purchases_check_retired() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM purchases_retirement r WHERE r.certificate_id = NEW.id) THEN
        RAISE EXCEPTION 'certificate % is retired: a retirement must say for whom and what for', NEW.serial
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER purchases_certificate_retired_says_why AFTER INSERT OR UPDATE ON purchases_certificate
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.state = 'retired')
    EXECUTE FUNCTION purchases_check_retired();
"""


class Migration(migrations.Migration):
    dependencies = [("purchases", "0006_market")]
    operations = [
        migrations.AddIndex(
            model_name="certificate",
            index=models.Index(
                condition=models.Q(("state", "valid"), _negated=True),
                fields=["state", "serial"],
                name="purchases_certificate_ended",
            ),
        ),
        migrations.RunSQL(FORWARD, migrations.RunSQL.noop),
    ]
