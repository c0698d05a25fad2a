import hashlib
import secrets
import signal
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from carbonsink.standins import keys
from tests.processes import wait_for
from tests.standins.clients import BankClient, WechatClient


@pytest.fixture
def pair(start: Callable[..., Any], tmp_path: Path) -> Iterator[tuple[WechatClient, BankClient]]:
    """A gateway and a bank with empty books."""
    bank = start("bank", "--complete-after", "0").url
    wechat = start("wechatpay", "--bank-url", bank).url
    settings = keys.settings_for(tmp_path, wechat, bank)
    clients = WechatClient(wechat, settings), BankClient(bank, settings)
    yield clients
    for client in clients:
        client.http.close()


def bill(wechat: WechatClient, kind: str, day: str) -> tuple[list[dict[str, str]], dict[str, str]]:
    """The rows and the totals of a bill, by column."""
    offer = wechat.call("GET", f"/v3/bill/{kind}?bill_date={day}").json()
    target = offer["download_url"].removeprefix(wechat.url)
    content = wechat.call("GET", target).content
    assert (offer["hash_type"], offer["hash_value"]) == (
        "SHA1",
        hashlib.sha1(content, usedforsecurity=False).hexdigest(),
    )
    head, *rows, total_head, totals = content.decode().splitlines()
    columns = head.split(",")
    split = [dict(zip(columns, row[1:].split(",`"), strict=True)) for row in rows]
    return split, dict(zip(total_head.split(","), totals[1:].split(",`"), strict=True))


def fen(yuan: str) -> int:
    return int(Decimal(yuan) * 100)


def paid(wechat: WechatClient, amount: int) -> tuple[str, str]:
    """A paid order's number and the day it was paid."""
    number = wechat.order(fen=amount)
    wechat.pay(number)
    return number, wechat.query(number)["success_time"][:10]


def test_a_settlement_is_the_net_and_the_bills_add_up(pair: tuple[WechatClient, BankClient]) -> None:
    wechat, bank = pair
    number, day = paid(wechat, 30000)
    paid(wechat, 250)
    amount = {"refund": 1000, "total": 30000, "currency": "CNY"}
    terms = {"out_trade_no": number, "out_refund_no": "R1", "amount": amount}
    assert wechat.call("POST", "/v3/refund/domestic/refunds", terms).status_code == 200
    net = 30000 - 180 + 250 - 2 - 1000
    settled = wechat.control("POST", "settle")["settlements"]
    assert [one["fen"] for one in settled] == [net]
    assert wechat.control("POST", "settle")["settlements"] == []

    (credit,) = bank.statement()["rows"]
    assert (credit["direction"], credit["fen"], credit["balance_fen"]) == ("credit", net, net)
    assert credit["counterparty_name"] == "财付通支付科技有限公司"
    assert credit["remittance"] == f"WXPAY SETTLEMENT {settled[0]['settlement_no']}"
    assert credit["bank_reference"] == settled[0]["settlement_no"]

    rows, totals = bill(wechat, "fundflowbill", day)
    assert [(row["业务类型"], row["收支类型"], fen(row["收支金额(元)"])) for row in rows] == [
        ("交易", "收入", 30000),
        ("扣除交易手续费", "支出", 180),
        ("交易", "收入", 250),
        ("扣除交易手续费", "支出", 2),
        ("退款", "支出", 1000),
        ("提现", "支出", net),
    ]
    assert fen(rows[-1]["账户结余(元)"]) == 0
    assert fen(totals["收入金额"]) == fen(totals["支出金额"]) == 30250
    trades, totals = bill(wechat, "tradebill", day)
    assert [(row["交易状态"], fen(row["订单金额"]), fen(row["退款金额"])) for row in trades] == [
        ("SUCCESS", 30000, 0),
        ("SUCCESS", 250, 0),
        ("REFUND", 0, 1000),
    ]
    assert trades[0]["商户订单号"] == trades[2]["商户订单号"] == number
    assert trades[0]["商品名称"] == "贵州单株碳汇,一棵"
    assert trades[0]["费率"] == "0.6%"
    assert (totals["总交易单数"], fen(totals["手续费总金额"])) == ("3", 182)


def test_a_settlement_that_did_not_reach_the_bank_is_sent_once_later(start: Callable[..., Any], tmp_path: Path) -> None:
    dead = start("bank")
    gateway = start("wechatpay", "--bank-url", dead.url)
    assert dead.end() == 0
    wechat = WechatClient(gateway.url, keys.settings_for(tmp_path, "", ""))
    paid(wechat, 1000)
    assert wechat.control("POST", "settle", ok=False)["code"] == "BANK_UNREACHABLE"
    gateway.end(signal.SIGKILL)
    bank_url = start("bank").url
    wechat.url = start("wechatpay", "--bank-url", bank_url).url
    assert [one["fen"] for one in wechat.control("POST", "settle")["settlements"]] == [994]
    assert wechat.control("POST", "settle")["settlements"] == []
    assert wechat.http.get(f"{bank_url}/control/balance").json()["balance_fen"] == 994
    wechat.http.close()


def test_settlements_can_come_by_themselves(start: Callable[..., Any], tmp_path: Path) -> None:
    bank_url = start("bank").url
    gateway = start("wechatpay", "--bank-url", bank_url, "--auto-settle", "0.1")
    wechat = WechatClient(gateway.url, keys.settings_for(tmp_path, "", ""))
    paid(wechat, 500)
    wait_for(lambda: wechat.http.get(f"{bank_url}/control/balance").json()["balance_fen"] == 497)
    wechat.http.close()


def test_a_day_without_trade_has_no_bill(wechat: WechatClient) -> None:
    answer = wechat.call("GET", "/v3/bill/fundflowbill?bill_date=2018-07-08")
    assert (answer.status_code, answer.json()["code"]) == (400, "NO_STATEMENT_EXIST")
    assert wechat.call("GET", "/v3/bill/tradebill?bill_date=July").json()["code"] == "PARAM_ERROR"
    token = secrets.token_hex(8)
    assert wechat.call("GET", f"/v3/billdownload/file?token={token}").status_code == 404
