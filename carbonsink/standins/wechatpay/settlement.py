"""Settling with the merchant's bank: what the gateway owes goes out as one credit.

The 提现 row and the settlement's number are committed first, then the bank is told; the bank takes a number
once. So a crash between the two is mended by the next settlement, which first sends what is not known to
have arrived.
"""

import secrets
import time
from datetime import datetime

import httpx

from ..fields import RefusalError
from ..store import CHINA, Store
from . import orders

PAYER = "财付通支付科技有限公司"


def settle(store: Store, bank_url: str) -> list[dict[str, object]]:
    """The settlements that reached the bank now, number and fen; RefusalError if it is out of reach."""
    if not bank_url:
        raise RefusalError(409, "NO_BANK", "Start this stand-in with --bank-url to settle.")
    with store.transaction() as db:
        now, fen = time.time(), orders.balance(db)
        if fen > 0:
            number = datetime.fromtimestamp(now, CHINA).strftime("%Y%m%d%H%M%S") + secrets.token_hex(4)
            db.execute("INSERT INTO settlements VALUES (?, ?, ?, NULL)", (number, fen, now))
            orders.book(db, now, number, "提现", -fen, note="结算至监管账户")
        query = "SELECT settlement_no, fen FROM settlements WHERE sent_at IS NULL ORDER BY made_at"
        waiting = [dict(row) for row in db.execute(query)]
    for settlement in waiting:
        _send(bank_url, settlement["settlement_no"], settlement["fen"])
        with store.transaction() as db:
            db.execute(
                "UPDATE settlements SET sent_at = ? WHERE settlement_no = ?",
                (time.time(), settlement["settlement_no"]),
            )
    return waiting


def _send(bank_url: str, number: str, fen: int) -> None:
    credit = {
        "fen": fen,
        "counterparty_name": PAYER,
        "remittance": f"WXPAY SETTLEMENT {number}",
        "reference": number,
    }
    try:
        answer = httpx.post(f"{bank_url}/control/credits", json=credit, timeout=10, trust_env=False)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        message = f"Settlement {number} did not reach the bank ({type(error).__name__}); settle again."
        raise RefusalError(502, "BANK_UNREACHABLE", message) from error
