"""What the caps on unpaid orders cost those who order."""

import threading
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from purchases import unpaid
from purchases.models import Buyer, Order
from tests import factories
from tests.plans import rows_read

OTHERS = 1_500


def copies(of: Order, number: int, state: str) -> None:
    """So many orders like this one, of as many buyers."""
    buyers = Buyer.objects.bulk_create(Buyer(contact=f"{state}{one}@example.org") for one in range(number))
    values = {field.name: getattr(of, field.name) for field in Order._meta.concrete_fields}
    for unique in ("id", "number", "token"):
        del values[unique]
    Order.objects.bulk_create(
        Order(**values | {"buyer": buyer, "state": state, "address_digest": key, "idempotency_key": key})
        for buyer, key in ((buyer, f"{state}{buyer.pk}") for buyer in buyers)
    )


@pytest.mark.django_db
@pytest.mark.parametrize("former", [0, OTHERS])
def test_an_order_does_not_read_what_others_hold(former: int, settings: Any) -> None:
    """When a sale opens, the planner has statistics of the night before, in which nothing was unpaid."""
    settings.UNPAID_SINKS_IN_ALL = 10 * OTHERS
    factories.market(3)
    mine = {"contact": "a@example.org", "address": "192.0.2.1"}
    order = factories.order(**mine)
    copies(order, former, "expired")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE purchases_order, purchases_buyer")
    copies(order, OTHERS, "held")
    unpaid.check_unpaid("b@example.org", "", None, 1)  # Counts all of them, for the next second.
    with CaptureQueriesContext(connection) as queries:
        factories.order(**mine)
    (asked,) = (query["sql"] for query in queries if "sum(o.quantity)" in query["sql"])
    # The two of this contact, and the two from this address.
    assert rows_read(asked, "purchases_order") == 4
    assert rows_read(asked, "purchases_buyer") == 4


def test_while_one_counts_what_all_hold_the_others_go_on(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.UNPAID_SINKS_IN_ALL = 100
    monkeypatch.setattr(unpaid, "_in_all", unpaid._InAll(sinks=90, counted_at=0.0))
    counting, go_on = threading.Event(), threading.Event()
    counted: list[int] = []

    def sums(questions: Any) -> list[int]:
        counting.set()
        assert go_on.wait(60)
        counted.append(len(questions))
        return [95]

    monkeypatch.setattr(unpaid, "_sums", sums)
    thread = threading.Thread(target=unpaid._check_in_all, args=[1])
    thread.start()
    assert counting.wait(60)
    unpaid._check_in_all(2)
    assert (unpaid._in_all.sinks, counted) == (92, [])
    go_on.set()
    thread.join()
    assert (unpaid._in_all.sinks, counted) == (96, [1])
    # Whom the last figure would refuse has it counted anew.
    with pytest.raises(unpaid.DomainError):
        unpaid._check_in_all(6)
    assert counted == [1, 1]
