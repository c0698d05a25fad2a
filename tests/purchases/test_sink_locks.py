"""A capture and trees that leave lock the sinks of an order one by one in the same order, wherever these lie."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from carbonsink.states import move_many
from purchases.models import Sink
from tests import factories
from tests.processes import wait_for
from tests.purchases.losing import state_of
from tests.purchases.test_leaving_trees import in_thread, waiting_for_locks
from trees.models import Tree


@pytest.mark.django_db(transaction=True)
def test_a_capture_and_trees_that_leave_do_not_wait_for_each_other() -> None:
    factories.market(2)
    first, second = Sink.objects.order_by("pk")
    order, failed = factories.order(2), []
    Sink.objects.filter(pk=first.pk).update(rank=50)  # Now it lies behind the second one.

    def at_work(act: Callable[[], Any]) -> Callable[[], None]:
        def run() -> None:
            try:
                act()
            except Exception as error:
                failed.append(error)

        return run

    def leave() -> None:
        with connection.cursor() as cursor:  # As with millions of sinks: found by their trees.
            cursor.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
        move_many(Tree.objects.all(), Tree.State.WITHDRAWN)

    with transaction.atomic():
        Sink.objects.select_for_update().get(pk=second.pk)
        capture = in_thread(at_work(lambda: factories.capture(order.payments.get())))
        wait_for(lambda: waiting_for_locks() == 1 or not capture.is_alive())
        leaving = in_thread(at_work(leave))
        wait_for(lambda: waiting_for_locks() == 2 or not leaving.is_alive())
    capture.join(20)
    leaving.join(20)
    assert failed == []
    assert state_of(order) == "paid"
    assert set(Tree.objects.values_list("state", flat=True)) == {"withdrawn"}
