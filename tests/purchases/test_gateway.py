"""The adapter against the stand-in gateway with every fault: nothing is decided by guess, and trying again is safe."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from carbonsink.errors import DomainError
from purchases import fees, tasks
from purchases.checkout import ask_gateway, start_payment
from purchases.gateways import gateway
from purchases.gateways.base import Fee, Funds, GatewayError
from purchases.gateways.wechatpay.bills import read_funds
from purchases.models import Order, Payment
from tests import factories
from tests.purchases import books
from tests.standins.clients import WechatClient

BROKEN = ["error_500_before", "error_500_after", "accept_then_silence", "garbage", "bad_signature"]
ENGLISH = {"accept-language": "en"}


def held() -> Payment:
    factories.market(2)
    return factories.order(2).payments.get()


def at_the_gateway(wechat: WechatClient, payment: Payment) -> list[dict[str, Any]]:
    return [one for one in wechat.control("GET", "orders") if one["out_trade_no"] == payment.reference]


@pytest.mark.django_db
@pytest.mark.parametrize("fault", BROKEN)
def test_a_gateway_that_fails_keeps_the_order_and_gives_the_address_later(wechat: WechatClient, fault: str) -> None:
    payment = held()
    page, client = reverse("purchases:order-pay", args=[payment.order.token]), Client(headers=ENGLISH)
    wechat.fault("native", fault, times=2)
    for door in (
        client.post(page, {"way": "wechatpay.native"}, follow=True),
        client.post(f"/api/v1/orders/{payment.order.token}/payment"),
    ):
        assert "The payment service does not answer. Your trees stay reserved; try again." in door.content.decode()
    assert door.status_code == 503
    assert (Order.objects.get().state, Payment.objects.get().state) == ("held", "created")
    assert books.stock() == (2, 2)

    answer = client.post(f"/api/v1/orders/{payment.order.token}/payment").json()
    assert client.post(f"/api/v1/orders/{payment.order.token}/payment").json() == answer
    (one,) = at_the_gateway(wechat, payment)
    assert answer == {"pay_url": one["code_url"]}
    assert (one["fen"], one["trade_state"]) == (600, "NOTPAY")
    assert client.get(reverse("purchases:order-qr", args=[payment.order.token])).content.startswith(b"\x89PNG")


@pytest.mark.django_db
def test_the_gateway_ends_the_payment_when_the_order_ends(wechat: WechatClient) -> None:
    payment = held()
    start_payment(payment.order)
    (one,) = at_the_gateway(wechat, payment)
    assert timezone.datetime.fromisoformat(one["expires_at"]) == payment.order.expires_at.replace(microsecond=0)


@pytest.mark.django_db
def test_a_gateway_that_answers_twice_has_one_order(wechat: WechatClient) -> None:
    payment = held()
    wechat.fault("native", "duplicate")
    assert start_payment(payment.order).pay_url
    assert len(at_the_gateway(wechat, payment)) == 1


@pytest.mark.django_db
def test_nobody_there_is_no_answer(wechat_keys: dict[str, str]) -> None:
    payment = held()
    with pytest.raises(DomainError) as silent:
        start_payment(payment.order)
    assert (silent.value.code, silent.value.status) == ("gateway_silent", 503)
    with pytest.raises(GatewayError, match="NO_CONNECTION"):
        ask_gateway(payment)
    assert Payment.objects.get().state == "created"


@pytest.mark.django_db
@pytest.mark.parametrize("fault", BROKEN)
def test_a_failing_query_decides_nothing(wechat: WechatClient, fault: str) -> None:
    payment = start_payment(held().order)
    wechat.pay(payment.reference)
    wechat.fault("query", fault)
    tasks.ask_about_payment(payment.pk)
    assert (Order.objects.get().state, Payment.objects.get().state) == ("held", "created")
    assert books.lines() == []
    tasks.ask_about_payment(payment.pk)
    assert (Order.objects.get().state, Payment.objects.get().state) == ("paid", "captured")
    assert books.balances() == {"gateway": 600, "household": -600}
    books.all_is_well()


@pytest.mark.django_db
@pytest.mark.parametrize("state", ["opened", "unknown at the gateway"])
def test_asking_about_an_unpaid_order_that_is_held_changes_nothing(wechat: WechatClient, state: str) -> None:
    payment = held()
    if state == "opened":
        start_payment(payment.order)
    assert ask_gateway(payment) == "created"
    assert Payment.objects.get().state == "created"
    assert [one["trade_state"] for one in at_the_gateway(wechat, payment)] == ["NOTPAY"] * (state == "opened")


@pytest.mark.django_db
@pytest.mark.parametrize("fault", [*BROKEN, "duplicate"])
def test_the_payment_of_an_expired_order_is_closed_at_the_gateway(
    wechat: WechatClient, fault: str, later: Callable[..., None]
) -> None:
    payment = start_payment(held().order)
    later(minutes=16)
    wechat.fault("close", fault)
    tasks.sweep()
    assert Order.objects.get().state == "expired"
    assert Payment.objects.get().state == ("closed" if fault == "duplicate" else "created")
    tasks.sweep()
    assert Payment.objects.get().state == "closed"
    assert [one["trade_state"] for one in at_the_gateway(wechat, payment)] == ["CLOSED"]
    assert books.lines() == []
    books.all_is_well()


@pytest.mark.django_db
def test_a_payment_the_gateway_never_heard_of_is_closed_with_its_order(
    wechat: WechatClient, later: Callable[..., None]
) -> None:
    payment = held()
    later(minutes=16)
    tasks.sweep()
    assert Payment.objects.get().state == "closed"
    assert at_the_gateway(wechat, payment) == []


@pytest.mark.django_db
def test_a_payment_that_comes_between_question_and_closing_is_taken(
    wechat: WechatClient, later: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing is refused with ORDERPAID: the money is there, and the next question finds it."""
    payment = start_payment(held().order)
    later(minutes=16)
    adapter = type(gateway("wechatpay"))
    close = adapter.close

    def pay_and_close(self: Any, reference: str) -> None:
        wechat.pay(reference, "pay_late")
        close(self, reference)

    monkeypatch.setattr(adapter, "close", pay_and_close)
    tasks.sweep()
    assert (Order.objects.get().state, Payment.objects.get().state) == ("expired", "created")
    tasks.sweep()
    assert (Order.objects.get().state, Payment.objects.get().state) == ("paid", "captured")
    assert payment.pk == Payment.objects.get().pk
    assert books.balances() == {"gateway": 600, "household": -600}
    books.all_is_well()


@pytest.mark.django_db
def test_the_sweeper_finds_a_payment_whose_notification_never_came(
    wechat: WechatClient, later: Callable[..., None]
) -> None:
    payment = start_payment(held().order)
    wechat.pay(payment.reference)
    tasks.sweep()
    assert Order.objects.get().state == "held"  # Too early to ask: the notification may be on its way.
    later(minutes=2, seconds=1)
    tasks.sweep()
    assert Order.objects.get().state == "paid"
    assert books.balances() == {"gateway": 600, "household": -600}
    books.all_is_well()


@pytest.mark.django_db
def test_one_payment_that_cannot_be_booked_keeps_no_other_waiting(
    wechat: WechatClient, later: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.market(2)
    payments = [start_payment(factories.order(1)) for _ in range(2)]
    for payment in payments:
        wechat.pay(payment.reference)
    from purchases import checkout as service

    book = service.book_capture

    def refuse(payment: Payment, report: Any) -> None:
        if payment.pk == payments[0].pk:
            raise RuntimeError("something nobody thought of")
        book(payment, report)

    monkeypatch.setattr(service, "book_capture", refuse)
    later(minutes=3)
    tasks.sweep()
    assert list(Order.objects.order_by("pk").values_list("state", flat=True)) == ["held", "paid"]


@pytest.mark.django_db
@pytest.mark.parametrize("place", ["fundflowbill", "billdownload"])
@pytest.mark.parametrize("fault", ["error_500_before", "accept_then_silence", "garbage"])
def test_fees_of_a_bill_that_does_not_come_are_booked_by_the_next_try(
    wechat: WechatClient, place: str, fault: str
) -> None:
    factories.market(100 // 50)
    payment = start_payment(factories.order(2))
    wechat.pay(payment.reference)
    wechat.fault(place, fault)
    today = timezone.localdate()
    with pytest.raises(GatewayError) as broken:
        fees.book_fees("wechatpay", today)
    assert broken.value.outcome == "unknown"
    assert books.lines() == []
    booked = fees.book_fees("wechatpay", today)
    assert booked >= 1
    assert fees.book_fees("wechatpay", today) == 0
    balances = books.balances()
    assert balances["fees"] == -balances["gateway"] == sum(
        one["fee_fen"] for order in wechat.control("GET", "orders") for one in order["transactions"]
    )  # fmt: skip


@pytest.mark.django_db
def test_a_day_without_a_bill_has_no_fees(wechat: WechatClient) -> None:
    assert fees.book_fees("wechatpay", timezone.localdate() - timedelta(days=400)) == 0
    tasks.book_fees()
    assert books.lines() == []


FLOWS = (
    "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),备注\r\n"
    "`2030-01-01 00:00:00,`1,`F1,`交易,`交易,`收入,`1300.00,`1300.00,`a, b\r\n"
    "`2030-01-01 00:00:00,`1,`F2,`交易,`扣除交易手续费,`支出,`0.05,`1299.95,`单株,碳汇\r\n"
    "`2030-01-01 00:00:00,`1,`F3,`交易,`扣除交易手续费,`支出,`1234.50,`65.45,`\r\n"
    "`2030-01-01 09:00:00,`2,`F4,`提现,`提现,`支出,`60.00,`5.45,`\r\n"
    "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额\r\n`4,`1,`1300.00,`3,`1294.55\r\n"
)


def test_what_moved_is_read_from_the_bill_as_it_is_written() -> None:
    assert read_funds(FLOWS.encode()) == Funds([Fee("F2", 5), Fee("F3", 123450)], [6000], 4, 545)
    assert read_funds(b"") == Funds([], [], 0, None)
    # Rows of one second may stand in any order; what is missing between them leaves the end unknown.
    *head, first, second, third, fourth, total_names, totals, _end = FLOWS.split("\r\n")
    mixed = "\r\n".join([*head, third, first, second, fourth, total_names, totals, ""])
    assert read_funds(mixed.encode()).closing_fen == 545
    assert read_funds(FLOWS.replace("`65.45", "`65.46").encode()).closing_fen is None


@pytest.mark.parametrize(
    ("written", "instead"),
    [("`0.05", wrong) for wrong in ("`0.055", "`abc", "`", "`1e3", "`1,234.50", "`0.04")]
    + [("支出,`60.00", "其他,`60.00"), ("`1300.00,`3", "`1300.01,`3"), ("`1294.55", "`1294.54")],
)
def test_a_bill_that_is_damaged_or_not_whole_tells_nothing(written: str, instead: str) -> None:
    with pytest.raises(GatewayError, match="BAD_BILL"):
        read_funds(FLOWS.replace(written, instead, 1).encode())
