"""The page behind the QR code, where a person pays, refuses, or leaves it lying."""

import json
import sqlite3
import time
from datetime import datetime
from urllib.parse import urlsplit

from flask import Blueprint, abort, jsonify, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from .. import fields, keys, signing
from ..fields import RefusalError
from ..merchant import yuan
from ..store import CHINA
from . import notifications, orders
from .gateway import Gateway, gateway

cashier = Blueprint("cashier", __name__)


def press(standin: Gateway, out_trade_no: str, action: str) -> str | None:
    """Do what the payer presses; the transaction id when money was captured."""
    if action not in orders.ACTIONS:
        known = ", ".join(sorted(orders.ACTIONS))
        raise RefusalError(400, "UNKNOWN_ACTION", f"The action must be one of {known}.")
    now = time.time()
    with standin.store.transaction() as db:
        order = orders.get(db, out_trade_no)
        transaction = orders.act(db, order, action, now, standin.fee_rate)
        if transaction is None:
            return None
        address = json.loads(order["terms"])["notify_url"]
        notifications.enqueue(db, orders.trade(order, transaction), address, standin.apiv3_key, now)
    standin.notifier.wake()
    return str(transaction["transaction_id"])


@cashier.get("/cashier/<token>")
def show(token: str) -> str:
    return _page(token)


@cashier.get("/h5")
def open_h5() -> Response:
    """Where a phone's browser goes: the cashier, and from there back to the merchant's redirect_url."""
    with gateway().store.transaction() as db:
        token = orders.by_prepay_id(db, request.args.get("prepay_id", ""))["token"]
    back = request.args.get("redirect_url") or None
    if back and not back.startswith(("http://", "https://")):
        abort(400, "redirect_url 应为 http(s) 地址。")
    return redirect(url_for("cashier.show", token=token, back=back))


@cashier.post("/cashier/<token>")
def decide(token: str) -> Response | tuple[str, int]:
    action, back = request.form.get("action", ""), request.args.get("back")
    try:
        press(gateway(), _order(token)["out_trade_no"], action)
    except RefusalError as refusal:
        return _page(token, refusal.message), refusal.status
    if back and action in ("pay", "refuse"):
        return redirect(back, 303)
    return redirect(url_for("cashier.show", token=token, back=back), 303)


@cashier.post("/bridge")
def bridge() -> Response:
    """What WeChat's app does when a page calls `getBrandWCPayRequest`: it checks paySign, and the payer pays."""
    data = fields.json_body()
    names = ("appId", "timeStamp", "nonceStr", "package")
    lines = [fields.text(data, name, r"[^\n]{1,128}") for name in names]
    key = gateway().merchant_key
    try:
        signing.check_fresh(lines[1], time.time())
        signing.rsa_check(key, signing.wechat_message(*lines[:3], body=lines[3].encode()), str(data.get("paySign")))
    except signing.SignatureRefusedError as error:
        raise RefusalError(403, "SIGN_ERROR", f"支付验证签名失败：{error}") from error
    if lines[0] != keys.APP_ID or data.get("signType") != "RSA":
        raise RefusalError(403, "SIGN_ERROR", "appId 或 signType 不对")
    with gateway().store.transaction() as db:
        order = orders.by_prepay_id(db, lines[3].removeprefix("prepay_id="))
    if json.loads(order["terms"])["trade_type"] != "JSAPI":
        raise RefusalError(400, "INVALID_REQUEST", "该订单不是公众号支付")
    action = str(data.get("action", "pay"))
    press(gateway(), order["out_trade_no"], action)
    ending = "cancel" if action in ("refuse", "ignore") else "ok"
    return make_response(jsonify(err_msg=f"get_brand_wcpay_request:{ending}"))


@cashier.after_request
def only_own_parts(response: Response) -> Response:
    # A browser also holds back a redirect after a form to where forms may not go.
    back = urlsplit(request.args.get("back", ""))
    forms = f"'self' {back.scheme}://{back.netloc}" if back.netloc else "'self'"
    response.headers["Content-Security-Policy"] = f"default-src 'none'; style-src 'self'; form-action {forms}"
    return response


def _order(token: str) -> sqlite3.Row:
    with gateway().store.transaction() as db:
        order = db.execute("SELECT * FROM orders WHERE token = ?", (token,)).fetchone()
    if not isinstance(order, sqlite3.Row):
        abort(404, "没有这张订单，请重新扫码。")
    return order


def _page(token: str, error: str = "") -> str:
    order = _order(token)
    with gateway().store.transaction() as db:
        paid = orders.captures(db, order["out_trade_no"])
    return render_template(
        "cashier.html",
        order=order,
        description=json.loads(order["terms"])["description"],
        amount=yuan(order["fen"]),
        expires=_clock(order["expires_at"]),
        payments=[(one["transaction_id"], _clock(one["paid_at"])) for one in paid],
        expired=orders.expired(order, time.time()),
        error=error,
    )


def _clock(moment: float | None) -> str:
    return datetime.fromtimestamp(moment, CHINA).strftime("%m月%d日 %H:%M:%S") if moment else ""
