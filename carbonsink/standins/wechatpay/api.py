"""The signed endpoints under /v3, with the fields and error codes of WeChat Pay's own documentation."""

import ipaddress
import time
from datetime import date, datetime
from typing import Any

from flask import Blueprint, Response, make_response, request

from .. import fields, keys
from ..fields import RefusalError, bad_field
from ..standin import endpoint
from ..store import china_time
from . import bills, orders
from .gateway import gateway

api = Blueprint("api", __name__, url_prefix="/v3")

ORDER_NUMBER = r"[0-9A-Za-z_\-|*]{6,32}"
REFUND_NUMBER = r"[0-9A-Za-z_\-|*@]{1,64}"


@api.post("/pay/transactions/native")
@endpoint("native")
def native() -> dict[str, Any]:
    token = _place(fields.json_body(), "NATIVE")
    return {"code_url": f"{gateway().base_url}/cashier/{token}"}


@api.post("/pay/transactions/jsapi")
@endpoint("jsapi")
def jsapi() -> dict[str, Any]:
    data = fields.json_body()
    openid = fields.text(data, "payer.openid", r"[0-9A-Za-z_\-]{1,128}")
    return {"prepay_id": orders.prepay_id(_place(data, "JSAPI", openid=openid))}


@api.post("/pay/transactions/h5")
@endpoint("h5")
def h5() -> dict[str, Any]:
    data = fields.json_body()
    try:
        ipaddress.ip_address(fields.text(data, "scene_info.payer_client_ip", ".{1,45}"))
    except ValueError:
        raise bad_field("scene_info.payer_client_ip", "应为 IP 地址") from None
    fields.text(data, "scene_info.h5_info.type", "Wap|iOS|Android")
    token = _place(data, "MWEB")
    return {"h5_url": f"{gateway().base_url}/h5?prepay_id={orders.prepay_id(token)}"}


def _place(data: dict[str, Any], trade_type: str, **more: str) -> str:
    """The token of the order these terms ask for."""
    if data.get("appid") != keys.APP_ID or data.get("mchid") != keys.MERCHANT_ID:
        raise RefusalError(400, "APPID_MCHID_NOT_MATCH", "appid 与 mchid 不匹配")
    expiry = fields.text(data, "time_expire", ".*", default="")
    terms = {
        "out_trade_no": fields.text(data, "out_trade_no", ORDER_NUMBER),
        "description": fields.text(data, "description", r"(?s).{1,127}"),
        "notify_url": fields.text(data, "notify_url", r"https?://[^\s?]{1,240}"),
        "time_expire": expiry,
        "trade_type": trade_type,
        "attach": fields.text(data, "attach", r"(?s).{0,128}", default=""),
        "amount": {
            "total": fields.whole(data, "amount.total"),
            "currency": fields.text(data, "amount.currency", "CNY", default="CNY"),
        },
    }
    with gateway().store.transaction() as db:
        return orders.place(db, terms | more, _moment(expiry), time.time())


def _moment(expiry: str) -> float | None:
    if not expiry:
        return None
    try:
        moment = datetime.fromisoformat(expiry)
    except ValueError:
        raise bad_field("time_expire", "应为 RFC3339 时间") from None
    if moment.tzinfo is None:
        raise bad_field("time_expire", "应带时区，如 +08:00")
    return moment.timestamp()


@api.get("/pay/transactions/out-trade-no/<out_trade_no>")
@endpoint("query")
def query(out_trade_no: str) -> dict[str, Any]:
    _check_mchid(request.args.get("mchid"), "query")
    with gateway().store.transaction() as db:
        order = orders.get(db, out_trade_no)
        state, paid = orders.state(db, order), orders.captures(db, out_trade_no)
    if paid:
        return orders.trade(order, paid[0], state)
    return {
        "appid": keys.APP_ID,
        "mchid": keys.MERCHANT_ID,
        "out_trade_no": out_trade_no,
        "trade_state": state,
        "trade_state_desc": {"NOTPAY": "订单未支付", "CLOSED": "订单已关闭"}[state],
        "amount": {"total": order["fen"], "currency": "CNY"},
    }


@api.post("/pay/transactions/out-trade-no/<out_trade_no>/close")
@endpoint("close")
def close(out_trade_no: str) -> tuple[str, int]:
    _check_mchid(fields.json_body().get("mchid"), "body")
    with gateway().store.transaction() as db:
        orders.close(db, out_trade_no)
    return "", 204


def _check_mchid(mchid: object, location: str) -> None:
    if mchid != keys.MERCHANT_ID:
        raise bad_field("mchid", "缺失或不是本商户号", location)


@api.post("/refund/domestic/refunds")
@endpoint("refund")
def refund() -> dict[str, Any]:
    data = fields.json_body()
    terms = {
        "out_refund_no": fields.text(data, "out_refund_no", REFUND_NUMBER),
        "out_trade_no": fields.text(data, "out_trade_no", f"{ORDER_NUMBER}|", default=""),
        "transaction_id": fields.text(data, "transaction_id", r"\d{1,32}|", default=""),
        "reason": fields.text(data, "reason", r"(?s).{0,80}", default=""),
        "amount": {
            "refund": fields.whole(data, "amount.refund"),
            "total": fields.whole(data, "amount.total"),
            "currency": fields.text(data, "amount.currency", "CNY"),
        },
    }
    if ("out_trade_no" in data) == ("transaction_id" in data):
        raise bad_field("out_trade_no", "与 transaction_id 须填且只填一个")
    with gateway().store.transaction() as db:
        return _refund_answer(orders.refund(db, terms, time.time()))


@api.get("/refund/domestic/refunds/<out_refund_no>")
@endpoint("refund_query")
def refund_query(out_refund_no: str) -> dict[str, Any]:
    with gateway().store.transaction() as db:
        return _refund_answer(orders.get_refund(db, out_refund_no))


def _refund_answer(row: Any) -> dict[str, Any]:
    at, paid, given = china_time(row["refunded_at"]), row["paid_fen"], row["fen"]
    amount = {
        "total": paid,
        "refund": given,
        "payer_total": paid,
        "payer_refund": given,
        "settlement_total": paid,
        "settlement_refund": given,
        "discount_refund": 0,
        "currency": "CNY",
    }
    return {
        "refund_id": row["refund_id"],
        "out_refund_no": row["out_refund_no"],
        "transaction_id": row["transaction_id"],
        "out_trade_no": row["out_trade_no"],
        "channel": "ORIGINAL",
        "user_received_account": "支付用户零钱",
        "success_time": at,
        "create_time": at,
        "status": "SUCCESS",
        "funds_account": "AVAILABLE",
        "amount": amount,
    }


@api.get("/bill/tradebill")
@endpoint("tradebill")
def tradebill() -> dict[str, str]:
    if request.args.get("bill_type", "ALL") != "ALL":
        raise bad_field("bill_type", "仅支持 ALL", "query")
    day = _bill_date()
    with gateway().store.transaction() as db:
        return _offered(*bills.offer(db, bills.trade_bill(db, day, gateway().fee_rate)))


@api.get("/bill/fundflowbill")
@endpoint("fundflowbill")
def fundflowbill() -> dict[str, str]:
    if request.args.get("account_type", "BASIC") != "BASIC":
        raise bad_field("account_type", "仅支持 BASIC", "query")
    day = _bill_date()
    with gateway().store.transaction() as db:
        return _offered(*bills.offer(db, bills.fund_flow_bill(db, day)))


def _offered(token: str, sha1: str) -> dict[str, str]:
    address = f"{gateway().base_url}/v3/billdownload/file?token={token}"
    return {"hash_type": "SHA1", "hash_value": sha1, "download_url": address}


def _bill_date() -> date:
    if "tar_type" in request.args:
        raise bad_field("tar_type", "不支持压缩", "query")
    try:
        return date.fromisoformat(request.args.get("bill_date", ""))
    except ValueError:
        raise bad_field("bill_date", "应为 YYYY-MM-DD", "query") from None


@api.get("/billdownload/file")
@endpoint("billdownload")
def billdownload() -> Response:
    with gateway().store.transaction() as db:
        content = bills.download(db, request.args.get("token", ""))
    return make_response(content, 200, {"Content-Type": "text/plain; charset=utf-8"})
