import secrets
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.processes import wait_for
from tests.standins.clients import WechatClient

NATIVE = "/v3/pay/transactions/native"
NOBODY = "http://127.0.0.1:9/nobody"


def soon(seconds: float) -> str:
    return datetime.fromtimestamp(time.time() + seconds, UTC).isoformat()


def refund_terms(number: str, refund_no: str, fen: int, total: int) -> dict[str, Any]:
    amount = {"refund": fen, "total": total, "currency": "CNY"}
    return {"out_trade_no": number, "out_refund_no": refund_no, "amount": amount}


def refund(wechat: WechatClient, *terms: Any) -> Any:
    return wechat.call("POST", "/v3/refund/domestic/refunds", refund_terms(*terms))


@pytest.mark.parametrize(
    "wrong",
    [
        {"sent": b'{"amount": {"total": 1}}'},
        {"mchid": "1900000110"},
        {"serial": "0" * 40},
        {"late_s": 301},
        {"late_s": -1000},
    ],
)
def test_a_wrong_signature_is_refused_with_a_signed_answer(wechat: WechatClient, wrong: dict) -> None:
    number = "T" + secrets.token_hex(12)
    if "late_s" in wrong:  # From the moment it is sent, not from that at which the tests were collected.
        wrong = {"at": time.time() - wrong["late_s"]}
    answer = wechat.call("POST", NATIVE, wechat.terms(number, NOBODY, 300), **wrong)
    assert (answer.status_code, answer.json()["code"]) == (401, "SIGN_ERROR")
    assert wechat.signed_by_wechat(answer.headers, answer.content)
    assert wechat.query(number)["code"] == "ORDER_NOT_EXIST"


def test_an_unsigned_call_is_refused(wechat: WechatClient) -> None:
    assert wechat.http.post(wechat.url + NATIVE, json={}).status_code == 401


def test_the_same_order_gets_the_same_address_and_another_amount_is_refused(wechat: WechatClient) -> None:
    terms = wechat.terms("T" + secrets.token_hex(12), NOBODY, 300)
    first, again = wechat.call("POST", NATIVE, terms), wechat.call("POST", NATIVE, terms)
    assert first.json() == again.json()
    assert wechat.signed_by_wechat(first.headers, first.content)
    other = wechat.call("POST", NATIVE, terms | {"amount": {"total": 301}})
    assert (other.status_code, other.json()["code"]) == (403, "OUT_TRADE_NO_USED")


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": {"total": 0}},
        {"amount": {"total": -1}},
        {"amount": {"total": 1.5}},
        {"amount": {"total": True}},
        {"amount": {"total": "300"}},
        {"amount": {}},
        {"amount": {"total": 300, "currency": "USD"}},
        {"out_trade_no": "short"},
        {"out_trade_no": "T" * 33},
        {"description": ""},
        {"notify_url": "http://127.0.0.1/notify?a=1"},
        {"time_expire": "tomorrow"},
        {"time_expire": "2018-06-08T10:34:56"},
        {"time_expire": "2018-06-08T10:34:56+08:00"},
    ],
)
def test_a_bad_field_is_a_param_error(wechat: WechatClient, wrong: dict) -> None:
    terms = wechat.terms("T" + secrets.token_hex(12), NOBODY, 300) | wrong
    answer = wechat.call("POST", NATIVE, terms)
    assert (answer.status_code, answer.json()["code"]) == (400, "PARAM_ERROR")


def test_another_app_is_refused(wechat: WechatClient) -> None:
    terms = wechat.terms("T" + secrets.token_hex(12), NOBODY, 300) | {"appid": "wx0000000000000000"}
    assert wechat.call("POST", NATIVE, terms).json()["code"] == "APPID_MCHID_NOT_MATCH"


def test_a_payment_is_seen_by_query_and_happens_once(wechat: WechatClient) -> None:
    number = wechat.order(fen=12345)
    assert wechat.query(number)["trade_state"] == "NOTPAY"
    paid = wechat.pay(number)
    trade = wechat.query(number)
    assert trade["trade_state"] == "SUCCESS"
    assert trade["transaction_id"] == paid["transaction_id"]
    assert (trade["amount"]["total"], trade["amount"]["payer_total"]) == (12345, 12345)
    assert trade["payer"]["openid"]
    refused = wechat.control("POST", "pay", {"out_trade_no": number, "action": "pay"}, ok=False)
    assert refused["code"] == "ORDERPAID"
    terms = wechat.terms(number, NOBODY, 12345)
    assert wechat.call("POST", NATIVE, terms).json()["code"] == "ORDERPAID"


def test_refusing_and_ignoring_leave_the_order_unpaid(wechat: WechatClient) -> None:
    number = wechat.order()
    for action in ("refuse", "ignore"):
        assert wechat.pay(number, action)["transaction_id"] is None
    assert wechat.query(number)["trade_state"] == "NOTPAY"
    assert wechat.control("GET", f"notifications?out_trade_no={number}") == []


def test_a_closed_order_cannot_be_paid_but_a_late_capture_can_happen(wechat: WechatClient) -> None:
    number, mchid = wechat.order(), {"mchid": wechat.settings["WECHATPAY_MCHID"]}
    target = f"/v3/pay/transactions/out-trade-no/{number}/close"
    closed = wechat.call("POST", target, mchid)
    assert (closed.status_code, closed.content) == (204, b"")
    assert wechat.signed_by_wechat(closed.headers, b"")
    assert wechat.query(number)["trade_state"] == "CLOSED"
    assert wechat.call("POST", NATIVE, wechat.terms(number, NOBODY, 300)).json()["code"] == "ORDER_CLOSED"
    refused = wechat.control("POST", "pay", {"out_trade_no": number}, ok=False)
    assert refused["code"] == "ORDER_CLOSED"
    wechat.pay(number, "pay_late")
    assert wechat.query(number)["trade_state"] == "SUCCESS"
    assert wechat.call("POST", target, mchid).json()["code"] == "ORDERPAID"


def test_after_its_expiry_an_order_is_paid_only_late(wechat: WechatClient) -> None:
    number = wechat.order(time_expire=soon(2))
    cashier = next(order["code_url"] for order in wechat.control("GET", "orders") if order["out_trade_no"] == number)

    def refused() -> bool:
        return "已过付款时限" in wechat.http.get(cashier).text

    wait_for(refused)
    answer = wechat.http.post(cashier, data={"action": "pay"})
    assert answer.status_code == 409
    assert wechat.query(number)["trade_state"] == "NOTPAY"
    assert wechat.http.post(cashier, data={"action": "pay_late"}).status_code == 303
    assert wechat.query(number)["trade_state"] == "SUCCESS"


def test_a_double_payment_is_a_second_transaction(wechat: WechatClient) -> None:
    number = wechat.order()
    first, second = wechat.pay(number), wechat.pay(number, "pay_again")
    assert first["transaction_id"] != second["transaction_id"]
    terms = refund_terms(number, secrets.token_hex(8), 300, 300)
    del terms["out_trade_no"]
    terms["transaction_id"] = second["transaction_id"]
    answer = wechat.call("POST", "/v3/refund/domestic/refunds", terms).json()
    assert (answer["status"], answer["transaction_id"]) == ("SUCCESS", second["transaction_id"])
    assert wechat.query(number)["trade_state"] == "SUCCESS"


def test_refunds_are_idempotent_and_never_exceed_the_payment(wechat: WechatClient) -> None:
    number, first = wechat.order(fen=1000), secrets.token_hex(8)
    unpaid = refund(wechat, number, first, 400, 1000)
    assert (unpaid.status_code, unpaid.json()["code"]) == (400, "INVALID_REQUEST")
    wechat.pay(number)
    done, again = refund(wechat, number, first, 400, 1000), refund(wechat, number, first, 400, 1000)
    assert done.json() == again.json()
    assert (done.json()["status"], done.json()["amount"]["refund"]) == ("SUCCESS", 400)
    assert wechat.query(number)["trade_state"] == "REFUND"
    assert refund(wechat, number, first, 401, 1000).json()["code"] == "INVALID_REQUEST"
    assert refund(wechat, number, secrets.token_hex(8), 601, 1000).json()["code"] == "INVALID_REQUEST"
    assert refund(wechat, number, secrets.token_hex(8), 600, 999).json()["code"] == "PARAM_ERROR"
    assert refund(wechat, number, secrets.token_hex(8), 600, 1000).status_code == 200
    found = wechat.call("GET", f"/v3/refund/domestic/refunds/{first}")
    assert found.json() == done.json()
    assert wechat.call("GET", "/v3/refund/domestic/refunds/none").json()["code"] == "RESOURCE_NOT_EXISTS"
    assert refund(wechat, "T" * 20, secrets.token_hex(8), 1, 1).json()["code"] == "RESOURCE_NOT_EXISTS"


def test_the_cashier_page_is_for_phones_and_needs_no_script(wechat: WechatClient) -> None:
    terms = wechat.terms("T" + secrets.token_hex(12), NOBODY, 1230)
    page = wechat.http.get(wechat.call("POST", NATIVE, terms).json()["code_url"])
    assert "12.30" in page.text
    assert terms["description"] in page.text
    assert 'name="viewport"' in page.text
    assert "script" not in page.text
    assert wechat.http.get(wechat.url + "/static/cashier.css").status_code == 200
