"""Races between wishes, and between those who pay, give up and clean up."""

import threading
import uuid
from typing import Any

import pytest
from django.db import IntegrityError

from carbonsink.errors import DomainError
from purchases import allocation, large_orders, orders, tasks
from purchases.models import Order, Payment, Stock
from tests import factories
from tests.ground.threads import at_once
from tests.purchases import books
from tests.purchases.test_choices import mixed, pines, place

pytestmark = pytest.mark.django_db(transaction=True)


def held(outcomes: list[Any]) -> list[Order]:
    """The orders among outcomes; all others were told that it is sold out."""
    assert all(one.code == "sold_out" for one in outcomes if isinstance(one, DomainError)), outcomes
    found = [one for one in outcomes if isinstance(one, Order)]
    assert len(found) + sum(isinstance(one, DomainError) for one in outcomes) == len(outcomes), outcomes
    return found


def test_a_species_an_area_a_household_and_anywhere_share_the_last_stock() -> None:
    one, two = mixed("PFPF", "FPPF")
    county = factories.area()
    wishes = [
        lambda: place(1, species=pines()),
        lambda: place(2, species=pines()),
        lambda: place(2, area=county),
        lambda: place(1, household=one),
        lambda: place(1, household=two),
        lambda: place(1, species=pines(), area=county),
        lambda: place(1),
    ]
    won = held(at_once(*wishes, *wishes))
    for order in won:
        trees = list(order.sinks.select_related("tree"))
        assert len(trees) == order.quantity
        assert not order.species_id or {sink.tree.species_id for sink in trees} == {order.species_id}
        assert not order.household_id or {sink.household_id for sink in trees} == {order.household_id}
    assert books.stock() == (8, sum(order.quantity for order in won))
    books.all_is_well()


def test_without_the_lock_two_buyers_of_a_species_want_the_same_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the lock is for, here too; the database refuses the second sale."""
    mixed("FPPPPPPPP")
    pour = allocation.water_fill
    looked = threading.Barrier(6, timeout=20)

    def pour_together(*args: Any) -> dict[int, int]:
        looked.wait()
        return pour(*args)

    monkeypatch.setattr(allocation, "water_fill", pour_together)
    monkeypatch.setattr(allocation, "SKIP_LOCKED", "")
    outcomes = at_once(*[lambda: place(2, species=pines())] * 6)
    # With the lock, whoever gets nothing hears that it is sold out.
    assert [one for one in outcomes if isinstance(one, RuntimeError | IntegrityError)], outcomes
    assert books.stock()[1] == 2 * Order.objects.count()
    books.all_is_well()


def test_the_same_large_order_sent_many_times_at_once_is_one_order(settings: Any) -> None:
    settings.ORDER_SMALL = 2
    factories.market(5, 5)
    answers = at_once(*[lambda: books.post_order("the-only-key", contact="a@example.org", quantity=6)] * 8)
    assert [answer.status_code for answer in answers] == [201] * 8, answers
    assert Order.objects.count() == 1
    assert at_once(*[tasks.allocate_orders] * 4) == [None] * 4
    large_orders.allocate_orders()
    assert Order.objects.get().state == "held"
    assert books.stock() == (10, 6)
    books.all_is_well()


@pytest.mark.parametrize("ends", ["cancelled", "expired"])
def test_who_pays_while_the_order_ends_has_trees_or_the_money_back(ends: str) -> None:
    factories.market(6)
    for _ in range(6):
        order = factories.order(1)
        Order.objects.filter(pk=order.pk).update(expires_at=order.created_at)
        payment = order.payments.get()

        def give_up(order: Order = order) -> object:
            return orders.cancel_order(order) if ends == "cancelled" else orders.release(order.pk)

        paid, ended = at_once(lambda payment=payment: factories.capture(payment), give_up)
        assert paid is None, paid
        order.refresh_from_db()
        if order.state == "paid":
            assert order.sinks.count() == 1
            assert not payment.refunds.exists()
            assert ends == "expired" or (isinstance(ended, DomainError) and ended.code == "wrong_state")
        else:
            assert (order.state, order.sinks.count()) == ("cancelled", 0)
            assert payment.refunds.get().fen == 300
    assert Payment.objects.filter(state="captured").count() == 6
    assert sum(Stock.objects.values_list("sold", flat=True)) == Order.objects.filter(state="paid").count()
    books.all_is_well()


def test_many_give_up_the_same_order_and_it_is_released_once() -> None:
    factories.market(3)
    order = factories.order(2)
    outcomes = at_once(*[lambda: orders.cancel_order(order)] * 6)
    assert sum(isinstance(one, Order) for one in outcomes) == 1, outcomes
    assert [one.code for one in outcomes if isinstance(one, DomainError)] == ["wrong_state"] * 5
    assert order.history().count() == 1
    assert books.stock() == (3, 0)
    assert place(3, key=uuid.uuid4().hex).state == "held"
    books.all_is_well()
