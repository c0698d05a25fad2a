"""A row of a bank's statement, whatever file it came in, and what can be wrong with it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation

from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink.errors import DomainError
from carbonsink.tables.cells import Unreadable, lost_digits, parse_date, plain

MOST_ROWS = 20_000
PROBLEMS_SHOWN = 50
OLDEST = timedelta(days=800)
MOST_FEN = 10**13
_SERIAL = re.compile(r"[0-9A-Za-z._/+-]{1,40}")
_AMOUNT = re.compile(r"[+-]?(\d{1,13}|\d{1,3}(,\d{3}){1,4})(\.\d{1,2}0*)?")


@dataclass(frozen=True)
class Row:
    """A booking on the account: fen are positive when they came in, negative when they went out."""

    line: int
    serial: str
    booked_on: date
    fen: int
    payer_name: str
    payer_account: str
    remittance: str


@dataclass(frozen=True)
class Statement:
    """The rows of a file, and the account it says it is of (empty when it does not say)."""

    rows: list[Row]
    account: str = ""


class Problem(Exception):
    """What is wrong with one row, in a sentence."""


def refused(problems: Sequence[tuple[int, str]]) -> DomainError:
    """The error for a file with bad rows, as (line, sentence): nothing of it is stored."""
    shown = [_("Line %(line)s: %(what)s") % {"line": line, "what": what} for line, what in problems[:PROBLEMS_SHOWN]]
    if len(problems) > PROBLEMS_SHOWN:
        shown.append(_("… and %(more)s more.") % {"more": len(problems) - PROBLEMS_SHOWN})
    return DomainError(
        "bad_rows",
        _("Nothing of this file was stored. Correct it, or fetch it from the bank again."),
        problems=shown,
    )


def read_serial(text: str) -> str:
    """The bank's own number of a booking. Problem when there is none, or a spreadsheet has spoilt it."""
    text = _plain(text).replace(" ", "")
    if not text:
        raise Problem(_("the bank's serial number is missing."))
    if lost_digits(text):
        raise Problem(
            _("the serial number %(text)s has lost its digits in a spreadsheet. Use the file as the bank gave it.")
            % {"text": text}
        )
    if not _SERIAL.fullmatch(text):
        raise Problem(_("“%(text)s” is no serial number of a bank.") % {"text": text[:50]})
    return text


def read_day(text: str) -> date:
    """The day of a booking. Problem when it cannot be one."""
    text = _plain(text)
    try:
        day = parse_date(text[:8] if re.fullmatch(r"\d{14}|\d{8} [\d:]+", text) else text)
    except Unreadable as error:
        raise Problem(_("“%(text)s” is no date.") % {"text": text[:30]}) from error
    today = timezone.localdate()
    if not today - OLDEST <= day <= today + timedelta(days=1):
        raise Problem(_("%(day)s is too long ago, or has not come yet.") % {"day": day.isoformat()})
    return day


def read_fen(text: str) -> int:
    """An amount in yuan such as 1,234.50 as fen; nothing and dashes are 0. Problem for all else."""
    text = _plain(text).removeprefix("¥").removeprefix("CNY").removesuffix("元").strip()
    if text in ("", "-", "--", "—"):
        return 0
    if not _AMOUNT.fullmatch(text):
        raise Problem(_("“%(text)s” is no amount in yuan such as 1,234.50.") % {"text": text[:30]})
    try:
        fen = Decimal(text.replace(",", "")) * 100
    except InvalidOperation as error:
        raise Problem(_("“%(text)s” is no amount in yuan such as 1,234.50.") % {"text": text[:30]}) from error
    if abs(fen) >= MOST_FEN:
        raise Problem(_("“%(text)s” is more money than there is.") % {"text": text[:30]})
    return int(fen)


def read_text(text: str, most: int) -> str:
    """A text of strangers as it can be kept."""
    return _plain(text)[:most]


def _plain(text: str) -> str:
    try:
        return plain(text.strip())
    except Unreadable:
        return " ".join(text.replace("\0", "").split())


def check_serials(rows: Sequence[Row]) -> list[Row]:
    """The rows without credits that a file has twice. Raises `refused` for a serial number that stands for two
    different credits; what goes out may share its number with the bank's fee for it."""
    known: dict[str, Row] = {}
    problems = []
    for row in (row for row in rows if row.fen > 0):
        first = known.setdefault(row.serial, row)
        if (first.fen, first.booked_on) != (row.fen, row.booked_on):
            problems.append(
                (
                    row.line,
                    _("the serial number %(serial)s stands for another booking in line %(line)s.")
                    % {"serial": row.serial, "line": first.line},
                )
            )
    if problems:
        raise refused(problems)
    return [*known.values(), *(row for row in rows if row.fen <= 0)]
