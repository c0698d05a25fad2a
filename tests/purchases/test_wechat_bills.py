"""WeChat Pay's trade bill: what it says is read strictly, or not at all."""

import hashlib
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from purchases import refunds, tasks
from purchases.checkout import start_payment
from purchases.gateways import gateway
from purchases.gateways.base import BillLine, DayBill, GatewayError
from purchases.gateways.wechatpay.bills import read_trades
from purchases.models import Payment, Refund
from tests import factories
from tests.purchases import books
from tests.standins.clients import WechatClient

HEADER = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,"
    "应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,"
    "手续费,费率,订单金额,申请退款金额,费率备注"
)
TOTALS = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
# The buyer's words hold commas, quotes and a formula; none of it may move a column.
SOLD = (
    "`2030-01-01 10:00:00,`wx1,`190,`0,`,`4200A,`ref1,`o1,`JSAPI,`SUCCESS,`OTHERS,`CNY,`6.00,`0.00,`0,`0,`0.00,`0.00,`,`,"
    '`=1+1,"a, b",c,`,`0.04,`0.60%,`6.00,`0.00,`'
)
BACK = (
    "`2030-01-01 11:00:00,`wx1,`190,`0,`,`4200A,`ref1,`o1,`JSAPI,`REFUND,`OTHERS,`CNY,`0.00,`0.00,`5000B,`back1,`3.00,"
    "`0.00,`ORIGINAL,`PROCESSING,`goods,`,`0.00,`0.60%,`0.00,`3.00,`"
)
SUM = "`2,`6.00,`3.00,`0.00,`0.04,`6.00,`3.00"
BILL = "\r\n".join([HEADER, SOLD, BACK, TOTALS, SUM, ""])


def test_a_bill_is_read_as_it_is_written() -> None:
    lines = [BillLine("capture", "ref1", "4200A", 600), BillLine("refund", "ref1", "4200A", 300, "back1")]
    assert read_trades(BILL.encode(), "190") == lines
    assert read_trades(b"\xef\xbb\xbf" + BILL.replace("\r\n", "\n").encode(), "190") == lines
    # As in the example bill of WeChat Pay's own SDK (wechatpay-php, tests/fixtures/bill.ALL.csv).
    assert read_trades(BILL.replace(SUM, "`2.0,`6.0,`3.0,`0.0,`0.04,`6.0,`3.0").encode(), "190") == lines
    # A refund that failed sent nothing back.
    assert read_trades(BILL.replace("PROCESSING", "FAIL").encode(), "190") == lines[:1]


@pytest.mark.parametrize(
    "change",
    [
        lambda bill: bill.replace(SUM, "`3,`6.00,`3.00,`0.00,`0.04,`6.00,`3.00"),
        lambda bill: bill.replace(SUM, "`2,`6.00,`3.00,`0.00,`0.04,`6.01,`3.00"),
        lambda bill: bill.replace(SUM, "`2,`6.00,`3.00,`0.00,`0.04,`6.00,`2.99"),
        lambda bill: bill.replace(SOLD + "\r\n", ""),
        lambda bill: bill.replace(SOLD, SOLD + "\r\n" + SOLD),
        lambda bill: bill.replace(TOTALS + "\r\n", ""),
        lambda bill: bill.replace(SUM + "\r\n", ""),
        lambda bill: bill[: len(bill) // 2],
        lambda bill: bill.replace("`190", "`191"),
        lambda bill: bill.replace("`CNY", "`USD"),
        lambda bill: bill.replace("`SUCCESS", "`REVOKED"),
        lambda bill: bill.replace("`4200A", "`"),
        lambda bill: bill.replace("`back1", "`"),
        lambda bill: bill.replace("`o1", "`o1,`more"),
        lambda bill: bill.replace("`6.00,`0.00,`\r", "`-6.00,`0.00,`\r"),
        lambda bill: bill.replace("`6.00,`0.00,`\r", "`6.001,`0.00,`\r"),
        lambda bill: bill.replace("`6.00,`0.00,`\r", "`６.00,`0.00,`\r"),
        lambda bill: bill.replace("`6.00,`0.00,`\r", "`6e0,`0.00,`\r"),
        lambda bill: bill.replace("`6.00,`0.00,`\r", "`,`0.00,`\r"),
        lambda bill: bill.replace("订单金额,申请", "订单数额,申请"),
        lambda bill: bill.replace("商户订单号", "微信订单号"),
        lambda bill: "<html>not a bill</html>",
        lambda bill: "{}",
        lambda bill: "",
    ],
)
def test_a_bill_that_does_not_fit_is_none(change: Callable[[str], str]) -> None:
    with pytest.raises(GatewayError, match="BAD_BILL") as broken:
        read_trades(change(BILL).encode(), "190")
    assert broken.value.outcome == "unknown"
    with pytest.raises(GatewayError, match="BAD_BILL"):
        read_trades(b"\xff" + BILL.encode(), "190")


@pytest.mark.django_db
def test_the_bill_of_a_day_has_its_captures_and_refunds(wechat: WechatClient) -> None:
    factories.market(2)
    ours = [start_payment(factories.order(1)) for _ in range(2)]
    for payment in ours:
        wechat.pay(payment.reference)
    wechat.pay(ours[1].reference, "pay_again")
    for payment in ours:
        tasks.ask_about_payment(payment.pk)
    payment = Payment.objects.get(pk=ours[0].pk)
    refund = Refund.objects.create(payment=payment, fen=100, reason=Refund.Reason.GONE)
    refunds.send(refund)
    bill = gateway("wechatpay").bill(timezone.localdate())
    assert len(bill.sha256) == 64
    lines = [line for line in bill.lines if line.reference in (ours[0].reference, ours[1].reference)]
    number = str(payment.transaction_id)
    assert BillLine("capture", payment.reference, number, 300) in lines
    assert BillLine("refund", payment.reference, number, 100, refund.number) in lines
    # What we do not know of yet, the second payment of an order, is on the bill too.
    assert sorted(line.kind for line in lines) == ["capture"] * 3 + ["refund"]


@pytest.mark.django_db
@pytest.mark.parametrize("place", ["tradebill", "billdownload"])
@pytest.mark.parametrize("fault", ["error_500_before", "accept_then_silence", "garbage"])
def test_a_bill_that_does_not_come_is_no_bill(wechat: WechatClient, place: str, fault: str) -> None:
    wechat.pay(wechat.order())
    wechat.fault(place, fault)
    with pytest.raises(GatewayError) as broken:
        gateway("wechatpay").bill(timezone.localdate())
    assert broken.value.outcome == "unknown"
    bill = gateway("wechatpay").bill(timezone.localdate())
    assert bill.sha256 != hashlib.sha256(b"").hexdigest()
    assert bill.lines


@pytest.mark.django_db
def test_a_day_without_trade_has_no_bill(wechat: WechatClient) -> None:
    assert gateway("wechatpay").bill(timezone.localdate() - timedelta(days=400)) == DayBill("", [])
    assert books.lines() == []
