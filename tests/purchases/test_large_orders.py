"""Large orders: put together in chunks, whole or not at all, whatever happens meanwhile."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from django.utils import timezone

from carbonsink.errors import DomainError
from carbonsink.locks import only_one
from purchases import allocation, large_orders, tasks
from purchases.models import Order, Sink, Stock
from tests import factories
from tests.ground.threads import at_once
from tests.processes import ROOT, wait_for
from tests.purchases import books, losing
from tests.purchases.test_choices import mixed, pines, place, taken
from tests.purchases.test_selling_races import somebody_waits_for_a_lock

COUNTY = "522633000000"


@pytest.fixture(autouse=True)
def small_is_three_and_chunks_are_four(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ORDER_SMALL = 3
    monkeypatch.setattr(large_orders, "CHUNK_TREES", 4)


def large(quantity: int, **choice: Any) -> Order:
    order = place(quantity, **choice)
    assert order.state == "allocating"
    return order


def after_chunks(monkeypatch: pytest.MonkeyPatch, number: int, do: Callable[[], object]) -> None:
    """Has something happen when so many chunks are committed, once."""
    take, taken_chunks = large_orders._take_chunk, [0]

    def take_and_act(order_id: int, chunk: dict[int, int]) -> None:
        if taken_chunks[0] == number:
            do()
        taken_chunks[0] += 1
        take(order_id, chunk)

    monkeypatch.setattr(large_orders, "_take_chunk", take_and_act)


@pytest.mark.django_db
def test_a_large_order_is_put_together_in_the_background_and_held_from_then_on(later: Callable[..., None]) -> None:
    factories.market(6, 5, 4)
    answer = books.post_order("the-first-key", contact="a@example.org", area=COUNTY, quantity=12)
    assert (answer.status_code, answer.json()["state"], answer.json()["allocated"]) == (201, "allocating", 0)
    assert books.stock() == (15, 0)
    books.all_is_well()
    token = answer.json()["token"]
    assert Client().post(f"/api/v1/orders/{token}/payment").json()["code"] == "not_ready"
    later(minutes=20)
    tasks.allocate_orders()
    order = Order.objects.get()
    assert (order.state, order.allocated, order.sinks.count()) == ("held", 12, 12)
    assert abs(order.expires_at - timezone.now() - timedelta(minutes=15)) < timedelta(seconds=30)
    # As by water-filling at once.
    assert sorted(Stock.objects.values_list("sold", flat=True)) == [4, 4, 4]
    factories.capture(factories.payment(order))
    assert Order.objects.get().state == "paid"
    books.all_is_well()


@pytest.mark.django_db
def test_progress_is_seen_chunk_by_chunk_and_the_books_are_right_at_each(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.market(6, 5)
    order = large(10)
    seen = []

    def look(order_id: int, chunk: dict[int, int], take: Any = large_orders._take_chunk) -> None:
        take(order_id, chunk)
        books.all_is_well()
        shown = Client().get(f"/api/v1/orders/{order.token}").json()
        seen.append((shown["state"], shown["allocated"]))

    monkeypatch.setattr(large_orders, "_take_chunk", look)
    tasks.allocate_orders()
    assert seen == [("allocating", 4), ("allocating", 8), ("allocating", 10)]


@pytest.mark.django_db
def test_more_than_is_left_is_refused_at_once(settings: Any) -> None:
    factories.market(4)
    answer = books.post_order("the-first-key", contact="a@example.org", quantity=5)
    assert (answer.status_code, answer.json()["left"]) == (409, 4)
    assert not Order.objects.exists()


@pytest.mark.django_db
def test_an_order_that_others_were_faster_than_gets_nothing_and_says_what_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    factories.market(6, 6)
    order = large(10)
    after_chunks(monkeypatch, 1, lambda: [place(3), place(1)])
    tasks.allocate_orders()
    order.refresh_from_db()
    assert (order.state, order.allocated, order.sinks.count()) == ("short", 0, 0)
    assert order.history().get().reason == "only 8 trees were left"
    shown = Client().get(f"/api/v1/orders/{order.token}").json()
    assert (shown["state"], shown["left"]) == ("short", 8)
    assert books.stock() == (12, 4)
    books.all_is_well()


@pytest.mark.django_db
def test_what_others_took_comes_from_elsewhere() -> None:
    one, two = factories.market(8, 8)
    order = large(8, household=one)
    anywhere = large(6)
    tasks.allocate_orders()
    assert [Order.objects.get(pk=made.pk).state for made in (order, anywhere)] == ["held", "held"]
    assert taken(anywhere) == [(two.pk, rank) for rank in range(1, 7)]
    books.all_is_well()


@pytest.mark.django_db
def test_a_large_order_of_a_species_takes_only_that_species() -> None:
    one, two = mixed("FFPPP", "PFPF")
    order = large(5, species=pines())
    tasks.allocate_orders()
    order.refresh_from_db()
    assert (order.state, taken(order)) == (
        "held",
        [(one.pk, 3), (one.pk, 4), (one.pk, 5), (two.pk, 1), (two.pk, 3)],
    )
    assert (
        books.post_order("the-other-key", contact="a@example.org", species=pines().pk, quantity=4).json()["left"] == 0
    )
    books.all_is_well()


@pytest.mark.django_db
def test_an_order_that_is_being_put_together_counts_in_the_caps(settings: Any) -> None:
    factories.market(10)
    settings.UNPAID_SINKS_PER_BUYER = 6
    large(5, contact="a@example.org")
    with pytest.raises(DomainError) as refused:
        place(2, contact="a@example.org")
    assert refused.value.code == "too_many_unpaid"


@pytest.mark.django_db
def test_a_crash_between_chunks_is_made_up_for_by_the_next_run(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.market(7, 6, 5)
    order = large(14)

    def crash() -> None:
        raise RuntimeError("the power is gone")

    with monkeypatch.context() as patched:
        after_chunks(patched, 2, crash)
        tasks.allocate_orders()
    order.refresh_from_db()
    assert (order.state, order.allocated, order.sinks.count()) == ("allocating", 8, 8)
    books.all_is_well()
    tasks.allocate_orders()
    order.refresh_from_db()
    assert (order.state, order.allocated) == ("held", 14)
    assert sorted(Stock.objects.values_list("sold", flat=True)) == [4, 5, 5]
    books.all_is_well()


@pytest.mark.django_db
def test_the_sweep_rings_for_an_order_whose_bell_was_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.market(4)
    rung: list[Any] = []
    monkeypatch.setattr(tasks.allocate_orders, "apply_async", lambda **how: rung.append(how))
    tasks.sweep()
    assert rung == []
    large(4)
    tasks.sweep()
    assert len(rung) == 1


@pytest.mark.django_db(transaction=True)
def test_one_order_is_put_together_at_a_time() -> None:
    factories.market(5)
    order = large(4)
    with only_one("purchases.allocate") as mine:
        assert mine
        assert at_once(tasks.allocate_orders) == [None]
        assert losing.state_of(order) == "allocating"
    tasks.allocate_orders()
    assert losing.state_of(order) == "held"


@pytest.mark.django_db
@pytest.mark.parametrize("ends", ["held", "short"])
def test_a_tree_that_leaves_meanwhile_is_not_sold(monkeypatch: pytest.MonkeyPatch, ends: str) -> None:
    factories.market(6, 6)
    order = large(8)
    left = []

    def leave() -> None:
        left.append(order.sinks.earliest("pk").tree)
        (lost,) = left
        losing.leave(lost)
        books.all_is_well()
        losing.sweep()  # Not settled before the order is whole.
        assert order.sinks.filter(tree=lost).exists()
        if ends == "short":
            place(3), place(2)

    after_chunks(monkeypatch, 1, leave)
    tasks.allocate_orders()
    assert losing.state_of(order) == ends
    books.all_is_well()
    losing.sweep()
    (lost,) = left
    assert lost not in losing.trees_of(order)
    assert losing.sink_of(lost).order is None
    assert books.stock() == ((11, 8) if ends == "held" else (11, 5))
    assert order.sinks.count() == (8 if ends == "held" else 0)
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_one_tree_is_bought_while_a_chunk_is_being_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk locks the households it takes from, and no others."""
    factories.market(4, 4, 4)
    order = large(12)
    in_a_chunk, bought = threading.Event(), threading.Event()
    take = allocation.take_from

    def take_slowly(*args: Any) -> int:
        number = take(*args)
        in_a_chunk.set()
        assert bought.wait(20)
        return number

    monkeypatch.setattr(allocation, "take_from", take_slowly)

    def buy() -> Order:
        assert in_a_chunk.wait(20)
        try:
            return place(1)
        finally:
            bought.set()

    _, single = at_once(tasks.allocate_orders, buy)
    assert isinstance(single, Order), single
    assert losing.state_of(single) == "held"
    # Twelve were there for the large one; now there are eleven.
    assert losing.state_of(order) == "short"
    assert books.stock() == (12, 1)
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_large_and_small_orders_for_the_last_stock_are_whole_and_never_too_many() -> None:
    factories.market(9, 8, 7, 6)
    for _ in range(2):
        large(10)
    small = [lambda size=size: place(size) for size in (1, 2, 3, 1, 2, 3, 1)]
    outcomes = at_once(tasks.allocate_orders, *small)
    assert all(one.code == "sold_out" for one in outcomes[1:] if isinstance(one, DomainError)), outcomes
    tasks.allocate_orders()
    assert set(Order.objects.values_list("state", flat=True)) <= {"held", "short"}
    held = Order.objects.filter(state="held").values_list("quantity", flat=True)
    assert books.stock() == (30, sum(held))
    assert not Sink.objects.filter(order__state="short").exists()
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_a_program_killed_in_mid_chunk_leaves_whole_chunks_and_the_next_run_goes_on() -> None:
    factories.market(9, 9, 9)
    order = large(24)
    address = urlsplit(os.environ["DATABASE_URL"])
    environment = os.environ | {
        "DATABASE_URL": urlunsplit(address._replace(path="/" + connection.settings_dict["NAME"])),
        "CERTIFICATE_KEY_FILE": django_settings.CERTIFICATE_KEY_FILE,
        "DJANGO_SETTINGS_MODULE": "carbonsink.settings",
    }
    # Two chunks are committed; in the third the program hangs, and is killed.
    program = """
from purchases import allocation, large_orders
import time
large_orders.CHUNK_TREES, take, chunks = 4, allocation.take_from, []
def hang_in_the_third(*args):
    taken = take(*args)
    chunks.append(taken)
    if len(chunks) == 3:
        time.sleep(60)
    return taken
allocation.take_from = hang_in_the_third
large_orders.allocate_orders()
"""
    child = subprocess.Popen([sys.executable, "manage.py", "shell", "-c", program], cwd=ROOT, env=environment)
    try:
        wait_for(lambda: Order.objects.get().allocated == 8)
        with connection.cursor() as cursor:
            server = wait_for(lambda: _in_a_transaction_with_changes(cursor))
    finally:
        child.send_signal(signal.SIGKILL)
        assert child.wait(10) == -signal.SIGKILL
    wait_for(lambda: not _is_there(server))
    order.refresh_from_db()
    assert (order.state, order.allocated, order.sinks.count()) == ("allocating", 8, 8)
    books.all_is_well()
    tasks.allocate_orders()
    order.refresh_from_db()
    assert (order.state, order.allocated, order.sinks.count()) == ("held", 24, 24)
    assert set(Stock.objects.values_list("sold", flat=True)) == {8}
    books.all_is_well()


def _in_a_transaction_with_changes(cursor: Any) -> int | None:
    """The server process of the program that has written and not committed, if one has."""
    cursor.execute(
        "SELECT max(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_xid IS NOT NULL AND state = 'idle in transaction'"
    )
    return cast("int | None", cursor.fetchone()[0])


def _is_there(server: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", [server])
        return bool(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
def test_a_tree_in_a_chunk_waits_no_longer_than_the_chunk() -> None:
    """Who wants the very tree waits for its household, and then hears the truth."""
    (owner,) = factories.market(6)
    tree = owner.trees.earliest("pk")
    large(6)

    def buy() -> Order:
        wait_for(lambda: somebody_waits_for_a_lock() or not large_orders.waiting())
        return place(1, tree=tree)

    _, refused = at_once(tasks.allocate_orders, buy)
    assert isinstance(refused, DomainError), refused
    assert refused.code == "sold_out"
