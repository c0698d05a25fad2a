import secrets
import signal
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from carbonsink.standins import keys
from tests.processes import wait_for
from tests.standins.clients import BankClient


@pytest.mark.parametrize(
    "wrong", [{"sent": b'{"fen": 1}'}, {"client": "other"}, {"at": time.time() - 301}, {"nonce": "short"}]
)
def test_a_wrong_signature_is_refused_with_a_signed_answer(bank: BankClient, wrong: dict) -> None:
    bank.fund(500)
    out_no = secrets.token_hex(8)
    answer = bank.call("POST", "/v1/transfers", bank.terms(out_no, 500), **wrong)
    assert (answer.status_code, answer.json()["code"]) == (401, "SIGN_ERROR")
    assert bank.signed_by_bank(answer)
    assert bank.query(out_no)["code"] == "NOT_FOUND"


def test_a_nonce_is_good_for_one_request(bank: BankClient) -> None:
    nonce = secrets.token_hex(16)
    assert bank.call("GET", "/v1/transfers/none", nonce=nonce).status_code == 404
    replayed = bank.call("GET", "/v1/transfers/none", nonce=nonce)
    assert (replayed.status_code, replayed.json()["code"]) == (409, "REPLAYED")
    assert bank.signed_by_bank(replayed)


def test_the_same_transfer_twice_moves_money_once(bank: BankClient) -> None:
    bank.fund(1000)
    terms = bank.terms(secrets.token_hex(8), 700)
    first, again = bank.call("POST", "/v1/transfers", terms), bank.call("POST", "/v1/transfers", terms)
    assert (first.status_code, first.content) == (202, again.content)
    assert bank.signed_by_bank(first)
    other = bank.call("POST", "/v1/transfers", terms | {"fen": 1})
    assert (other.status_code, other.json()["code"]) == (409, "OUT_NO_USED")
    book = bank.control("GET", f"book?out_no={terms['out_no']}")
    assert [(one["account"], one["direction"], one["fen"]) for one in book["movements"]] == [
        (keys.ESCROW_ACCOUNT, "debit", 700),
        (terms["to_account"], "credit", 700),
    ]
    assert [one["status"] for one in book["transfers"]] == ["succeeded"]


def test_the_same_transfer_many_times_at_once_moves_money_once(bank: BankClient) -> None:
    bank.fund(500)
    terms = bank.terms(secrets.token_hex(8), 500)
    with ThreadPoolExecutor(20) as pool:
        sending = [pool.submit(bank.call, "POST", "/v1/transfers", terms) for _ in range(20)]
        answers = {(one.result().status_code, one.result().content) for one in sending}
    assert len(answers) == 1
    assert len(bank.control("GET", f"book?out_no={terms['out_no']}")["movements"]) == 2


def test_without_funds_nothing_is_done_and_the_number_stays_free(bank: BankClient) -> None:
    available = bank.control("GET", "balance")["available_fen"]
    terms = bank.terms(secrets.token_hex(8), available + 1)
    refused = bank.call("POST", "/v1/transfers", terms)
    assert (refused.status_code, refused.json()["code"]) == (422, "INSUFFICIENT_FUNDS")
    assert bank.query(terms["out_no"])["code"] == "NOT_FOUND"
    bank.fund(1)
    assert bank.call("POST", "/v1/transfers", terms).status_code == 202
    assert bank.control("GET", "balance")["available_fen"] == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"fen": 0},
        {"fen": -1},
        {"fen": 1.5},
        {"fen": True},
        {"out_no": "a-b"},
        {"out_no": "a" * 33},
        {"to_account": "62170x"},
        {"to_name": " "},
        {"purpose": ""},
    ],
)
def test_a_bad_field_is_refused(bank: BankClient, wrong: dict) -> None:
    terms = bank.terms(secrets.token_hex(8), 1) | wrong
    answer = bank.call("POST", "/v1/transfers", terms)
    assert (answer.status_code, answer.json()["code"]) == (400, "PARAM_ERROR")


def test_only_the_escrow_account_pays_and_is_read(bank: BankClient) -> None:
    terms = bank.terms(secrets.token_hex(8), 1, from_account="6217000000000000019")
    assert bank.call("POST", "/v1/transfers", terms).json()["code"] == "ACCOUNT_NOT_YOURS"
    answer = bank.call("GET", "/v1/statements?account=6217000000000000019")
    assert answer.json()["code"] == "ACCOUNT_NOT_YOURS"


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        ({"state": "closed"}, "ACCOUNT_CLOSED"),
        ({"state": "unknown"}, "ACCOUNT_UNKNOWN"),
        ({"state": "open", "name": "别人"}, "NAME_MISMATCH"),
    ],
)
def test_a_bad_account_fails_and_the_money_stays(bank: BankClient, listed: dict, reason: str) -> None:
    bank.fund(300)
    account = "6217" + "".join(secrets.choice("0123456789") for _ in range(15))
    bank.control("POST", "accounts", {"account": account} | listed)
    before = bank.control("GET", "balance")
    out_no = bank.transfer(300, to_account=account)
    found = bank.query(out_no)
    assert (found["status"], found["reason"].split()[0]) == ("failed", reason)
    assert bank.control("GET", "balance") == before
    assert bank.control("GET", f"book?out_no={out_no}")["movements"] == []


def test_a_return_comes_back_once(bank: BankClient) -> None:
    bank.fund(300)
    before = bank.control("GET", "balance")["balance_fen"]
    out_no = bank.transfer(300)
    returned = bank.control("POST", "return", {"out_no": out_no, "reason": "户名不符"})
    assert bank.control("POST", "return", {"out_no": out_no}) == returned
    assert (returned["status"], returned["reason"]) == ("returned", "户名不符")
    assert bank.query(out_no) == returned
    rows = [row for row in bank.statement("&limit=1000")["rows"] if row["out_no"] == out_no]
    assert [(row["direction"], row["fen"]) for row in rows] == [("debit", 300), ("credit", 300)]
    assert rows[1]["remittance"].startswith(f"退票 {out_no}")
    assert rows[1]["balance_fen"] == before


def test_the_statement_pages_by_serial(bank: BankClient) -> None:
    start = bank.fund(100)
    serials = [bank.fund(100) for _ in range(5)]
    first = bank.statement(f"&after={start}&limit=3")
    assert [row["serial"] for row in first["rows"]] == serials[:3]
    assert first["next_after"] == serials[2]
    rest = bank.statement(f"&after={first['next_after']}&limit=3")
    assert ([row["serial"] for row in rest["rows"]], rest["next_after"]) == (serials[3:], None)
    day = rest["rows"][-1]["booked_at"][:10]
    assert rest["rows"][-1]["booked_at"].endswith("+08:00")
    assert bank.statement(f"&date={day}&after={serials[-2]}")["rows"] == rest["rows"][-1:]
    assert bank.statement("&date=2018-07-08")["rows"] == []
    bad = bank.call("GET", f"/v1/statements?account={keys.ESCROW_ACCOUNT}&date=July")
    assert bad.json()["code"] == "PARAM_ERROR"


def test_a_credit_is_booked_once_per_reference(bank: BankClient) -> None:
    reference = secrets.token_hex(8)
    credit = {"fen": 5, "counterparty_name": "甲", "remittance": "乙", "reference": reference}
    assert bank.control("POST", "credits", credit) == bank.control("POST", "credits", credit)
    assert bank.control("POST", "credits", credit | {"fen": 6}, ok=False)["code"] == "REFERENCE_USED"


def test_a_transfer_is_accepted_first_and_completes_in_time(start: Callable[..., Any], tmp_path: Path) -> None:
    process = start("bank", "--complete-after", "3600")
    bank = BankClient(process.url, keys.settings_for(tmp_path, "", process.url))
    bank.fund(1000)
    out_no = bank.transfer(600)
    assert bank.query(out_no)["status"] == "accepted"
    held = {"balance_fen": 1000, "held_fen": 600, "available_fen": 400}
    assert bank.control("GET", "balance") == {"account": keys.ESCROW_ACCOUNT} | held
    short = bank.call("POST", "/v1/transfers", bank.terms(secrets.token_hex(8), 401))
    assert short.json()["code"] == "INSUFFICIENT_FUNDS"
    assert bank.control("POST", "return", {"out_no": out_no}, ok=False)["code"] == "NOT_SUCCEEDED"
    process.end(signal.SIGKILL)
    db = sqlite3.connect(tmp_path / "bank.sqlite3")
    with db:
        db.execute("UPDATE transfers SET due_at = due_at - 3600")
    db.close()
    bank.url = start("bank", "--complete-after", "3600").url
    assert [row["fen"] for row in bank.statement()["rows"]] == [1000, 600]
    found = bank.query(out_no)
    assert (found["status"], found["fen"]) == ("succeeded", 600)
    assert found["completed_at"].endswith("+08:00")
    bank.http.close()


def test_a_kill_keeps_the_book_and_the_idempotency(start: Callable[..., Any], tmp_path: Path) -> None:
    process = start("bank", "--complete-after", "0.2")
    bank = BankClient(process.url, keys.settings_for(tmp_path, "", process.url))
    bank.fund(1000)
    terms = bank.terms("KILL1", 600)
    answer = bank.call("POST", "/v1/transfers", terms)
    nonce = answer.request.headers["X-Bank-Nonce"]
    process.end(signal.SIGKILL)
    bank.url = start("bank", "--complete-after", "0.2").url
    assert bank.call("GET", "/v1/transfers/KILL1", nonce=nonce).json()["code"] == "REPLAYED"
    assert bank.call("POST", "/v1/transfers", terms).content == answer.content
    wait_for(lambda: bank.query("KILL1")["status"] == "succeeded")
    assert len(bank.control("GET", "book?out_no=KILL1")["movements"]) == 2
    bank.http.close()


def test_a_kill_under_load_leaves_every_transfer_whole(start: Callable[..., Any], tmp_path: Path) -> None:
    process = start("bank", "--complete-after", "0")
    bank = BankClient(process.url, keys.settings_for(tmp_path, "", process.url))
    bank.fund(1000)
    orders = [bank.terms(f"LOAD{number:03d}", 1) for number in range(300)]
    answered: list[str] = []

    def send(terms: dict[str, Any]) -> None:
        with suppress(httpx.TransportError):
            answered.append(bank.call("POST", "/v1/transfers", terms).json()["out_no"])

    with ThreadPoolExecutor(8) as pool:
        sending = [pool.submit(send, terms) for terms in orders]
        wait_for(lambda: len(answered) >= 50)
        process.end(signal.SIGKILL)
        for one in sending:
            one.result()
    assert 50 <= len(answered) < 300
    bank.url = start("bank", "--complete-after", "0").url
    taken = {one["out_no"] for one in bank.control("GET", "book")["transfers"]}
    assert set(answered) <= taken
    for terms in orders:
        assert bank.call("POST", "/v1/transfers", terms).status_code == 202
    moved = [one["out_no"] for one in bank.control("GET", "book")["movements"] if one["out_no"]]
    assert sorted(moved) == sorted([terms["out_no"] for terms in orders] * 2)
    assert bank.control("GET", "balance")["balance_fen"] == 700
    bank.http.close()
