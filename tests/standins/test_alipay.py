"""The stand-in Alipay by the documented forms alone: signatures, trades, refunds, bills, notifications, faults."""

import csv
import io
import secrets
import zipfile
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from cryptography.exceptions import InvalidSignature

from carbonsink.standins import keys
from carbonsink.standins.store import CHINA
from tests.processes import wait_for
from tests.standins.clients import AlipayClient, BankClient, Merchant

NOBODY = "http://127.0.0.1:9/nobody"
BACK = "http://127.0.0.1:9/back?x=1"
QUERY, CLOSE, REFUND = "alipay.trade.query", "alipay.trade.close", "alipay.trade.refund"


def address(alipay: AlipayClient, number: str, method: str = "alipay.trade.page.pay", **more: Any) -> str:
    content = {
        "out_trade_no": number, "total_amount": "3.00", "subject": "单株碳汇,一棵",
        "product_code": "FAST_INSTANT_TRADE_PAY" if method.endswith("page.pay") else "QUICK_WAP_WAY",
    } | more.pop("content", {})  # fmt: skip
    parameters = alipay.parameters(method, content, **{"notify_url": NOBODY, "return_url": BACK} | more)
    return f"{alipay.url}/gateway.do?{urlencode(parameters)}"


def opened(alipay: AlipayClient, **more: Any) -> str:
    number = "T" + secrets.token_hex(12)
    assert alipay.open(address(alipay, number, **more)).status_code == 200
    return number


def refund(alipay: AlipayClient, number: str, request_no: str, amount: str) -> dict[str, Any]:
    content = {"out_trade_no": number, "out_request_no": request_no, "refund_amount": amount}
    return alipay.call(REFUND, content)


def test_a_trade_is_there_once_its_buyer_came_and_is_paid_once(alipay: AlipayClient) -> None:
    number = "T" + secrets.token_hex(12)
    missing = alipay.call(QUERY, {"out_trade_no": number})
    assert (missing["code"], missing["sub_code"]) == ("40004", "ACQ.TRADE_NOT_EXIST")
    page = alipay.open(address(alipay, number))
    assert "3.00" in page.text
    assert "script" not in page.text
    assert "form-action 'self' http://127.0.0.1:9" in page.headers["content-security-policy"]
    assert alipay.call(QUERY, {"out_trade_no": number})["trade_status"] == "WAIT_BUYER_PAY"
    back = alipay.http.post(page.url, data={"action": "pay"})
    query = dict(parse_qsl(urlsplit(back.headers["location"]).query))
    assert (query.pop("x"), query["out_trade_no"], query["total_amount"]) == ("1", number, "3.00")
    signed = "&".join(f"{name}={query[name]}" for name in sorted(query) if name not in ("sign", "sign_type"))
    alipay.check(signed.encode(), query["sign"])
    found = alipay.call(QUERY, {"trade_no": query["trade_no"]})
    assert (found["trade_status"], found["total_amount"]) == ("TRADE_SUCCESS", "3.00")
    assert (
        alipay.control("POST", "pay", {"out_trade_no": number}, ok=False)["detail"]["sub_code"]
        == "ACQ.TRADE_HAS_SUCCESS"
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sign": "AAAA"}, "isv.invalid-signature"),
        ({"app_id": "2021000000000110"}, "isv.invalid-app-id"),
        ({"sign_type": "RSA"}, "isv.invalid-signature-type"),
        ({"charset": "gbk"}, "isv.invalid-signature-type"),
        ({"notify_url": ""}, "ACQ.INVALID_PARAMETER"),
        ({"content": {"total_amount": "3"}}, "ACQ.INVALID_PARAMETER"),
        ({"content": {"total_amount": "0.00"}}, "ACQ.INVALID_PARAMETER"),
        ({"content": {"total_amount": 3}}, "ACQ.INVALID_PARAMETER"),
        ({"content": {"subject": "a=b"}}, "ACQ.INVALID_PARAMETER"),
        ({"content": {"product_code": "QUICK_WAP_WAY"}}, "ACQ.INVALID_PARAMETER"),
        ({"content": {"time_expire": "tomorrow"}}, "ACQ.INVALID_PARAMETER"),
        ({"content": {"time_expire": "2018-06-08 10:34:56"}}, "ACQ.INVALID_PARAMETER"),
        ({"method": "alipay.trade.app.pay"}, "isv.invalid-method"),
    ],
    ids=str,
)
def test_an_address_that_is_not_right_opens_nothing(alipay: AlipayClient, change: dict[str, Any], said: str) -> None:
    number = "T" + secrets.token_hex(12)
    refused = alipay.open(address(alipay, number, **change))
    assert refused.status_code == 400
    assert said in refused.text
    assert alipay.trade(number) == {}


def test_the_same_number_with_another_amount_is_refused(alipay: AlipayClient) -> None:
    number = opened(alipay)
    assert "ACQ.CONTEXT_INCONSISTENT" in alipay.open(address(alipay, number, content={"total_amount": "3.01"})).text


def test_an_unsigned_question_gets_a_signed_refusal(alipay: AlipayClient) -> None:
    assert alipay.call(QUERY, {"out_trade_no": "x"}, sign="AAAA")["sub_code"] == "isv.invalid-signature"
    assert alipay.call("alipay.trade.create", {})["sub_code"] == "isv.invalid-method"
    assert alipay.call(QUERY, [])["sub_code"] == "isv.invalid-parameter"


def test_a_closed_trade_cannot_be_paid_but_late(alipay: AlipayClient) -> None:
    number = opened(alipay)
    assert alipay.call(CLOSE, {"out_trade_no": number})["code"] == "10000"
    assert alipay.call(CLOSE, {"out_trade_no": number})["sub_code"] == "ACQ.TRADE_STATUS_ERROR"
    assert alipay.call(QUERY, {"out_trade_no": number})["trade_status"] == "TRADE_CLOSED"
    assert (
        alipay.control("POST", "pay", {"out_trade_no": number}, ok=False)["detail"]["sub_code"] == "ACQ.TRADE_HAS_CLOSE"
    )
    alipay.pay(number, "pay_late")
    assert alipay.call(QUERY, {"out_trade_no": number})["trade_status"] == "TRADE_SUCCESS"
    assert alipay.call(CLOSE, {"out_trade_no": number})["sub_code"] == "ACQ.TRADE_STATUS_ERROR"


def test_refunds_are_idempotent_and_never_exceed_the_payment(alipay: AlipayClient) -> None:
    number = opened(alipay)
    assert refund(alipay, number, "r1", "1.00")["sub_code"] == "ACQ.TRADE_STATUS_ERROR"
    alipay.pay(number)
    assert [refund(alipay, number, "r1", "1.00")["fund_change"] for _ in range(2)] == ["Y", "N"]
    assert refund(alipay, number, "r1", "1.01")["sub_code"] == "ACQ.DISCORDANT_REPEAT_REQUEST"
    assert refund(alipay, number, "r2", "2.01")["sub_code"] == "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL"
    ask = "alipay.trade.fastpay.refund.query"
    found = alipay.call(ask, {"out_trade_no": number, "out_request_no": "r1"})
    assert (found["refund_status"], found["refund_amount"]) == ("REFUND_SUCCESS", "1.00")
    assert "refund_status" not in alipay.call(ask, {"out_trade_no": number, "out_request_no": "r2"})
    assert alipay.call(QUERY, {"out_trade_no": number})["trade_status"] == "TRADE_SUCCESS"
    assert refund(alipay, number, "r3", "2.00")["refund_fee"] == "3.00"
    assert alipay.call(QUERY, {"out_trade_no": number})["trade_status"] == "TRADE_CLOSED"


def test_a_notification_is_repeated_to_the_letter_until_it_is_taken(alipay: AlipayClient, merchant: Merchant) -> None:
    merchant.answers = [(500, b""), (200, b'{"code":"SUCCESS"}'), (200, b"success\n"), (200, b"success")]
    number = opened(alipay, notify_url=merchant.url)
    alipay.pay(number)
    wait_for(lambda: alipay.notification(number)["state"] == "delivered")
    bodies = {body for _, body in merchant.received}
    assert (len(merchant.received), len(bodies)) == (4, 1)
    told = dict(parse_qsl(bodies.pop().decode()))
    message = "&".join(f"{name}={told[name]}" for name in sorted(told) if name not in ("sign", "sign_type"))
    alipay.check(message.encode(), told["sign"])
    assert (told["out_trade_no"], told["total_amount"], told["trade_status"]) == (number, "3.00", "TRADE_SUCCESS")
    assert told["seller_id"] == alipay.settings["ALIPAY_SELLER_ID"]


def lines(alipay: AlipayClient, kind: str) -> tuple[list[dict[str, str]], str]:
    content = {"bill_type": kind, "bill_date": datetime.now(CHINA).date().isoformat()}
    url = alipay.call("alipay.data.dataservice.bill.downloadurl.query", content)["bill_download_url"]
    with zipfile.ZipFile(io.BytesIO(alipay.http.get(url).content), metadata_encoding="gbk") as archive:
        detail, summary = archive.namelist()
        text = archive.read(detail).decode("gbk")
    assert detail.endswith("明细.csv")
    assert summary.endswith("(汇总).csv")
    table = [line for line in text.splitlines() if not line.startswith("#")]
    return [{key: value.strip() for key, value in row.items()} for row in csv.DictReader(table)], text


def test_a_settlement_is_the_net_and_the_bills_add_up(start: Callable[..., Any], tmp_path: Any) -> None:
    bank_url = start("bank", "--complete-after", "0").url
    alipay = AlipayClient(start("alipay", "--bank-url", bank_url).url, keys.settings_for(tmp_path, "", "", ""))
    bank = BankClient(bank_url, keys.settings_for(tmp_path, "", bank_url))
    missing = {"bill_type": "trade", "bill_date": "2018-07-08"}
    answer = alipay.call("alipay.data.dataservice.bill.downloadurl.query", missing)
    assert answer["sub_code"] == "isp.bill_not_exist"
    numbers = [opened(alipay, content={"total_amount": "100.00"}) for _ in range(2)]
    for number in numbers:
        alipay.pay(number)
    refund(alipay, numbers[0], "r1", "10.00")
    (settled,) = alipay.control("POST", "settle")["settlements"]
    assert settled["fen"] == 20000 - 2 * 60 - 1000
    assert alipay.control("POST", "settle")["settlements"] == []
    (credit,) = [row for row in bank.statement()["rows"] if row["fen"] == settled["fen"]]
    assert credit["counterparty_name"] == "支付宝（中国）网络技术有限公司"

    trades, text = lines(alipay, "trade")
    assert [(row["业务类型"], row["订单金额（元）"], row["服务费（元）"]) for row in trades] == [
        ("交易", "100.00", "-0.60"), ("交易", "100.00", "-0.60"), ("退款", "-10.00", "0.00"),
    ]  # fmt: skip
    assert trades[2]["退款批次号/请求号"] == "r1"
    assert "#交易合计：2笔，商家实收共200.00元" in text
    assert "#退款合计：1笔，商家实收退款共-10.00元" in text
    flows, _ = lines(alipay, "signcustomer")
    assert [row["业务类型"] for row in flows] == ["在线支付", "收费", "在线支付", "收费", "交易退款", "提现"]
    assert flows[-1]["账户余额（元）"] == "0.00"
    alipay.http.close()
    bank.http.close()


@pytest.mark.parametrize(
    ("fault", "status", "done"),
    [("error_500_before", 500, 0), ("error_500_after", 500, 1), ("duplicate", 200, 1), ("garbage", 200, 1)],
)
def test_each_fault_of_alipay(alipay: AlipayClient, fault: str, status: int, done: int) -> None:
    number = opened(alipay)
    alipay.pay(number)
    alipay.fault("refund", fault)
    content = {"out_trade_no": number, "out_request_no": "r1", "refund_amount": "1.00"}
    answer = alipay.http.post(f"{alipay.url}/gateway.do", data=alipay.parameters(REFUND, content))
    assert answer.status_code == status
    assert alipay.trade(number)["refunded_fen"] == 100 * done
    alipay.fault("query", "bad_signature")
    with pytest.raises(InvalidSignature):
        alipay.call(QUERY, {"out_trade_no": number})
    alipay.fault("query", "accept_then_silence")
    with pytest.raises(httpx.RemoteProtocolError):
        alipay.call(QUERY, {"out_trade_no": number})
    assert alipay.call(QUERY, {"out_trade_no": number})["code"] == "10000"


def test_faults_are_only_where_they_fit(alipay: AlipayClient) -> None:
    places = alipay.control("GET", "faults")["places"]
    trades = {"query", "close", "refund", "refund_query", "bill", "bill_download", "notification"}
    assert set(places) == trades | {"transfer", "transfer_query", "account_log"}
    assert "bad_signature" not in places["bill_download"]
    wrong = {"where": "bill_download", "fault": "bad_signature"}
    assert alipay.control("POST", "faults", wrong, ok=False)["code"] == "UNKNOWN_FAULT"
