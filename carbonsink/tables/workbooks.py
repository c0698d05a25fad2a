"""XLSX workbooks. They are zipped XML from strangers: nothing is unpacked before its size was looked at, and nothing
parsed that declares a DTD or an entity. openpyxl reads the cells only after that."""

import hashlib
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any, BinaryIO
from xml.etree.ElementTree import Element, ParseError

import openpyxl
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring, iterparse
from django.utils.translation import gettext as _
from openpyxl.utils import range_boundaries
from openpyxl.utils.exceptions import InvalidFileException

from carbonsink.tables.opening import Rows, Table, bad_file

# A sheet of 1,048,576 rows and ten columns has about 450 MB of XML, packed 10 to 30 times smaller.
MOST_PARTS, MOST_BYTES, MOST_RATIO = 1_000, 600_000_000, 100
RATIO_COUNTS_FROM_BYTES = 10_000_000
MOST_STRING_BYTES = 80_000_000  # Its shared strings are kept in memory.
MOST_COLUMNS = 100
MOST_ODDITIES = 100_000  # Merged ranges, and formulas without a value: kept in memory too.
EXACT_DIGITS = 15
BROKEN = (
    zipfile.BadZipFile, zlib.error, ParseError, InvalidFileException, KeyError, ValueError, IndexError, TypeError,
    AttributeError, EOFError, NotImplementedError, OverflowError,
)  # fmt: skip
# Marks a cell whose formula was never computed; no cell of ours is taken when it begins with "=".
UNCOMPUTED = "="


@dataclass
class Oddities:
    """What openpyxl does not tell in passing: merged ranges, and cells whose formula has no value."""

    uncomputed: set[tuple[int, int]] = field(default_factory=set)
    merged: list[tuple[int, int, int, int]] = field(default_factory=list)
    rows: int = 1
    columns: int = 1


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """Turns what a broken or dangerous workbook raises into a sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl notes what it leaves out: styles, validations, pictures.
            yield
    except DefusedXmlException as error:
        raise bad_file(
            _("%(name)s declares XML entities, which no spreadsheet does. Copy its rows into a new workbook.")
            % {"name": name}
        ) from error
    except BROKEN as error:
        raise bad_file(
            _("%(name)s is damaged, or no Excel workbook (.xlsx). Open it and save it again.") % {"name": name}
        ) from error


def open_workbook(file: BinaryIO, name: str, sha256: str, sheet: str = "") -> Table:
    """The table in one sheet of a workbook. Raises DomainError("bad_file") with what is wrong with it."""
    with _reading(name):
        archive = zipfile.ZipFile(file)
        _check_sizes(archive, name)
        path = _path_of_sheet(archive, name, sheet)
        oddities = _look_through(archive, path, name)
        workbook = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
        title = sheet or workbook.sheetnames[0]
    # Each sheet is a table of its own.
    sha256 = hashlib.sha256(f"{sha256}:{title}".encode()).hexdigest()
    progress = [0]

    def read() -> Rows:
        with _reading(name):
            for line, cells in _rows(workbook[title], oddities):
                progress[0] = line
                if any(cells):
                    yield line, cells

    return Table(name=name, sha256=sha256, read=read, done=lambda: progress[0] / oddities.rows, form="XLSX")


def _check_sizes(archive: zipfile.ZipFile, name: str) -> None:
    """By what the parts declare; more than that zipfile never unpacks."""
    parts = archive.infolist()
    if any(part.flag_bits & 1 for part in parts):
        raise bad_file(
            _("%(name)s is protected by a password. Open it, take the password away and save it again.")
            % {"name": name}
        )
    unpacked, packed = sum(part.file_size for part in parts), sum(part.compress_size for part in parts)
    strings = sum(part.file_size for part in parts if part.filename.endswith("sharedStrings.xml"))
    suspicious = unpacked > RATIO_COUNTS_FROM_BYTES and unpacked > MOST_RATIO * packed
    if len(parts) > MOST_PARTS or unpacked > MOST_BYTES or strings > MOST_STRING_BYTES or suspicious:
        raise bad_file(
            _("%(name)s unpacks to far more than a table needs. Copy its rows into a new workbook, or save it as CSV.")
            % {"name": name}
        )


def _path_of_sheet(archive: zipfile.ZipFile, name: str, sheet: str) -> str:
    """Where the sheet lies in the archive; the first one when none is named."""
    book = _parse(archive, "xl/workbook.xml")
    targets = {link.get("Id"): link.get("Target", "") for link in _parse(archive, "xl/_rels/workbook.xml.rels")}
    sheets = {}
    for node in book.iterfind(".//{*}sheet"):
        key = next((value for attribute, value in node.items() if attribute.endswith("}id")), "")
        sheets[node.get("name", "")] = targets.get(key, "")
    if sheet and sheet not in sheets:
        raise bad_file(
            _("%(name)s has no sheet “%(sheet)s”; it has: %(sheets)s.")
            % {"name": name, "sheet": sheet, "sheets": ", ".join(sheets)}
        )
    target = sheets[sheet or next(iter(sheets), "")]
    return target.lstrip("/") if target.startswith("/") else f"xl/{target}"


def _parse(archive: zipfile.ZipFile, path: str) -> Element:
    with archive.open(path) as part:
        return fromstring(part.read(MOST_STRING_BYTES), forbid_dtd=True)


def _look_through(archive: zipfile.ZipFile, sheet: str, name: str) -> Oddities:
    """Refuses a DTD or an entity in any part, and notes the sheet's oddities."""
    found = Oddities()
    for part in archive.namelist():
        if not part.endswith((".xml", ".rels", ".vml")):
            continue
        with archive.open(part) as file:
            for _event, node in iterparse(file, forbid_dtd=True):
                if part == sheet:
                    _note(node, found)
                if node.tag.endswith(("}row", "}si", "}mergeCell", "}xf", "}Relationship")):
                    node.clear()
    if len(found.uncomputed) + len(found.merged) > MOST_ODDITIES:
        raise bad_file(
            _("%(name)s has too many merged cells or formulas without a value. Save it again as CSV.") % {"name": name}
        )
    return found


def _note(node: Element, found: Oddities) -> None:
    if node.tag.endswith("}mergeCell"):
        left, top, right, bottom = range_boundaries(node.get("ref", ""))
        found.merged.append((int(top or 1), int(bottom or 1), int(left or 1), int(right or 1)))
    elif node.tag.endswith("}row"):
        found.rows = max(found.rows, int(node.get("r") or 0))
        if len(node):
            _left, _top, last, _bottom = range_boundaries(node[-1].get("r") or f"A{len(node)}")
            found.columns = min(MOST_COLUMNS, max(found.columns, int(last or 1), len(node)))
        for cell in node:
            if cell.find("{*}f") is not None and not (cell.findtext("{*}v") or "").strip():
                column, row, _right, _bottom = range_boundaries(cell.get("r", ""))
                found.uncomputed.add((int(row or 0), int(column or 0)))


def _rows(sheet: Any, oddities: Oddities) -> Rows:
    sheet.reset_dimensions()  # What a file says of its own size is often wrong.
    merged, spread = _by_first_row(oddities), {}
    for line, values in enumerate(sheet.iter_rows(max_col=oddities.columns, values_only=True), start=1):
        cells = [_as_text(value) for value in values]
        while cells and not cells[-1] and (line, len(cells)) not in oddities.uncomputed:
            cells.pop()
        for row, column in [(line, number) for number in range(1, len(cells) + 1)] if oddities.uncomputed else []:
            if (row, column) in oddities.uncomputed:
                cells[column - 1] = UNCOMPUTED
        # A value that is merged downwards belongs to each of its rows.
        for bottom, column in merged.get(line, []):
            if column <= len(cells):
                spread[column] = (bottom, cells[column - 1])
        for column, (bottom, text) in list(spread.items()):
            if line > bottom:
                del spread[column]
            else:
                cells.extend([""] * (column - len(cells)))
                cells[column - 1] = text
        yield line, cells


def _by_first_row(oddities: Oddities) -> dict[int, list[tuple[int, int]]]:
    """Last row and column of each range that is merged downwards in one column, by its first row."""
    found: dict[int, list[tuple[int, int]]] = {}
    for top, bottom, left, right in oddities.merged:
        if left == right and bottom > top:
            found.setdefault(top, []).append((bottom, left))
    return found


def _as_text(value: Any) -> str:
    """A cell as the text that a CSV file would have. A number with more digits than Excel keeps stays in scientific
    notation, so that it is seen that digits are lost."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | float):
        if isinstance(value, float) and value.is_integer() and abs(value) < 10**EXACT_DIGITS:
            value = int(value)
        return f"{value:.14E}" if abs(value) >= 10**EXACT_DIGITS else repr(value)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ")
    if isinstance(value, date):
        return value.isoformat()
    return re.sub(r"_x000D_", "", str(value))
