"""A load that is really killed, in every phase: nothing is half stored, and the same command goes on."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.db import connection

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from tests import factories
from tests.processes import ROOT, wait_for
from tests.purchases.test_selling_races import somebody_waits_for_a_lock
from tests.trees.bulk import HOUSEHOLD_HEADING, TREE_HEADING, household_row, tree_row, write_csv
from trees.models import Household, Import, Tree

pytestmark = pytest.mark.django_db(transaction=True)
# Enough that reading them takes a moment in which one can be killed.
MANY = 60_000


def database_url() -> str:
    path = "/" + connection.settings_dict["NAME"]
    return urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=path))


@pytest.fixture
def loader() -> User:
    return factories.user(roles.OFFICER)


@pytest.fixture
def start(tmp_path: Path, loader: User) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts an import as a process of its own."""
    running: list[subprocess.Popen[bytes]] = []

    def start_one(command: str, file: Path, *options: str) -> subprocess.Popen[bytes]:
        # With Ctrl-C as on a terminal, also where whoever runs the tests lets it be ignored.
        arguments = [
            "env",
            "--default-signal=INT",
            sys.executable,
            "manage.py",
            command,
            str(file),
            f"--by={loader.email}",
            *options,
        ]
        environment = os.environ | {"DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "carbonsink.settings"}
        with (tmp_path / "log").open("ab") as log:
            running.append(subprocess.Popen(arguments, cwd=ROOT, env=environment, stdout=log, stderr=log))
        return running[-1]

    yield start_one
    for program in running:
        if program.poll() is None:
            program.kill()
            program.wait(20)


@pytest.fixture
def other() -> Iterator[psycopg.Connection]:
    """Somebody else's open transaction, to hold a load up at a certain place."""
    with psycopg.connect(database_url()) as open_one:
        yield open_one


def waits_at_a_lock() -> bool:
    return somebody_waits_for_a_lock()


def is_copying() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_progress_copy WHERE datid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND tuples_processed > 1000"
        )
        return bool(cursor.fetchone()[0])


def connected() -> set[int]:
    """The server's processes that the platform's programs are connected to, without this one's."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'carbonsink' AND pid <> pg_backend_pid()"
        )
        return {row[0] for row in cursor.fetchall()}


def finish(start: Callable[..., Any], file: Path, tmp_path: Path) -> None:
    program = start("import_trees", file)
    assert program.wait(120) == 0, (tmp_path / "log").read_text()


def stored_once(household: Household, count: int) -> None:
    assert list(Tree.objects.order_by("ordinal").values_list("household", "ordinal")) == [
        (household.pk, ordinal) for ordinal in range(1, count + 1)
    ]
    household.refresh_from_db()
    assert household.trees_numbered == count
    batch = Import.objects.exclude(state="cancelled").get()
    assert (batch.state, batch.rows_stored) == ("stored", count)


# Where a load is held up: what somebody else locks, and the state it was left in.
PLACES = {
    "before checking": ("LOCK TABLE trees_importproblem IN EXCLUSIVE MODE", "staged"),
    "before storing": ("LOCK TABLE trees_tree IN SHARE MODE", "checked"),
    "when all is stored but the last": ("LOCK TABLE {staging} IN ACCESS SHARE MODE", "checked"),
}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "Ctrl-C"])
@pytest.mark.parametrize("place", PLACES)
def test_a_load_that_was_stopped_goes_on_where_it_was(
    place: str,
    number: signal.Signals,
    start: Callable[..., Any],
    other: psycopg.Connection,
    loader: User,
    tmp_path: Path,
) -> None:
    household = factories.household(loader)
    file = write_csv(tmp_path / "trees.csv", TREE_HEADING, *[tree_row(household) for _ in range(30)])
    statement, state = PLACES[place]
    if "{staging}" in statement:
        # It exists once the rows are read: the load is held up before the check, and let go when the table is held.
        with psycopg.connect(database_url()) as gate:
            gate.execute(PLACES["before checking"][0])
            program = start("import_trees", file)
            wait_for(waits_at_a_lock)
            other.execute(f"LOCK TABLE trees_import_{Import.objects.get().pk} IN ACCESS SHARE MODE")  # type: ignore[arg-type]
            gate.rollback()
        wait_for(lambda: Import.objects.get().state == "checked" and waits_at_a_lock())
    else:
        other.execute(statement)  # type: ignore[arg-type]
        program = start("import_trees", file)
        wait_for(waits_at_a_lock)
    program.send_signal(number)
    assert program.wait(20) == (-9 if number == signal.SIGKILL else 130)
    assert (Tree.objects.count(), Import.objects.get().state) == (0, state)
    other.rollback()
    finish(start, file, tmp_path)
    stored_once(household, 30)
    # What was done before was not done again.
    assert Import.objects.count() == 1
    assert [change.to_state for change in Import.objects.get().history()] == ["staged", "checked", "stored"]


def test_a_load_that_was_killed_while_reading_reads_again(
    start: Callable[..., Any], loader: User, tmp_path: Path
) -> None:
    household = factories.household(loader)
    row = tree_row("522633102202999")  # Unknown, so that the many rows are refused fast.
    many = write_csv(tmp_path / "many.csv", TREE_HEADING, *[row] * MANY)
    others = connected()
    program = start("import_trees", many)
    wait_for(is_copying)
    program.kill()
    program.wait(20)
    wait_for(lambda: connected() <= others)
    batch = Import.objects.get()
    assert (batch.state, batch.rows_read) == ("staging", 0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [f"trees_import_{batch.pk}"])
        assert cursor.fetchone()[0] is None
    program = start("import_trees", many, "--dry-run")
    assert program.wait(120) == 1
    batch.refresh_from_db()
    assert (batch.rows_read, batch.state) == (MANY, "cancelled")
    good = write_csv(tmp_path / "good.csv", TREE_HEADING, *[tree_row(household)] * 3)
    finish(start, good, tmp_path)
    stored_once(household, 3)


def test_a_killed_load_of_households_leaves_no_household_without_account(
    start: Callable[..., Any], other: psycopg.Connection, tmp_path: Path
) -> None:
    file = write_csv(tmp_path / "households.csv", HOUSEHOLD_HEADING, household_row(500), household_row(501))
    other.execute("LOCK TABLE ledger_account IN SHARE MODE")
    program = start("import_households", file)
    wait_for(waits_at_a_lock)
    program.kill()
    program.wait(20)
    other.rollback()
    assert Household.objects.count() == 0
    program = start("import_households", file)
    assert program.wait(60) == 0, (tmp_path / "log").read_text()
    assert Household.objects.count() == 2


def test_two_processes_with_one_file_store_it_once(start: Callable[..., Any], loader: User, tmp_path: Path) -> None:
    household = factories.household(loader)
    file = write_csv(tmp_path / "trees.csv", TREE_HEADING, *[tree_row(household) for _ in range(300)])
    programs = [start("import_trees", file) for _ in range(3)]
    assert [program.wait(60) for program in programs] == [0, 0, 0], (tmp_path / "log").read_text()
    stored_once(household, 300)


def test_staged_rows_that_a_crash_of_the_server_took_are_read_again(
    start: Callable[..., Any], other: psycopg.Connection, loader: User, tmp_path: Path
) -> None:
    household = factories.household(loader)
    file = write_csv(tmp_path / "trees.csv", TREE_HEADING, tree_row(household), tree_row(household))
    other.execute(PLACES["before checking"][0])  # type: ignore[arg-type]
    others = connected()
    program = start("import_trees", file)
    wait_for(waits_at_a_lock)
    program.kill()
    program.wait(20)
    other.rollback()
    wait_for(lambda: connected() <= others)
    lost = Import.objects.get()
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE trees_import_{lost.pk}")  # As PostgreSQL does to unlogged tables.
    finish(start, file, tmp_path)
    stored_once(household, 2)
    lost.refresh_from_db()
    assert lost.state == "cancelled"
