"""The database's own guards of the ledger.

They hold against any SQL, not only ours:
- all lines of an entry come in one INSERT: at least two, summing to 0, of an entry that had none before and that this
  transaction can see (else a transaction with an old snapshot could add lines to an entry committed meanwhile);
- an entry without lines cannot be committed;
- nothing is ever updated, deleted or truncated.
A statement-level trigger sees all rows of one INSERT, so 11,207 lines cost one look; a deferred row-level check would
cost as many, and `SET CONSTRAINTS ALL IMMEDIATE` would let a further line slip past it.
"""

from django.db import migrations

FORWARD = """
CREATE FUNCTION ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE FUNCTION ledger_check_new_lines() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    bad bigint;
BEGIN
    SELECT n.entry_id INTO bad FROM new_lines n
     GROUP BY n.entry_id HAVING count(*) < 2 OR sum(n.fen) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'entry % does not balance: its lines must be at least two and sum to 0', bad
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    SELECT n.entry_id INTO bad FROM (SELECT entry_id, count(*) AS lines FROM new_lines GROUP BY entry_id) n
     WHERE NOT EXISTS (SELECT FROM ledger_entry e WHERE e.id = n.entry_id)
        OR n.lines <> (SELECT count(*) FROM ledger_line l WHERE l.entry_id = n.entry_id) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'entry % is closed: all lines of an entry come in one INSERT', bad
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION ledger_check_entry_has_lines() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM ledger_line l WHERE l.entry_id = NEW.id) THEN
        RAISE EXCEPTION 'entry % has no lines', NEW.reference USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER ledger_line_balanced AFTER INSERT ON ledger_line
    REFERENCING NEW TABLE AS new_lines FOR EACH STATEMENT EXECUTE FUNCTION ledger_check_new_lines();
CREATE CONSTRAINT TRIGGER ledger_entry_has_lines AFTER INSERT ON ledger_entry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_check_entry_has_lines();
""" + "".join(
    f"""
CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
"""
    for table in ("ledger_account", "ledger_entry", "ledger_line", "ledger_settlement")
)


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, migrations.RunSQL.noop)]
