"""Unsigned addresses for whoever runs the demo or a test: press buttons, look inside."""

import json
from typing import Any

from flask import Blueprint

from .. import fields
from ..store import china_time
from . import trades
from .cashier import press
from .gateway import gateway

control = Blueprint("control", __name__, url_prefix="/control")


@control.post("/pay")
def pay() -> dict[str, Any]:
    data = fields.json_body()
    number = fields.text(data, "out_trade_no", ".+")
    trade = press(gateway(), number, fields.text(data, "action", ".+", default="pay"))
    with gateway().store.transaction() as db:
        status = trades.status(db, trade)
    paid = trade["paid_at"] is not None
    return {"out_trade_no": number, "transaction_id": trade["trade_no"] if paid else None, "trade_status": status}


@control.get("/trades")
def list_trades() -> list[dict[str, Any]]:
    with gateway().store.transaction() as db:
        return [
            {
                "out_trade_no": row["out_trade_no"],
                "trade_no": row["trade_no"],
                "fen": row["fen"],
                "fee_fen": row["fee_fen"],
                "refunded_fen": trades.refunded(db, row["trade_no"]),
                "trade_status": trades.status(db, row),
                "product_code": json.loads(row["terms"])["product_code"],
                "return_url": json.loads(row["terms"])["return_url"],
                "last_action": row["last_action"],
                "cashier_url": f"{gateway().base_url}/cashier/{row['token']}",
                "expires_at": china_time(row["expires_at"]) if row["expires_at"] else None,
            }
            for row in db.execute("SELECT * FROM trades ORDER BY rowid").fetchall()
        ]
