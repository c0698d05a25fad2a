"""The audit knows orders that are being put together."""

from typing import Any

import pytest
from django.db import connection

from purchases.models import Order
from tests import factories
from tests.purchases import books
from tests.purchases.test_choices import place

pytestmark = pytest.mark.django_db


def change(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def test_it_holds_an_unfinished_order_to_what_it_says_it_has(settings: Any) -> None:
    factories.market(3)
    settings.ORDER_SMALL = 1
    order = place(2)
    books.all_is_well()
    change("UPDATE purchases_order SET allocated = 1")
    assert books.found() == {"orders whose sinks are not as many as ordered": [order.number]}


@pytest.mark.parametrize("state", ["short", "cancelled"])
def test_an_order_cannot_begin_in_a_state_that_others_lead_to(state: str) -> None:
    factories.market(1)
    order = factories.order(1)
    change(f"UPDATE purchases_order SET state = '{state}'")
    assert str(order.pk) in books.found()["states of purchases.order changed outside its table"]
    assert Order.objects.get().state == state
