"""Empties the database after a test with real transactions, in a tenth of the time that Django's own flush takes.

Django truncates every table, whether it has rows or not, and then has each content type, permission and group made
anew. Here only tables with rows are emptied, and what stands in a flushed database is kept while it is unchanged.
"""

from django.db import OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.test import TransactionTestCase
from psycopg.errors import DeadlockDetected

_flush = TransactionTestCase._fixture_teardown
# What stands in a flushed database: the tables that have rows, with the digest of these.
_standing: dict[str, str] = {}
# A request that a page has left behind may hold one table and want another that is locked here already.
TRIES = 5


def empty(test: TransactionTestCase) -> None:
    """Leaves the database as Django's flush does. The first time, and when a test has changed what stands in a flushed
    database, it is Django's flush."""
    if not _standing or not _emptied_at_last():
        _flush(test)
        with connection.cursor() as cursor:
            _standing.clear()
            _standing.update({table: _digest(cursor, table) for table in _with_rows(cursor, _tables())})


def _emptied_at_last() -> bool:
    """`_emptied`, once more when it was the one that a deadlock ended: whoever was in the way goes on and ends."""
    for _ in range(TRIES - 1):
        try:
            return _emptied()
        except OperationalError as error:
            if not isinstance(error.__cause__, DeadlockDetected):
                raise
    return _emptied()


def _emptied() -> bool:
    """Deletes all rows but those that stand in a flushed database; does nothing and is False if these are not the same
    any more, or if the database's user is none who may leave triggers out."""
    tables = _tables()
    with transaction.atomic(), connection.cursor() as cursor:
        # As TRUNCATE does: waits for whoever still writes, so that nothing comes in after the test.
        cursor.execute(f"LOCK TABLE {', '.join(map(_name, tables))} IN ACCESS EXCLUSIVE MODE")
        cursor.execute("SELECT current_setting('is_superuser')")
        if cursor.fetchone() != ("on",) or any(_digest(cursor, table) != was for table, was in _standing.items()):
            return False
        # For this transaction alone: no trigger (the ledger lets nothing be deleted), and no foreign key, so that the
        # order is of no matter.
        cursor.execute("SET LOCAL session_replication_role = replica")
        for table in _with_rows(cursor, [table for table in tables if table not in _standing]):
            cursor.execute(f"DELETE FROM {_name(table)}")
    return True


def _tables() -> list[str]:
    return connection.introspection.django_table_names(only_existing=True, include_views=False)


def _name(table: str) -> str:
    return connection.ops.quote_name(table)


def _with_rows(cursor: CursorWrapper, tables: list[str]) -> list[str]:
    cursor.execute(" UNION ALL ".join(f"(SELECT '{table}' FROM {_name(table)} LIMIT 1)" for table in tables))
    return [table for (table,) in cursor.fetchall()]


def _digest(cursor: CursorWrapper, table: str) -> str:
    cursor.execute(f"SELECT md5(string_agg(row::text, ' ' ORDER BY row::text)) FROM {_name(table)} AS row")
    return cursor.fetchone()[0]
