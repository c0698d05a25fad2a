"""Daily bills as CSV in WeChat Pay's own columns: amounts in yuan, every value behind a backtick, a totals
line.

Unlike the real gateway, which has a day's bills from 10:00 of the next day on, this one gives any day up to
now. A bill is frozen when it is asked for, so that its SHA-1 holds however late it is downloaded.
"""

import hashlib
import json
import secrets
import sqlite3
from datetime import date, datetime, timedelta
from decimal import Decimal

from .. import keys
from ..fields import RefusalError
from ..merchant import yuan
from ..store import CHINA

TRADE_COLUMNS = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,"
    "货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,"
    "商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注"
)
TRADE_TOTALS = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
FLOW_COLUMNS = (
    "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),"
    "资金变更提交申请人,备注,业务凭证号"
)
FLOW_TOTALS = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额"

FLOW_NAMES = {"交易": "交易", "扣除交易手续费": "交易", "退款": "退款", "提现": "提现"}


def trade_bill(db: sqlite3.Connection, day: date, fee_rate: Decimal) -> bytes:
    """All captures and refunds of the day, in the order of time."""
    begin, end = _bounds(day)
    captures = db.execute(
        "SELECT * FROM transactions JOIN orders USING (out_trade_no) WHERE paid_at >= ? AND paid_at < ?",
        (begin, end),
    ).fetchall()
    refunds = db.execute(
        "SELECT out_refund_no, refund_id, r.fen AS refund_fen, refunded_at, transaction_id, out_trade_no,"
        " o.openid, o.terms FROM refunds r JOIN transactions t USING (transaction_id)"
        " JOIN orders o USING (out_trade_no) WHERE refunded_at >= ? AND refunded_at < ?",
        (begin, end),
    ).fetchall()
    rate = f"{(fee_rate * 100).normalize():f}%"
    rows = [(row["paid_at"], _captured(row, rate)) for row in captures]
    rows += [(row["refunded_at"], _refunded(row, rate)) for row in refunds]
    gross, back = sum(row["fen"] for row in captures), sum(row["refund_fen"] for row in refunds)
    fees = sum(row["fee_fen"] for row in captures)
    totals = [str(len(rows)), *map(yuan, (gross, back, 0, fees, gross, back))]
    lines = [line for _, line in sorted(rows, key=lambda pair: pair[0])]
    return _csv(TRADE_COLUMNS, lines, TRADE_TOTALS, totals)


def _captured(row: sqlite3.Row, rate: str) -> list[str]:
    nothing = yuan(0)
    money, refund = [yuan(row["fen"]), nothing], ["0", "0", nothing, nothing, "", ""]
    end = [yuan(row["fee_fen"]), rate, yuan(row["fen"]), nothing, ""]
    return [*_trade(row, row["paid_at"], "SUCCESS"), *money, *refund, *_goods(row), *end]


def _refunded(row: sqlite3.Row, rate: str) -> list[str]:
    nothing, back = yuan(0), yuan(row["refund_fen"])
    refund = [row["refund_id"], row["out_refund_no"], back, nothing, "ORIGINAL", "SUCCESS"]
    end = [nothing, rate, nothing, back, ""]
    return [*_trade(row, row["refunded_at"], "REFUND"), nothing, nothing, *refund, *_goods(row), *end]


def _trade(row: sqlite3.Row, moment: float, trade_state: str) -> list[str]:
    start = [_clock(moment), keys.APP_ID, keys.MERCHANT_ID, "0", ""]
    numbers = [row["transaction_id"], row["out_trade_no"], row["openid"]]
    trade_type = json.loads(row["terms"]).get("trade_type", "NATIVE")
    return [*start, *numbers, trade_type, trade_state, "OTHERS", "CNY"]


def _goods(row: sqlite3.Row) -> list[str]:
    terms = json.loads(row["terms"])
    return [terms["description"], terms["attach"]]


def fund_flow_bill(db: sqlite3.Connection, day: date) -> bytes:
    """Every movement of the merchant's account on that day."""
    query = "SELECT * FROM flows WHERE booked_at >= ? AND booked_at < ? ORDER BY id"
    flows = db.execute(query, _bounds(day)).fetchall()
    lines = [
        [
            _clock(row["booked_at"]),
            row["business_no"],
            f"1900000109{row['id']:018d}",
            FLOW_NAMES.get(row["kind"], row["kind"]),
            row["kind"],
            "收入" if row["fen"] > 0 else "支出",
            yuan(abs(row["fen"])),
            yuan(row["balance_fen"]),
            "system",
            row["note"],
            row["voucher"],
        ]
        for row in flows
    ]
    income = [row["fen"] for row in flows if row["fen"] > 0]
    spent = [-row["fen"] for row in flows if row["fen"] < 0]
    counts = [str(len(flows)), str(len(income)), yuan(sum(income)), str(len(spent)), yuan(sum(spent))]
    return _csv(FLOW_COLUMNS, lines, FLOW_TOTALS, counts)


def offer(db: sqlite3.Connection, content: bytes) -> tuple[str, str]:
    """Freeze a bill for download: its token and its SHA-1 in hex."""
    token = secrets.token_urlsafe(24)
    db.execute("INSERT INTO bills (token, content) VALUES (?, ?)", (token, content))
    return token, hashlib.sha1(content, usedforsecurity=False).hexdigest()


def download(db: sqlite3.Connection, token: str) -> bytes:
    row = db.execute("SELECT content FROM bills WHERE token = ?", (token,)).fetchone()
    if row is None:
        raise RefusalError(404, "RESOURCE_NOT_EXISTS", "账单下载地址无效")
    return bytes(row["content"])


def _bounds(day: date) -> tuple[float, float]:
    begin = datetime(day.year, day.month, day.day, tzinfo=CHINA)
    return begin.timestamp(), (begin + timedelta(days=1)).timestamp()


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment, CHINA).strftime("%Y-%m-%d %H:%M:%S")


def _csv(columns: str, rows: list[list[str]], total_columns: str, totals: list[str]) -> bytes:
    if not rows:
        raise RefusalError(400, "NO_STATEMENT_EXIST", "账单文件不存在：当日没有交易")
    lines = [columns, *map(_line, rows), total_columns, _line(totals)]
    return "".join(f"{line}\r\n" for line in lines).encode()


def _line(values: list[str]) -> str:
    # A comma inside a value stays, as in the real bills: a reader splits at comma and backtick together.
    return ",".join("`" + " ".join(value.replace("`", "'").split()) for value in values)
