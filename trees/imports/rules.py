"""The SQL that all kinds of files share: where rows are staged, and how what is wrong with them is noted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.backends.utils import CursorWrapper
from psycopg import sql

from trees.models import Import


@dataclass(frozen=True)
class Rule:
    """A row is refused when the condition is true; all four are SQL over the joined staging row."""

    condition: str
    column: str
    code: str
    value: str
    details: str = "'{{}}'::jsonb"


def staging_table(batch: Import) -> sql.Identifier:
    """Where the rows of the import are staged."""
    return sql.Identifier(f"trees_import_{batch.pk}")


def cell_is_right(*columns: str) -> str:
    """SQL: nothing was wrong with these cells of the staged row `s`."""
    names = ", ".join(f"'{column}'" for column in columns)
    return (
        "(s.problems IS NULL OR NOT EXISTS (SELECT FROM jsonb_array_elements(s.problems) p"
        f" WHERE p->>'column' IN ({names})))"
    )


def note_cells(batch: Import, cursor: CursorWrapper) -> None:
    """Notes what was wrong with single cells."""
    cursor.execute(
        sql.SQL(
            """
            INSERT INTO trees_importproblem (batch_id, line, "column", value, code, details)
            SELECT %s, s.line, p->>'column', p->>'value', p->>'code', p->'details'
              FROM {} s, jsonb_array_elements(s.problems) p WHERE s.problems IS NOT NULL"""
        ).format(staging_table(batch)),
        [batch.pk],
    )


def note(batch: Import, cursor: CursorWrapper, joined: str, rules: Sequence[Rule], params: dict[str, Any]) -> None:
    """Notes each rule that a row breaks. `joined` is the FROM clause after the staging table `s`.

    One pass over all rows finds those that break any rule; only these are taken apart.
    """
    any_broken = " OR ".join(f"({rule.condition}) IS TRUE" for rule in rules)
    each = ", ".join(
        f"(({rule.condition}) IS TRUE, '{rule.column}', '{rule.code}', ({rule.value})::text, {rule.details})"
        for rule in rules
    )
    cursor.execute(
        sql.SQL(
            f"""
            INSERT INTO trees_importproblem (batch_id, line, "column", value, code, details)
            SELECT %(batch)s, s.line, v.col, left(COALESCE(v.value, ''), 80), v.code, v.details
              FROM {{staging}} s {joined}
             CROSS JOIN LATERAL (VALUES {each}) AS v(broken, col, code, value, details)
             WHERE ({any_broken}) AND v.broken
                ON CONFLICT DO NOTHING"""  # noqa: S608 - rules are our own text; all values are parameters
        ).format(staging=staging_table(batch)),
        {"batch": batch.pk, **params},
    )


def note_those_without_a_number(
    batch: Import, cursor: CursorWrapper, *, owner: str, counter: str, joined: str, problem: tuple[str, str, str]
) -> None:
    """Notes the rows beyond the 999th of an owner. `owner` and `counter` are SQL; `problem` is column, value, code."""
    column, value, code = problem
    cursor.execute(
        sql.SQL(
            f"""
            INSERT INTO trees_importproblem (batch_id, line, "column", value, code, details)
            WITH good AS NOT MATERIALIZED (
                SELECT s.line, {owner} AS owner, {counter} AS counter, left({value}, 80) AS value
                  FROM {{staging}} s {joined}
                 WHERE NOT EXISTS (
                    SELECT FROM trees_importproblem p WHERE p.batch_id = %(batch)s AND p.line = s.line)
            ), full_ones AS (
                SELECT owner FROM good GROUP BY owner HAVING max(counter) + count(*) > 999
            )
            SELECT %(batch)s, line, %(column)s, value, %(code)s, '{{{{}}}}'::jsonb
              FROM (SELECT *, counter + row_number() OVER (PARTITION BY owner ORDER BY line) AS ordinal
                      FROM good WHERE owner IN (SELECT owner FROM full_ones)) numbered
             WHERE ordinal > 999"""  # noqa: S608
        ).format(staging=staging_table(batch)),
        {"batch": batch.pk, "column": column, "code": code},
    )


# A UUID made of the file's hash and the row's line: the same row of the same file is the same record. Consecutive lines
# lie side by side in the index, which random ones do not.
def uuid_prefix(batch: Import) -> str:
    """The first 20 hex digits of the UUIDs of a file's rows (version 8: made as one likes)."""
    digits = batch.sha256
    return f"{digits[:12]}8{digits[12:15]}8{digits[15:18]}"


def line_of(client_uuid: UUID) -> int:
    """The line of the file that a record came from."""
    return int(client_uuid.hex[20:], 16)
