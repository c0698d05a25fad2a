"""A tree is sold once, whoever comes at the same moment; and without the guards it would not be."""

import threading
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from carbonsink.errors import DomainError
from purchases import allocation, orders
from purchases.models import Order, Sink, Stock
from tests import factories
from tests.ground.threads import at_once
from tests.processes import wait_for
from tests.purchases import books

pytestmark = pytest.mark.django_db(transaction=True)
COUNTY = "522633000000"


def buy_until_sold_out() -> int:
    bought = 0
    while True:
        try:
            factories.order(1)
        except DomainError as error:
            assert (error.code, error.details) == ("sold_out", {"left": 0})
            return bought
        bought += 1


def somebody_waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
            " WHERE NOT l.granted AND a.datname = current_database()"
        )
        return bool(cursor.fetchone()[0])


def test_32_buyers_sell_the_last_100_sinks_once_each_and_all_of_them() -> None:
    factories.market(40, 30, 20, 10)
    bought = at_once(*[buy_until_sold_out] * 32)
    assert sum(bought) == 100
    assert Order.objects.filter(state="held", quantity=1).count() == 100
    assert Sink.objects.values("order").distinct().count() == 100
    assert not Sink.objects.filter(order=None).exists()
    assert books.stock() == (100, 100)
    books.all_is_well()


def test_without_the_lock_the_race_is_real(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the lock is for: buyers who looked at the same moment want the same sinks. The database still refuses."""
    factories.market(8)
    everybody_has_looked = threading.Barrier(8, timeout=20)
    fill = allocation.water_fill

    def fill_together(*args: Any) -> dict[int, int]:
        everybody_has_looked.wait()
        return fill(*args)

    monkeypatch.setattr(allocation, "water_fill", fill_together)
    monkeypatch.setattr(allocation, "SKIP_LOCKED", "")
    outcomes = at_once(*[lambda: factories.order(3)] * 8)
    went_wrong = [one for one in outcomes if isinstance(one, RuntimeError | IntegrityError)]
    assert len(went_wrong) >= 5, outcomes
    # Whoever got something got it alone, and whole.
    assert books.stock() == (8, 3 * Order.objects.count())
    books.all_is_well()


def take_without_any_guard(order: Order) -> None:
    sink = Sink.objects.filter(vintage=order.vintage).earliest("pk")
    Sink.objects.filter(pk=sink.pk).update(order=order)
    Stock.objects.filter(household=sink.household_id).update(sold=1)


def test_without_any_guard_in_the_code_the_database_refuses_the_second_sale(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.market(2)
    monkeypatch.setattr(orders, "take_sinks", take_without_any_guard)
    outcomes = at_once(*[lambda: factories.order(1)] * 6)
    refused = [one for one in outcomes if isinstance(one, IntegrityError)]
    assert len(refused) == 5
    assert all("cannot be given to order" in str(one) for one in refused)
    assert Order.objects.count() == 1
    books.all_is_well()


def test_without_the_databases_guard_too_a_tree_is_sold_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shows that the tests above would notice: all guards off, and the audit names both orders' trouble."""
    factories.market(2)
    monkeypatch.setattr(orders, "take_sinks", take_without_any_guard)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE purchases_sink DISABLE TRIGGER purchases_sink_sold_once")
    try:
        assert not [one for one in at_once(*[lambda: factories.order(1)] * 6) if isinstance(one, Exception)]
        found = books.found()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE purchases_sink ENABLE TRIGGER purchases_sink_sold_once")
    assert len(found["orders whose sinks are not as many as ordered"]) == 5
    assert found["guards that are missing or switched off"] == ["purchases_sink_sold_once"]


@pytest.mark.parametrize("state", ["held", "paid"])
def test_plain_sql_cannot_give_a_sold_sink_to_another_order(state: str) -> None:
    factories.market(2)
    first = factories.order(1) if state == "held" else factories.paid_order(1)
    second = factories.order(1)
    with (
        pytest.raises(IntegrityError, match=r"cannot be given to order|a release must say why"),
        connection.cursor() as cursor,
    ):
        cursor.execute("UPDATE purchases_sink SET order_id = %s WHERE order_id = %s", [second.pk, first.pk])
    books.all_is_well()


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM purchases_sink",
        "UPDATE purchases_sink SET price_fen = 1",
        "UPDATE purchases_sink SET tree_id = tree_id + 1000",
        "UPDATE purchases_sink SET household_id = household_id + 1000",
        "UPDATE purchases_sink SET kg = 99",
        "UPDATE purchases_sink SET vintage = 2000",
        "UPDATE purchases_sink SET order_id = NULL WHERE certificate_id IS NOT NULL",
        "UPDATE purchases_stock SET sold = total + 1",
        "INSERT INTO purchases_sink (tree_id, vintage, household_id, rank, price_fen, kg, open)"
        " SELECT tree_id, vintage, household_id, rank, price_fen, kg, open FROM purchases_sink",
        "UPDATE purchases_tariff SET price_fen = 1",
    ],
)
def test_plain_sql_cannot_change_what_was_sold(change: str) -> None:
    factories.market(1)
    factories.paid_order(1)
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change)
    books.all_is_well()


def test_of_two_orders_for_60_of_100_one_wins_whole_and_the_other_hears_that_40_are_left() -> None:
    factories.market(25, 25, 25, 25)
    wish = {"area": COUNTY, "quantity": 60}
    answers = at_once(
        lambda: books.post_order("key-of-one", "192.0.2.1", contact="one@example.org", **wish),
        lambda: books.post_order("key-of-two", "192.0.2.2", contact="two@example.org", **wish),
    )
    won, lost = sorted(answers, key=lambda answer: answer.status_code)
    assert (won.status_code, won.json()["quantity"], won.json()["total_fen"]) == (201, 60, 18000)
    assert lost.status_code == 409
    assert lost.json() == {
        "code": "sold_out",
        "message": "Only 40 trees are left here. Choose fewer, or a larger area.",
        "left": 40,
    }
    assert Order.objects.count() == 1
    assert books.stock() == (100, 60)
    # Every household gave the same.
    assert set(Stock.objects.values_list("sold", flat=True)) == {15}
    books.all_is_well()


def test_of_16_buyers_of_one_named_tree_one_gets_it() -> None:
    (owner,) = factories.market(3)
    tree = owner.trees.earliest("pk")
    outcomes = at_once(*[lambda: factories.order(tree=tree)] * 16)
    assert [one.code for one in outcomes if isinstance(one, DomainError)] == ["sold_out"] * 15
    assert Order.objects.get().sinks.get().tree == tree
    assert books.stock() == (3, 1)
    books.all_is_well()


def test_orders_of_mixed_sizes_are_whole_and_never_too_many() -> None:
    factories.market(9, 8, 7, 6, 5)
    sizes = [1, 7, 3, 11, 2, 5, 13, 1, 4, 6, 2, 9]
    outcomes = at_once(*[lambda size=size: factories.order(size) for size in sizes])
    assert all(one.code == "sold_out" for one in outcomes if isinstance(one, DomainError)), outcomes
    won = [one for one in outcomes if isinstance(one, Order)]
    assert len(won) + sum(isinstance(one, DomainError) for one in outcomes) == len(sizes), outcomes
    assert books.stock() == (35, sum(order.quantity for order in won))
    # Whoever was refused wanted more than is left now: nothing came back meanwhile.
    left = 35 - sum(order.quantity for order in won)
    refused = sorted(sizes)
    for order in won:
        refused.remove(order.quantity)
    assert all(size > left for size in refused)
    books.all_is_well()


def test_a_buyer_waits_for_stock_that_is_only_locked() -> None:
    factories.market(2)
    locked, let_go = threading.Event(), threading.Event()

    def look_for_long() -> None:
        with transaction.atomic():
            list(Stock.objects.select_for_update())
            locked.set()
            assert let_go.wait(20)

    def buy() -> Order:
        assert locked.wait(20)
        return factories.order(2)

    def watch() -> None:
        assert locked.wait(20)
        wait_for(somebody_waits_for_a_lock)
        let_go.set()

    _, order, _ = at_once(look_for_long, buy, watch)
    assert isinstance(order, Order), order
    assert books.stock() == (2, 2)


def test_a_buyer_who_has_waited_too_long_is_told_to_try_again_and_not_that_all_is_sold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    factories.market(2)
    monkeypatch.setattr(allocation, "LOCK_TIMEOUT_MS", 100)
    with transaction.atomic():
        list(Stock.objects.select_for_update())
        (answer,) = at_once(lambda: books.post_order("key-in-vain", contact="a@example.org", area=COUNTY))
    assert answer.status_code == 503
    assert answer.json() == {
        "code": "busy",
        "message": "Many are buying here just now. Please try again in a moment.",
    }
    assert not Order.objects.exists()
    assert books.post_order("key-in-vain", contact="a@example.org", area=COUNTY).status_code == 201
