"""The result file of a bulk payment: what became of each row. Columns and words are the bank's, by setting."""

import csv
import io
import re
from decimal import Decimal
from typing import Literal

from django.conf import settings
from django.utils.translation import gettext as _

from carbonsink.errors import DomainError
from payouts.banks.base import Page, ReportFile, TransferReport
from purchases.transfers.rows import Problem, read_text, refused

MOST_ROWS = 100_000
HEADING_WITHIN_LINES = 25  # Above it may stand the batch, its totals and the account.
_NUMBER = re.compile(r"[0-9A-Za-z]{1,32}")
_AMOUNT = re.compile(r"[0-9]{1,13}(\.[0-9]{1,2})?")
_SUMS = ("合计", "总计", "小计", "总笔数", "成功笔数", "失败笔数")


def read(name: str, content: bytes) -> Page:
    """What the file says of each payout it names. DomainError("bad_file") for what is no such table, ("bad_rows") with
    a sentence for each row that cannot be understood: nothing of it is taken then."""
    rows = _rows(name, content)
    places, heading = _heading(name, rows)
    reports: dict[str, TransferReport] = {}
    nameless: list[str] = []
    doubled: list[str] = []
    problems: list[tuple[int, str]] = []
    for line, cells in enumerate(rows[heading + 1 :], start=heading + 2):
        if not any(cells) or any(cell.startswith(_SUMS) for cell in cells[:2]):
            continue
        row = {ours: cells[place] if place < len(cells) else "" for ours, place in places.items()}
        try:
            _take(row, reports, nameless, doubled)
        except Problem as problem:
            problems.append((line, str(problem)))
    if problems:
        raise refused(problems)
    file = ReportFile(name, content, "daifa", nameless=tuple(nameless), doubled=tuple(doubled))
    return Page((), "", reports=tuple(reports.values()), file=file)


def _rows(name: str, content: bytes) -> list[list[str]]:
    """The cells, without the tabs and quotes by which banks keep digits from spreadsheets."""
    try:
        text = _decoded(content)
        if "\0" in text:
            raise csv.Error("NUL")
        rows = [[cell.strip(" \t\u3000'`") for cell in row] for row in csv.reader(io.StringIO(text))]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DomainError("bad_file", _("%(name)s is damaged, or no table of the bank.") % {"name": name}) from error
    if len(rows) > MOST_ROWS:
        raise DomainError("bad_file", _("%(name)s is too large.") % {"name": name})
    return rows


def _decoded(content: bytes) -> str:
    """UTF-8 where it is that, since no table in GBK is by chance, else the configured encoding."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode(settings.DAIFA_ENCODING)


def _heading(name: str, rows: list[list[str]]) -> tuple[dict[str, int], int]:
    """Where our columns are, and in which row their heading."""
    for place, cells in enumerate(rows[:HEADING_WITHIN_LINES]):
        found = {ours: cells.index(head) for ours, head in settings.DAIFA_RESULT_COLUMNS.items() if head in cells}
        if {"out_no", "state"} <= set(found):
            return found, place
    wanted = settings.DAIFA_RESULT_COLUMNS
    raise DomainError(
        "bad_file",
        _("%(name)s has no line with the headings “%(number)s” and “%(state)s”: it is no result file.")
        % {"name": name, "number": wanted.get("out_no", ""), "state": wanted.get("state", "")},
    )


def _take(row: dict[str, str], reports: dict[str, TransferReport], nameless: list[str], doubled: list[str]) -> None:
    """Adds what a row says. A file may have been handed in twice: a row that is refused as known says nothing of what
    was handed in first. Problem for a word nobody knows, an amount that is none, two rows that contradict."""
    out_no = row["out_no"]
    if not _NUMBER.fullmatch(out_no):
        nameless.append(read_text(out_no, 40) or "—")
        return
    state, reason = _state(row["state"]), read_text(row.get("reason", ""), 160)
    if state == "failed" and any(word in f"{row['state']} {reason}" for word in settings.DAIFA_DUPLICATE_WORDS):
        doubled.append(out_no)
        return
    report = TransferReport(
        out_no,
        state,
        read_text(row.get("reference", ""), 140),
        reason=reason,
        fen=_fen(row.get("yuan", "")),
        account_at_fault=state == "failed" and any(word in reason for word in settings.DAIFA_ACCOUNT_WORDS),
    )
    if reports.setdefault(out_no, report) != report:
        raise Problem(_("the number %(number)s is there twice, and not the same.") % {"number": out_no})


def _state(word: str) -> Literal["accepted", "succeeded", "failed"]:
    if word in settings.DAIFA_SUCCESS_WORDS:
        return "succeeded"
    if word in settings.DAIFA_FAILURE_WORDS:
        return "failed"
    if word in settings.DAIFA_PENDING_WORDS:
        return "accepted"
    raise Problem(_("“%(status)s” is no status that is known.") % {"status": word[:20]})


def _fen(text: str) -> int | None:
    """The amount, where the file has one."""
    plain = text.replace(",", "").removeprefix("¥").removeprefix("￥")
    if not plain:
        return None
    if not _AMOUNT.fullmatch(plain):
        raise Problem(_("“%(text)s” is no amount in yuan such as 1234.50.") % {"text": text[:30]})
    return int(Decimal(plain) * 100)
