"""A lock for work that must run once at a time. It is the database's: it ends with the connection, never stays."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

_SPACE = 0x53494E4B  # "SINK": keeps our advisory locks apart from anybody else's.


def _key(name: str) -> int:
    return zlib.crc32(name.encode()) & 0x7FFFFFFF


def one_after_another(*names: str) -> None:
    """Makes transactions that name the same things wait for each other; let go when the transaction ends."""
    # In the order of the keys, or two of them would wait for each other.
    keys = sorted(_key(name) for name in names)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, key) FROM unnest(%s::int[]) AS t(key)", [_SPACE, keys])


@contextmanager
def only_one(name: str) -> Iterator[bool]:
    """Yields True to one caller at a time, False at once to the others."""
    key = _key(name)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_SPACE, key])
        mine = bool(cursor.fetchone()[0])
    try:
        yield mine
    finally:
        if mine:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [_SPACE, key])
