"""Staged trees: checked by the programme's rules, then stored with their numbers.

These are the rules of `registration.register_tree` and `eligibility.check_eligible` as SQL over all rows at once; a
test holds both to the same table of cases.
"""

from typing import Any

from django.db.backends.utils import CursorWrapper
from django.utils import timezone
from psycopg import sql
from stdnum import damm

from carbonsink.accounts.roles import ADMINISTRATOR
from trees.eligibility import LARGEST_DBH_CM
from trees.imports.rules import (
    Rule,
    cell_is_right,
    note,
    note_those_without_a_number,
    staging_table,
    uuid_prefix,
)
from trees.imports.tree_columns import BY_ID_NUMBER, HOUSEHOLD_CODE_DIGITS
from trees.models import Import, Tree

JOINED = "LEFT JOIN named_household h ON h.named = s.household LEFT JOIN named_species k ON k.named = s.species"
AGE = "(extract(year FROM s.measured_on) - s.planted_year)"
BAD_DBH = "(s.dbh_cm <= 0 OR s.dbh_cm >= %(largest_dbh_cm)s)"
# What single registration says first counts alone: too small is no news about a tree with a DBH of 0.
MEASURED = f"{cell_is_right('dbh_cm', 'girth_cm', 'planted_year', 'measured_on')} AND {BAD_DBH} IS NOT TRUE"
WHOLE = f"{MEASURED} AND ({AGE} < 0) IS NOT TRUE"
HOUSEHOLD = "COALESCE(s.household_shown, s.household)"
POSITION = "concat_ws(', ', s.lon, s.lat)"
RULES = (
    Rule("s.household IS NOT NULL AND h.id IS NULL", "household", "unknown_household", HOUSEHOLD),
    Rule("NOT h.consents", "household", "consent_withdrawn", HOUSEHOLD),
    Rule("s.species IS NOT NULL AND k.id IS NULL", "species", "unknown_species", "s.species"),
    Rule("k.kinds > 1", "species", "ambiguous_species", "s.species"),
    Rule("s.measured_on > %(today)s", "measured_on", "measured_in_future", "s.measured_on"),
    Rule(
        "s.lon NOT BETWEEN -180 AND 180",
        "lon",
        "out_of_range",
        "s.lon",
        "jsonb_build_object('least', -180, 'most', 180)",
    ),
    Rule(
        "s.lat NOT BETWEEN -90 AND 90", "lat", "out_of_range", "s.lat", "jsonb_build_object('least', -90, 'most', 90)"
    ),
    Rule(
        f"((s.lon IS NULL) <> (s.lat IS NULL) OR (s.lon = 0 AND s.lat = 0)) AND {cell_is_right('lon', 'lat')}",
        "lon",
        "bad_position",
        POSITION,
    ),
    Rule(BAD_DBH, "dbh_cm", "bad_dbh", "s.dbh_cm"),
    Rule(f"{MEASURED} AND {AGE} < 0", "planted_year", "planted_later", "s.planted_year"),
    Rule(
        f"{WHOLE} AND s.dbh_cm > h.max_dbh_cm",
        "dbh_cm",
        "too_thick",
        "s.dbh_cm",
        "jsonb_build_object('cm', h.max_dbh_cm)",
    ),
    Rule(
        f"{WHOLE} AND (s.dbh_cm > h.max_dbh_cm) IS NOT TRUE AND s.measured_on IS NOT NULL AND h.id IS NOT NULL"
        f" AND (s.dbh_cm >= h.min_dbh_cm OR {AGE} >= h.min_age_years) IS NOT TRUE",
        "dbh_cm",
        "too_small",
        "s.dbh_cm",
        "jsonb_build_object('cm', h.min_dbh_cm, 'years', h.min_age_years)",
    ),
)


def check(batch: Import, cursor: CursorWrapper) -> None:
    """Notes every row that single registration would refuse, with the column and the reason."""
    _look_up(batch, cursor)
    note(batch, cursor, JOINED, RULES, {"today": timezone.localdate(), "largest_dbh_cm": LARGEST_DBH_CM})
    note_those_without_a_number(
        batch,
        cursor,
        owner="h.id",
        counter="h.trees_numbered",
        joined="JOIN named_household h ON h.named = s.household",
        problem=("household", HOUSEHOLD, "household_numbers_used_up"),
    )


def _look_up(batch: Import, cursor: CursorWrapper) -> None:
    """The households and species that the file names, in two small tables."""
    by = batch.imported_by
    area = "" if by.has_role(ADMINISTRATOR) else by.area or "-"
    code = "h.village_id || lpad(h.ordinal::text, 3, '0')"
    cursor.execute("DROP TABLE IF EXISTS pg_temp.named_household, pg_temp.named_species")
    cursor.execute(
        sql.SQL(
            f"""
            CREATE TEMP TABLE named_household ON COMMIT DROP AS
            WITH names AS (SELECT DISTINCT household AS named FROM {{}} WHERE household IS NOT NULL),
            found AS (
                SELECT n.named, h.id FROM names n JOIN trees_household h ON {code} = n.named
                 WHERE length(n.named) = %(code_digits)s
                UNION SELECT n.named, h.id FROM names n JOIN trees_household h ON h.public_id = n.named
                UNION SELECT n.named, h.id
                  FROM (SELECT named, unnest(string_to_array(substr(named, length(%(by_id)s) + 1), ',')) AS digest
                          FROM names WHERE starts_with(named, %(by_id)s)) n
                  JOIN trees_household h ON h.id_number_digest = n.digest
            )
            SELECT DISTINCT ON (f.named) f.named, h.id, {code} AS code, h.trees_numbered,
                   p.min_dbh_cm, p.max_dbh_cm, p.min_age_years,
                   EXISTS (SELECT FROM trees_consent c
                            WHERE c.household_id = h.id AND c.withdrawn_at IS NULL) AS consents
              FROM found f JOIN trees_household h ON h.id = f.id JOIN trees_programme p ON p.id = h.programme_id
             WHERE starts_with(h.village_id, %(area)s)"""  # noqa: S608
        ).format(staging_table(batch)),
        {"area": area, "by_id": BY_ID_NUMBER, "code_digits": HOUSEHOLD_CODE_DIGITS},
    )
    cursor.execute(
        """
        CREATE TEMP TABLE named_species ON COMMIT DROP AS
        SELECT named, min(id) AS id, count(DISTINCT id) AS kinds
          FROM (SELECT lower(scientific_name) AS named, id FROM trees_species
                UNION SELECT lower(name_zh), id FROM trees_species) n GROUP BY named"""
    )
    cursor.execute("ANALYZE named_household")
    cursor.execute("ANALYZE named_species")


def store(batch: Import, cursor: CursorWrapper) -> int:
    """Stores the rows without problems as submitted trees and gives how many. Each household's row is locked while its
    ordinals are counted on, in primary-key order. A reviewer who is not the importer decides about each tree."""
    _look_up(batch, cursor)
    _prepare_numbers(batch, cursor)
    good = "WHERE NOT EXISTS (SELECT FROM trees_importproblem p WHERE p.batch_id = %(batch)s AND p.line = s.line)"
    cursor.execute(
        sql.SQL(
            f"""
            INSERT INTO trees_tree (
                number, client_uuid, body_hash, household_id, ordinal, species_id, dbh_cm, planted_year, lon, lat,
                accuracy_m, measured_on, state, registered_by_id, registered_at, measured_by_id, revision,
                imported_from_id)
            SELECT n.code || t.tail, (%(uuid)s || lpad(to_hex(o.line), 12, '0'))::uuid, %(sha256)s, o.household_id,
                   o.ordinal, o.species_id, o.dbh_cm, o.planted_year, o.lon, o.lat, o.accuracy_m, o.measured_on,
                   %(state)s, %(by)s, %(now)s, %(by)s, 1, %(batch)s
              FROM (SELECT s.line, s.dbh_cm, s.planted_year, s.lon, s.lat, s.accuracy_m, s.measured_on,
                           h.id AS household_id, k.id AS species_id,
                           row_number() OVER (PARTITION BY h.id ORDER BY s.line) + h.trees_numbered AS ordinal
                      FROM {{}} s JOIN named_household h ON h.named = s.household AND h.consents
                      JOIN named_species k ON k.named = s.species {good}) o
              JOIN numbering n ON n.household_id = o.household_id
              JOIN tails t ON t.interim = n.interim AND t.ordinal = o.ordinal"""  # noqa: S608
        ).format(staging_table(batch)),
        {
            "uuid": uuid_prefix(batch),
            "sha256": batch.sha256,
            "state": Tree.State.SUBMITTED,
            "by": batch.imported_by_id,
            "now": timezone.now(),
            "batch": batch.pk,
        },
    )
    stored: int = cursor.rowcount
    cursor.execute(
        """
        UPDATE trees_household h SET trees_numbered = h.trees_numbered + n.count
          FROM (SELECT household_id, count(*) AS count FROM trees_tree WHERE imported_from_id = %s GROUP BY 1) n
         WHERE n.household_id = h.id""",
        [batch.pk],
    )
    return stored


def _prepare_numbers(batch: Import, cursor: CursorWrapper) -> None:
    """Locks the households, and lays out what a tree's number needs: Damm's interim digit after a household's fifteen
    digits, and for each interim digit and ordinal the last four digits of the number."""
    cursor.execute(
        """SELECT id, trees_numbered FROM trees_household WHERE id IN (SELECT id FROM named_household)
            ORDER BY id FOR NO KEY UPDATE"""
    )
    # What is locked now is what holds; whoever withdraws a consent waits for the same lock.
    cursor.execute(
        """UPDATE named_household n SET trees_numbered = h.trees_numbered, consents = EXISTS (
                  SELECT FROM trees_consent c WHERE c.household_id = h.id AND c.withdrawn_at IS NULL)
             FROM trees_household h WHERE h.id = n.id"""
    )
    cursor.execute("ANALYZE named_household")
    cursor.execute("SELECT DISTINCT id, code FROM named_household")
    households: list[tuple[int, str]] = cursor.fetchall()
    _copy(
        cursor,
        "numbering (household_id bigint, code text, interim smallint)",
        [(pk, code, damm.checksum(code)) for pk, code in households],
    )
    # Any digits that lead to the interim digit will do for working out what follows it.
    leading = {damm.checksum(str(digit)): str(digit) for digit in range(10)}
    rows = []
    for interim in range(10):
        for ordinal in range(1, 1000):
            digits = f"{ordinal:03d}"
            rows.append((interim, ordinal, digits + damm.calc_check_digit(leading[interim] + digits)))
    _copy(cursor, "tails (interim smallint, ordinal integer, tail text)", rows)


def _copy(cursor: CursorWrapper, table: str, rows: list[tuple[Any, ...]]) -> None:
    name = table.split()[0]
    cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{name}")
    cursor.execute(f"CREATE TEMP TABLE {table} ON COMMIT DROP")
    with cursor.copy(f"COPY {name} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
    cursor.execute(f"ANALYZE {name}")
