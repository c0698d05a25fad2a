"""Transfers to bank cards: `alipay.fund.trans.uni.transfer` and `common.query`, and the account's log."""

import time
from datetime import datetime, timedelta
from typing import Any

from werkzeug.wrappers import Response

from ..merchant import yuan
from ..standin import endpoint
from ..store import CHINA
from . import transfers
from .asking import amount, content_of, text, well
from .gateway import asked, gateway, refusal
from .notifications import clock

BAD = "INVALID_PARAMETER"
LEAST_FEN = 10
LONGEST = timedelta(days=31)


@endpoint("transfer")
def transfer() -> Response:
    content = content_of(asked())
    _scene(content)
    fen = amount(content, "trans_amount", BAD)
    if fen < LEAST_FEN:
        raise refusal(BAD, "转账金额不得小于 0.10 元")
    payee = content.get("payee_info")
    card = payee.get("bankcard_ext_info") if isinstance(payee, dict) else None
    if not isinstance(payee, dict) or not isinstance(card, dict) or payee.get("identity_type") != "BANKCARD_ACCOUNT":
        raise refusal(BAD, "参数无效：payee_info")
    text(content, "out_biz_no", r"[0-9A-Za-z_]{1,64}", code=BAD)
    text(content, "order_title", r"[^/=&]{1,128}", code=BAD)
    text(content, "remark", r"(?s).{0,200}", "", BAD)
    text(payee, "identity", r"[0-9]{8,32}", code=BAD)
    text(payee, "name", r"\S.{0,69}", code=BAD)
    text(card, "account_type", "1|2", code=BAD)
    text(card, "bank_code", r"[0-9]{12}|", "", BAD)
    text(card, "inst_name", r".{0,80}", "", BAD)
    standin = gateway()
    with standin.store.transaction() as db:
        row = transfers.transfer(db, content, fen, time.time(), standin.complete_after, standin.transfer_fee_rate)
    answer = {"out_biz_no": row["out_biz_no"], "order_id": row["order_id"], "status": row["status"]}
    return well(answer | {"trans_date": clock(row["taken_at"])})


@endpoint("transfer_query")
def transfer_query() -> Response:
    content = content_of(asked())
    number = text(content, "out_biz_no", r"[0-9A-Za-z_]{0,64}", "", BAD)
    order_id = text(content, "order_id", r"[0-9]{0,64}", "", BAD)
    if not number and not order_id:
        raise refusal(BAD, "out_biz_no 与 order_id 不能同时为空")
    _scene(content)
    with gateway().store.transaction() as db:
        transfers.complete_due(db, time.time())
        row = transfers.get(db, out_biz_no=number, order_id=order_id)
    return well(told(row))


def told(row: Any) -> dict[str, str]:
    """A transfer as the query tells it."""
    answer = {"out_biz_no": row["out_biz_no"], "order_id": row["order_id"], "status": row["status"]}
    if row["status"] == "SUCCESS":
        answer["trans_amount"] = yuan(row["fen"])
    if row["status"] in ("SUCCESS", "REFUND"):
        answer["pay_date"] = clock(row["due_at"])
    if row["error_code"]:
        answer |= {"error_code": row["error_code"], "fail_reason": row["fail_reason"]}
    return answer


@endpoint("account_log")
def account_log() -> Response:
    content = content_of(asked())
    begin, end = _moment(content, "start_time"), _moment(content, "end_time")
    if not begin <= end <= begin + LONGEST:
        raise refusal(BAD, "起止时间间隔不得超过 31 天")
    page = int(text(content, "page_no", r"[1-9][0-9]{0,5}", "1", BAD))
    size = int(text(content, "page_size", r"[1-9][0-9]{0,3}", "2000", BAD))
    if not 1000 <= size <= 2000:
        raise refusal(BAD, "分页大小应为 1000-2000")
    number = text(content, "merchant_order_no", ".{0,64}", "", BAD)
    # Newest first: nothing promises an order.
    query = (
        "SELECT * FROM account_log WHERE booked_at >= ?1 AND booked_at < ?2 AND (?3 = '' OR out_biz_no = ?3)"
        " ORDER BY id DESC"
    )
    with gateway().store.transaction() as db:
        transfers.complete_due(db, time.time())
        found = db.execute(query, (begin.timestamp(), end.timestamp(), number)).fetchall()
    answer: dict[str, Any] = {"page_no": str(page), "page_size": str(size), "total_size": str(len(found))}
    rows = [_row(row) for row in found[(page - 1) * size : page * size]]
    return well(answer | ({"detail_list": rows} if rows else {}))


def _row(row: Any) -> dict[str, str]:
    return {
        "account_log_id": f"{clock(row['booked_at'])[:10].replace('-', '')}{row['id']:013d}",
        "alipay_order_no": row["order_id"],
        "merchant_order_no": row["out_biz_no"],
        "trans_dt": clock(row["booked_at"]),
        "trans_amount": yuan(row["fen"]),
        "direction": "收入" if row["fen"] > 0 else "支出",
        "balance": yuan(row["balance_fen"]),
        "type": row["kind"],
        "other_account": row["other_account"],
        "trans_memo": row["memo"],
    }


def _scene(content: dict[str, Any]) -> None:
    text(content, "product_code", "TRANS_BANKCARD_NO_PWD", code=BAD)
    text(content, "biz_scene", "DIRECT_TRANSFER", code=BAD)


def _moment(content: dict[str, Any], name: str) -> datetime:
    written = text(content, name, r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}", code=BAD)
    return datetime.fromisoformat(written).replace(tzinfo=CHINA)
