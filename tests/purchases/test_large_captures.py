"""The capture of a large order: the gateway has its answer at once, and the books are written in the background."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError

from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account, Entry, Line
from purchases import payments, tasks
from purchases.certificates import is_genuine
from purchases.models import Certificate, Notification, Order, Payment
from tests import factories
from tests.ground.threads import at_once
from tests.purchases import books
from tests.purchases.sealing import Wechat, deliver


@pytest.fixture(autouse=True)
def more_than_one_tree_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payments, "BOOKED_AT_ONCE_TREES", 1)


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The payments that the worker was told of; nobody works here but the test."""
    told: list[int] = []
    monkeypatch.setattr(tasks.book_notifications, "delay", told.append)
    return told


@pytest.fixture
def wechatpay(wechat_keys: dict[str, str]) -> Wechat:
    return Wechat(wechat_keys)


def held() -> Payment:
    factories.market(3, 2)
    return factories.order(4).payments.get()


def is_booked() -> None:
    order = Order.objects.get()
    assert (order.state, order.certificates.count()) == ("paid", 1)
    certificate = Certificate.objects.get()
    assert (certificate.trees, certificate.kg, is_genuine(certificate)) == (4, 40, True)
    assert sorted(Line.objects.values_list("fen", flat=True)) == [-600, -600, 1200]
    assert Entry.objects.count() == Payment.objects.count() == 1
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_it_is_stored_answered_and_booked_by_the_task(wechatpay: Wechat, rung: list[int]) -> None:
    sent = wechatpay.genuine(held())
    assert deliver(*sent).status_code == 200
    assert Order.objects.get().state == "held"
    assert books.lines() == []
    assert rung == [Notification.objects.get().payment_id]
    tasks.book_notifications(rung[0])
    is_booked()
    # The task again, the event again, another event: all the same.
    tasks.book_notifications(rung[0])
    assert deliver(*sent).status_code == 200
    assert deliver(*wechatpay.genuine(Payment.objects.get())).status_code == 200
    is_booked()


@pytest.mark.django_db(transaction=True)
def test_the_sweep_books_what_the_bell_lost_also_after_the_signatures_window(
    wechatpay: Wechat, rung: list[int], later: Callable[..., None]
) -> None:
    assert deliver(*wechatpay.genuine(held())).status_code == 200
    later(minutes=10)
    tasks.sweep()
    is_booked()
    assert payments.unbooked_notifications() == []


@pytest.mark.django_db(transaction=True)
def test_the_answer_does_not_depend_on_the_bell(wechatpay: Wechat, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody_there(_pk: int) -> None:
        raise ConnectionError("no broker")

    monkeypatch.setattr(tasks.book_notifications, "delay", nobody_there)
    assert deliver(*wechatpay.genuine(held())).status_code == 200
    tasks.sweep()
    is_booked()


@pytest.mark.django_db(transaction=True)
def test_task_and_sweep_at_once_book_it_once(wechatpay: Wechat, rung: list[int]) -> None:
    assert deliver(*wechatpay.genuine(held())).status_code == 200
    outcomes = at_once(tasks.sweep, *[lambda: tasks.book_notifications(rung[0])] * 4)
    assert outcomes == [None] * 5
    is_booked()


@pytest.mark.django_db(transaction=True)
def test_it_is_late_when_the_order_expired_before_it_came(
    wechatpay: Wechat, rung: list[int], later: Callable[..., None]
) -> None:
    payment = held()
    later(minutes=16)
    for order_id in Order.objects.values_list("pk", flat=True):
        from purchases import orders

        orders.release(order_id)
    assert Order.objects.get().state == "expired"
    assert deliver(*wechatpay.genuine(payment)).status_code in (200, 401)  # The test's clock is ahead of the signer's.
    body = wechatpay.genuine(payment)[1]
    assert deliver(wechatpay.headers(body, at=16 * 60), body).status_code == 200
    for payment_id in payments.unbooked_notifications():
        payments.book_stored(payment_id)
    is_booked()


@pytest.mark.django_db
def test_an_entry_whose_lines_are_selected_must_balance() -> None:
    factories.market(1)
    order = factories.order(1)
    query = "SELECT a.id, -299::bigint FROM ledger_account a JOIN purchases_sink s ON s.household_id = a.owner"
    amounts = {ledger.account(Account.Kind.GATEWAY, "wechatpay"): order.total_fen}
    with pytest.raises(IntegrityError, match="does not balance"):
        ledger.post_with(uuid.uuid4().hex, "test", amounts, f"{query} WHERE s.order_id = %s", [order.pk])


@pytest.mark.django_db
def test_a_reference_is_posted_once_with_selected_lines_too() -> None:
    factories.market(1)
    order = factories.order(1)
    query = "SELECT a.id, -300::bigint FROM ledger_account a JOIN purchases_sink s ON s.household_id = a.owner"
    amounts = {ledger.account(Account.Kind.GATEWAY, "wechatpay"): order.total_fen}
    how: tuple[Any, ...] = ("once", "test", amounts, f"{query} WHERE s.order_id = %s", [order.pk])
    ledger.post_with(*how)
    with pytest.raises(ledger.AlreadyPosted):
        ledger.post_with(*how)
    assert Line.objects.count() == 2
