"""Amounts that a gateway may report and that are not the order's: none is ever taken for paid."""

from typing import Any

import pytest

from purchases.models import Certificate, Notification, Order, Payment
from tests import factories
from tests.purchases import books
from tests.purchases.sealing import Alipay, Wechat, deliver, deliver_form

# An order of 6.00 yuan. What is no amount in fen at all …
NO_FEN: list[Any] = [
    0, -1, -600, "600", "6.00", "６００", "", " 600", 600.0, 6e2, 600.5, 599.9999999999999, True, False, None, [], [600],
    {}, {"total": 600}, float("nan"), float("inf"), -float("inf"), 10**15, 10**30,
]  # fmt: skip
# … and what is one, but not this order's.
OTHER_FEN = [1, 6, 599, 601, 60000, 10**15 - 1]
NO_YUAN = [
    "", "0", "0.00", "6", "6.", "6.0", "6.000", ".00", "06.00", "-6.00", "+6.00", "6e0", "6.00e0", "0x6.00", "6,00",
    "1,006.00", "6.00 ", " 6.00", "6.00\n", "６.００", "٦.00", "6。00", "6.0.0", "NaN", "Infinity", "null", "600元",
    "6.00CNY", "-0.00", "10000000000000.00",
]  # fmt: skip
OTHER_YUAN = ["0.01", "0.06", "5.99", "6.01", "600.00", "9999999999999.99"]


def held(gateway: str) -> Payment:
    factories.market(2)
    order = factories.order(2)
    Payment.objects.update(gateway=gateway)
    return order.payments.get()


def refused() -> None:
    assert books.lines() == []
    assert not Notification.objects.exists()
    not_paid("created")


def not_paid(state: str) -> None:
    assert not Certificate.objects.exists()
    assert (Order.objects.get().state, Payment.objects.get().state) == ("held", state)


def in_suspense(fen: int) -> None:
    assert books.balances() == {"gateway": fen, "suspense": -fen}
    assert Payment.objects.get().captured_fen == fen
    not_paid("captured")
    assert books.found() == books.UNEXPLAINED


@pytest.mark.django_db
@pytest.mark.parametrize("total", NO_FEN, ids=repr)
def test_wechat_reports_what_is_no_amount(total: Any, wechat_keys: dict[str, str]) -> None:
    payment, wechatpay = held("wechatpay"), Wechat(wechat_keys)
    sent = wechatpay.genuine(payment, amount={"total": total, "currency": "CNY"})
    assert deliver(*sent).status_code == 401
    refused()


@pytest.mark.django_db
@pytest.mark.parametrize("total", OTHER_FEN)
def test_wechat_reports_another_amount(total: int, wechat_keys: dict[str, str]) -> None:
    payment, wechatpay = held("wechatpay"), Wechat(wechat_keys)
    sent = wechatpay.genuine(payment, amount={"total": total, "payer_total": 600, "currency": "CNY"})
    assert [deliver(*sent).status_code for _ in range(2)] == [200, 200]
    in_suspense(total)


@pytest.mark.django_db
@pytest.mark.parametrize("amount", NO_YUAN, ids=repr)
def test_alipay_reports_what_is_no_amount(amount: str, alipay_keys: dict[str, str]) -> None:
    payment, alipay = held("alipay"), Alipay(alipay_keys)
    answer = deliver_form(alipay.genuine(payment, total_amount=amount, receipt_amount="6.00"))
    assert (answer.status_code, answer.content) == (401, b"fail")
    refused()


@pytest.mark.django_db
@pytest.mark.parametrize("amount", OTHER_YUAN)
def test_alipay_reports_another_amount(amount: str, alipay_keys: dict[str, str]) -> None:
    payment, alipay = held("alipay"), Alipay(alipay_keys)
    sent = alipay.genuine(payment, total_amount=amount, receipt_amount="6.00")
    assert [deliver_form(sent).status_code for _ in range(2)] == [200, 200]
    in_suspense(int(amount.replace(".", "")))
