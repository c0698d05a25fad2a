"""Unsigned addresses for the demo and tests: money in, returns, bad accounts, the bank's own book."""

import secrets
import time
from typing import Any

from flask import Blueprint, request

from .. import fields, keys
from . import book
from .api import movement_view, transfer_view
from .teller import teller

control = Blueprint("control", __name__, url_prefix="/control")


@control.post("/credits")
def credit() -> dict[str, Any]:
    data = fields.json_body()
    terms = {
        "fen": fields.whole(data, "fen"),
        "counterparty_name": fields.text(data, "counterparty_name", r"\S.{0,69}"),
        "counterparty_account": fields.text(data, "counterparty_account", r"\d{8,32}", default=book.CLEARING_ACCOUNT),
        "remittance": fields.text(data, "remittance", r"\S.{0,139}"),
        "reference": fields.text(data, "reference", r"\S{1,64}"),
    }
    with teller().store.transaction() as db:
        return {"serial": book.credit(db, terms, time.time())}


@control.post("/fees")
def charge() -> dict[str, Any]:
    """The bank charges the escrow account for its service."""
    fen = fields.whole(fields.json_body(), "fen")
    reference = f"F{secrets.token_hex(8).upper()}"
    movement = book.Movement(keys.ESCROW_ACCOUNT, -fen, book.FEES_NAME, book.FEES_ACCOUNT, "转账手续费", reference)
    with teller().store.transaction() as db:
        return {"serial": book.book(db, movement, time.time())}


@control.post("/return")
def give_back() -> dict[str, Any]:
    data = fields.json_body()
    reason = fields.text(data, "reason", r"\S.{0,69}", default="收款行退回")
    with teller().store.transaction() as db:
        return transfer_view(book.give_back(db, fields.text(data, "out_no", ".+"), reason, time.time()))


@control.post("/accounts")
def list_account() -> dict[str, Any]:
    data = fields.json_body()
    row = (
        fields.text(data, "account", r"\d{8,32}"),
        fields.text(data, "state", "open|closed|unknown"),
        fields.text(data, "name", r".{0,70}", default=""),
    )
    with teller().store.transaction() as db:
        db.execute("INSERT OR REPLACE INTO accounts VALUES (?, ?, ?)", row)
    return accounts()


@control.post("/whole-files")
def whole_files() -> dict[str, Any]:
    """How files are debited from now on: as a whole with {"back": "each"} or "together", else transfer by transfer."""
    teller().whole_files = fields.text(fields.json_body(), "back", "|each|together")
    return {"back": teller().whole_files}


@control.get("/accounts")
def accounts() -> dict[str, Any]:
    with teller().store.transaction() as db:
        return {"accounts": [dict(row) for row in db.execute("SELECT * FROM accounts ORDER BY account")]}


@control.get("/book")
def whole_book() -> dict[str, Any]:
    out_no, account = request.args.get("out_no"), request.args.get("account")
    movements = (
        "SELECT * FROM movements WHERE (?1 IS NULL OR out_no = ?1) AND (?2 IS NULL OR account = ?2) ORDER BY serial"
    )
    transfers = (
        "SELECT * FROM transfers WHERE (?1 IS NULL OR out_no = ?1) AND (?2 IS NULL OR to_account = ?2) ORDER BY rowid"
    )
    with teller().store.transaction() as db:
        book.complete_due(db, time.time())
        moved = db.execute(movements, (out_no, account)).fetchall()
        asked = db.execute(transfers, (out_no, account)).fetchall()
    return {
        "movements": [{"account": row["account"]} | movement_view(row) for row in moved],
        "transfers": [{"to_account": row["to_account"]} | transfer_view(row) for row in asked],
    }


@control.get("/balance")
def balance() -> dict[str, Any]:
    account = request.args.get("account", keys.ESCROW_ACCOUNT)
    with teller().store.transaction() as db:
        book.complete_due(db, time.time())
        fen = book.balance(db, account)
        held = book.held(db) if account == keys.ESCROW_ACCOUNT else 0
    return {"account": account, "balance_fen": fen, "held_fen": held, "available_fen": fen - held}
