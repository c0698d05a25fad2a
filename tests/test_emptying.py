"""The database is left by a test with real transactions as Django's own flush leaves it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import DatabaseError, OperationalError, connection, transaction
from django.test import TransactionTestCase

from carbonsink.accounts import roles
from carbonsink.ledger.models import Line
from tests import emptying, factories
from tests.processes import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


def everything() -> dict[str, list[Any]]:
    """All rows of all tables that have some."""
    with connection.cursor() as cursor:
        rows = {}
        for table in connection.introspection.django_table_names(only_existing=True, include_views=False):
            cursor.execute(f'SELECT row::text FROM "{table}" AS row ORDER BY 1')
            rows[table] = cursor.fetchall()
    return {table: found for table, found in rows.items() if found}


def natural() -> tuple[set[Any], ...]:
    """What Django and the roles make in an emptied database, without the keys."""
    return (
        set(ContentType.objects.values_list("app_label", "model")),
        set(Permission.objects.values_list("content_type__app_label", "codename", "name")),
        set(Group.objects.values_list("name", "permissions__codename")),
    )


@pytest.fixture
def flushed() -> dict[str, list[Any]]:
    """What stands in the database now that it has been emptied."""
    emptying.empty(TransactionTestCase())
    return everything()


def test_a_whole_world_goes_and_what_django_makes_stays(flushed: dict[str, list[Any]]) -> None:
    factories.paid_order(tree=factories.market(1)[0].trees.get())
    assert len(everything()) > len(flushed) + 10
    emptying.empty(TransactionTestCase())
    assert everything() == flushed
    mine = natural()
    call_command("flush", verbosity=0, interactive=False)
    assert natural() == mine
    assert set(everything()) == set(flushed)


@pytest.mark.parametrize("change", ["more", "less", "other"])
def test_what_a_test_changed_of_that_is_made_anew(flushed: dict[str, list[Any]], change: str) -> None:
    before, group = natural(), Group.objects.get(name=roles.FINANCE)
    if change == "more":
        Group.objects.create(name="another")
    elif change == "less":
        group.permissions.all()[:1].get().delete()
    else:
        Group.objects.filter(pk=group.pk).update(name="other")
    assert natural() != before
    emptying.empty(TransactionTestCase())
    assert natural() == before


def test_the_ledger_is_guarded_as_before(flushed: dict[str, list[Any]]) -> None:
    factories.paid_order(tree=factories.market(1)[0].trees.get())
    emptying.empty(TransactionTestCase())
    factories.paid_order(tree=factories.market(1)[0].trees.get())
    lines = Line.objects.count()
    assert lines > 0
    for statement in ("DELETE FROM ledger_line", "TRUNCATE ledger_line"):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    assert Line.objects.count() == lines


def test_nothing_comes_in_of_whoever_still_writes(flushed: dict[str, list[Any]]) -> None:
    other = psycopg.connect(**connection.get_connection_params() | {"cursor_factory": psycopg.Cursor})
    with other, connection.cursor() as cursor:
        other.execute("INSERT INTO auth_group (name) VALUES ('late')")
        cursor.execute("SET lock_timeout = '200ms'")
        with pytest.raises(OperationalError, match="lock timeout"):
            emptying.empty(TransactionTestCase())
        cursor.execute("RESET lock_timeout")
    emptying.empty(TransactionTestCase())
    assert everything().keys() == flushed.keys()
    assert not Group.objects.filter(name="late").exists()


def test_whoever_still_reads_one_table_after_the_other_is_let_through(flushed: dict[str, list[Any]]) -> None:
    tables = emptying._tables()
    parameters = connection.get_connection_params() | {"cursor_factory": psycopg.Cursor}
    factories.divisions()

    def waits() -> bool:
        with psycopg.connect(**parameters) as third:
            return third.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone() is not None

    def read_the_first() -> None:
        wait_for(waits)
        other.execute(f'SELECT 1 FROM "{tables[0]}" LIMIT 1')
        other.commit()

    with psycopg.connect(**parameters) as other, ThreadPoolExecutor(1) as pool:
        other.execute("SET deadlock_timeout = '1min'")  # So that it is not the one that is ended.
        other.execute(f'SELECT 1 FROM "{tables[-1]}" LIMIT 1')
        reading = pool.submit(read_the_first)
        emptying.empty(TransactionTestCase())
        reading.result()
    assert everything() == flushed
