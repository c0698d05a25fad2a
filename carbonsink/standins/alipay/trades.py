"""The book of trades and refunds. Every function works inside the caller's transaction."""

import json
import secrets
import sqlite3
from decimal import Decimal

from ..merchant import book, fee, yuan
from .gateway import refusal
from .notifications import clock

PAYING = frozenset({"pay", "pay_late"})
ACTIONS = PAYING | {"refuse", "ignore"}


def place(db: sqlite3.Connection, terms: dict[str, str], fen: int, expires_at: float | None, now: float) -> sqlite3.Row:
    """A new trade, or the same one opened before with the same terms."""
    number = terms["out_trade_no"]
    # The signature's own time differs with every address; the terms may not.
    frozen = json.dumps(terms, sort_keys=True, ensure_ascii=False)
    known = find(db, number)
    if known is None:
        if expires_at is not None and expires_at <= now:
            raise refusal("ACQ.INVALID_PARAMETER", "time_expire 已经过去")
        trade_no = clock(now)[:10].replace("-", "") + "220014" + _digits(14)
        db.execute(
            "INSERT INTO trades (out_trade_no, trade_no, token, terms, fen, expires_at, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (number, trade_no, secrets.token_urlsafe(24), frozen, fen, expires_at, now),
        )
        return get(db, number)
    if known["terms"] != frozen:
        raise refusal("ACQ.CONTEXT_INCONSISTENT", "交易信息被篡改")
    return known


def find(db: sqlite3.Connection, out_trade_no: str) -> sqlite3.Row | None:
    found = db.execute("SELECT * FROM trades WHERE out_trade_no = ?", (out_trade_no,)).fetchone()
    return found if isinstance(found, sqlite3.Row) else None


def get(db: sqlite3.Connection, out_trade_no: str = "", *, trade_no: str = "") -> sqlite3.Row:
    """The trade by the merchant's number, or by Alipay's own, which goes first."""
    column, number = ("trade_no", trade_no) if trade_no else ("out_trade_no", out_trade_no)
    found = db.execute(f"SELECT * FROM trades WHERE {column} = ?", (number,)).fetchone()  # noqa: S608 two fixed names
    if not isinstance(found, sqlite3.Row):
        raise refusal("ACQ.TRADE_NOT_EXIST", "交易不存在")
    return found


def status(db: sqlite3.Connection, trade: sqlite3.Row) -> str:
    """The trade_status. A trade that was given back whole is closed."""
    if trade["paid_at"] is not None:
        return "TRADE_CLOSED" if refunded(db, trade["trade_no"]) == trade["fen"] else "TRADE_SUCCESS"
    return "TRADE_CLOSED" if trade["closed"] else "WAIT_BUYER_PAY"


def close(db: sqlite3.Connection, trade: sqlite3.Row) -> None:
    """Close an unpaid trade."""
    if trade["paid_at"] is not None or trade["closed"]:
        raise refusal("ACQ.TRADE_STATUS_ERROR", "交易状态不合法")
    db.execute("UPDATE trades SET closed = 1 WHERE trade_no = ?", (trade["trade_no"],))


def act(db: sqlite3.Connection, trade: sqlite3.Row, action: str, now: float, fee_rate: Decimal) -> bool:
    """What the payer presses; whether money was captured."""
    if trade["paid_at"] is not None:
        raise refusal("ACQ.TRADE_HAS_SUCCESS", "交易已被支付")
    if action == "pay" and trade["closed"]:
        raise refusal("ACQ.TRADE_HAS_CLOSE", "交易已经关闭")
    if action == "pay" and expired(trade, now):
        raise refusal("ACQ.TRADE_HAS_CLOSE", "已过付款时限，不能付款")
    db.execute("UPDATE trades SET last_action = ? WHERE trade_no = ?", (action, trade["trade_no"]))
    if action not in PAYING:
        return False
    kept = fee(trade["fen"], fee_rate)
    db.execute("UPDATE trades SET paid_at = ?, fee_fen = ? WHERE trade_no = ?", (now, kept, trade["trade_no"]))
    book(db, now, trade["trade_no"], "在线支付", trade["fen"], note="", voucher=trade["out_trade_no"])
    if kept:
        book(
            db,
            now,
            trade["trade_no"],
            "收费",
            -kept,
            note=f"服务费[{trade['trade_no']}]",
            voucher=trade["out_trade_no"],
        )
    return True


def expired(trade: sqlite3.Row, now: float) -> bool:
    return trade["expires_at"] is not None and bool(now >= trade["expires_at"])


def refund(db: sqlite3.Connection, trade: sqlite3.Row, number: str, fen: int, reason: str, now: float) -> bool:
    """Give money back at once; the same number again changes nothing. Whether money moved."""
    known = find_refund(db, trade["trade_no"], number)
    if known is not None:
        if known["fen"] != fen:
            raise refusal("ACQ.DISCORDANT_REPEAT_REQUEST", "同一退款请求号的金额不一致")
        return False
    if trade["paid_at"] is None:
        raise refusal("ACQ.TRADE_STATUS_ERROR", "交易状态不合法")
    if fen + refunded(db, trade["trade_no"]) > trade["fen"]:
        raise refusal("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", "退款金额超过可退金额")
    db.execute("INSERT INTO refunds VALUES (?, ?, ?, ?, ?)", (trade["trade_no"], number, fen, reason, now))
    book(db, now, trade["trade_no"], "交易退款", -fen, note=reason, voucher=trade["out_trade_no"])
    return True


def refunded(db: sqlite3.Connection, trade_no: str) -> int:
    query = "SELECT COALESCE(SUM(fen), 0) FROM refunds WHERE trade_no = ?"
    return int(db.execute(query, (trade_no,)).fetchone()[0])


def find_refund(db: sqlite3.Connection, trade_no: str, number: str) -> sqlite3.Row | None:
    query = "SELECT * FROM refunds WHERE trade_no = ? AND out_request_no = ?"
    found = db.execute(query, (trade_no, number)).fetchone()
    return found if isinstance(found, sqlite3.Row) else None


def told(db: sqlite3.Connection, trade: sqlite3.Row) -> dict[str, str]:
    """A trade as its notifications tell it."""
    terms, amount = json.loads(trade["terms"]), yuan(trade["fen"])
    answer = {
        "trade_no": trade["trade_no"],
        "out_trade_no": trade["out_trade_no"],
        "buyer_id": "2088000000000999",
        "buyer_logon_id": "159****5620",
        "trade_status": status(db, trade),
        "total_amount": amount,
        "receipt_amount": amount,
        "buyer_pay_amount": amount,
        "subject": terms["subject"],
        "body": "",
        "gmt_create": clock(trade["created_at"]),
        "gmt_payment": clock(trade["paid_at"]),
        "fund_bill_list": json.dumps([{"amount": amount, "fundChannel": "ALIPAYACCOUNT"}]),
    }
    if back := refunded(db, trade["trade_no"]):
        answer["refund_fee"] = yuan(back)
    return answer


def _digits(count: int) -> str:
    return "".join(secrets.choice("0123456789") for _ in range(count))
