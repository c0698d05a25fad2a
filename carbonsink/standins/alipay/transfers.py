"""The book of transfers to bank cards, and the log of the account that pays them. Every function works inside the
caller's transaction; transfers are completed by whoever looks first after their time.

The money leaves the account when a transfer is taken; of one that fails or comes back it is put back as a row of its
own.
"""

import json
import secrets
import sqlite3
from decimal import Decimal
from typing import Any

from ..merchant import fee
from .gateway import refusal
from .notifications import clock

FAILED = ("PAYEE_CARD_INFO_ERROR", "收款方银行卡信息有误")


def balance(db: sqlite3.Connection) -> int:
    row = db.execute("SELECT balance_fen FROM account_log ORDER BY id DESC LIMIT 1").fetchone()
    return int(row[0]) if row else 0


def transfer(
    db: sqlite3.Connection, terms: dict[str, Any], fen: int, now: float, complete_after: float, fee_rate: Decimal
) -> sqlite3.Row:
    """A new transfer, or the same one taken before with the same terms."""
    complete_due(db, now)
    number, payee = terms["out_biz_no"], terms["payee_info"]
    frozen = json.dumps(terms, sort_keys=True, ensure_ascii=False)
    known = db.execute("SELECT * FROM transfers WHERE out_biz_no = ?", (number,)).fetchone()
    if known is not None:
        if known["terms"] != frozen:
            raise refusal("PAYMENT_INFO_INCONSISTENCY", "两次请求商户单号一样，但是参数不一致")
        return get(db, out_biz_no=number)
    if _state_of(db, payee["identity"]) == "refused":
        raise refusal("PAYEE_CARD_INFO_ERROR", "收款方卡信息错误")
    kept = fee(fen, fee_rate)
    if fen + kept > balance(db):
        raise refusal("PAYER_BALANCE_NOT_ENOUGH", "付款方余额不足")
    order_id = (
        clock(now)[:10].replace("-", "") + "110070000006" + "".join(secrets.choice("0123456789") for _ in range(12))
    )
    db.execute(
        "INSERT INTO transfers (out_biz_no, order_id, terms, card, name, fen, fee_fen, status, taken_at, due_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, 'DEALING', ?, ?)",
        (number, order_id, frozen, payee["identity"], payee["name"], fen, kept, now, now + complete_after),
    )
    account = f"{payee['name'][:1]}*（{payee['identity'][-4:]}）"
    book(db, now, -fen, "转账", order_id=order_id, out_biz_no=number, other=account, memo=terms["order_title"])
    if kept:
        book(db, now, -kept, "收费", order_id=order_id, out_biz_no=number, other="支付宝", memo="转账到银行卡服务费")
    complete_due(db, now)
    return get(db, out_biz_no=number)


def complete_due(db: sqlite3.Connection, now: float) -> None:
    """Bring transfers whose time has come to their end."""
    due = "SELECT * FROM transfers WHERE status = 'DEALING' AND due_at <= ? ORDER BY due_at, rowid"
    for row in db.execute(due, (now,)).fetchall():
        if _state_of(db, row["card"]) == "failing":
            _put_back(db, row, "FAIL", FAILED, now)
        else:
            db.execute("UPDATE transfers SET status = 'SUCCESS' WHERE out_biz_no = ?", (row["out_biz_no"],))


def give_back(db: sqlite3.Connection, number: str, reason: str, now: float, *, nameless: bool) -> sqlite3.Row:
    """退票: the money of a transfer that arrived comes back, once; `nameless`, without the merchant's number."""
    complete_due(db, now)
    row = get(db, out_biz_no=number)
    if row["status"] == "SUCCESS":
        _put_back(db, row, "REFUND", ("BANK_RETURN", reason), now, nameless=nameless)
    return get(db, out_biz_no=number)


def get(db: sqlite3.Connection, *, out_biz_no: str = "", order_id: str = "") -> sqlite3.Row:
    """The transfer by the merchant's number, or by Alipay's own, which goes first."""
    column, number = ("order_id", order_id) if order_id else ("out_biz_no", out_biz_no)
    found = db.execute(f"SELECT * FROM transfers WHERE {column} = ?", (number,)).fetchone()  # noqa: S608 two fixed names
    if not isinstance(found, sqlite3.Row):
        raise refusal("ORDER_NOT_EXIST", "转账订单不存在")
    return found


def book(
    db: sqlite3.Connection,
    now: float,
    fen: int,
    kind: str,
    *,
    order_id: str = "",
    out_biz_no: str = "",
    other: str = "",
    memo: str = "",
) -> int:
    """A row of the account's log; its id."""
    row = db.execute(
        "INSERT INTO account_log (booked_at, fen, balance_fen, kind, order_id, out_biz_no, other_account, memo)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (now, fen, balance(db) + fen, kind, order_id, out_biz_no, other, memo),
    )
    return int(row.lastrowid or 0)


def deposit(db: sqlite3.Connection, fen: int, other: str, reference: str, now: float) -> int:
    """Money that comes in from outside, once per reference; the id of its row."""
    known = db.execute("SELECT id FROM deposits WHERE reference = ?", (reference,)).fetchone()
    if known is not None:
        return int(known[0])
    row = book(db, now, fen, "充值", other=other, memo=reference)
    db.execute("INSERT INTO deposits VALUES (?, ?)", (reference, row))
    return row


def _put_back(
    db: sqlite3.Connection, row: sqlite3.Row, status: str, why: tuple[str, str], now: float, *, nameless: bool = False
) -> None:
    code, reason = why
    db.execute(
        "UPDATE transfers SET status = ?, error_code = ?, fail_reason = ? WHERE out_biz_no = ?",
        (status, code, reason, row["out_biz_no"]),
    )
    number = "" if nameless else row["out_biz_no"]
    book(
        db,
        now,
        row["fen"],
        "转账退回",
        order_id=row["order_id"],
        out_biz_no=number,
        other=row["name"][:1] + "*",
        memo=reason,
    )


def _state_of(db: sqlite3.Connection, card: str) -> str:
    row = db.execute("SELECT state FROM cards WHERE card = ?", (card,)).fetchone()
    return str(row[0]) if row else "well"
