"""An own PostgreSQL: its data directory, its start, and the proof that it is ours that answers."""

import os
import re
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psycopg

from carbonsink.embedded import binaries, children, server
from carbonsink.embedded.binaries import Binaries
from carbonsink.embedded.errors import EmbeddedError
from carbonsink.embedded.places import Place
from carbonsink.embedded.server import Server

NAME = "PostgreSQL"
ROLE = DATABASE = "carbonsink"
STOP_SIGNALS = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0))
ORPHAN_SECONDS = 15

INITDB_OPTIONS = (
    f"--username={ROLE}",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale=C.UTF-8",  # with plain C, pg_trgm finds no trigrams in Chinese
    "--no-instructions",
)

# For a machine of two cores that also runs everything else. WAL is kept minimal since nobody replicates this.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "random_page_cost": "1.1",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
}
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def start(place: Place, *, durable: bool) -> Server:
    """Start PostgreSQL on the data of `place`, made on the first run, and check that it is ours that answers.

    With durable=False the data is for tests: faster, lost in a power cut, and made again whenever it cannot
    be trusted or read. Raises EmbeddedError.
    """
    data = place.home / "postgresql"
    _wait_for_orphan(data)
    if not durable and _is_doubtful(data):
        shutil.rmtree(data)
    chosen = binaries.usable(binaries.postgresql(_major_of(data)), place)
    password_file = place.directory / "postgresql.password"
    if data.exists():
        if not password_file.exists():
            raise EmbeddedError(f"{password_file} is missing: start afresh (make demo RESET=1).")
    else:
        _create(data, password_file, chosen, place)
    running = _launch(data, password_file.read_text().strip(), chosen, place, durable=durable)
    try:
        _ensure_database(running.url)
    except BaseException:
        running.stop()
        raise
    return running


def _major_of(data: Path) -> int | None:
    if not data.exists():
        return None
    try:
        return int((data / "PG_VERSION").read_text().split(".")[0])
    except (FileNotFoundError, ValueError):
        raise EmbeddedError(f"{data} is not a PostgreSQL data directory: move it away.") from None


def _is_doubtful(data: Path) -> bool:
    """Whether test data was left by a crash (without fsync it may be torn) or by a version not at hand."""
    if not data.exists():
        return False
    if (data / "postmaster.pid").exists():
        return True
    try:
        binaries.postgresql(_major_of(data))
    except EmbeddedError:
        return True
    return False


def _wait_for_orphan(data: Path) -> None:
    """Give a server whose parent was killed the seconds it needs to shut down by itself."""
    deadline = time.monotonic() + ORPHAN_SECONDS
    while pid := _running_pid(data):
        if time.monotonic() > deadline:
            raise EmbeddedError(f"A PostgreSQL is already running on {data} (pid {pid}): stop it first.")
        time.sleep(children.POLL_SECONDS)


def _running_pid(data: Path) -> int | None:
    """The process that postmaster.pid names, if it lives and really works in this directory."""
    with suppress(FileNotFoundError, ValueError, IndexError, ProcessLookupError):
        pid = int((data / "postmaster.pid").read_text().splitlines()[0])
        if Path(f"/proc/{pid}/cwd").resolve(strict=True) == data.resolve():
            return pid
    return None


def _create(data: Path, password_file: Path, chosen: Binaries, place: Place) -> None:
    """Make the cluster beside its final name and rename it, so that half a cluster never counts."""
    unfinished = place.own_folder("postgresql.unfinished")
    shutil.rmtree(unfinished)
    place.own_folder(unfinished.name)
    password = server.new_password()
    with tempfile.NamedTemporaryFile("w", dir=unfinished.parent, prefix="pw-") as pwfile:
        pwfile.write(password)
        pwfile.flush()
        if place.user:
            os.fchown(pwfile.fileno(), place.user.uid, place.user.gid)
        answer = children.run(
            [chosen.path("initdb"), "--pgdata", unfinished, "--pwfile", pwfile.name, *INITDB_OPTIONS],
            user=place.user,
            cwd=unfinished,
            environment=_environment(),
        )
    if answer.returncode != 0:
        telling = re.findall(r"^initdb: (?:error: )?(.+)$", answer.stdout, re.MULTILINE)
        reason = telling[0] if telling else answer.stdout.strip()[-300:]
        raise EmbeddedError(f"initdb could not make {data}: {reason}")
    password_file.unlink(missing_ok=True)
    with os.fdopen(os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{password}\n")
    unfinished.rename(data)


def _launch(data: Path, password: str, chosen: Binaries, place: Place, *, durable: bool) -> Server:
    log = place.log("postgresql")
    server.shorten(log)
    settings = SETTINGS if durable else SETTINGS | NOT_DURABLE
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    for _ in range(server.PORT_TRIES):
        port = server.free_port()
        with log.open("ab") as output:
            child = children.spawn(
                [chosen.path(), "-D", data, "-p", str(port), *options],
                log=output,
                user=place.user,
                cwd=data,
                environment=_environment(),
                death_signal=signal.SIGINT,
            )
        url = f"postgresql://{ROLE}:{password}@127.0.0.1:{port}/{DATABASE}"
        running = Server(NAME, chosen.version, "DATABASE_URL", url, child, log, STOP_SIGNALS)
        if _is_ours(running, data):
            return running
        if not server.port_is_taken(port):
            break
    raise server.did_not_start(NAME, log)


def _is_ours(running: Server, data: Path) -> bool:
    """Wait for it; True if it answers from our directory. Otherwise it is stopped again."""
    try:
        answer = server.wait_until_ready(running.child, lambda: _data_directory(running.url))
        if answer is not None and Path(answer) == data:
            return True
    except BaseException:
        running.stop()
        raise
    running.stop()
    if answer is not None:
        raise EmbeddedError(f"Another PostgreSQL (data in {answer}) answered on our port: try again.")
    return False


def _data_directory(url: str) -> str | None:
    try:
        with _connect(url) as connection:
            row = connection.execute("SHOW data_directory").fetchone()
    except psycopg.OperationalError:
        return None
    return row[0] if row else None


def _ensure_database(url: str) -> None:
    with _connect(url) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            connection.execute(f'CREATE DATABASE "{DATABASE}"')


def _connect(url: str) -> psycopg.Connection:
    # What the user's own PG… variables may ask for (TLS, options) is meant for other servers.
    return psycopg.connect(
        url,
        dbname="postgres",
        connect_timeout=5,
        sslmode="disable",
        gssencmode="disable",
        options="",
        autocommit=True,
    )


def _environment() -> dict[str, str]:
    """Ours without what would lead initdb or the server astray: PG… settings and another locale."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PG", "LC_")) and name not in ("LANG", "LANGUAGE", "HOME")
    }
    return kept | {"LC_ALL": "C.UTF-8"}
