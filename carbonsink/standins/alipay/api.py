"""The one address of Alipay's open platform: pages for buyers, and methods for the merchant."""

import json
import time
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, make_response, redirect, request, url_for
from werkzeug.wrappers import Response

from .. import keys, signing
from ..fields import RefusalError
from ..merchant import yuan
from ..standin import endpoint, sent_request
from ..store import CHINA
from . import bills, notifications, trades, transfer_views
from .asking import amount, content_of, text, well
from .gateway import PLACES, asked, gateway, refusal

api = Blueprint("api", __name__)

PAGES = {"alipay.trade.page.pay": "FAST_INSTANT_TRADE_PAY", "alipay.trade.wap.pay": "QUICK_WAP_WAY"}


@api.get("/gateway.do")
def page() -> Response:
    """A buyer's browser comes with the merchant's signed address and goes on to the cashier."""
    parameters = asked()
    try:
        gateway().verify(sent_request())
        method = parameters.get("method", "")
        if method not in PAGES:
            raise refusal("isv.invalid-method", "不存在的方法名", "40002")
        terms, fen, expires_at = _terms(parameters, PAGES[method])
        with gateway().store.transaction() as db:
            trade = trades.place(db, terms, fen, expires_at, time.time())
    except RefusalError as error:
        sub_code = (error.detail or {}).get("sub_code", "")
        return make_response(f"{sub_code} {error.message}", 400, {"Content-Type": "text/plain; charset=utf-8"})
    return redirect(url_for("cashier.show", token=trade["token"]))


def _terms(parameters: dict[str, str], product_code: str) -> tuple[dict[str, str], int, float | None]:
    """What is asked for, its fen and its end."""
    content = content_of(parameters)
    if text(content, "product_code", ".+") != product_code:
        raise refusal("ACQ.INVALID_PARAMETER", "product_code 与接口不符")
    expiry = text(content, "time_expire", r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}|", "")
    terms = {
        "out_trade_no": text(content, "out_trade_no", r"[0-9A-Za-z_]{1,64}"),
        "subject": text(content, "subject", r"[^/=&]{1,256}"),
        "time_expire": expiry,
        "notify_url": text(parameters, "notify_url", r"https?://[^\s]{1,248}"),
        "return_url": text(parameters, "return_url", r"https?://[^\s]{1,248}|", ""),
        "product_code": product_code,
    }
    fen = amount(content, "total_amount")
    moment = datetime.fromisoformat(expiry).replace(tzinfo=CHINA).timestamp() if expiry else None
    return terms | {"total_amount": yuan(fen)}, fen, moment


@api.post("/gateway.do")
def methods() -> Any:
    method = asked().get("method", "")
    if method not in PLACES:
        return gateway().sign(gateway().refused(refusal("isv.invalid-method", "不存在的方法名", "40002")))
    return METHODS[method]()


@endpoint("query")
def query() -> Response:
    with gateway().store.transaction() as db:
        trade = _trade(db)
        status = trades.status(db, trade)
    answer = {
        "trade_no": trade["trade_no"],
        "out_trade_no": trade["out_trade_no"],
        "trade_status": status,
        "total_amount": yuan(trade["fen"]),
        "buyer_logon_id": "159****5620",
    }
    if trade["paid_at"] is not None:
        answer["send_pay_date"] = notifications.clock(trade["paid_at"])
    return well(answer)


@endpoint("close")
def close() -> Response:
    with gateway().store.transaction() as db:
        trade = _trade(db)
        trades.close(db, trade)
    return well({"trade_no": trade["trade_no"], "out_trade_no": trade["out_trade_no"]})


@endpoint("refund")
def refund() -> Response:
    content = content_of(asked())
    fen, reason = amount(content, "refund_amount"), text(content, "refund_reason", "(?s).{0,256}", "")
    number, now = text(content, "out_request_no", r"[0-9A-Za-z_\-]{1,64}"), time.time()
    with gateway().store.transaction() as db:
        trade = _trade(db)
        moved = trades.refund(db, trade, number, fen, reason, now)
        if moved:
            address = json.loads(trade["terms"])["notify_url"]
            notifications.enqueue(db, trades.told(db, trade), address, now)
        back = trades.refunded(db, trade["trade_no"])
    gateway().notifier.wake()
    numbers = {"trade_no": trade["trade_no"], "out_trade_no": trade["out_trade_no"]}
    return well(numbers | {"fund_change": "Y" if moved else "N", "refund_fee": yuan(back)})


@endpoint("refund_query")
def refund_query() -> Response:
    number = text(content_of(asked()), "out_request_no", ".{1,64}")
    with gateway().store.transaction() as db:
        trade = _trade(db)
        found = trades.find_refund(db, trade["trade_no"], number)
    if found is None:
        return well({})
    return well(
        {
            "trade_no": trade["trade_no"],
            "out_trade_no": trade["out_trade_no"],
            "out_request_no": number,
            "total_amount": yuan(trade["fen"]),
            "refund_amount": yuan(found["fen"]),
            "refund_status": "REFUND_SUCCESS",
        }
    )


@endpoint("bill")
def bill() -> Response:
    content = content_of(asked())
    kind = text(content, "bill_type", "trade|signcustomer")
    try:
        day = date.fromisoformat(text(content, "bill_date", ".+"))
    except ValueError:
        raise refusal("isv.invalid-arguments", "bill_date 应为 yyyy-MM-dd", "40002") from None
    with gateway().store.transaction() as db:
        token = bills.offer(db, kind, day)
    address = f"{gateway().base_url}/downloadBillFile.resource?fileId={token}"
    return well({"bill_download_url": address})


@api.get("/downloadBillFile.resource")
@endpoint("bill_download", signed=False)
def bill_download() -> Response:
    with gateway().store.transaction() as db:
        found = db.execute("SELECT * FROM bills WHERE token = ?", (request.args.get("fileId", ""),)).fetchone()
    if found is None:
        return make_response("账单下载地址无效", 404)
    return make_response(bytes(found["content"]), 200, {"Content-Type": "application/zip"})


VIEWS = (query, close, refund, refund_query, bill, transfer_views.transfer, transfer_views.transfer_query)
METHODS = dict(zip(PLACES, (*VIEWS, transfer_views.account_log), strict=True))


def _trade(db: Any) -> Any:
    content = content_of(asked())
    number, trade_no = text(content, "out_trade_no", ".{0,64}", ""), text(content, "trade_no", ".{0,64}", "")
    return trades.get(db, number, trade_no=trade_no)


def return_address(trade: Any) -> str:
    """The merchant's return_url with Alipay's own signed parameters, as a browser is sent back."""
    back = str(json.loads(trade["terms"])["return_url"])
    method = next(name for name, code in PAGES.items() if code == json.loads(trade["terms"])["product_code"])
    parameters = {
        "app_id": keys.ALIPAY_APP_ID,
        "charset": "utf-8",
        "method": f"{method}.return",
        "out_trade_no": trade["out_trade_no"],
        "seller_id": keys.ALIPAY_SELLER_ID,
        "timestamp": notifications.clock(time.time()),
        "total_amount": yuan(trade["fen"]),
        "trade_no": trade["trade_no"],
        "version": "1.0",
    }
    signature = gateway().signature(signing.alipay_message(parameters, without=set()))
    signed = urlencode(parameters | {"sign": signature, "sign_type": "RSA2"})
    return f"{back}{'&' if '?' in back else '?'}{signed}" if back else ""
