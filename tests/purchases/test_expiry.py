"""Orders that nobody paid: the sinks come back, once, and the page says what to do."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from carbonsink.accounts import roles
from carbonsink.locks import only_one
from carbonsink.states import move
from purchases import tasks
from purchases.models import Order, Payment, Sink
from tests import factories
from tests.ground.threads import at_once
from tests.purchases import books
from tests.purchases.banking import client_of
from trees.models import Tree

pytestmark = pytest.mark.usefixtures("wechat_keys")
ENGLISH = {"accept-language": "en"}


@pytest.mark.django_db
def test_the_sweeper_gives_back_what_nobody_paid(later: Callable[..., None]) -> None:
    factories.market(2, 2)
    order = factories.order(3)
    later(minutes=14)
    tasks.sweep()
    assert books.stock() == (4, 3)
    later(minutes=1, seconds=1)
    tasks.sweep()
    order.refresh_from_db()
    assert order.state == "expired"
    assert books.stock() == (4, 0)
    assert Sink.objects.filter(order=None, open=True).count() == 4
    assert [(row.from_state, row.to_state) for row in order.history()] == [("held", "expired")]
    tasks.sweep()
    assert books.stock() == (4, 0)
    assert order.history().count() == 1
    assert factories.order(4).state == "held"
    books.all_is_well()


@pytest.mark.django_db
@pytest.mark.parametrize("door", ["page", "api", "payment"])
def test_a_late_look_expires_the_order_too(later: Callable[..., None], door: str) -> None:
    (owner,) = factories.market(1)
    order = factories.order(tree=owner.trees.get())
    later(minutes=15)
    client = Client(headers=ENGLISH)
    if door == "page":
        page = client.get(reverse("purchases:order", args=[order.token])).content.decode()
        assert "The time for paying is over" in page
        assert (
            "The trees are for sale again. Should a payment still arrive, you get other trees of your choice or the money back."
            in page
        )
        assert "If you have paid all the same, do not pay again" in page
        assert reverse("purchases:tree", args=[order.tree.number]) in page  # type: ignore[union-attr]
        assert "Scan this code" not in page
    elif door == "api":
        assert client.get(f"/api/v1/orders/{order.token}").json()["state"] == "expired"
    else:
        answer = client.post(f"/api/v1/orders/{order.token}/payment")
        assert (answer.status_code, answer.json()["code"]) == (409, "not_payable")
    assert books.stock() == (1, 0)
    assert Order.objects.get().certificate is None
    books.all_is_well()


@pytest.mark.django_db
def test_a_paid_order_never_expires(later: Callable[..., None]) -> None:
    factories.market(1)
    order = factories.paid_order(1)
    later(days=1)
    tasks.sweep()
    assert Client().get(f"/api/v1/orders/{order.token}").json()["state"] == "paid"
    assert books.stock() == (1, 1)
    books.all_is_well()


@pytest.mark.django_db
def test_the_sink_of_a_tree_that_died_while_held_comes_back_closed(later: Callable[..., None]) -> None:
    (owner,) = factories.market(2)
    order = factories.order(2)
    move(owner.trees.earliest("pk"), Tree.State.DEAD)
    assert books.stock() == (2, 2)
    later(minutes=16)
    tasks.sweep()
    order.refresh_from_db()
    assert order.state == "expired"
    assert books.stock() == (1, 0)
    assert books.post_order("the-first-key", area="522633000000", contact="a@example.org", quantity=2).json()[
        "left"
    ] == 1  # fmt: skip
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_a_sweep_does_nothing_while_another_one_is_at_work(later: Callable[..., None]) -> None:
    factories.market(1)
    factories.order(1)
    later(minutes=16)
    with only_one("purchases.sweep") as mine:
        assert mine
        assert at_once(tasks.sweep) == [None]
        assert Order.objects.get().state == "held"
    tasks.sweep()
    assert Order.objects.get().state == "expired"


@pytest.mark.django_db(transaction=True)
def test_an_order_is_expired_once_by_whoever_comes_first(later: Callable[..., None]) -> None:
    factories.market(3)
    order = factories.order(3)
    later(minutes=16)

    def look() -> int:
        return Client().get(f"/api/v1/orders/{order.token}").status_code

    assert at_once(tasks.sweep, look, look, look, look, tasks.sweep) == [None, 200, 200, 200, 200, None]
    assert order.history().count() == 1
    assert books.stock() == (3, 0)
    books.all_is_well()


@pytest.mark.django_db
def test_one_order_that_cannot_be_released_keeps_no_other_waiting(
    later: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.market(2)
    stuck, other = factories.order(1), factories.order(1)
    from purchases import orders

    release = orders.release_sinks

    def refuse(order: Order) -> Any:
        if order == stuck:
            raise RuntimeError("something nobody thought of")
        release(order)

    monkeypatch.setattr(orders, "release_sinks", refuse)
    later(minutes=16)
    tasks.sweep()
    assert dict(Order.objects.values_list("pk", "state")) == {stuck.pk: "held", other.pk: "expired"}
    assert Payment.objects.get(order=stuck).state == "created"


@pytest.mark.django_db
def test_finance_lets_go_of_an_unpaid_order_that_keeps_trees_from_others() -> None:
    factories.market(3)
    held, paid = factories.order(2), factories.paid_order(1)
    finance, page = factories.user(roles.FINANCE), reverse("admin:purchases_order_changelist")
    data = {"action": "let_go", "_selected_action": [held.pk, paid.pk]}
    client_of(factories.user(roles.ADMINISTRATOR)).post(page, data)
    assert Order.objects.get(pk=held.pk).state == "held"
    for _turn in range(2):
        assert client_of(finance).post(page, data).status_code == 302
    assert [Order.objects.get(pk=one.pk).state for one in (held, paid)] == ["cancelled", "paid"]
    change = held.history().get()
    assert (change.by, change.reason, books.stock()) == (finance, "let go by the office", (3, 1))
    factories.capture(held.payments.get(), transaction_id="late")
    assert books.balances() == {"gateway": 900, "household": -300, "refunds": -600}
    books.all_is_well()
