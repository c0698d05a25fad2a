"""The stand-in Alipay's transfers to bank cards by the documented forms alone."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from carbonsink.standins import keys
from tests.processes import Process, wait_for
from tests.standins.cards import LOG, QUERY, SCENE, TRANSFER, CardClient
from tests.standins.clients import AlipayClient


@pytest.fixture
def start(standin_dir: Path) -> Iterator[Callable[..., CardClient]]:
    """Start it on the book of this test, with the keys of all."""
    running: list[tuple[Process, CardClient]] = []

    def start_one(*options: str) -> CardClient:
        for process, _ in running:
            if process.child.poll() is None:
                process.end()
        process = Process("alipay", standin_dir, *options)
        running.append((process, CardClient(process.url, keys.settings_for(standin_dir, "", ""))))
        return running[-1][1]

    yield start_one
    for process, client in running:
        client.http.close()
        if process.child.poll() is None:
            process.end()


@pytest.fixture
def cards(start: Callable[..., CardClient]) -> CardClient:
    return start("--complete-after", "0")


def test_the_same_transfer_twice_moves_money_once(cards: CardClient) -> None:
    cards.fund(1000)
    terms = cards.terms("T1")
    first, second = cards.call(TRANSFER, terms), cards.call(TRANSFER, terms)
    assert first == second
    assert (first["code"], first["status"], first["out_biz_no"]) == ("10000", "SUCCESS", "T1")
    found = cards.query("T1")
    assert (found["status"], found["trans_amount"], found["order_id"]) == ("SUCCESS", "3.00", first["order_id"])
    assert cards.book()["balance_fen"] == 700
    for other in ({"trans_amount": "3.01"}, {"remark": "x"}, {"payee": {"identity": "6217000000000000027"}}):
        assert cards.call(TRANSFER, cards.terms("T1", **other))["sub_code"] == "PAYMENT_INFO_INCONSISTENCY"
    assert cards.book()["balance_fen"] == 700
    assert cards.query("T2")["sub_code"] == "ORDER_NOT_EXIST"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sign": "AAAA"}, "isv.invalid-signature"),
        ({"app_cert_sn": "0" * 32}, "isv.invalid-cert-sn"),
        ({"alipay_root_cert_sn": ""}, "isv.invalid-cert-sn"),
        ({"app_id": keys.ALIPAY_APP_ID}, "isv.insufficient-isv-permissions"),
        ({"app_id": "2021000000000999"}, "isv.invalid-app-id"),
        ({"sign_type": "RSA"}, "isv.invalid-signature-type"),
    ],
    ids=str,
)
def test_who_does_not_sign_by_the_right_certificate_moves_nothing(
    cards: CardClient, change: dict[str, str], said: str
) -> None:
    cards.fund(1000)
    answer = cards.http.post(f"{cards.url}/gateway.do", data=cards.parameters(TRANSFER, cards.terms("T1"), **change))
    assert said in answer.text
    assert cards.book() == {"transfers": [], "balance_fen": 1000}


@pytest.mark.parametrize(
    "change",
    [
        {"trans_amount": "3"}, {"trans_amount": "0.09"}, {"trans_amount": 3}, {"trans_amount": "-3.00"},
        {"product_code": "TRANS_ACCOUNT_NO_PWD"}, {"biz_scene": ""}, {"order_title": "a=b"}, {"payee_info": {}},
        {"payee": {"identity_type": "ALIPAY_LOGON_ID"}}, {"payee": {"identity": "6217 0000"}}, {"payee": {"name": ""}},
        {"payee": {"bankcard_ext_info": {"account_type": "3"}}}, {"remark": "x" * 201},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_of_the_documented_form_is_refused(cards: CardClient, change: dict[str, Any]) -> None:
    cards.fund(1000)
    assert cards.call(TRANSFER, cards.terms("T1", **change))["sub_code"] == "INVALID_PARAMETER"
    assert cards.book() == {"transfers": [], "balance_fen": 1000}


def test_a_transfer_is_asked_for_by_post_with_its_content_in_the_body(cards: CardClient) -> None:
    cards.fund(1000)
    signed = cards.parameters(TRANSFER, cards.terms("T1"))
    assert cards.http.get(f"{cards.url}/gateway.do", params=signed).status_code == 400
    assert "biz_content" in cards.http.post(f"{cards.url}/gateway.do", params=signed).text
    assert cards.book() == {"transfers": [], "balance_fen": 1000}
    body = {"biz_content": signed.pop("biz_content")}
    answer = cards.http.post(f"{cards.url}/gateway.do", params=signed, data=body)
    assert cards.checked(TRANSFER, answer)["status"] == "SUCCESS"


def test_the_app_for_payments_cannot_transfer_and_gets_no_certificate(cards: CardClient) -> None:
    payments = AlipayClient(cards.url, cards.settings)
    refused = payments.call(TRANSFER, payments_terms := cards.terms("T1"))
    assert refused["sub_code"] == "isv.insufficient-isv-permissions"
    assert payments.call("alipay.trade.query", {"out_trade_no": "x"})["sub_code"] == "ACQ.TRADE_NOT_EXIST"
    payments.http.close()
    assert cards.query(payments_terms["out_biz_no"])["sub_code"] == "ORDER_NOT_EXIST"


def test_without_funds_nothing_is_done_and_the_number_stays_free(cards: CardClient) -> None:
    cards.fund(299)
    assert cards.call(TRANSFER, cards.terms("T1"))["sub_code"] == "PAYER_BALANCE_NOT_ENOUGH"
    cards.fund(1)
    assert cards.call(TRANSFER, cards.terms("T1"))["status"] == "SUCCESS"
    assert cards.book()["balance_fen"] == 0


def test_a_card_is_refused_at_once_or_fails_later_and_the_money_comes_back(cards: CardClient) -> None:
    cards.fund(1000)
    cards.control("POST", "cards", {"card": "6217000000000000019", "state": "refused"})
    assert cards.call(TRANSFER, cards.terms("T1"))["sub_code"] == "PAYEE_CARD_INFO_ERROR"
    assert cards.query("T1")["sub_code"] == "ORDER_NOT_EXIST"
    cards.control("POST", "cards", {"card": "6217000000000000019", "state": "failing"})
    failed = cards.query(cards.transfer())
    assert (failed["status"], failed["error_code"]) == ("FAIL", "PAYEE_CARD_INFO_ERROR")
    assert failed["fail_reason"]
    rows = cards.log()["detail_list"]
    assert [(row["direction"], row["trans_amount"]) for row in rows] == [
        ("收入", "3.00"), ("支出", "-3.00"), ("收入", "10.00"),
    ]  # fmt: skip


@pytest.mark.parametrize("nameless", [False, True])
def test_a_return_comes_back_once(cards: CardClient, nameless: bool) -> None:
    cards.fund(300)
    sent = cards.transfer()
    order_id = cards.query(sent)["order_id"]
    for _ in range(2):
        told = cards.control("POST", "return-transfer", {"out_biz_no": sent, "nameless": nameless})
        assert told["status"] == "REFUND"
    assert cards.book()["balance_fen"] == 300
    newest = cards.log()["detail_list"][0]
    assert (newest["merchant_order_no"], newest["alipay_order_no"]) == ("" if nameless else sent, order_id)
    assert cards.call(QUERY, {**SCENE, "order_id": order_id})["out_biz_no"] == sent
    assert cards.log(merchant_order_no=sent)["total_size"] == ("1" if nameless else "2")


def test_the_log_is_read_by_pages_within_31_days(cards: CardClient) -> None:
    assert "detail_list" not in cards.log()
    cards.fund(5)
    assert cards.log(page_size="1000", page_no="2")["total_size"] == "1"
    assert "detail_list" not in cards.log(page_size="1000", page_no="2")
    for wrong in ({"page_size": "10"}, {"page_no": "0"}, {"start_time": "2020-01-01 00:00:00"}, {"end_time": "now"}):
        assert cards.log(**wrong)["sub_code"] == "INVALID_PARAMETER"
    assert cards.call(LOG, {})["sub_code"] == "INVALID_PARAMETER"


def test_a_transfer_is_being_dealt_with_first(start: Callable[..., CardClient]) -> None:
    cards = start("--complete-after", "0.3", "--transfer-fee-rate", "0.01")
    cards.fund(1000)
    sent = cards.transfer("5.00")
    assert cards.call(TRANSFER, cards.terms(sent, "5.00"))["out_biz_no"] == sent
    wait_for(lambda: cards.query(sent)["status"] == "SUCCESS")
    rows = [(row["type"], row["trans_amount"], row["merchant_order_no"]) for row in cards.log()["detail_list"]]
    assert rows == [("收费", "-0.05", sent), ("转账", "-5.00", sent), ("充值", "10.00", "")]
    again = start()
    assert again.book()["balance_fen"] == 495
    assert again.call(TRANSFER, again.terms(secrets.token_hex(8), "4.96"))["sub_code"] == "PAYER_BALANCE_NOT_ENOUGH"
