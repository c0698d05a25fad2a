"""Gifts in bulk: read from a table that the giver sends, and given back as a list of codes."""

import csv
import io
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO

from django.urls import reverse
from django.utils.translation import gettext as _

from carbonsink.errors import DomainError
from carbonsink.tables import open_table
from carbonsink.tables.cells import Unreadable, lost_digits, parse_date, parse_integer, plain
from purchases.gifts import AT_ONCE, Wish, grouped
from purchases.links import absolute
from purchases.models import Gift
from purchases.orders import check_contact, check_holder

COLUMNS = {
    "recipient": ("recipient", "name", "for", "收礼人", "姓名", "收件人"),
    "trees": ("trees", "quantity", "棵数", "数量", "株数"),
    "message": ("message", "greeting", "留言", "祝福", "寄语"),
    "contact": ("contact", "phone", "e-mail", "email", "联系方式", "手机", "手机号", "邮箱"),
    "opens_on": ("date", "on", "日期", "开启日期"),
}
SHOWN_MISTAKES = 20


class BadRows(DomainError):
    """Rows of a file that cannot become gifts; nothing was stored. `mistakes` are sentences with their line."""

    def __init__(self, mistakes: list[str]) -> None:
        sentence = _("%(count)s lines cannot be read. Nothing was stored: correct them and send the file again.")
        super().__init__("bad_rows", sentence % {"count": len(mistakes)})
        self.mistakes = mistakes[:SHOWN_MISTAKES]


def read_wishes(file: BinaryIO, name: str) -> list[Wish]:
    """The gifts a CSV file or workbook asks for; a column for trees is optional (1).

    Raises DomainError: bad_file (no table, no heading, no or too many rows), bad_rows (with each line's mistake).
    """
    rows = open_table(file, name).read()
    heading = _heading(next(rows, (1, []))[1])
    wishes: list[Wish] = []
    mistakes: list[str] = []
    for line, cells in rows:
        if len(wishes) + len(mistakes) >= AT_ONCE:
            raise DomainError("bad_file", _("The file has more than %(most)s gifts. Divide it.") % {"most": AT_ONCE})
        try:
            wishes.append(_wish({column: cells[at] if at < len(cells) else "" for column, at in heading.items()}))
        except DomainError as error:
            mistakes.append(_("Line %(line)s: %(mistake)s") % {"line": line, "mistake": error.message})
    if mistakes:
        raise BadRows(mistakes)
    if not wishes:
        raise DomainError("bad_file", _("The file has no gifts below its first line."))
    return wishes


def _heading(cells: list[str]) -> dict[str, int]:
    names = [cell.strip().lower() for cell in cells]
    found = {
        column: next(index for index, name in enumerate(names) if name in known)
        for column, known in COLUMNS.items()
        if any(name in known for name in names)
    }
    if "recipient" not in found and "contact" not in found:
        raise DomainError(
            "bad_file", _("The first line must name the columns: recipient, trees, message, contact, date.")
        )
    return found


def _wish(cells: dict[str, str]) -> Wish:
    contact = _read(cells.get("contact", ""), _("contact"), str)
    if lost_digits(contact):
        raise DomainError(
            "bad_rows", _("“%(text)s” has lost its digits: format the column as text.") % {"text": contact}
        )
    message = _read(cells.get("message", ""), _("message"), str)
    if len(message) > 200:
        raise DomainError("bad_rows", _("A message has at most 200 characters."))
    return Wish(
        trees=_read(cells.get("trees", "") or "1", _("trees"), _trees),
        recipient=check_holder(_read(cells.get("recipient", ""), _("recipient"), str)),
        message=message,
        contact=check_contact(contact) if contact else "",
        opens_on=_read(cells["opens_on"], _("date"), parse_date) if cells.get("opens_on") else None,
    )


def _trees(text: str) -> int:
    trees = parse_integer(text)
    if not 1 <= trees <= 1_000_000:
        raise Unreadable("out_of_range")
    return trees


def _read(text: str, column: str, read: Callable[[str], Any]) -> Any:
    try:
        return read(plain(text))
    except Unreadable as error:
        raise DomainError(
            "bad_rows", _("“%(text)s” cannot be read as %(column)s.") % {"text": text[:40], "column": column}
        ) from error


def codes_csv(gifts: Iterable[Gift]) -> bytes:
    """The gifts' codes and links as CSV that spreadsheets open as it is."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["code", "link", "recipient", "trees", "date", "state"])
    for gift in gifts:
        link = absolute(reverse("purchases:gift", args=[gift.code]))
        date = gift.opens_on.isoformat() if gift.opens_on else ""
        writer.writerow([grouped(gift.code), link, _harmless(gift.recipient), gift.trees, date, gift.state])
    return out.getvalue().encode("utf-8-sig")


def _harmless(text: str) -> str:
    """Text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text[:1] in "=+-@" else text
