"""Alipay: paid on its page, asked about, closed, refunded and billed; and whatever it says badly decides nothing."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from purchases import fees, refunds, tasks
from purchases.checkout import ask_gateway, start_payment
from purchases.gateways import gateway
from purchases.gateways.base import BillLine, DayBill, Funds, GatewayError, RefundRequest
from purchases.models import Order, Payment, Refund
from purchases.payments import book_capture
from tests import factories
from tests.processes import wait_for
from tests.purchases import books
from tests.standins.clients import AlipayClient

RETURN = "http://127.0.0.1:8000/orders/abc/?back=1"
BROKEN = ["error_500_before", "error_500_after", "accept_then_silence", "garbage", "bad_signature"]


def chosen(product: str = "page", quantity: int = 2) -> Payment:
    """A held order whose buyer has chosen Alipay."""
    if not Order.objects.exists():
        factories.market(4)
    order = factories.order(quantity)
    order.payments.all().delete()
    return start_payment(order, gateway_code="alipay", product=product, return_url=RETURN)


def state() -> tuple[str, str]:
    return Order.objects.get().state, Payment.objects.get().state


@pytest.mark.django_db
@pytest.mark.parametrize(("product", "code"), [("page", "FAST_INSTANT_TRADE_PAY"), ("wap", "QUICK_WAP_WAY")])
def test_the_buyer_pays_on_alipays_page_and_comes_back(alipay: AlipayClient, product: str, code: str) -> None:
    payment = chosen(product)
    assert alipay.trade(payment.reference) == {}  # It hears of the payment from the buyer first.
    cashier = alipay.open(payment.pay_url)
    assert "6.00" in cashier.text
    trade = alipay.trade(payment.reference)
    assert (trade["fen"], trade["product_code"]) == (600, code)
    assert timezone.datetime.fromisoformat(trade["expires_at"]) == payment.order.expires_at.replace(microsecond=0)
    assert alipay.open(payment.pay_url).url == cashier.url

    back = alipay.http.post(cashier.url, data={"action": "pay"})
    assert back.headers["location"].startswith(RETURN + "&")
    query = parse_qs(urlsplit(back.headers["location"]).query)
    assert (query["back"], query["out_trade_no"]) == (["1"], [payment.reference])
    assert state() == ("held", "created")  # Coming back changes nothing.
    tasks.ask_about_payment(payment.pk)
    assert state() == ("paid", "captured")
    assert Payment.objects.get().transaction_id == trade["trade_no"]
    assert books.balances() == {"gateway": 600, "household": -600}
    books.all_is_well()


@pytest.mark.django_db
def test_an_altered_address_opens_nothing(alipay: AlipayClient) -> None:
    payment = chosen()
    for wrong in (
        payment.pay_url.replace("%226.00%22", "%220.01%22"),
        payment.pay_url.replace("page.pay", "wap.pay"),
        payment.pay_url.replace("notify_url=http", "notify_url=https"),
    ):
        assert wrong != payment.pay_url
        assert "isv.invalid-signature" in alipay.open(wrong).text
    assert alipay.trade(payment.reference) == {}


@pytest.mark.django_db(transaction=True)
def test_the_notification_pays_and_is_answered_by_one_word(
    live_server: Any, settings: Any, alipay: AlipayClient
) -> None:
    settings.PUBLIC_BASE_URL = live_server.url
    payment = chosen()
    alipay.open(payment.pay_url)
    alipay.pay(payment.reference)
    wait_for(lambda: alipay.notification(payment.reference)["state"] == "delivered")
    assert [(one["status"], one["answer"]) for one in alipay.notification(payment.reference)["deliveries"]] == [
        (200, "success")
    ]
    assert state() == ("paid", "captured")
    answers = alipay.control("POST", "notify", {"out_trade_no": payment.reference, "times": 8, "parallel": True})
    assert {one["status"] for one in answers["answers"]} == {200}
    assert Payment.objects.get().notifications.count() == 1
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fault", ["duplicate", "garbage", "bad_signature"])
def test_faults_of_the_notification_change_nothing(
    live_server: Any, settings: Any, alipay: AlipayClient, fault: str
) -> None:
    settings.PUBLIC_BASE_URL = live_server.url
    alipay.fault("notification", fault)
    payment = chosen()
    alipay.open(payment.pay_url)
    alipay.pay(payment.reference)
    wait_for(lambda: alipay.notification(payment.reference)["state"] == "delivered")
    deliveries = [(one["status"], one["answer"]) for one in alipay.notification(payment.reference)["deliveries"]]
    assert deliveries == {"duplicate": [(200, "success")] * 2}.get(fault, [(401, "fail"), (200, "success")])
    assert state() == ("paid", "captured")
    books.all_is_well()


@pytest.mark.django_db
def test_an_address_nobody_opened_is_pending_and_closed_with_its_order(
    alipay: AlipayClient, later: Callable[..., None]
) -> None:
    payment = chosen()
    assert ask_gateway(payment) == "created"
    later(minutes=16)
    tasks.sweep()
    assert state() == ("expired", "closed")
    assert books.lines() == []


@pytest.mark.django_db
@pytest.mark.parametrize("fault", BROKEN)
def test_a_failing_query_decides_nothing(alipay: AlipayClient, fault: str) -> None:
    payment = chosen()
    alipay.open(payment.pay_url)
    alipay.pay(payment.reference)
    alipay.fault("query", fault)
    tasks.ask_about_payment(payment.pk)
    assert state() == ("held", "created")
    assert books.lines() == []
    tasks.ask_about_payment(payment.pk)
    assert state() == ("paid", "captured")
    books.all_is_well()


@pytest.mark.django_db
@pytest.mark.parametrize("fault", [*BROKEN, "duplicate"])
def test_the_trade_of_an_expired_order_is_closed(alipay: AlipayClient, fault: str, later: Callable[..., None]) -> None:
    payment = chosen()
    alipay.open(payment.pay_url)
    later(minutes=16)
    alipay.fault("close", fault)
    tasks.sweep()
    assert state() == ("expired", "created")  # Closed twice is refused as paid perhaps: the next question tells.
    tasks.sweep()
    assert state() == ("expired", "closed")
    assert alipay.trade(payment.reference)["trade_status"] == "TRADE_CLOSED"
    books.all_is_well()


@pytest.mark.django_db
def test_a_late_payment_is_taken_while_there_are_trees(alipay: AlipayClient, later: Callable[..., None]) -> None:
    payment = chosen()
    alipay.open(payment.pay_url)
    later(minutes=16)
    alipay.pay(payment.reference, "pay_late")
    tasks.sweep()
    tasks.sweep()
    assert state() == ("paid", "captured")
    books.all_is_well()


@pytest.mark.django_db
def test_nobody_there_is_no_answer(alipay_keys: dict[str, str]) -> None:
    payment = chosen()
    with pytest.raises(GatewayError, match="NO_CONNECTION") as silent:
        ask_gateway(payment)
    assert silent.value.outcome == "unknown"


def captured(alipay: AlipayClient, quantity: int = 2) -> Payment:
    payment = chosen(quantity=quantity)
    alipay.open(payment.pay_url)
    alipay.pay(payment.reference)
    tasks.ask_about_payment(payment.pk)
    return Payment.objects.get(pk=payment.pk)


def late(alipay: AlipayClient, later: Callable[..., None]) -> Refund:
    """A payment that came after its trees had gone to somebody else: its refund."""
    payment = chosen(quantity=4)
    alipay.open(payment.pay_url)
    later(minutes=16)
    tasks.sweep()
    factories.order(4)
    alipay.pay(payment.reference, "pay_late")
    book_capture(payment, gateway("alipay").query(payment.reference))
    return Refund.objects.get()


@pytest.mark.django_db
@pytest.mark.parametrize("fault", [*BROKEN, "duplicate", None])
def test_a_refund_is_sent_once_however_it_is_answered(
    alipay: AlipayClient, fault: str | None, later: Callable[..., None]
) -> None:
    refund = late(alipay, later)
    if fault:
        alipay.fault("refund", fault)
    refunds.send(refund)
    refund.refresh_from_db()
    assert refund.state == ("succeeded" if fault is None else "unknown")
    for _ in range(3):
        later(minutes=3)
        tasks.sweep()
    refund.refresh_from_db()
    assert refund.state == "succeeded"
    trade = alipay.trade(refund.payment.reference)
    assert (trade["refunded_fen"], trade["trade_status"]) == (1200, "TRADE_CLOSED")
    assert books.balances() == {}
    books.all_is_well()


@pytest.mark.django_db
@pytest.mark.parametrize("fault", BROKEN)
def test_a_question_about_a_refund_that_fails_decides_nothing(
    alipay: AlipayClient, fault: str, later: Callable[..., None]
) -> None:
    refund = late(alipay, later)
    alipay.fault("refund", "error_500_after")
    refunds.send(refund)
    alipay.fault("refund_query", fault)
    refunds.ask(refund)
    refund.refresh_from_db()
    assert refund.state == "unknown"
    refunds.ask(refund)
    refund.refresh_from_db()
    assert refund.state == "succeeded"
    assert books.balances() == {}
    books.all_is_well()


@pytest.mark.django_db
def test_a_refund_that_cannot_be_is_refused(alipay: AlipayClient) -> None:
    payment = captured(alipay)
    adapter, number = gateway("alipay"), str(payment.transaction_id)
    too_much = RefundRequest(number="r1", transaction_id=number, fen=601, captured_fen=600, reason="")
    with pytest.raises(GatewayError, match="refused"):
        adapter.refund(too_much)
    part = RefundRequest(number="r2", transaction_id=number, fen=100, captured_fen=600, reason="a, b & c")
    assert adapter.refund(part).state == "succeeded"
    assert adapter.refund(part).state == "pending"
    assert adapter.query_refund("r2", number).state == "succeeded"
    with pytest.raises(GatewayError, match="RESOURCE_NOT_EXISTS"):
        adapter.query_refund("r3", number)
    # What Alipay says afterwards of the trade is the capture we know.
    assert ask_gateway(payment) == "captured"
    assert Payment.objects.count() == 1


@pytest.mark.django_db
def test_the_days_bill_and_fees_are_read_from_the_archives(alipay: AlipayClient) -> None:
    payment = captured(alipay)
    number = str(payment.transaction_id)
    gateway("alipay").refund(RefundRequest(number="back1", transaction_id=number, fen=100, captured_fen=600, reason=""))
    bill = gateway("alipay").bill(timezone.localdate())
    assert len(bill.sha256) == 64
    assert [line for line in bill.lines if line.reference == payment.reference] == [
        BillLine("capture", payment.reference, number, 600),
        BillLine("refund", payment.reference, number, 100, "back1"),
    ]
    kept = sum(one["fee_fen"] for one in alipay.control("GET", "trades"))
    before = books.balances().get("gateway", 0)
    assert fees.book_fees("alipay", timezone.localdate()) >= 1
    assert fees.book_fees("alipay", timezone.localdate()) == 0
    assert books.balances()["fees"] == before - books.balances()["gateway"] == kept > 0
    assert gateway("alipay").bill(timezone.localdate() - timedelta(days=400)) == DayBill("", [])
    assert gateway("alipay").funds(timezone.localdate() - timedelta(days=400)) == Funds([], [], 0, None)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("place", "fault"),
    [
        *[("bill", fault) for fault in BROKEN],
        *[("bill_download", fault) for fault in BROKEN if fault != "bad_signature"],
    ],
)
def test_a_bill_that_does_not_come_is_no_bill(alipay: AlipayClient, place: str, fault: str) -> None:
    captured(alipay)
    for ask in (gateway("alipay").bill, gateway("alipay").funds):
        alipay.fault(place, fault)
        with pytest.raises(GatewayError) as broken:
            ask(timezone.localdate())
        assert broken.value.outcome == "unknown"
        ask(timezone.localdate())


@pytest.mark.django_db
def test_alipays_door_opens_with_its_gateway(settings: Any, alipay_keys: dict[str, str]) -> None:
    assert Client().post("/payments/alipay/notifications").content == b"fail"
    settings.PAYMENT_GATEWAYS = ["wechatpay"]
    assert Client().post("/payments/alipay/notifications").status_code == 404
