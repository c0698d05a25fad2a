"""Unsigned addresses for the account that pays to bank cards: money in, bad cards, returns, the book."""

import time
from typing import Any

from flask import Blueprint

from .. import fields
from . import transfers
from .gateway import gateway
from .transfer_views import told

transfer_control = Blueprint("transfer_control", __name__, url_prefix="/control")


@transfer_control.post("/deposits")
def deposit() -> dict[str, Any]:
    data = fields.json_body()
    fen, reference = fields.whole(data, "fen"), fields.text(data, "reference", r"\S{1,64}")
    other = fields.text(data, "counterparty_name", r"\S.{0,69}")
    with gateway().store.transaction() as db:
        return {"id": transfers.deposit(db, fen, other, reference, time.time())}


@transfer_control.post("/cards")
def card() -> dict[str, Any]:
    data = fields.json_body()
    row = fields.text(data, "card", r"\d{8,32}"), fields.text(data, "state", "refused|failing|well")
    with gateway().store.transaction() as db:
        db.execute("INSERT OR REPLACE INTO cards VALUES (?, ?)", row)
    return dict(zip(("card", "state"), row, strict=True))


@transfer_control.post("/return-transfer")
def give_back() -> dict[str, Any]:
    data = fields.json_body()
    reason = fields.text(data, "reason", r"\S.{0,69}", default="收款行退回")
    number = fields.text(data, "out_biz_no", ".+")
    with gateway().store.transaction() as db:
        return told(transfers.give_back(db, number, reason, time.time(), nameless=data.get("nameless") is True))


@transfer_control.get("/transfers")
def list_transfers() -> dict[str, Any]:
    with gateway().store.transaction() as db:
        transfers.complete_due(db, time.time())
        rows = db.execute("SELECT * FROM transfers ORDER BY rowid").fetchall()
        left = transfers.balance(db)
    shown = [told(row) | {"fen": row["fen"], "card": row["card"], "name": row["name"]} for row in rows]
    return {"transfers": shown, "balance_fen": left}
