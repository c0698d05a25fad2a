"""The page behind the QR code, where a person pays, refuses, or leaves it lying."""

import json
import sqlite3
import time
from datetime import datetime

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from ..fields import RefusalError
from ..store import CHINA
from . import notifications, orders
from .bills import yuan
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


@cashier.post("/cashier/<token>")
def decide(token: str) -> Response | tuple[str, int]:
    try:
        press(gateway(), _order(token)["out_trade_no"], request.form.get("action", ""))
    except RefusalError as refusal:
        return _page(token, refusal.message), refusal.status
    return redirect(url_for("cashier.show", token=token), 303)


@cashier.after_request
def only_own_parts(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'self'; form-action 'self'"
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
