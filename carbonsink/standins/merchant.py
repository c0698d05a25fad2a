"""The merchant's account at a gateway: what came in, fees, what went back, and settling with the merchant's bank.

The row of a settlement (提现) and its number are committed first, then the bank is told; the bank takes a number once.
So a crash between the two is mended by the next settlement, which first sends what is not known to have arrived.
Every function but `settle` works inside the caller's transaction.
"""

import secrets
import sqlite3
import time
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

import httpx

from .fields import RefusalError
from .store import CHINA, Store

SCHEMA = """
-- Fen positive for 收入, negative for 支出.
CREATE TABLE IF NOT EXISTS flows (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    booked_at REAL NOT NULL,
    business_no TEXT NOT NULL,
    kind TEXT NOT NULL,
    fen INTEGER NOT NULL CHECK (fen <> 0),
    balance_fen INTEGER NOT NULL,
    note TEXT NOT NULL,
    voucher TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS settlements (
    settlement_no TEXT PRIMARY KEY,
    fen INTEGER NOT NULL CHECK (fen > 0),
    made_at REAL NOT NULL,
    sent_at REAL
);
"""


def fee(fen: int, rate: Decimal) -> int:
    """The channel's fee in fen, rounded half up."""
    return int((fen * rate).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def yuan(fen: int) -> str:
    return str(Decimal(fen).scaleb(-2).quantize(Decimal("0.01")))


def balance(db: sqlite3.Connection) -> int:
    """The merchant's fen: captured less fees, refunds and settlements; refunds can make it negative."""
    row = db.execute("SELECT balance_fen FROM flows ORDER BY id DESC LIMIT 1").fetchone()
    return int(row[0]) if row else 0


def book(
    db: sqlite3.Connection, now: float, business_no: str, kind: str, fen: int, note: str, voucher: str = ""
) -> None:
    """One row of the merchant's account: fen positive for 收入, negative for 支出."""
    db.execute(
        "INSERT INTO flows (booked_at, business_no, kind, fen, balance_fen, note, voucher)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (now, business_no, kind, fen, balance(db) + fen, note, voucher or business_no),
    )


def settle(store: Store, bank_url: str, *, payer: str, remittance: str) -> list[dict[str, object]]:
    """The settlements that reached the bank now, number and fen; RefusalError if it is out of reach."""
    if not bank_url:
        raise RefusalError(409, "NO_BANK", "Start this stand-in with --bank-url to settle.")
    with store.transaction() as db:
        now, fen = time.time(), balance(db)
        if fen > 0:
            number = datetime.fromtimestamp(now, CHINA).strftime("%Y%m%d%H%M%S") + secrets.token_hex(4)
            db.execute("INSERT INTO settlements VALUES (?, ?, ?, NULL)", (number, fen, now))
            book(db, now, number, "提现", -fen, note="结算至监管账户")
        query = "SELECT settlement_no, fen FROM settlements WHERE sent_at IS NULL ORDER BY made_at"
        waiting = [dict(row) for row in db.execute(query)]
    for settlement in waiting:
        number = str(settlement["settlement_no"])
        credit = {
            "fen": settlement["fen"],
            "counterparty_name": payer,
            "remittance": f"{remittance} {number}",
            "reference": number,
        }
        _send(bank_url, number, credit)
        with store.transaction() as db:
            db.execute("UPDATE settlements SET sent_at = ? WHERE settlement_no = ?", (time.time(), number))
    return waiting


def _send(bank_url: str, number: str, credit: dict[str, object]) -> None:
    try:
        answer = httpx.post(f"{bank_url}/control/credits", json=credit, timeout=10, trust_env=False)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        message = f"Settlement {number} did not reach the bank ({type(error).__name__}); settle again."
        raise RefusalError(502, "BANK_UNREACHABLE", message) from error
