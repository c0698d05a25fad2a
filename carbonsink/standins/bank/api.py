"""The signed endpoints under /v1."""

import hashlib
import time
from datetime import date, datetime, timedelta
from typing import Any

from flask import Blueprint, request

from .. import fields, keys
from ..fields import RefusalError, bad_field
from ..standin import endpoint
from ..store import CHINA, china_time
from . import book
from .teller import teller

api = Blueprint("api", __name__, url_prefix="/v1")

MOST_ROWS = 1000
FOREVER = 10**12


@api.post("/transfers")
@endpoint("transfer")
def transfer() -> tuple[dict[str, Any], int]:
    data = fields.json_body()
    if fields.text(data, "from_account", r"\d{8,32}") != keys.ESCROW_ACCOUNT:
        raise RefusalError(403, "ACCOUNT_NOT_YOURS", "You may pay from your escrow account only.")
    order = book.Order(
        out_no=fields.text(data, "out_no", r"[0-9A-Za-z]{1,32}"),
        fen=fields.whole(data, "fen"),
        to_account=fields.text(data, "to_account", r"\d{8,32}"),
        to_name=fields.text(data, "to_name", r"\S.{0,69}"),
        to_bank_code=fields.text(data, "to_bank_code", r"[0-9A-Z]{8,14}"),
        purpose=fields.text(data, "purpose", r"\S.{0,139}"),
    )
    body_sha256 = hashlib.sha256(request.get_data()).hexdigest()
    with teller().store.transaction() as db:
        return book.transfer(db, order, body_sha256, teller().complete_after, time.time()), 202


@api.get("/transfers/<out_no>")
@endpoint("transfer_query")
def transfer_query(out_no: str) -> dict[str, Any]:
    with teller().store.transaction() as db:
        book.complete_due(db, time.time())
        row = book.get_transfer(db, out_no)
    return transfer_view(row)


def transfer_view(row: Any) -> dict[str, Any]:
    """A transfer as the query answers it."""
    return {
        "out_no": row["out_no"],
        "status": row["status"],
        "fen": row["fen"],
        "bank_reference": row["bank_reference"],
        "completed_at": china_time(row["completed_at"]) if row["completed_at"] else None,
        "returned_at": china_time(row["returned_at"]) if row["returned_at"] else None,
        "reason": row["reason"] or None,
    }


@api.get("/statements")
@endpoint("statement")
def statement() -> dict[str, Any]:
    if request.args.get("account") != keys.ESCROW_ACCOUNT:
        raise RefusalError(403, "ACCOUNT_NOT_YOURS", "You may read your escrow account only.")
    begin, end = _bounds(request.args.get("date"))
    after, limit = _number("after", 0), _number("limit", 100)
    if not 1 <= limit <= MOST_ROWS:
        raise bad_field("limit", f"应为 1 到 {MOST_ROWS}", "query")
    query = (
        "SELECT * FROM movements WHERE account = ? AND serial > ? AND booked_at >= ? AND booked_at < ?"
        " ORDER BY serial LIMIT ?"
    )
    with teller().store.transaction() as db:
        book.complete_due(db, time.time())
        found = db.execute(query, (keys.ESCROW_ACCOUNT, after, begin, end, limit + 1)).fetchall()
    rows = [movement_view(row) for row in found[:limit]]
    return {"rows": rows, "next_after": rows[-1]["serial"] if len(found) > limit else None}


@api.get("/balances")
@endpoint("balance")
def closing_balance() -> dict[str, Any]:
    """The balance when a day ended: all that was booked before, whatever its serial."""
    if request.args.get("account") != keys.ESCROW_ACCOUNT:
        raise RefusalError(403, "ACCOUNT_NOT_YOURS", "You may read your escrow account only.")
    end = _bounds(request.args.get("date"))[1]
    query = (
        "SELECT COALESCE(SUM(CASE direction WHEN 'credit' THEN fen ELSE -fen END), 0) FROM movements"
        " WHERE account = ? AND booked_at < ?"
    )
    with teller().store.transaction() as db:
        book.complete_due(db, time.time())
        fen = int(db.execute(query, (keys.ESCROW_ACCOUNT, end)).fetchone()[0])
    return {"account": keys.ESCROW_ACCOUNT, "date": request.args.get("date"), "fen": fen}


def movement_view(row: Any) -> dict[str, Any]:
    """A movement as the statement shows it."""
    is_fee = row["counterparty_account"] == book.FEES_ACCOUNT
    view = dict(row) | {"booked_at": china_time(row["booked_at"]), "fee": is_fee}
    del view["account"]
    return view


def _bounds(day: str | None) -> tuple[float, float]:
    if not day:
        return 0, FOREVER
    try:
        begin = datetime.combine(date.fromisoformat(day), datetime.min.time(), CHINA)
    except ValueError:
        raise bad_field("date", "应为 YYYY-MM-DD", "query") from None
    return begin.timestamp(), (begin + timedelta(days=1)).timestamp()


def _number(name: str, default: int) -> int:
    value = request.args.get(name, str(default))
    if not value.isascii() or not value.isdigit() or len(value) > 15:
        raise bad_field(name, "应为非负整数", "query")
    return int(value)
