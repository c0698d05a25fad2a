"""Unsigned addresses for whoever runs the demo or a test: press buttons, look inside."""

import json
from typing import Any

from flask import Blueprint

from .. import fields
from ..store import china_time
from . import orders
from .cashier import press
from .gateway import gateway

control = Blueprint("control", __name__, url_prefix="/control")


@control.post("/pay")
def pay() -> dict[str, Any]:
    data = fields.json_body()
    number = fields.text(data, "out_trade_no", ".+")
    transaction_id = press(gateway(), number, fields.text(data, "action", ".+", default="pay"))
    with gateway().store.transaction() as db:
        state = orders.state(db, orders.get(db, number))
    return {"out_trade_no": number, "transaction_id": transaction_id, "trade_state": state}


@control.get("/orders")
def list_orders() -> list[dict[str, Any]]:
    with gateway().store.transaction() as db:
        rows = db.execute("SELECT * FROM orders ORDER BY rowid").fetchall()
        return [
            {
                "out_trade_no": row["out_trade_no"],
                "fen": row["fen"],
                "trade_state": orders.state(db, row),
                "last_action": row["last_action"],
                "trade_type": json.loads(row["terms"]).get("trade_type", "NATIVE"),
                "openid": row["openid"],
                "code_url": f"{gateway().base_url}/cashier/{row['token']}",
                "expires_at": china_time(row["expires_at"]) if row["expires_at"] else None,
                "transactions": [
                    {
                        "transaction_id": one["transaction_id"],
                        "fen": one["fen"],
                        "fee_fen": one["fee_fen"],
                        "refunded_fen": orders.refunded(db, one["transaction_id"]),
                        "success_time": china_time(one["paid_at"]),
                    }
                    for one in orders.captures(db, row["out_trade_no"])
                ],
            }
            for row in rows
        ]
