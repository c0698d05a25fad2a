"""A stand-in's book: one SQLite file that a kill -9 cannot leave half written."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

# China has had one time zone without summer time since 1992.
CHINA = timezone(timedelta(hours=8))


def china_time(moment: float) -> str:
    """Seconds since 1970 as ISO 8601 at +08:00, to the second."""
    return datetime.fromtimestamp(moment, CHINA).isoformat(timespec="seconds")


class Store:
    """One connection shared by all threads, one transaction at a time.

    Never hold a transaction during a network call: every other request waits for it.
    """

    def __init__(self, path: Path, schema: str) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA foreign_keys = ON")
        self._db.executescript(schema)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All that is written inside happens, or none of it."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
