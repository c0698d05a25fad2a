"""The account that pays, as Alipay keeps its log: `alipay.data.bill.accountlog.query`.

Nothing says in which order its rows come, so a stretch of time is read whole and put in order here.
Source: alipay-sdk-java-all, AlipayDataBillAccountlogQueryModel and AccountLogItemResult.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils import timezone

from payouts.banks.base import BankError

METHOD = "alipay.data.bill.accountlog.query"
# The most it gives at once; a stretch may be 31 days at most.
PAGE_ROWS = 2000
LONGEST = timedelta(days=31)
_UNFIT = re.compile(r"[\x00-\x1f\ud800-\udfff]")
_SIGNS = {"收入": 1, "支出": -1}


@dataclass(frozen=True)
class Row:
    """A row of the log; fen positive into the account."""

    serial: str
    booked_at: datetime
    fen: int
    kind: str
    order_id: str
    out_no: str
    counterparty: str
    memo: str
    # What was on the account after it; None where the log does not say.
    balance_fen: int | None


def read(
    call: Callable[[str, dict[str, Any]], dict[str, Any]], begin: datetime, end: datetime, out_no: str = ""
) -> list[Row]:
    """All rows from `begin` up to but without `end`, oldest first, of one number of ours or of all. BankError."""
    asked = {"start_time": clock(begin), "end_time": clock(end), "page_size": str(PAGE_ROWS)}
    if out_no:
        asked["merchant_order_no"] = out_no
    try:
        rows = list(_pages(call, asked))
    except (KeyError, TypeError, ValueError) as error:
        raise BankError("unknown", "BAD_ANSWER", "the account log has not the expected form") from error
    if len({row.serial for row in rows}) != len(rows):
        raise BankError("unknown", "BAD_ANSWER", "a row of the account log comes twice")
    # Within a second, what left comes before what came back of it.
    return sorted(rows, key=lambda row: (row.booked_at, row.fen > 0, row.serial))


def _pages(call: Callable[[str, dict[str, Any]], dict[str, Any]], asked: dict[str, str]) -> Iterator[Row]:
    seen, number = 0, 1
    while True:
        answer = call(METHOD, asked | {"page_no": str(number)})
        rows = answer.get("detail_list") or []
        total = int(answer["total_size"]) if rows else int(answer.get("total_size") or 0)
        for row in rows:
            yield _row(row)
        seen, number = seen + len(rows), number + 1
        if seen == total:
            return
        if not rows or seen > total:
            raise BankError("unknown", "BAD_ANSWER", "the account log has not as many rows as it says")


def _row(row: dict[str, Any]) -> Row:
    fen = yuan_to_fen(row["trans_amount"])
    sign = _SIGNS[row["direction"]]
    serial = row["account_log_id"]
    if not re.fullmatch(r"[0-9A-Za-z_\-]{1,64}", serial) or (fen < 0 < sign):
        raise ValueError("no serial, or an amount against its direction")
    return Row(
        serial=serial,
        booked_at=moment(row["trans_dt"]),
        fen=abs(fen) * sign,
        kind=text(row.get("type")),
        order_id=text(row.get("alipay_order_no")),
        out_no=text(row.get("merchant_order_no")),
        counterparty=text(row.get("other_account")),
        memo=text(row.get("trans_memo")),
        balance_fen=yuan_to_fen(row["balance"]) if row.get("balance") else None,
    )


def text(value: Any) -> str:
    """A text as it can be stored: strangers write into it, and it may hold anything."""
    return _UNFIT.sub(" ", str(value or "")).strip()


def yuan_to_fen(value: Any) -> int:
    """Yuan, as text or number, as fen. ValueError when it is no whole number of fen."""
    try:
        fen = Decimal(str(value)) * 100
        if fen != fen.to_integral_value() or abs(fen) >= 10**15:
            raise ValueError("no amount in yuan")
    except InvalidOperation as error:
        raise ValueError("no amount in yuan") from error
    return int(fen)


def moment(written: str) -> datetime:
    """A time as Alipay writes it, in China's. ValueError or TypeError for anything else."""
    return timezone.make_aware(datetime.strptime(written, "%Y-%m-%d %H:%M:%S"))


def clock(at: datetime) -> str:
    """A time as Alipay reads it."""
    return timezone.localtime(at).strftime("%Y-%m-%d %H:%M:%S")
