"""The account's bookings as a table, CSV or XLSX, as Chinese banks let one download them."""

import io
import re

from django.utils.translation import gettext as _

from carbonsink.errors import DomainError
from carbonsink.tables import Table, open_table
from carbonsink.tables.cells import Unreadable, plain
from purchases.transfers.rows import (
    MOST_ROWS,
    Problem,
    Row,
    Statement,
    read_day,
    read_fen,
    read_serial,
    read_text,
    refused,
)

HEADING_WITHIN_LINES = 25  # Above it stand the account, its holder and the period.
_NO_LETTERS = re.compile(r"[\W_]+")
_UNITS = re.compile(r"(人民币)?元$|cny$|rmb$")
# What banks head their columns with, without punctuation and units. The first that a file has is taken.
HEADINGS = {
    "serial": """交易流水号 银行流水号 流水号 核心流水号 账户明细编号交易流水号 主机流水号 业务流水号 全局流水号
        交易流水 核心唯一流水号 交易序号 serialnumber serial""",
    "day": """入账日期 记账日期 交易日期 交易日 交易时间 记账时间 入账时间 日期 bookingdate date""",
    "credit": """收入金额 收入 贷方发生额 贷方金额 贷方发生额收入 转入金额 存入金额 存入 贷方 credit""",
    "debit": """支出金额 支出 借方发生额 借方金额 借方发生额支取 借方发生额支出 转出金额 支取金额 支取 借方 debit""",
    "amount": """交易金额 发生额 金额 amount""",
    "direction": """借贷标志 借贷标识 借贷方向 收支标志 收支方向 收付标志 借贷 收支 交易方向 direction""",
    "name": """对方户名 对方名称 对方账户名称 对方帐户名称 对方单位名称 交易对方名称 交易对方户名 对手户名
        对方账户名 付款人名称 付款人户名 counterparty payer""",
    "account": """对方账号 对方帐号 对方账户 对方帐户 交易对方账号 对手账号 付款人账号 付款账号
        counterpartyaccount payeraccount""",
    "currency": """币种 货币 币别 currency""",
    "own": """本方账号 本方帐号 查询账号 ownaccount""",
}
# All of these together are what the payer may have written.
TEXTS = [
    "摘要",
    "用途",
    "附言",
    "备注",
    "交易附言",
    "客户附言",
    "付款用途",
    "交易用途",
    "交易摘要",
    "个性化信息",
    "留言",
    "转账附言",
    "remittance",
    "purpose",
    "remark",
]
_IN = {"贷", "收", "贷方", "收入", "c", "cr", "credit", "来账", "转入", "入账"}
_OUT = {"借", "支", "付", "借方", "支出", "d", "dr", "debit", "往账", "转出", "出账"}
_YUAN = {"", "人民币", "cny", "rmb", "156", "01", "人民币元"}
_SUMS = ("合计", "总计", "小计", "总笔数", "总收入", "总支出", "本页", "total")


def read_table(name: str, content: bytes) -> Statement:
    """The rows of a CSV file or a workbook. DomainError("bad_file") when it is none or lacks a column, ("bad_rows")
    with line and sentence of each bad row."""
    table = open_table(io.BytesIO(content), name)
    places, texts, line_of_heading = _heading(table)
    rows: list[Row] = []
    problems: list[tuple[int, str]] = []
    own = set()
    for line, cells in table.read():
        if line <= line_of_heading or _is_sum(cells):
            continue
        if len(rows) + len(problems) >= MOST_ROWS:
            sentence = _("This file has more than %(most)s rows. Send shorter periods.")
            raise DomainError("bad_file", sentence % {"most": MOST_ROWS})
        try:
            rows.append(_row(line, {what: _cell(cells, place) for what, place in places.items()}, cells, texts))
        except Problem as problem:
            problems.append((line, str(problem)))
        if "own" in places:
            own.add(re.sub(r"\s", "", _cell(cells, places["own"])))
    if problems:
        raise refused(problems)
    return Statement(rows, own.pop() if len(own) == 1 else "")


def _heading(table: Table) -> tuple[dict[str, int], list[int], int]:
    """Where our columns are, where the payer's texts are, and the line of the heading."""
    wanted = {name: names.split() for name, names in HEADINGS.items()}
    for line, cells in table.read():
        if line > HEADING_WITHIN_LINES:
            break
        names = [_name(cell) for cell in cells]
        places = {
            what: names.index(found)
            for what, known in wanted.items()
            if (found := next((one for one in known if one in names), None)) is not None
        }
        amounts = "credit" in places or {"amount", "direction"} <= set(places)
        if {"serial", "day"} <= set(places) and amounts:
            return places, [place for place, name in enumerate(names) if name in TEXTS], line
    raise DomainError(
        "bad_file",
        _(
            "%(name)s has no line with the headings of a bank's statement: a serial number (交易流水号), "
            "a date (交易日期), and the amount that came in (收入金额 or 贷方发生额)."
        )
        % {"name": table.name},
    )


def _name(cell: str) -> str:
    try:
        return _UNITS.sub("", _NO_LETTERS.sub("", plain(cell)).lower())
    except Unreadable:
        return ""


def _cell(cells: list[str], place: int) -> str:
    return cells[place] if place < len(cells) else ""


def _is_sum(cells: list[str]) -> bool:
    filled = [cell.strip() for cell in cells if cell.strip()]
    return not filled or _name(filled[0]).startswith(_SUMS)


def _row(line: int, cells: dict[str, str], all_cells: list[str], texts: list[int]) -> Row:
    if _name(cells.get("currency", "")) not in _YUAN:
        raise Problem(_("this account is kept in yuan, not in %(currency)s.") % {"currency": cells["currency"][:10]})
    remittance = dict.fromkeys(read_text(_cell(all_cells, place), 300) for place in texts)
    return Row(
        line=line,
        serial=read_serial(cells["serial"]),
        booked_on=read_day(cells["day"]),
        fen=_fen(cells),
        payer_name=read_text(cells.get("name", ""), 120),
        payer_account=read_text(cells.get("account", ""), 60),
        remittance=" / ".join(text for text in remittance if text)[:300],
    )


def _fen(cells: dict[str, str]) -> int:
    """What came in (positive) or went out; a booking in red (negative) goes the other way."""
    if "credit" in cells:
        credit, debit = read_fen(cells["credit"]), read_fen(cells.get("debit", ""))
        if credit and debit:
            raise Problem(_("money cannot come in and go out in one booking."))
    else:
        direction, fen = _name(cells["direction"]), read_fen(cells["amount"])
        if direction not in _IN | _OUT:
            raise Problem(_("“%(text)s” does not say whether the money came in.") % {"text": cells["direction"][:10]})
        credit, debit = (fen, 0) if direction in _IN else (0, fen)
    if credit == debit:
        raise Problem(_("the amount is missing."))
    return credit - debit
