"""WeChat Pay's bills: UTF-8, a header, rows whose every value is prefixed with a backtick, amounts in yuan, totals.

A value may hold commas but never a comma and a backtick, so rows are split there.
Source: WeChat Pay API v3, "Applying for the trade bill" and "Applying for the fund-flow bill".
"""

from carbonsink import money
from carbonsink.errors import DomainError
from purchases.gateways.base import BillLine, Fee, Funds, GatewayError


def read_funds(bill: bytes) -> Funds:
    """The fees, withdrawals and closing balance of a fund-flow bill. Its totals must be those of its rows."""
    rows, totals = _read(bill)
    moves = [(_moved(row), _fen(row, "账户结余(元)")) for row in rows]
    earned, spent = (sum(max(0, sign * fen) for fen, _balance in moves) for sign in (1, -1))
    if rows and (earned, spent) != (_fen(totals, "收入金额"), _fen(totals, "支出金额")):
        raise _bad("its totals are not those of its rows")
    fees = [Fee(_value(row, "资金流水单号"), -_moved(row)) for row in rows if row.get("业务类型") == "扣除交易手续费"]
    withdrawn = [-_moved(row) for row in rows if row.get("业务类型") == "提现"]
    return Funds(fees, withdrawn, len(moves), money.closing_fen(moves))


def _moved(row: dict[str, str]) -> int:
    """Fen of a row, positive into the account."""
    signs = {"收入": 1, "支出": -1}
    if row.get("收支类型") not in signs:
        raise _bad("a row that does not say whether the money came in")
    return signs[row["收支类型"]] * _fen(row, "收支金额(元)")


def read_trades(bill: bytes, mchid: str) -> list[BillLine]:
    """The captures and refunds of a trade bill of ours. Its totals must be those of its rows.

    A refund that failed is in the bill, but no money went back.
    """
    rows, totals = _read(bill)
    # Its own totals also come as 45.0, for 45.
    if not totals or _value(totals, "总交易单数").removesuffix(".0") != str(len(rows)):
        raise _bad("the number of rows is not the one in its totals")
    captured = sum(_fen(row, "订单金额") for row in rows if row["交易状态"] == "SUCCESS")
    refunded = sum(_fen(row, "申请退款金额") for row in rows if row["交易状态"] == "REFUND")
    if (captured, refunded) != (_fen(totals, "订单总金额"), _fen(totals, "申请退款总金额")):
        raise _bad("its totals are not those of its rows")
    lines = [_line(row, mchid) for row in rows]
    return [line for line in lines if line is not None]


def _line(row: dict[str, str], mchid: str) -> BillLine | None:
    if _value(row, "商户号") != mchid or _value(row, "货币种类") != "CNY":
        raise _bad("a row of another merchant or currency")
    reference, transaction_id = _value(row, "商户订单号"), _value(row, "微信订单号")
    if row["交易状态"] == "SUCCESS":
        return BillLine("capture", reference, transaction_id, _amount(row, "订单金额"))
    if row["交易状态"] != "REFUND":
        raise _bad(f"a row in the state {row['交易状态'][:20]}")
    if row.get("退款状态") == "FAIL":
        return None
    number = _value(row, "商户退款单号")
    return BillLine("refund", reference, transaction_id, _amount(row, "申请退款金额"), number)


def _read(bill: bytes) -> tuple[list[dict[str, str]], dict[str, str]]:
    """The rows by the names of the header, and the totals by theirs; nothing of an empty bill."""
    try:
        lines = bill.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise _bad("not UTF-8") from error
    lines = [line.removesuffix("\r") for line in lines if line.strip()]
    rows: list[dict[str, str]] = []
    names: list[str] = []
    headers = 0
    for line in lines:
        if not line.startswith("`"):
            names, headers = [name.strip() for name in line.split(",")], headers + 1
            continue
        values = line.removeprefix("`").split(",`")
        if len(values) != len(names) or len(set(names)) != len(names):
            raise _bad(f"row {len(rows) + 1} has not the columns of its header")
        rows.append(dict(zip(names, values, strict=True)))
    if lines and (headers != 2 or not lines[-1].startswith("`") or lines[-2].startswith("`")):
        raise _bad("it does not end in its totals")
    return (rows[:-1], rows[-1]) if rows else ([], {})


def _value(row: dict[str, str], name: str) -> str:
    value = row.get(name, "").strip()
    if not value:
        raise _bad(f"{name} is missing")
    return value


def _fen(row: dict[str, str], name: str) -> int:
    try:
        return money.fen(_value(row, name))
    except DomainError as error:
        raise _bad(str(error)) from error


def _amount(row: dict[str, str], name: str) -> int:
    fen = _fen(row, name)
    if fen <= 0:
        raise _bad(f"{name} is not above 0")
    return fen


def _bad(why: str) -> GatewayError:
    return GatewayError("unknown", "BAD_BILL", why)
