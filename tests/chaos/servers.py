"""PostgreSQL and Redis of one play, which may be killed and come back under the same address."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psycopg
import redis
from psycopg import sql

from carbonsink import embedded
from carbonsink.embedded import binaries, children, postgresql, server
from tests.processes import wait_for
from tests.template import ensure

PATIENCE = 90


class Database:
    """A durable PostgreSQL of our own. Each play gets a fresh copy of the migrated template."""

    def __init__(self, directory: Path) -> None:
        # Whatever servers somebody else's settings name, they are none of ours.
        os.environ.pop("DATABASE_URL", None)
        os.environ["REDIS_URL"] = "ours"  # Not started here: ours must keep its address when it is killed.
        self._servers = embedded.start(directory)
        (self._server,) = self._servers.running
        self._log = self._server.log
        self.name = "postgres"

    @property
    def url(self) -> str:
        """The address of the play's database."""
        return f"{self._server.url.rpartition('/')[0]}/{self.name}"

    def copy_template(self) -> None:
        """Makes the play's database from the template."""
        with self._connect("postgres") as connection:
            template = ensure(connection, self.url, dict(os.environ))
            connection.execute("DROP DATABASE IF EXISTS play (FORCE)")
            connection.execute(sql.SQL("CREATE DATABASE play TEMPLATE {}").format(sql.Identifier(template)))
        self.name = "play"

    def _connect(self, name: str) -> psycopg.Connection:
        return psycopg.connect(self._server.url, dbname=name, autocommit=True, connect_timeout=10)

    def lock(self, statement: str, *params: object) -> psycopg.Connection:
        """A connection that has run the statement in a transaction of its own, which ends when it is closed."""
        connection = psycopg.connect(self.url)
        connection.execute(statement, params)
        return connection

    def waiting(self) -> int:
        """How many wait for a lock."""
        with self._connect(self.name) as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            ).fetchone()
        return row[0] if row else 0

    def stop_immediately(self) -> None:
        """As a crash: no checkpoint, every connection cut. What was committed must be there afterwards."""
        self._server.child.send_signal(signal.SIGQUIT)
        wait_for(self._server.has_ended, PATIENCE)
        children.stop(self._server.child, ())

    def start_again(self) -> None:
        """Comes back on the same port and recovers."""
        with self._log.open("ab") as log:
            self._server.child = subprocess.Popen(
                self._server.child.args, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=postgresql._environment(), start_new_session=True,
            )  # fmt: skip
        wait_for(self._answers, PATIENCE)

    def _answers(self) -> bool:
        assert not self._server.has_ended(), self._log.read_text()[-2000:]
        with suppress(psycopg.OperationalError), self._connect("postgres"):
            return True
        return False

    def stop(self) -> None:
        self._servers.stop()


class Redis:
    """A Redis that keeps nothing, and its address when it is killed and started again."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._log, self._password, self._port = directory / "redis.log", server.new_password(), server.free_port()
        self.url = f"redis://:{self._password}@127.0.0.1:{self._port}/0"
        self._folder = directory
        self._binary = binaries.redis()
        self.start()

    def start(self) -> None:
        """Starts it and waits until it answers."""
        settings = (
            f"bind 127.0.0.1\nport {self._port}\nrequirepass {self._password}\ndir {self._folder.resolve()}\n"
            'save ""\nappendonly no\nmaxmemory-policy noeviction\ndaemonize no\n'
        )
        with self._log.open("ab") as log:
            self._child = children.spawn([self._binary.path(), "-"], log=log, stdin=subprocess.PIPE)
        assert self._child.stdin is not None
        self._child.stdin.write(settings.encode())
        self._child.stdin.close()
        wait_for(self._answers, PATIENCE)

    def _answers(self) -> bool:
        assert not children.has_ended(self._child), self._log.read_text()[-2000:]
        with suppress(redis.ConnectionError), redis.Redis.from_url(self.url) as client:
            return bool(client.ping())
        return False

    def flush(self) -> None:
        """Loses everything, and keeps running."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def kill(self) -> None:
        """Ends at once, with everything in it."""
        children.stop(self._child, ((signal.SIGKILL, 10.0),))

    def waiting(self) -> int:
        """Messages that no worker has finished."""
        with redis.Redis.from_url(self.url) as client:
            return int(client.llen("celery")) + int(client.hlen("unacked"))

    def stop(self) -> None:
        children.stop(self._child, ((signal.SIGTERM, 10.0),))
