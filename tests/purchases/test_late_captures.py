"""Money that comes too late, or twice: sinks of the same choice, or all of it back, once."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from carbonsink.errors import DomainError
from purchases import allocation, orders, refunds, tasks
from purchases.checkout import start_payment
from purchases.models import Order, Payment, Refund, Sink
from tests import factories
from tests.ground.threads import at_once
from tests.processes import wait_for
from tests.purchases import books
from tests.purchases.sealing import Wechat, deliver
from tests.purchases.test_selling_races import somebody_waits_for_a_lock
from tests.standins.clients import WechatClient

ENGLISH = {"accept-language": "en"}


def expire(order: Order) -> Payment:
    orders.expire_order(order)
    return order.payments.get()


def named_tree_gone(wechat: WechatClient) -> Refund:
    """An order for one named tree that expired, was bought by somebody else, and is paid all the same."""
    (owner,) = factories.market(1)
    tree = owner.trees.get()
    late = factories.order(tree=tree)
    payment = start_payment(late)
    expire(late)
    factories.paid_order(tree=tree)
    wechat.pay(payment.reference, "pay_late")
    tasks.ask_about_payment(payment.pk)
    return Refund.objects.get(payment=payment)


def refunded_at_the_gateway(wechat: WechatClient, refund: Refund) -> list[int]:
    rows = wechat.control("GET", "orders")
    return [
        paid["refunded_fen"]
        for row in rows
        if row["out_trade_no"] == refund.payment.reference
        for paid in row["transactions"]
    ]


def arrived(wechat: WechatClient, refund: Refund) -> None:
    refund.refresh_from_db()
    assert refund.state == "succeeded"
    assert refunded_at_the_gateway(wechat, refund) == [300]
    # What is left is the other buyer's.
    assert books.balances() == {"gateway": 300, "household": -300}
    assert Order.objects.get(pk=refund.payment.order_id).state == "expired"
    books.all_is_well()


@pytest.mark.django_db
def test_a_late_payment_takes_other_trees_of_the_same_choice() -> None:
    factories.market(2, 2)
    late = factories.order(2)
    before = set(late.sinks.values_list("pk", flat=True))
    payment = expire(late)
    factories.paid_order(2)
    factories.capture(payment)
    late.refresh_from_db()
    assert (late.state, late.certificate.trees) == ("paid", 2)  # type: ignore[union-attr]
    assert set(late.sinks.values_list("pk", flat=True)) != before
    assert books.stock() == (4, 4)
    assert books.balances() == {"gateway": 1200, "household": -1200}
    assert not Refund.objects.exists()
    assert [row.to_state for row in late.history()] == ["expired", "paid"]
    books.all_is_well()


@pytest.mark.django_db
def test_a_late_payment_that_finds_too_few_trees_is_refunded_whole() -> None:
    factories.market(3)
    late = factories.order(2)
    payment = expire(late)
    factories.paid_order(2)
    factories.capture(payment)
    late.refresh_from_db()
    assert (late.state, late.certificate, late.sinks.count()) == ("expired", None, 0)
    refund = Refund.objects.get()
    assert (refund.fen, refund.reason, refund.state, refund.payment) == (600, "late", "requested", payment)
    assert books.balances() == {"gateway": 1200, "household": -600, "refunds": -600}
    assert books.stock() == (3, 2)
    page = Client(headers=ENGLISH).get(reverse("purchases:order", args=[late.token])).content.decode()
    assert "6.00" in page
    books.all_is_well()


@pytest.mark.django_db
def test_a_late_payment_for_a_tree_that_is_still_there_takes_it() -> None:
    (owner,) = factories.market(1)
    late = factories.order(tree=owner.trees.get())
    factories.capture(expire(late))
    late.refresh_from_db()
    assert (late.state, late.sinks.get().tree) == ("paid", owner.trees.get())
    assert not Refund.objects.exists()
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_a_late_payment_for_a_tree_that_is_gone_goes_back_to_the_end(wechat: WechatClient) -> None:
    refund = named_tree_gone(wechat)
    assert books.balances() == {"gateway": 600, "household": -300, "refunds": -300}
    tasks.send_refund(refund.pk)
    arrived(wechat, refund)
    for _ in range(2):  # Rung again, swept again: nothing more happens.
        tasks.send_refund(refund.pk)
        tasks.sweep()
    arrived(wechat, refund)
    assert [row.to_state for row in refund.history()] == ["sending", "succeeded"]


@pytest.mark.django_db(transaction=True)
def test_a_refund_whose_bell_was_missed_is_sent_by_the_sweeper(wechat: WechatClient) -> None:
    refund = named_tree_gone(wechat)
    tasks.sweep()
    arrived(wechat, refund)


@pytest.mark.django_db(transaction=True)
def test_a_refund_sent_by_many_at_once_is_sent_once(wechat: WechatClient) -> None:
    refund = named_tree_gone(wechat)
    assert at_once(*[lambda: tasks.send_refund(refund.pk)] * 6, tasks.sweep) == [None] * 7
    arrived(wechat, refund)
    assert [row.to_state for row in refund.history()] == ["sending", "succeeded"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fault", ["accept_then_silence", "error_500_after", "garbage", "bad_signature"])
def test_a_refund_nobody_confirms_is_asked_about_and_never_sent_twice(wechat: WechatClient, fault: str) -> None:
    refund = named_tree_gone(wechat)
    wechat.fault("refund", fault)
    tasks.send_refund(refund.pk)
    refund.refresh_from_db()
    assert refund.state == "unknown"
    assert books.balances()["refunds"] == -300
    wechat.fault("refund_query", fault)
    tasks.sweep()
    refund.refresh_from_db()
    assert refund.state == "unknown"
    tasks.sweep()
    arrived(wechat, refund)
    assert [row.to_state for row in refund.history()] == ["sending", "unknown", "succeeded"]


@pytest.mark.django_db(transaction=True)
def test_a_refund_that_never_arrived_is_sent_again_under_the_same_number(
    wechat: WechatClient, later: Callable[..., None]
) -> None:
    refund = named_tree_gone(wechat)
    number = refund.number
    wechat.fault("refund", "error_500_before")
    tasks.send_refund(refund.pk)
    tasks.sweep()
    refund.refresh_from_db()
    assert (refund.state, refunded_at_the_gateway(wechat, refund)) == ("failed", [0])
    tasks.sweep()  # Not yet: it rests.
    refund.refresh_from_db()
    assert refund.state == "failed"
    later(minutes=3)
    tasks.sweep()
    arrived(wechat, refund)
    assert refund.number == number
    assert [row.to_state for row in refund.history()] == ["sending", "unknown", "failed", "sending", "succeeded"]


@pytest.mark.django_db(transaction=True)
def test_a_refused_refund_stays_owed_and_is_sent_again_under_the_same_number(
    wechat: WechatClient, later: Callable[..., None], settings: Any
) -> None:
    refund = named_tree_gone(wechat)
    number, mchid = refund.number, settings.WECHATPAY_MCHID
    settings.WECHATPAY_MCHID = "1900000000"  # The gateway refuses a stranger's signature.
    tasks.send_refund(refund.pk)
    refund.refresh_from_db()
    assert (refund.state, books.balances()["refunds"]) == ("failed", -300)
    settings.WECHATPAY_MCHID = mchid
    later(minutes=3)
    tasks.sweep()
    arrived(wechat, refund)
    assert refund.number == number


@pytest.mark.django_db(transaction=True)
def test_a_sender_that_died_in_mid_call_is_asked_about(wechat: WechatClient, later: Callable[..., None]) -> None:
    refund = named_tree_gone(wechat)
    # As a worker that is killed leaves it: the gateway has done it, we have not heard.
    with pytest.MonkeyPatch.context() as killed:
        killed.setattr(refunds, "book", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            tasks.send_refund(refund.pk)
    refund.refresh_from_db()
    assert refund.state == "sending"
    tasks.sweep()
    refund.refresh_from_db()
    assert refund.state == "sending"
    later(minutes=3)
    tasks.sweep()
    arrived(wechat, refund)


@pytest.mark.django_db
@pytest.mark.parametrize("state", ["failed", "closed"])
def test_money_that_comes_for_a_payment_that_was_given_up_is_taken(state: str) -> None:
    from carbonsink.states import move

    factories.market(1)
    payment = factories.order(1).payments.get()
    move(payment, state)
    factories.capture(payment)
    factories.capture(payment, transaction_id=Payment.objects.get(state="captured").transaction_id or "")
    assert Order.objects.get().state == "paid"
    assert books.balances() == {"gateway": 300, "household": -300}
    books.all_is_well()


@pytest.mark.django_db
def test_a_wrong_amount_that_comes_late_takes_nothing() -> None:
    factories.market(2)
    late = factories.order(2)
    factories.capture(expire(late), fen=599)
    late.refresh_from_db()
    assert (late.state, late.sinks.count()) == ("expired", 0)
    assert books.balances() == {"gateway": 599, "suspense": -599}
    assert books.stock() == (2, 0)
    assert not Refund.objects.exists()
    assert books.found() == books.UNEXPLAINED


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", range(4))
def test_payment_against_expiry_is_paid_with_sinks(round_: int, later: Callable[..., None]) -> None:
    factories.market(2)
    order = factories.order(2)
    payment = order.payments.get()
    later(minutes=16)
    outcome = at_once(
        lambda: factories.capture(payment, transaction_id="T1"),
        lambda: orders.release(order.pk),
        lambda: orders.look_at(order),
        lambda: factories.capture(payment, transaction_id="T1"),
    )
    assert not [one for one in outcome if isinstance(one, Exception)], outcome
    order.refresh_from_db()
    assert (order.state, order.sinks.count(), order.certificates.count()) == ("paid", 2, 1)
    assert books.stock() == (2, 2)
    assert books.balances() == {"gateway": 600, "household": -600}
    assert not Refund.objects.exists()
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", range(6))
def test_payment_against_expiry_and_another_buyer_gives_the_tree_to_one(
    round_: int, later: Callable[..., None]
) -> None:
    (owner,) = factories.market(1)
    tree = owner.trees.get()
    order = factories.order(tree=tree)
    later(minutes=16)

    def buy() -> Order | None:
        try:
            return factories.order(tree=tree)
        except DomainError as error:
            assert error.code == "sold_out"
            return None

    _, _, other = at_once(
        lambda: factories.capture(order.payments.get()), lambda: orders.release(order.pk), buy
    )  # fmt: skip
    order.refresh_from_db()
    held_by = Sink.objects.get().order
    if order.state == "paid":
        assert (held_by, other, Refund.objects.count()) == (order, None, 0)
        assert books.balances() == {"gateway": 300, "household": -300}
    else:
        assert (order.state, held_by) == ("expired", other)
        assert (Refund.objects.get().fen, Refund.objects.get().reason) == (300, "late")
        assert books.balances() == {"gateway": 300, "refunds": -300}
    assert books.stock() == (1, 1)
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_a_late_payment_that_meets_locked_stock_waits_instead_of_being_refunded() -> None:
    factories.market(2)
    payment = expire(factories.order(2))
    locked, let_go = threading.Event(), threading.Event()

    def hold_stock() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT FROM purchases_stock FOR UPDATE")
            locked.set()
            assert let_go.wait(20)

    def capture() -> None:
        assert locked.wait(20)
        factories.capture(payment)

    def watch() -> None:
        assert locked.wait(20)
        wait_for(somebody_waits_for_a_lock)
        let_go.set()

    assert at_once(hold_stock, capture, watch) == [None] * 3
    assert Order.objects.get().state == "paid"
    assert not Refund.objects.exists()
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_a_late_payment_that_has_waited_too_long_is_taken_by_the_next_delivery(
    wechat_keys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """“Busy” is not “sold out”: nothing is booked and nothing refunded, and the gateway comes again."""
    factories.market(2)
    sent = Wechat(wechat_keys).genuine(expire(factories.order(2)))
    monkeypatch.setattr(allocation, "LOCK_TIMEOUT_MS", 100)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT FROM purchases_stock FOR UPDATE")
        (answer,) = at_once(lambda: deliver(*sent))
    assert answer.status_code == 503
    assert books.lines() == []
    assert not Refund.objects.exists()
    assert deliver(*sent).status_code == 200
    assert Order.objects.get().state == "paid"
    assert books.balances() == {"gateway": 600, "household": -600}
    books.all_is_well()


@pytest.mark.django_db
def test_a_payment_that_was_sent_back_at_the_gateway_before_we_knew_of_it_pays_nothing(wechat: WechatClient) -> None:
    factories.market(1)
    payment = start_payment(factories.order(1))
    paid = wechat.pay(payment.reference)
    terms = {"transaction_id": paid["transaction_id"], "out_refund_no": "by-hand-" + payment.reference[:8]}
    amount = {"refund": 300, "total": 300, "currency": "CNY"}
    assert wechat.call("POST", "/v3/refund/domestic/refunds", {**terms, "amount": amount}).status_code == 200
    tasks.ask_about_payment(payment.pk)
    assert Order.objects.get().state == "held"
    assert books.balances() == {"gateway": 300, "suspense": -300}
    assert books.found() == books.UNEXPLAINED


@pytest.mark.django_db
def test_the_right_amount_pays_after_a_wrong_one() -> None:
    factories.market(2)
    payment = factories.order(2).payments.get()
    factories.capture(payment, fen=1)
    factories.capture(payment)
    assert Order.objects.get().state == "paid"
    assert books.balances() == {"gateway": 601, "household": -600, "suspense": -1}
    assert not Refund.objects.exists()
    assert books.found() == books.UNEXPLAINED
