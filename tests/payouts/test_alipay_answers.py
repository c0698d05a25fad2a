"""Answers of Alipay that prove nothing: a server that says what it likes, well signed or not."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from django.utils import timezone

from carbonsink import pem
from carbonsink.standins import keys
from payouts.banks.alipay.bank import AlipayTransfers
from payouts.banks.base import BankError, Instruction, Transfer
from tests.standins.cards import LOG, QUERY, TRANSFER, number

OUT_NO = "a" * 32
WELL = {"code": "10000", "msg": "Success", "out_biz_no": OUT_NO, "order_id": "2026112111007000000600000001"}
ARRIVED = WELL | {"status": "SUCCESS", "trans_date": "2026-11-21 10:00:00"}


class Liar:
    """Answers each method as it is told to, and keeps what it was asked."""

    def __init__(self, folder: Path) -> None:
        key = pem.private_key(folder / keys.ALIPAY_KEY, RSAPrivateKey)
        self.key, self.certificate = key, number(str(folder / keys.ALIPAY_CERT))
        self.answers: dict[str, Callable[[str], bytes]] = {}
        self.asked: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        liar = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
                liar.asked.append((query["method"], query, json.loads(parse_qs(body)["biz_content"][0])))
                answer = liar.answers[query["method"]](query["method"])
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def signed(self, content: Any, method: str, *, key: Any = None, certificate: str | None = None) -> bytes:
        raw = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        sign = base64.b64encode((key or self.key).sign(raw.encode(), PKCS1v15(), SHA256())).decode()
        named = self.certificate if certificate is None else certificate
        name = method.replace(".", "_") + "_response"
        return f'{{"{name}":{raw},"alipay_cert_sn":"{named}","sign":"{sign}"}}'.encode()

    def says(self, method: str, content: Any, **how: Any) -> None:
        self.answers[method] = lambda asked: self.signed(content, asked, **how)


@pytest.fixture
def liar(standin_keys: Path, settings: Any) -> Iterator[Liar]:
    server = Liar(standin_keys)
    for name, value in keys.settings_for(standin_keys, "", "").items():
        setattr(settings, name, value)
    settings.ALIPAY_GATEWAY_URL = f"http://127.0.0.1:{server.server.server_port}/gateway.do"
    yield server
    server.server.shutdown()
    server.server.server_close()


def instruction() -> Instruction:
    transfer = Transfer(OUT_NO, 300, "滚修", "6217000000000000019", "105701000012", "单株碳汇收益", "建设银行")
    return Instruction(OUT_NO, timezone.now(), (transfer,))


def test_what_is_sent_is_what_the_documentation_asks_for(liar: Liar, standin_keys: Path) -> None:
    liar.says(TRANSFER, ARRIVED)
    (report,) = AlipayTransfers().submit(instruction())
    assert (report.out_no, report.state, report.bank_reference) == (OUT_NO, "succeeded", ARRIVED["order_id"])
    ((method, query, content),) = liar.asked
    assert (method, query["sign_type"], query["charset"], query["version"]) == (TRANSFER, "RSA2", "utf-8", "1.0")
    assert query["app_cert_sn"] == number(str(standin_keys / keys.ALIPAY_TRANSFER_CERT))
    assert query["alipay_root_cert_sn"] == number(str(standin_keys / keys.ALIPAY_ROOT), 1)
    assert "biz_content" not in query
    assert "6217" not in str(query)
    assert content == {
        "out_biz_no": OUT_NO,
        "trans_amount": "3.00",
        "product_code": "TRANS_BANKCARD_NO_PWD",
        "biz_scene": "DIRECT_TRANSFER",
        "order_title": "单株碳汇收益",
        "remark": "单株碳汇收益",
        "payee_info": {
            "identity_type": "BANKCARD_ACCOUNT",
            "identity": "6217000000000000019",
            "name": "滚修",
            "bankcard_ext_info": {"account_type": "2", "bank_code": "105701000012", "inst_name": "建设银行"},
        },
    }


def test_a_transfer_is_signed_as_of_its_attempt(liar: Liar) -> None:
    liar.says(TRANSFER, ARRIVED)
    AlipayTransfers().submit(replace(instruction(), at=datetime(2026, 11, 21, 18, 30, tzinfo=UTC)))
    assert liar.asked[0][1]["timestamp"] == "2026-11-22 02:30:00"


STRANGER = generate_private_key(65537, 2048)
LIES: dict[str, Callable[[Liar, str], bytes]] = {
    "nothing": lambda liar, method: b"",
    "a page": lambda liar, method: b"<html>",
    "no object": lambda liar, method: b"[]",
    "unsigned": lambda liar, method: json.dumps({method.replace(".", "_") + "_response": ARRIVED}).encode(),
    "signed by a stranger": lambda liar, method: liar.signed(ARRIVED, method, key=STRANGER),
    "another certificate": lambda liar, method: liar.signed(ARRIVED, method, certificate="0" * 32),
    "no certificate": lambda liar, method: liar.signed(ARRIVED, method).replace(b"alipay_cert_sn", b"alipay_cert"),
    "changed after signing": lambda liar, method: liar.signed(ARRIVED | {"status": "FAIL"}, method).replace(
        b"FAIL", b"SUCCESS"
    ),
    "the answer to another question": lambda liar, method: liar.signed(ARRIVED, "alipay.trade.query"),
    "another number": lambda liar, method: liar.signed(ARRIVED | {"out_biz_no": "b" * 32}, method),
    "no number": lambda liar, method: liar.signed({"code": "10000", "status": "SUCCESS"}, method),
    "an unheard-of status": lambda liar, method: liar.signed(ARRIVED | {"status": "WAIT_PAY"}, method),
    "no status": lambda liar, method: liar.signed(WELL, method),
    "a status that is no word": lambda liar, method: liar.signed(ARRIVED | {"status": ["SUCCESS"]}, method),
    "a time that is none": lambda liar, method: liar.signed(ARRIVED | {"trans_date": "yesterday"}, method),
    "a time that is a number": lambda liar, method: liar.signed(ARRIVED | {"trans_date": 20261121}, method),
    "an amount that is none": lambda liar, method: liar.signed(ARRIVED | {"trans_amount": "three"}, method),
    "an amount of parts of a fen": lambda liar, method: liar.signed(ARRIVED | {"trans_amount": 3.001}, method),
    "an amount without end": lambda liar, method: liar.signed(ARRIVED | {"trans_amount": "Infinity"}, method),
    "an order that is no text": lambda liar, method: liar.signed(ARRIVED | {"order_id": {"a": 1}}, method),
    "no code": lambda liar, method: liar.signed({"out_biz_no": OUT_NO, "status": "SUCCESS"}, method),
    "two objects": lambda liar, method: liar.signed(ARRIVED, method) + liar.signed(ARRIVED, method),
    "a name twice": lambda liar, method: liar.signed(ARRIVED, method)[:-1] + b',"sign":"AAAA"}',
}


@pytest.mark.parametrize("lie", LIES)
def test_a_bad_answer_is_no_answer(liar: Liar, lie: str) -> None:
    liar.answers = {method: lambda asked: LIES[lie](liar, asked) for method in (TRANSFER, QUERY)}
    with pytest.raises(BankError) as sent:
        AlipayTransfers().submit(instruction())
    assert sent.value.outcome == "unknown"
    with pytest.raises(BankError) as asked:
        AlipayTransfers().query(OUT_NO)
    assert asked.value.outcome == "unknown"
    assert [method for method, _, _ in liar.asked] == [TRANSFER, QUERY]


@pytest.mark.parametrize(
    ("code", "sub_code", "outcome", "account"),
    [
        ("40004", "PAYEE_NOT_EXIST", "refused", True),
        ("40004", "PAYEE_CARD_INFO_ERROR", "refused", True),
        ("40004", "CARD_BIN_ERROR", "refused", True),
        ("40004", "PAYCARD_UNABLE_PAYMENT", "refused", False),
        ("40004", "EXCEED_LIMIT_SM_AMOUNT", "refused", False),
        ("40004", "PAYER_BALANCE_NOT_ENOUGH", "refused", False),
        ("40004", "INVALID_PARAMETER", "refused", False),
        ("40004", "RESOURCE_LIMIT_EXCEED", "unsent", False),
        ("40004", "SYSTEM_ERROR", "unknown", False),
        ("40004", "PAYMENT_INFO_INCONSISTENCY", "unknown", False),
        ("40004", "ORDER_NOT_EXIST", "unknown", False),
        ("40004", "SOMETHING_NEW", "unknown", False),
        ("40002", "isv.invalid-signature", "unknown", False),
        ("40006", "isv.insufficient-isv-permissions", "unknown", False),
        ("20000", "isp.unknow-error", "unknown", False),
        ("20000", "", "unknown", False),
    ],
)
def test_a_refusal_is_only_what_alipay_lists_as_one(
    liar: Liar, code: str, sub_code: str, outcome: str, account: bool
) -> None:
    liar.says(TRANSFER, {"code": code, "msg": "Business Failed", "sub_code": sub_code, "sub_msg": "x"})
    with pytest.raises(BankError) as error:
        AlipayTransfers().submit(instruction())
    assert (error.value.outcome, error.value.account_at_fault) == (outcome, account)


def test_a_number_that_alipay_does_not_know_is_none_and_any_other_refusal_is_no_answer(liar: Liar) -> None:
    liar.says(QUERY, {"code": "40004", "sub_code": "ORDER_NOT_EXIST"})
    assert AlipayTransfers().query(OUT_NO) is None
    liar.says(QUERY, {"code": "40004", "sub_code": "NO_ORDER_PERMISSION"})
    with pytest.raises(BankError, match="NO_ORDER_PERMISSION"):
        AlipayTransfers().query(OUT_NO)


ROW = {
    "account_log_id": "1", "alipay_order_no": "9", "merchant_order_no": OUT_NO, "trans_dt": "2026-11-21 10:00:00",
    "trans_amount": "-3.00", "direction": "支出", "type": "转账", "other_account": "滚*", "trans_memo": "m",
}  # fmt: skip


def log_of(*rows: dict[str, Any], total: int | None = None) -> dict[str, Any]:
    return {"code": "10000", "detail_list": list(rows), "total_size": str(len(rows) if total is None else total)}


@pytest.mark.parametrize(
    "log",
    [
        log_of(ROW, ROW),
        log_of(ROW, total=2),
        log_of(ROW, ROW | {"account_log_id": "2"}, total=1),
        log_of(ROW | {"direction": "收入"}),
        log_of(ROW | {"direction": "?"}),
        log_of(ROW | {"trans_amount": "x"}),
        log_of(ROW | {"trans_amount": "0.001"}),
        log_of(ROW | {"trans_dt": "x"}),
        log_of(ROW | {"trans_dt": None}),
        log_of(ROW | {"account_log_id": ""}),
        log_of(ROW | {"account_log_id": "x" * 65}),
        {"code": "10000", "detail_list": [ROW]},
        {"code": "10000", "detail_list": ["row"], "total_size": "1"},
        {"code": "10000", "detail_list": [ROW], "total_size": "many"},
        {"code": "40004", "sub_code": "SYSTEM_ERROR"},
    ],
)
def test_a_log_that_does_not_add_up_is_not_read(liar: Liar, log: dict[str, Any]) -> None:
    # Its second page has nothing more.
    answers = iter([log])
    empty = log_of(total=int(log["total_size"])) if str(log.get("total_size", "")).isdigit() else log
    liar.answers[LOG] = lambda method: liar.signed(next(answers, empty), method)
    with pytest.raises(BankError) as error:
        AlipayTransfers().statement("2026-11-21 09:59:00")
    assert error.value.outcome == "unknown"


def test_rows_are_put_in_order_and_known_money_is_named(liar: Liar) -> None:
    back = ROW | {"account_log_id": "2", "trans_amount": "3.00", "direction": "收入"}
    fee = ROW | {"account_log_id": "3", "trans_amount": "-0.01", "type": "收费"}
    given = {"account_log_id": "0", "trans_dt": "2026-11-21 09:00:00", "trans_amount": "9.00", "direction": "收入"}
    liar.says(LOG, log_of(fee, back, ROW, given | {"other_account": "主办\x00单位"}))
    page = AlipayTransfers().statement("2026-11-21 09:00:00")
    assert page.after == "2026-11-21 10:00:00"
    assert [(row.serial, row.fen, row.out_no, row.is_fee) for row in page.movements] == [
        ("0", 900, "", False), ("1", -300, OUT_NO, False), ("3", -1, "", True), ("2", 300, OUT_NO, False),
    ]  # fmt: skip
    assert page.movements[0].counterparty == "主办 单位"
    liar.says(LOG, {"code": "10000", "total_size": "0"})
    assert AlipayTransfers().statement(page.after).after == page.after


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (WELL | {"status": "REFUND", "order_id": "9"}, OUT_NO),
        (WELL | {"status": "SUCCESS", "order_id": "9"}, ""),
        (WELL | {"status": "REFUND"}, ""),
        ({"code": "40004", "sub_code": "ORDER_NOT_EXIST"}, ""),
        ({"code": "40004", "sub_code": "SOMETHING_NEW"}, ""),
        ({"code": "40004", "sub_code": "SYSTEM_ERROR"}, None),
        ({"code": "20000", "sub_code": "isp.unknow-error"}, None),
    ],
)
def test_money_that_comes_back_nameless_is_asked_about(liar: Liar, answer: dict[str, Any], named: str | None) -> None:
    back = ROW | {"merchant_order_no": "", "trans_amount": "3.00", "direction": "收入"}
    liar.says(LOG, log_of(back))
    liar.says(QUERY, answer)
    if named is None:
        with pytest.raises(BankError):
            AlipayTransfers().statement("2026-11-21 09:59:00")
        return
    (row,) = AlipayTransfers().statement("2026-11-21 09:59:00").movements
    assert (row.fen, row.out_no) == (300, named)
    assert liar.asked[-1][2]["order_id"] == "9"
