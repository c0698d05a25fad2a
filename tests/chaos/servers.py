"""PostgreSQL and Redis of one play, which may be killed and come back under the same address."""

import hashlib
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psycopg
import redis
from psycopg import sql

from carbonsink import embedded
from carbonsink.embedded import binaries, children, postgresql, server
from tests.processes import ROOT, wait_for

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

    def copy_template(self, migrate: "Migrate") -> None:
        """Makes the play's database from the template, which is migrated once for each set of migrations."""
        template = f"template_{_fingerprint()}"
        with self._connect("postgres") as connection:
            names = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
            for old in sorted(name for name in names if name.startswith(("play", "template_")) and name != template):
                connection.execute(sql.SQL("DROP DATABASE {} (FORCE)").format(sql.Identifier(old)))
            if template not in names:
                connection.execute('CREATE DATABASE "unfinished"' if "unfinished" not in names else "SELECT 1")
                self.name = "unfinished"
                migrate(self.url)
                connection.execute(sql.SQL("ALTER DATABASE unfinished RENAME TO {}").format(sql.Identifier(template)))
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


class Migrate:
    """Runs the migrations on a database, as a process of its own."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment

    def __call__(self, url: str) -> None:
        command = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
        subprocess.run(command, cwd=ROOT, env=self._environment | {"DATABASE_URL": url}, check=True)


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


def _fingerprint() -> str:
    # Only where ours are: in hidden folders other plays make and remove files meanwhile.
    apps = (ROOT / name for name in ("carbonsink", "trees", "purchases", "payouts"))
    digest = hashlib.sha256()
    for file in sorted(file for app in apps for file in app.glob("**/migrations/*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
