import secrets
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.processes import wait_for
from tests.standins.clients import BankClient, WechatClient


def times_done(bank: BankClient, out_no: str) -> int:
    return len(bank.control("GET", f"book?out_no={out_no}")["transfers"])


@pytest.mark.parametrize(
    ("fault", "status", "signed", "done"),
    [
        ("error_500_before", 500, True, 0),
        ("error_500_after", 500, True, 1),
        ("duplicate", 202, True, 1),
        ("garbage", 200, False, 1),
        ("bad_signature", 202, False, 1),
    ],
)
def test_each_fault_of_the_bank(bank: BankClient, fault: str, status: int, signed: bool, done: int) -> None:
    bank.fund(100)
    terms = bank.terms(secrets.token_hex(8), 100)
    bank.fault("transfer", fault)
    answer = bank.call("POST", "/v1/transfers", terms)
    assert (answer.status_code, bank.signed_by_bank(answer)) == (status, signed)
    assert times_done(bank, terms["out_no"]) == done
    after = bank.call("POST", "/v1/transfers", terms)
    assert (after.status_code, bank.signed_by_bank(after)) == (202, True)
    assert times_done(bank, terms["out_no"]) == 1


def test_silence_after_accepting(bank: BankClient) -> None:
    bank.fund(100)
    terms = bank.terms(secrets.token_hex(8), 100)
    bank.fault("transfer", "accept_then_silence")
    with pytest.raises(httpx.RemoteProtocolError):
        bank.call("POST", "/v1/transfers", terms)
    assert times_done(bank, terms["out_no"]) == 1


def test_silence_is_held_no_longer_than_the_client_waits(bank: BankClient, bank_process: Any) -> None:
    bank.fund(100)
    terms = bank.terms(secrets.token_hex(8), 100)
    bank.fault("transfer", "accept_then_silence", hold_seconds=60)
    bank.http.timeout = 0.3
    with pytest.raises(httpx.ReadTimeout):
        bank.call("POST", "/v1/transfers", terms)
    bank.http.timeout = 10
    left = time.monotonic()
    wait_for(lambda: threads_of(bank_process.child.pid) <= 2)
    assert time.monotonic() - left < 5
    assert times_done(bank, terms["out_no"]) == 1


def threads_of(pid: int) -> int:
    """The main thread and the one that accepts connections are always there."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


@pytest.mark.parametrize(
    ("fault", "status", "signed"),
    [
        ("error_500_before", 500, True),
        ("error_500_after", 500, True),
        ("duplicate", 200, True),
        ("garbage", 200, False),
        ("bad_signature", 200, False),
    ],
)
def test_each_fault_of_the_gateway(wechat: WechatClient, fault: str, status: int, signed: bool) -> None:
    terms = wechat.terms("T" + secrets.token_hex(12), "http://127.0.0.1:9/nobody", 300)
    wechat.fault("native", fault)
    answer = wechat.call("POST", "/v3/pay/transactions/native", terms)
    assert answer.status_code == status
    has_signature = "Wechatpay-Signature" in answer.headers
    assert (has_signature and wechat.signed_by_wechat(answer.headers, answer.content)) is signed
    stored = wechat.query(terms["out_trade_no"]).get("trade_state")
    assert stored == (None if fault == "error_500_before" else "NOTPAY")


def test_faults_are_counted_listed_and_cleared(bank: BankClient) -> None:
    bank.fault("transfer_query", "error_500_before", times=2)
    bank.fault("transfer_query", "garbage", times=None)
    codes = [bank.call("GET", "/v1/transfers/none").status_code for _ in range(4)]
    assert codes == [500, 500, 200, 200]
    assert [one["fault"] for one in bank.control("GET", "faults")["faults"]] == ["garbage"]
    assert bank.control("DELETE", "faults")["faults"] == []
    assert bank.call("GET", "/v1/transfers/none").status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"where": "nowhere", "fault": "garbage"},
        {"where": "transfer", "fault": "no_such_fault"},
        {"where": "transfer", "fault": "garbage", "times": 0},
        {"where": "transfer", "fault": "garbage", "hold_seconds": 61},
    ],
)
def test_an_unknown_fault_is_refused(bank: BankClient, wrong: dict) -> None:
    assert bank.http.post(f"{bank.url}/control/faults", json=wrong).status_code == 400
    assert bank.control("GET", "faults")["faults"] == []


def test_an_unsigned_call_does_not_use_up_a_fault(bank: BankClient) -> None:
    bank.fault("transfer_query", "garbage")
    assert bank.http.get(f"{bank.url}/v1/transfers/none").status_code == 401
    assert bank.call("GET", "/v1/transfers/none").status_code == 200
