"""A tree that leaves while its vintage is being opened does not go on sale."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from carbonsink.accounts.roles import REVIEWER
from payouts import audit
from purchases.models import Sink, Stock
from purchases.vintages import open_vintage
from tests import factories
from tests.processes import wait_for
from trees.registration import withdraw_consent


def waiting_for_locks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return int(cursor.fetchone()[0])


def in_thread(act: Callable[[], Any]) -> threading.Thread:
    def run() -> None:
        try:
            act()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.django_db(transaction=True)
def test_consent_withdrawn_while_the_vintage_opens_takes_the_sinks_off_sale() -> None:
    owner = factories.household()
    factories.approved_tree(owner, factories.user(REVIEWER))
    tariff, officer = factories.tariff(), owner.registered_by
    with transaction.atomic():
        open_vintage(tariff)
        leaving = in_thread(lambda: withdraw_consent(owner, by=officer))
        wait_for(lambda: waiting_for_locks() or not leaving.is_alive())
    leaving.join(20)
    assert not leaving.is_alive()
    assert Sink.objects.get().open is False
    assert (Stock.objects.get().total, Stock.objects.get().sold) == (0, 0)
    assert list(audit.findings()) == []


@pytest.mark.django_db(transaction=True)
def test_the_audit_sees_a_tree_on_sale_that_has_left() -> None:
    tree = factories.approved_tree()
    open_vintage(factories.tariff())
    withdraw_consent(tree.household, by=tree.registered_by)
    Sink.objects.update(open=True)
    Stock.objects.update(total=1)
    assert [f.sentence for f in audit.findings()] == ["sinks on sale of trees that are not in the scheme"]
