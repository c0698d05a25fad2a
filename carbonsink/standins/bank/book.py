"""The bank's book: movements, transfers, credits. Every function works inside the caller's transaction.

Transfers complete lazily: whoever looks at the book first calls `complete_due`, which books what has fallen
due since, in the order and at the moments it fell due.
"""

import json
import secrets
import sqlite3
from dataclasses import asdict, dataclass
from typing import Any

from .. import keys
from ..fields import RefusalError
from ..store import china_time

ESCROW_NAME = "单株碳汇监管账户"
COLLECTION_NAME = "单株碳汇收款账户"
CLEARING_ACCOUNT = "2430000000000000017"
# Where the bank books what it charges.
FEES_NAME, FEES_ACCOUNT = "手续费收入", "2430000000000000025"


@dataclass(frozen=True)
class Movement:
    """One side of a booking, as the account's holder sees it; `fen` is positive for a credit."""

    account: str
    fen: int
    counterparty_name: str
    counterparty_account: str
    remittance: str
    bank_reference: str
    out_no: str | None = None
    file: str | None = None


@dataclass(frozen=True)
class Order:
    """A transfer as it was asked for."""

    out_no: str
    fen: int
    to_account: str
    to_name: str
    to_bank_code: str
    purpose: str


def balance(db: sqlite3.Connection, account: str) -> int:
    query = "SELECT balance_fen FROM movements WHERE account = ? ORDER BY serial DESC LIMIT 1"
    row = db.execute(query, (account,)).fetchone()
    return int(row[0]) if row else 0


def held(db: sqlite3.Connection) -> int:
    """Fen of the escrow account that accepted transfers have spoken for, and that no file was debited for."""
    query = "SELECT COALESCE(SUM(fen), 0) FROM transfers WHERE status = 'accepted' AND file IS NULL"
    return int(db.execute(query).fetchone()[0])


def book(db: sqlite3.Connection, movement: Movement, at: float) -> int:
    """The serial of the new row."""
    row = asdict(movement) | {
        "booked_at": at,
        "direction": "credit" if movement.fen > 0 else "debit",
        "balance_fen": balance(db, movement.account) + movement.fen,
        "fen": abs(movement.fen),
    }
    columns, places = ", ".join(row), ", ".join(f":{name}" for name in row)
    serial = db.execute(f"INSERT INTO movements ({columns}) VALUES ({places})", row).lastrowid  # noqa: S608
    return int(serial or 0)


def transfer(
    db: sqlite3.Connection, order: Order, body_sha256: str, complete_after: float, now: float, file: str | None = None
) -> dict[str, Any]:
    """Take a transfer once: its number, its answer and the money held are one commit. `file` was debited for it."""
    complete_due(db, now)
    known = db.execute("SELECT * FROM transfers WHERE out_no = ?", (order.out_no,)).fetchone()
    if known is not None:
        if known["body_sha256"] != body_sha256:
            raise RefusalError(409, "OUT_NO_USED", "This out_no was used with another body; nothing was done.")
        return dict(json.loads(known["answer"]))
    available = balance(db, keys.ESCROW_ACCOUNT) - held(db)
    if order.fen > available and file is None:
        message = f"The account has {available} fen available, less than {order.fen}; nothing was done."
        raise RefusalError(422, "INSUFFICIENT_FUNDS", message)
    reference = china_time(now)[:10].replace("-", "") + secrets.token_hex(6).upper()
    row = asdict(order) | {
        "body_sha256": body_sha256,
        "answer": "",
        "bank_reference": reference,
        "status": "accepted",
        "due_at": now + complete_after,
        "file": file,
    }
    columns, places = ", ".join(row), ", ".join(f":{name}" for name in row)
    db.execute(f"INSERT INTO transfers ({columns}) VALUES ({places})", row)  # noqa: S608
    complete_due(db, now)
    taken = get_transfer(db, order.out_no)
    answer = {"out_no": order.out_no, "status": taken["status"], "bank_reference": reference}
    if taken["reason"]:
        answer["reason"] = taken["reason"]
    db.execute("UPDATE transfers SET answer = ? WHERE out_no = ?", (json.dumps(answer), order.out_no))
    return answer


def complete_due(db: sqlite3.Connection, now: float) -> None:
    """Bring accepted transfers whose time has come to their end."""
    query = "SELECT * FROM transfers WHERE status = 'accepted' AND due_at <= ? ORDER BY due_at, rowid"
    for row in db.execute(query, (now,)).fetchall():
        reason = _obstacle(db, row)
        if row["file"] is not None:
            _book_of_file(db, row, reason)
        elif not reason:
            _book_both_sides(db, row, row["due_at"], -row["fen"], row["purpose"])
        db.execute(
            "UPDATE transfers SET status = ?, reason = ?, completed_at = due_at WHERE out_no = ?",
            ("failed" if reason else "succeeded", reason, row["out_no"]),
        )


def _book_of_file(db: sqlite3.Connection, row: sqlite3.Row, reason: str) -> None:
    """The payee's side of a transfer whose file was debited; or, where each comes back by itself, the money back."""
    if not reason:
        shared = (row["purpose"], row["bank_reference"], row["out_no"])
        book(db, Movement(row["to_account"], row["fen"], ESCROW_NAME, keys.ESCROW_ACCOUNT, *shared), row["due_at"])
        return
    how = db.execute("SELECT whole FROM exchanged WHERE message = ?", (row["file"],)).fetchone()
    if how is None or how["whole"] == "each":
        shared = (f"代发退回 {reason}", row["bank_reference"], row["out_no"])
        book(db, Movement(keys.ESCROW_ACCOUNT, row["fen"], row["to_name"], row["to_account"], *shared), row["due_at"])


def debit_file(db: sqlite3.Connection, file: str, orders: tuple[Order, ...], now: float) -> None:
    """Debits all of a file at once. RefusalError when there is too little for it."""
    complete_due(db, now)
    fen = sum(order.fen for order in orders)
    if fen > balance(db, keys.ESCROW_ACCOUNT) - held(db):
        raise RefusalError(422, "INSUFFICIENT_FUNDS", f"The account has less than {fen} fen available.")
    shared = (f"代发 {file}", f"D{secrets.token_hex(8).upper()}")
    book(db, Movement(keys.ESCROW_ACCOUNT, -fen, "代发过渡户", CLEARING_ACCOUNT, *shared, file=file), now)


def give_back_of_files(db: sqlite3.Connection, now: float) -> None:
    """Gives back together what could not be paid of each file that is at its end."""
    query = """SELECT e.message, sum(t.fen) AS fen FROM exchanged e JOIN transfers t ON t.file = e.message
                WHERE e.whole = 'together' AND t.status = 'failed'
                  AND NOT EXISTS (SELECT 1 FROM transfers o WHERE o.file = e.message AND o.status = 'accepted')
                  AND NOT EXISTS (SELECT 1 FROM movements m WHERE m.file = e.message AND m.direction = 'credit')
                GROUP BY e.message"""
    for row in db.execute(query).fetchall():
        shared = (f"代发失败退回 {row['message']}", f"R{secrets.token_hex(8).upper()}")
        movement = Movement(
            keys.ESCROW_ACCOUNT, row["fen"], "代发过渡户", CLEARING_ACCOUNT, *shared, file=row["message"]
        )
        book(db, movement, now)


def _obstacle(db: sqlite3.Connection, row: sqlite3.Row) -> str:
    listed = db.execute("SELECT * FROM accounts WHERE account = ?", (row["to_account"],)).fetchone()
    if listed is None:
        return ""
    if listed["state"] == "closed":
        return "ACCOUNT_CLOSED 收款账户已销户"
    if listed["state"] == "unknown":
        return "ACCOUNT_UNKNOWN 收款账号不存在"
    if listed["name"] and listed["name"] != row["to_name"]:
        return "NAME_MISMATCH 收款户名不符"
    return ""


def _book_both_sides(db: sqlite3.Connection, row: sqlite3.Row, at: float, escrow_fen: int, remittance: str) -> None:
    shared = (remittance, row["bank_reference"], row["out_no"])
    book(db, Movement(keys.ESCROW_ACCOUNT, escrow_fen, row["to_name"], row["to_account"], *shared), at)
    book(db, Movement(row["to_account"], -escrow_fen, ESCROW_NAME, keys.ESCROW_ACCOUNT, *shared), at)


def get_transfer(db: sqlite3.Connection, out_no: str) -> sqlite3.Row:
    row = db.execute("SELECT * FROM transfers WHERE out_no = ?", (out_no,)).fetchone()
    if not isinstance(row, sqlite3.Row):
        raise RefusalError(404, "NOT_FOUND", "No transfer has been taken under this out_no.")
    return row


def give_back(db: sqlite3.Connection, out_no: str, reason: str, now: float) -> sqlite3.Row:
    """A return (退票): the money of a succeeded transfer comes back, once."""
    complete_due(db, now)
    row = get_transfer(db, out_no)
    if row["status"] == "returned":
        return row
    if row["status"] != "succeeded":
        raise RefusalError(409, "NOT_SUCCEEDED", f"Only a succeeded transfer returns; this is {row['status']}.")
    _book_both_sides(db, row, now, row["fen"], f"退票 {out_no} {reason}")
    db.execute(
        "UPDATE transfers SET status = 'returned', reason = ?, returned_at = ? WHERE out_no = ?",
        (reason, now, out_no),
    )
    return get_transfer(db, out_no)


def credit(db: sqlite3.Connection, terms: dict[str, Any], now: float, account: str = keys.ESCROW_ACCOUNT) -> int:
    """Book money that comes in from outside, once per reference; the serial of its row."""
    complete_due(db, now)
    frozen = json.dumps(terms, sort_keys=True, ensure_ascii=False)
    known = db.execute("SELECT * FROM credits WHERE reference = ?", (terms["reference"],)).fetchone()
    if known is not None:
        if known["terms"] != frozen:
            raise RefusalError(409, "REFERENCE_USED", "This reference was booked with other terms.")
        return int(known["serial"])
    movement = Movement(
        account,
        terms["fen"],
        terms["counterparty_name"],
        terms["counterparty_account"],
        terms["remittance"],
        terms["reference"],
    )
    serial = book(db, movement, now)
    db.execute("INSERT INTO credits VALUES (?, ?, ?)", (terms["reference"], frozen, serial))
    return serial
