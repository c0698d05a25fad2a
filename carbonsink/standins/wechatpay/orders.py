"""The book of orders, captures and refunds. Every function works inside the caller's transaction."""

import json
import secrets
import sqlite3
from datetime import datetime
from decimal import Decimal
from typing import Any

from .. import keys
from ..fields import RefusalError
from ..merchant import book, fee
from ..store import CHINA, china_time

PAYING = frozenset({"pay", "pay_late", "pay_again"})
ACTIONS = PAYING | {"refuse", "ignore"}


def place(db: sqlite3.Connection, terms: dict[str, Any], expires_at: float | None, now: float) -> str:
    """The cashier token of a new order, or of the same order placed before with the same terms."""
    number, frozen = terms["out_trade_no"], json.dumps(terms, sort_keys=True, ensure_ascii=False)
    known = find(db, number)
    if known is None:
        if expires_at is not None and expires_at <= now:
            raise RefusalError(400, "PARAM_ERROR", "time_expire 已经过去")
        token = secrets.token_urlsafe(24)
        openid = terms.get("openid") or "o" + secrets.token_hex(14)[:27]
        db.execute(
            "INSERT INTO orders (out_trade_no, token, terms, fen, expires_at, openid, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (number, token, frozen, terms["amount"]["total"], expires_at, openid, now),
        )
        return token
    if known["terms"] != frozen:
        raise RefusalError(403, "OUT_TRADE_NO_USED", "商户订单号重复：同一订单号的下单参数不同")
    if captures(db, number):
        raise RefusalError(400, "ORDERPAID", "该订单已支付")
    if known["closed"]:
        raise RefusalError(400, "ORDER_CLOSED", "该订单已关闭，请用新的订单号下单")
    return str(known["token"])


def prepay_id(token: str) -> str:
    """The prepayment of the order with this token."""
    return f"wx{token}"


def by_prepay_id(db: sqlite3.Connection, number: str) -> sqlite3.Row:
    """The order of a prepayment, whose number only the merchant knows."""
    order = db.execute("SELECT * FROM orders WHERE token = ?", (number.removeprefix("wx"),)).fetchone()
    if not number.startswith("wx") or not isinstance(order, sqlite3.Row):
        raise RefusalError(404, "ORDER_NOT_EXIST", "订单不存在")
    return order


def find(db: sqlite3.Connection, out_trade_no: str) -> sqlite3.Row | None:
    found = db.execute("SELECT * FROM orders WHERE out_trade_no = ?", (out_trade_no,)).fetchone()
    return found if isinstance(found, sqlite3.Row) else None


def get(db: sqlite3.Connection, out_trade_no: str) -> sqlite3.Row:
    order = find(db, out_trade_no)
    if order is None:
        raise RefusalError(404, "ORDER_NOT_EXIST", "订单不存在")
    return order


def captures(db: sqlite3.Connection, out_trade_no: str) -> list[sqlite3.Row]:
    """The order's transactions, the first one first; a second one is a double payment."""
    query = "SELECT * FROM transactions WHERE out_trade_no = ? ORDER BY paid_at, rowid"
    return db.execute(query, (out_trade_no,)).fetchall()


def close(db: sqlite3.Connection, out_trade_no: str) -> None:
    """Close an unpaid order; closing it again changes nothing."""
    get(db, out_trade_no)
    if captures(db, out_trade_no):
        raise RefusalError(400, "ORDERPAID", "该订单已支付，不能关闭")
    db.execute("UPDATE orders SET closed = 1 WHERE out_trade_no = ?", (out_trade_no,))


def state(db: sqlite3.Connection, order: sqlite3.Row) -> str:
    """The trade_state. An expired order stays NOTPAY until the merchant closes it, as at WeChat Pay."""
    paid = captures(db, order["out_trade_no"])
    if paid:
        return "REFUND" if refunded(db, paid[0]["transaction_id"]) else "SUCCESS"
    return "CLOSED" if order["closed"] else "NOTPAY"


def act(db: sqlite3.Connection, order: sqlite3.Row, action: str, now: float, fee_rate: Decimal) -> sqlite3.Row | None:
    """What the payer presses; the new transaction when money is captured."""
    paid = bool(captures(db, order["out_trade_no"]))
    if action == "pay_again" and not paid:
        raise RefusalError(409, "ORDER_NOT_PAID", "订单还没有付款，谈不上重复付款")
    if action != "pay_again" and paid:
        raise RefusalError(409, "ORDERPAID", "该订单已支付")
    if action == "pay" and order["closed"]:
        raise RefusalError(409, "ORDER_CLOSED", "商户已关闭该订单，不能付款")
    if action == "pay" and expired(order, now):
        raise RefusalError(409, "ORDER_EXPIRED", "已过付款时限，不能付款")
    db.execute("UPDATE orders SET last_action = ? WHERE out_trade_no = ?", (action, order["out_trade_no"]))
    return _capture(db, order, now, fee_rate) if action in PAYING else None


def expired(order: sqlite3.Row, now: float) -> bool:
    return order["expires_at"] is not None and bool(now >= order["expires_at"])


def _capture(db: sqlite3.Connection, order: sqlite3.Row, now: float, fee_rate: Decimal) -> sqlite3.Row:
    number, fen, fee_fen = order["out_trade_no"], order["fen"], fee(order["fen"], fee_rate)
    transaction_id = "4200000109" + _digits(now, 10)
    db.execute(
        "INSERT INTO transactions (transaction_id, out_trade_no, fen, fee_fen, paid_at) VALUES (?, ?, ?, ?, ?)",
        (transaction_id, number, fen, fee_fen, now),
    )
    book(db, now, transaction_id, "交易", fen, note=number)
    if fee_fen:
        book(db, now, transaction_id, "扣除交易手续费", -fee_fen, note=number)
    return captures(db, number)[-1]


def refund(db: sqlite3.Connection, terms: dict[str, Any], now: float) -> sqlite3.Row:
    """Give money back at once; the same out_refund_no with the same terms answers the same refund."""
    number, frozen = terms["out_refund_no"], json.dumps(terms, sort_keys=True, ensure_ascii=False)
    known = find_refund(db, number)
    if known is not None:
        if known["terms"] != frozen:
            raise RefusalError(400, "INVALID_REQUEST", "同一退款单号的退款参数不同")
        return known
    fen, transaction = terms["amount"]["refund"], _transaction_to_refund(db, terms)
    refund_id = "50000000" + _digits(now, 11)
    db.execute(
        "INSERT INTO refunds (out_refund_no, refund_id, transaction_id, terms, fen, refunded_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (number, refund_id, transaction["transaction_id"], frozen, fen, now),
    )
    book(db, now, refund_id, "退款", -fen, note=terms["reason"] or number, voucher=number)
    return get_refund(db, number)


def _transaction_to_refund(db: sqlite3.Connection, terms: dict[str, Any]) -> sqlite3.Row:
    if terms["transaction_id"]:
        query, key = "SELECT * FROM transactions WHERE transaction_id = ?", terms["transaction_id"]
        paid: list[sqlite3.Row] = db.execute(query, (key,)).fetchall()
    else:
        paid = captures(db, terms["out_trade_no"])
        if not paid and find(db, terms["out_trade_no"]):
            raise RefusalError(400, "INVALID_REQUEST", "订单未支付，不能退款")
    if not paid:
        raise RefusalError(404, "RESOURCE_NOT_EXISTS", "订单不存在")
    if terms["amount"]["total"] != paid[0]["fen"]:
        raise RefusalError(400, "PARAM_ERROR", "订单金额 amount.total 与原订单不一致")
    for transaction in paid:
        left = transaction["fen"] - refunded(db, transaction["transaction_id"])
        if terms["amount"]["refund"] <= left:
            return transaction
    raise RefusalError(400, "INVALID_REQUEST", "退款总额超过已支付金额")


def refunded(db: sqlite3.Connection, transaction_id: str) -> int:
    query = "SELECT COALESCE(SUM(fen), 0) FROM refunds WHERE transaction_id = ?"
    return int(db.execute(query, (transaction_id,)).fetchone()[0])


def find_refund(db: sqlite3.Connection, out_refund_no: str) -> sqlite3.Row | None:
    query = (
        "SELECT r.*, t.out_trade_no, t.fen AS paid_fen"
        " FROM refunds r JOIN transactions t USING (transaction_id) WHERE out_refund_no = ?"
    )
    found = db.execute(query, (out_refund_no,)).fetchone()
    return found if isinstance(found, sqlite3.Row) else None


def get_refund(db: sqlite3.Connection, out_refund_no: str) -> sqlite3.Row:
    found = find_refund(db, out_refund_no)
    if found is None:
        raise RefusalError(404, "RESOURCE_NOT_EXISTS", "退款单不存在")
    return found


def trade(order: sqlite3.Row, transaction: sqlite3.Row, trade_state: str = "SUCCESS") -> dict[str, Any]:
    """A captured order as the query answers it and as the notification holds it sealed."""
    fen, terms = transaction["fen"], json.loads(order["terms"])
    return {
        "appid": keys.APP_ID,
        "mchid": keys.MERCHANT_ID,
        "out_trade_no": order["out_trade_no"],
        "transaction_id": transaction["transaction_id"],
        "trade_type": terms.get("trade_type", "NATIVE"),
        "trade_state": trade_state,
        "trade_state_desc": {"SUCCESS": "支付成功", "REFUND": "转入退款"}[trade_state],
        "bank_type": "OTHERS",
        "attach": terms["attach"],
        "success_time": china_time(transaction["paid_at"]),
        "payer": {"openid": order["openid"]},
        "amount": {"total": fen, "payer_total": fen, "currency": "CNY", "payer_currency": "CNY"},
    }


def _digits(now: float, count: int) -> str:
    day = datetime.fromtimestamp(now, CHINA).strftime("%Y%m%d")
    return day + "".join(secrets.choice("0123456789") for _ in range(count))
