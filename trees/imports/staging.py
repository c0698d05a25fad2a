"""From a table's rows to a staging table, by COPY, in one pass and in flat memory.

Each import has a staging table of its own, UNLOGGED: it is written fast and vanishes if the server crashes, after
which the file is read again. Its typed columns and the ANALYZE are what makes the joins of the check fast.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

from django.db import connection
from django.db.backends.utils import CursorWrapper
from psycopg import sql

from carbonsink.tables import Table
from carbonsink.tables.cells import Unreadable
from trees.imports.columns import Heading
from trees.imports.kinds import Kind, kind_of
from trees.imports.rules import staging_table
from trees.models import Import

Tell = Callable[[int, float], object]
TELL_EVERY_ROWS = 20_000


def fill(batch: Import, table: Table, heading: Heading, cursor: CursorWrapper, tell: Tell) -> int:
    """Makes the staging table, fills it, and gives the number of rows. `tell` hears rows and part done now and then."""
    kind, name = kind_of(batch), staging_table(batch)
    typed = [sql.SQL("{} {}").format(sql.Identifier(key), sql.SQL(kind_)) for key, kind_ in kind.staging.items()]
    cursor.execute(
        sql.SQL("CREATE UNLOGGED TABLE {} (line integer NOT NULL, problems jsonb, {})").format(
            name, sql.SQL(", ").join(typed)
        )
    )
    columns = sql.SQL(", ").join(map(sql.Identifier, ["line", "problems", *kind.staging]))
    count = 0
    with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(name, columns)) as copy:
        for row in staged_rows(table, heading, kind):
            copy.write_row(row)
            count += 1
            if count % TELL_EVERY_ROWS == 0:
                tell(count, table.done())
    tell(count, 1.0)
    cursor.execute(sql.SQL("ANALYZE {}").format(name))
    return count


def staged_rows(table: Table, heading: Heading, kind: Kind) -> Iterator[tuple[Any, ...]]:
    """What is staged of each row: its line, what is wrong with its cells, and the values of those that are right."""
    columns = [column for column in kind.columns if column.name in heading.places]
    readers = [(column.name, heading.places[column.name], column.reader()) for column in columns]
    width, staged = len(heading.names), kind.staged
    for line, cells in table.read():
        if line <= heading.line or not any(map(str.strip, cells)):
            continue
        if len(cells) < width:
            cells = cells + [""] * (width - len(cells))
        values: dict[str, Any] = {}
        wrong: list[tuple[str, Unreadable]] = []
        for name, place, read in readers:
            try:
                values[name] = read(cells[place])
            except Unreadable as error:
                wrong.append((name, error))
        if any(cells[width:]):
            wrong.append((columns[0].name, Unreadable("too_many_cells")))
        by_name = {name: cells[place] for name, place, _read in readers}
        problems = _as_json(wrong, by_name, kind) if wrong else None
        yield (line, problems, *staged(values, by_name))


def _as_json(wrong: list[tuple[str, Unreadable]], cells: dict[str, str], kind: Kind) -> str:
    columns = {column.name: column for column in kind.columns}
    return json.dumps(
        [
            {
                "column": name,
                "value": columns[name].shown(cells[name])[:80],
                "code": error.code,
                "details": error.details,
            }
            for name, error in wrong
        ]
    )


def is_whole(batch: Import) -> bool:
    """Whether all rows that were read are still staged; a crash of the server empties unlogged tables."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [staging_table(batch).as_string(None)])
        if not cursor.fetchone()[0]:
            return False
        cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(staging_table(batch)))
        return bool(cursor.fetchone()[0] == batch.rows_read)


def drop(batch: Import, cursor: CursorWrapper) -> None:
    """Removes the staging table."""
    cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(staging_table(batch)))
