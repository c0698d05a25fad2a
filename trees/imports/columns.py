"""What a column of a file is: how people head it, what a cell of it may hold, and how its values are shown to others.

What depends on other rows, or on what the registry holds, is checked in SQL afterwards."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _

from carbonsink.crypto import mask
from carbonsink.errors import DomainError
from carbonsink.tables import Table
from carbonsink.tables.cells import Unreadable, plain

HEADING_WITHIN_LINES = 10  # Above the heading there may be a title and who filled the table in.
_NO_LETTERS = re.compile(r"[\W_]+")
_UNIT = re.compile(r"(cm|厘米|公分|米|m|亩|mu)$")
_LONG_NUMBER = re.compile(r"\d{11,18}[Xx]?")


@dataclass(frozen=True)
class Column:
    """One column. `headings` are what others call it, units aside.

    `parse` gets the narrowed text of a cell that is not empty and gives what is staged; it raises Unreadable with the
    reason. `missing` is the reason for an empty cell that must not be empty.
    """

    name: str
    label: str | Promise
    headings: str
    parse: Callable[[str], Any]
    missing: str = ""
    show: Callable[[str], str] | None = None
    # Cells like this are staged as they are; the other columns repeat themselves, and what was parsed is remembered.
    as_it_is: re.Pattern[str] | None = None

    @property
    def required(self) -> bool:
        """Whether every row needs a value, so that the file needs the column."""
        return bool(self.missing)

    def read(self, cell: str) -> Any:
        """What is staged of a cell; None for an empty one. Raises Unreadable."""
        text = plain(cell)
        if text:
            return self.parse(text)
        if self.missing:
            raise Unreadable(self.missing)
        return None

    def reader(self) -> Callable[[str], Any]:
        """`read`, made fast for millions of rows."""
        if self.as_it_is is None:
            return lru_cache(20_000)(self.read)
        fits, read = self.as_it_is.fullmatch, self.read
        return lambda cell: cell if fits(cell) else read(cell)

    def shown(self, cell: str) -> str:
        """A cell as a report may show it: personal data masked, also where it stands in the wrong column."""
        text = " ".join(unicodedata.normalize("NFKC", cell).replace("\0", "").split())[:60]
        if self.show is not None:
            return self.show(text)
        return _LONG_NUMBER.sub(lambda found: mask(found[0], 3, 2), text)


@dataclass(frozen=True)
class Heading:
    """Where a file's columns are: the line of its heading, its names, and the place of each of ours."""

    line: int
    names: list[str]
    places: dict[str, int]
    unused: list[str] = field(default_factory=list)

    @property
    def mapping(self) -> dict[str, str]:
        """Our column names and theirs."""
        return {name: self.names[place] for name, place in self.places.items()}


def _simplified(heading: str) -> str:
    return _UNIT.sub("", _NO_LETTERS.sub("", unicodedata.normalize("NFKC", heading)).lower())


def find_heading(table: Table, columns: Sequence[Column], given: dict[str, str], *, by_hand: bool = False) -> Heading:
    """The file's heading: of its first lines the one in which most columns are recognised.

    `given` are names of columns that somebody mapped by hand. Raises DomainError when a given name is not there, or
    two columns mean the same; with `by_hand`, somebody is about to choose, and the first of them will do.
    """
    unknown = sorted(set(given) - {column.name for column in columns})
    if unknown:
        raise DomainError(
            "bad_mapping",
            _("There is no column “%(name)s”; there are: %(names)s.")
            % {"name": unknown[0], "names": ", ".join(column.name for column in columns)},
        )
    candidates: list[tuple[int, list[str], dict[str, list[int]]]] = []
    for line, cells in table.read():
        if len(candidates) >= HEADING_WITHIN_LINES:
            break
        names = [" ".join(cell.split()) for cell in cells]
        candidates.append((line, names, _recognised(names, columns, given)))
    if not candidates:
        raise DomainError("bad_file", _("%(name)s is empty.") % {"name": table.name})
    line, names, places = max(candidates, key=lambda candidate: len(candidate[2]))
    for name, theirs in given.items():
        if theirs and name not in places:
            raise DomainError(
                "bad_mapping",
                _("The file has no column “%(name)s”; it has: %(names)s.")
                % {"name": theirs, "names": ", ".join(filter(None, names))},
            )
    doubled = [numbers for numbers in places.values() if len(numbers) > 1]
    if doubled and not by_hand:
        first, second = (names[number] for number in doubled[0][:2])
        raise DomainError(
            "bad_mapping",
            _("The columns “%(first)s” and “%(second)s” mean the same. Name the right one with --map.")
            % {"first": first, "second": second},
        )
    found = {name: numbers[0] for name, numbers in places.items()}
    unused = [name for number, name in enumerate(names) if name and number not in found.values()]
    return Heading(line, names, found, unused)


def _recognised(names: list[str], columns: Sequence[Column], given: dict[str, str]) -> dict[str, list[int]]:
    """Numbers of the file's columns by our names; a column that was mapped by hand to nothing stays out."""
    simplified = [_simplified(name) for name in names]
    by_hand = {_simplified(theirs) for theirs in given.values() if theirs}
    found = {}
    for column in columns:
        if column.name in given:
            wanted = {_simplified(given[column.name])} - {""}
        else:
            wanted = {_simplified(heading) for heading in (column.name, *column.headings.split())} - by_hand
        numbers = [number for number, name in enumerate(simplified) if name in wanted]
        if numbers:
            found[column.name] = numbers
    return found


def check_complete(heading: Heading, columns: Sequence[Column], one_of: Sequence[str] = ()) -> None:
    """Raises DomainError when a column that every row needs is missing, or all of those of which one is needed."""
    missing = [column.name for column in columns if column.required and column.name not in heading.places]
    if one_of and not set(one_of) & set(heading.places):
        missing.append("/".join(one_of))
    if missing:
        raise DomainError(
            "missing_columns",
            _("The file lacks the column(s) %(missing)s; it has: %(names)s. Name them with --map.")
            % {"missing": ", ".join(missing), "names": ", ".join(filter(None, heading.names))},
        )
