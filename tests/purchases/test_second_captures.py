"""Money that comes twice for one order goes back, once."""

import pytest

from purchases import tasks
from purchases.checkout import start_payment
from purchases.models import Order, Payment, Refund
from tests import factories
from tests.ground.threads import at_once
from tests.purchases import books
from tests.standins.clients import WechatClient


@pytest.mark.django_db(transaction=True)
def test_a_second_capture_of_a_paid_order_goes_back_once(wechat: WechatClient) -> None:
    factories.market(2)
    payment = start_payment(factories.order(2))
    wechat.pay(payment.reference)
    tasks.ask_about_payment(payment.pk)
    second = wechat.pay(payment.reference, "pay_again")["transaction_id"]
    for _ in range(3):
        factories.capture(payment, transaction_id=second)
    assert books.balances() == {"gateway": 1200, "household": -600, "refunds": -600}
    refund = Refund.objects.get()
    assert (refund.reason, refund.fen, refund.payment.transaction_id) == ("second", 600, second)
    assert Payment.objects.filter(state="captured").count() == 2
    tasks.sweep()
    tasks.sweep()
    assert Refund.objects.get().state == "succeeded"
    (row,) = [one for one in wechat.control("GET", "orders") if one["out_trade_no"] == payment.reference]
    assert [one["refunded_fen"] for one in row["transactions"]] == [0, 600]
    assert books.balances() == {"gateway": 600, "household": -600}
    order = Order.objects.get()
    assert (order.state, order.certificates.count(), order.sinks.count()) == ("paid", 1, 2)
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_many_captures_of_one_order_at_once_pay_it_once_and_all_others_go_back() -> None:
    factories.market(2)
    payment = factories.order(2).payments.get()
    assert at_once(*[lambda one=one: factories.capture(payment, transaction_id=f"T{one}") for one in range(8)]) == (
        [None] * 8
    )
    assert books.balances() == {"gateway": 4800, "household": -600, "refunds": -4200}
    assert Refund.objects.filter(reason="second", fen=600).count() == 7
    assert Order.objects.get().certificates.count() == 1
    books.all_is_well()
