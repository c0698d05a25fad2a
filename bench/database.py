"""The benchmark's databases: a migrated world as a template, and a fresh copy of it for every run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from bench.world import World

IMPORTER = "bench@example.org"
# Somebody else, who approves what the first one entered.
APPROVER = "approver@example.org"
BLOCK = 1 << 20


class Databases:
    """The databases of one server, by name."""

    def __init__(self, url: str) -> None:
        self._server = urlsplit(url)

    def url(self, name: str) -> str:
        """The address of a database."""
        return urlunsplit(self._server._replace(path=f"/{name}"))

    def connect(self, name: str) -> psycopg.Connection:
        """A connection as anybody would open one, committing each statement."""
        return psycopg.connect(self.url(name), autocommit=True)

    def fresh(self, name: str, template: str = "template1") -> str:
        """Makes a database anew as a copy of another, lets the server finish what it still writes, and gives its
        name."""
        with self.connect("postgres") as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} (FORCE)").format(sql.Identifier(name)))
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
            connection.execute("CHECKPOINT")
        return name


def prepare(world: World) -> None:
    """Tables, divisions, species, a programme, a consent text, and somebody who may load files; by Django, in the
    database that its settings name."""
    from django.contrib.auth.models import Group
    from django.core.management import call_command
    from django.db import connection

    from carbonsink.accounts.models import User
    from carbonsink.accounts.roles import ADMINISTRATOR
    from trees.models import ConsentText, Division, Programme

    call_command("migrate", verbosity=0)
    divisions = [
        Division(code=code, name=name, level=level, parent_id=up) for code, name, level, up in world.divisions()
    ]
    Division.objects.bulk_create(divisions, batch_size=2_000)
    with Path("/dev/null").open("w") as nowhere:
        call_command("import_species", stdout=nowhere)
    Programme.objects.create(name="bench")
    ConsentText.objects.create(version="1", body="…")
    user = User.objects.create_user(IMPORTER, None, name="bench")
    user.groups.add(Group.objects.get(name=ADMINISTRATOR))
    User.objects.create_user(APPROVER, None, name="bench")
    connection.close()


def keep(connection: psycopg.Connection, query: str, path: Path) -> Path:
    """Writes rows as COPY reads them."""
    with path.open("wb") as file, connection.cursor().copy(f"COPY ({query}) TO STDOUT") as copy:
        for block in copy:
            file.write(block)
    return path


def load(connection: psycopg.Connection, table: str, path: Path) -> None:
    """The floor: COPY of ready rows, and nothing else."""
    with path.open("rb") as file, connection.cursor().copy(f"COPY {table} FROM STDIN") as copy:
        while block := file.read(BLOCK):
            copy.write(block)


@contextmanager
def without_indexes(connection: psycopg.Connection, table: str) -> Iterator[None]:
    """Takes off all indexes of a table but its primary key, with the unique constraints that they are, and rebuilds
    them at the end. Foreign keys, checks and triggers stay."""
    found = connection.execute(
        """
        SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid), c.conname, pg_get_constraintdef(c.oid)
          FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.conrelid = i.indrelid
           AND c.contype IN ('u', 'x')
         WHERE i.indrelid = %s::regclass AND NOT i.indisprimary""",
        [table],
    ).fetchall()
    for index, _definition, constraint, _text in found:
        connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {constraint}" if constraint else f"DROP INDEX {index}")
    yield
    for _index, definition, constraint, text in found:
        connection.execute(f"ALTER TABLE {table} ADD CONSTRAINT {constraint} {text}" if constraint else definition)
