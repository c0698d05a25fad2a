"""The page behind the merchant's address, where a person pays, refuses, or leaves it lying."""

import json
import sqlite3
import time
from urllib.parse import urlsplit

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from ..fields import RefusalError
from ..merchant import yuan
from . import notifications, trades
from .api import return_address
from .gateway import Gateway, gateway

cashier = Blueprint("cashier", __name__)


def press(standin: Gateway, out_trade_no: str, action: str) -> sqlite3.Row:
    """Do what the payer presses; the trade afterwards."""
    if action not in trades.ACTIONS:
        known = ", ".join(sorted(trades.ACTIONS))
        raise RefusalError(400, "UNKNOWN_ACTION", f"The action must be one of {known}.")
    now = time.time()
    with standin.store.transaction() as db:
        captured = trades.act(db, trades.get(db, out_trade_no), action, now, standin.fee_rate)
        trade = trades.get(db, out_trade_no)
        if captured:
            notifications.enqueue(db, trades.told(db, trade), json.loads(trade["terms"])["notify_url"], now)
    standin.notifier.wake()
    return trade


@cashier.get("/cashier/<token>")
def show(token: str) -> Response:
    return _page(_trade(token))


@cashier.post("/cashier/<token>")
def decide(token: str) -> Response:
    trade, action = _trade(token), request.form.get("action", "")
    try:
        trade = press(gateway(), trade["out_trade_no"], action)
    except RefusalError as error:
        return _page(trade, error.message)
    back = return_address(trade) if action == "pay" else json.loads(trade["terms"])["return_url"]
    if back and action in ("pay", "refuse"):
        return redirect(back, 303)
    return redirect(url_for("cashier.show", token=token), 303)


def _trade(token: str) -> sqlite3.Row:
    with gateway().store.transaction() as db:
        trade = db.execute("SELECT * FROM trades WHERE token = ?", (token,)).fetchone()
    if not isinstance(trade, sqlite3.Row):
        abort(404, "没有这笔交易。")
    return trade


def _page(trade: sqlite3.Row, error: str = "") -> Response:
    terms = json.loads(trade["terms"])
    page = render_template(
        "alipay_cashier.html",
        trade=trade,
        description=terms["subject"],
        amount=yuan(trade["fen"]),
        expires=terms["time_expire"][5:],
        paid=notifications.clock(trade["paid_at"])[5:] if trade["paid_at"] is not None else "",
        expired=trades.expired(trade, time.time()),
        error=error,
    )
    # A browser also holds back a redirect after a form to where forms may not go.
    back = urlsplit(terms["return_url"])
    forms = f"'self' {back.scheme}://{back.netloc}" if back.netloc else "'self'"
    policy = f"default-src 'none'; style-src 'self'; form-action {forms}"
    return Response(page, 409 if error else 200, {"Content-Security-Policy": policy}, mimetype="text/html")
