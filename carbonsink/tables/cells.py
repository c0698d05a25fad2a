"""What stands in a cell, however it was typed: fullwidth digits, units, dates in four ways, Excel's serial numbers."""

import re
import unicodedata
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache

# Invisible marks that copying from web pages and chat programs leaves behind, and what no text in a database may have.
_INVISIBLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2060\ufeff]")
_QUOTED_FORMULA = re.compile(r'="([^"]*)"')
_SCIENTIFIC = re.compile(r"[+-]?\d(\.\d+)?E\+?(\d+)", re.IGNORECASE)
_DATE = re.compile(r"(\d{4})\s?[-/.年]\s?(\d{1,2})\s?[-/.月]\s?(\d{1,2})\s?日?(?:[ T]\d{1,2}:\d{2}(:\d{2})?(\.\d+)?)?")
_COMPACT_DATE = re.compile(r"((?:19|20)\d{2})(\d{2})(\d{2})")
_SERIAL = re.compile(r"\d{5}(\.\d+)?")
_EXCEL_DAY_0 = date(1899, 12, 30)  # Excel believes in 29 February 1900; for all later days this is right.


class Unreadable(Exception):
    """A cell cannot be what it should be; `code` says why, `details` are the figures of the sentence."""

    def __init__(self, code: str, **details: str | int) -> None:
        super().__init__(code)
        self.code = code
        self.details = details


def plain(text: str) -> str:
    """The text narrowed (NFKC), without invisible characters, with single spaces. Unreadable("formula") for a formula
    that has no value."""
    if not (text.isascii() and text.isprintable()) or "  " in text:
        text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
        text = " ".join(text.split())
    text = text.strip()
    if text.startswith("="):
        quoted = _QUOTED_FORMULA.fullmatch(text)  # ="0139…" is how people keep their zeros.
        if quoted is None:
            raise Unreadable("formula")
        text = quoted[1].strip()
    return text


def lost_digits(text: str) -> bool:
    """Whether this is a long number as a spreadsheet shows it when it has forgotten its last digits: 5.22E+17."""
    found = _SCIENTIFIC.fullmatch(text)
    return found is not None and int(found[2][:4]) >= 9


@lru_cache(10_000)
def parse_decimal(text: str, places: int, units: tuple[str, ...] = ()) -> Decimal:
    """The number, rounded to so many places. Unreadable: no number, or 1,234, which may be 1.234 or 1234."""
    lowered = text.lower()
    for unit in units:
        lowered = lowered.removesuffix(unit)
    lowered = lowered.strip()
    if "," in lowered:
        if "." in lowered or re.search(r",(\d{3}|.*,.*)$", lowered):
            raise Unreadable("ambiguous_number")
        lowered = lowered.replace(",", ".")
    try:
        value = Decimal(lowered) if lowered.isascii() and len(lowered) <= 40 and "_" not in lowered else None
    except InvalidOperation:
        value = None
    if value is None or not value.is_finite() or value.adjusted() >= 9:
        raise Unreadable("not_a_number")
    return round(value, places)


@lru_cache(10_000)
def parse_integer(text: str, units: tuple[str, ...] = ()) -> int:
    """The whole number; 12.0 is one, 12.5 is none."""
    value = parse_decimal(text, 6, units)
    if value != int(value):
        raise Unreadable("not_a_whole_number")
    return int(value)


@lru_cache(10_000)
def parse_date(text: str) -> date:
    """2026-03-05, 2026/3/5, 2026.3.5, 2026年3月5日, 20260305, or the number 46086 by which Excel knows it."""
    found = _DATE.fullmatch(text) or _COMPACT_DATE.fullmatch(text)
    try:
        if found:
            return date(int(found[1]), int(found[2]), int(found[3]))
        if _SERIAL.fullmatch(text):
            return _EXCEL_DAY_0 + timedelta(days=int(text[:5]))
    except ValueError:
        pass
    raise Unreadable("not_a_date")
