"""Alipay's bills: a ZIP with two CSV files in GBK, the lines of one day and their summary by shop.

Lines that begin with # are remarks; the header has names, values may end in a tab. Alipay announces no hash: what
protects a bill is that the archive must open, and that its totals must be those of its lines.
Source: Alipay open platform, "alipay.data.dataservice.bill.downloadurl.query", forms of `trade` and `signcustomer`.
"""

import csv
import io
import re
import zipfile
import zlib

from carbonsink import money
from carbonsink.errors import DomainError
from purchases.gateways.base import BillLine, Fee, Funds, GatewayError

MOST_BYTES = 64 * 1024 * 1024

_TRADES = re.compile(r"#交易合计[：:]([0-9]+)笔")
_REFUNDS = re.compile(r"#退款合计[：:]([0-9]+)笔")
_EARNED = re.compile(r"#收入合计[：:]([0-9]+)笔，共([-0-9.]+)元")
_SPENT = re.compile(r"#支出合计[：:]([0-9]+)笔，共([-0-9.]+)元")
_RECEIVED = re.compile(r"商家实收(?:退款)?共([-0-9.]+)元")


def read_trades(archive: bytes) -> list[BillLine]:
    """The captures and refunds of the bill `trade`. A refund's amount is negative there."""
    rows, remarks = _read(archive)
    lines, received = [], {"交易": 0, "退款": 0}
    for row in rows:
        kind = _value(row, "业务类型")
        if kind not in received:
            raise _bad(f"a line of the kind {kind[:20]}")
        received[kind] += _fen(_value(row, "商家实收（元）"))
        reference, number = _value(row, "商户订单号"), _value(row, "支付宝交易号")
        fen = _fen(_value(row, "订单金额（元）")) * (1 if kind == "交易" else -1)
        if fen <= 0:
            raise _bad("an amount with the wrong sign")
        if kind == "交易":
            lines.append(BillLine("capture", reference, number, fen))
        else:
            lines.append(BillLine("refund", reference, number, fen, _value(row, "退款批次号/请求号")))
    for kind, pattern in (("交易", _TRADES), ("退款", _REFUNDS)):
        total, line = _total(remarks, pattern)
        found = _RECEIVED.search(line)
        count = sum(_value(row, "业务类型") == kind for row in rows)
        if int(total[1]) != count or not found or abs(_fen(found[1])) != abs(received[kind]):
            raise _bad("its totals are not those of its lines")
    return lines


def read_funds(archive: bytes) -> Funds:
    """The fees, withdrawals and closing balance in the bill `signcustomer`, whose lines are all movements of the
    merchant's account."""
    rows, remarks = _read(archive)
    earned = [_fen(_value(row, "收入金额（+元）", "0")) for row in rows]
    spent = [abs(_fen(_value(row, "支出金额（-元）", "0"))) for row in rows]
    for pattern, amounts in ((_EARNED, earned), (_SPENT, spent)):
        total, _ = _total(remarks, pattern)
        if abs(_fen(total[2])) != sum(amounts) or int(total[1]) != sum(fen != 0 for fen in amounts):
            raise _bad("its totals are not those of its lines")
    moved = list(zip(rows, (back - out for back, out in zip(earned, spent, strict=True)), strict=True))
    fees = [Fee(_value(row, "账务流水号"), -fen) for row, fen in moved if _value(row, "业务类型") == "收费"]
    withdrawn = [-fen for row, fen in moved if _value(row, "业务类型") == "提现"]
    closing = money.closing_fen([(fen, _fen(_value(row, "账户余额（元）"))) for row, fen in moved])
    return Funds(fees, withdrawn, len(moved), closing)


def _read(archive: bytes) -> tuple[list[dict[str, str]], list[str]]:
    """The lines by the names of the header, and the remarks."""
    lines = [line.strip("\r\n") for line in _opened(archive).split("\n")]
    remarks = [line for line in lines if line.startswith("#")]
    ends = [number for number, line in enumerate(lines) if line.startswith("#") and "列表结束" in line]
    if len(ends) != 1:
        raise _bad("it has no end")
    table = [line for line in lines[: ends[0]] if line.strip() and not line.startswith("#")]
    try:
        header, *rows = [[cell.strip() for cell in row] for row in csv.reader(table, strict=True)] or [[]]
    except csv.Error as error:
        raise _bad(str(error)) from error
    header = [name.replace("(", "（").replace(")", "）") for name in header]
    for number, row in enumerate(rows, 1):
        if len(row) != len(header) or len(set(header)) != len(header):
            raise _bad(f"line {number} has not the columns of its header")
    return [dict(zip(header, row, strict=True)) for row in rows], remarks


def _opened(archive: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as bill:
            files = [file for file in bill.infolist() if _name(file).endswith(".csv") and "汇总" not in _name(file)]
            if len(files) != 1 or files[0].file_size > MOST_BYTES:
                raise _bad("not one file of lines")
            return bill.read(files[0]).decode("gb18030")
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise _bad("the archive does not open") from error


def _name(file: zipfile.ZipInfo) -> str:
    """A name in GBK, which the format would call cp437, unless it says that it is UTF-8."""
    return file.filename if file.flag_bits & 0x800 else file.filename.encode("cp437").decode("gb18030", "replace")


def _total(remarks: list[str], pattern: re.Pattern[str]) -> tuple[re.Match[str], str]:
    """The one remark that gives a total."""
    found = [(match, line) for line in remarks if (match := pattern.match(line))]
    if len(found) != 1:
        raise _bad("it does not end in its totals")
    return found[0]


def _value(row: dict[str, str], name: str, default: str = "") -> str:
    value = row.get(name) or default
    if name not in row or not value:
        raise _bad(f"{name} is missing")
    return value


def _fen(text: str) -> int:
    try:
        return money.fen(text.removeprefix("+"))
    except DomainError as error:
        raise _bad(str(error)) from error


def _bad(why: str) -> GatewayError:
    return GatewayError("unknown", "BAD_BILL", why)
