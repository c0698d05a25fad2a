"""What a file's import came to: one report with line, column, value and reason, and a summary by reason."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from django.db.models import Count
from django.utils.translation import gettext as _

from carbonsink.crypto import mask_name
from carbonsink.tables import Table
from trees.imports.columns import Heading
from trees.imports.reasons import sentence
from trees.imports.rules import line_of
from trees.models import Import, ImportProblem

FIRST_LINES = 5


@dataclass(frozen=True)
class Found:
    """How often something is wrong, and where first."""

    column: str
    reason: str
    rows: int
    lines: list[int]


def heading_of(batch: Import, column: str) -> str:
    """A column as its file calls it, for those who look for it there."""
    if column == "dbh_cm" and column not in batch.mapping:
        column = "girth_cm" if "girth_cm" in batch.mapping else "planted_year"
    return batch.mapping.get(column, column)


def reason_of(problem: ImportProblem) -> str:
    """Why a row is refused, in the reader's language."""
    return sentence(problem.code, problem.details)


def write_report(batch: Import, file: IO[str]) -> None:
    """Writes all problems as CSV, line by line, in flat memory."""
    writer = csv.writer(file)
    writer.writerow([_("line"), _("column"), _("value"), _("reason")])
    for problem in batch.problems.order_by("line", "column", "code").iterator(chunk_size=5_000):
        writer.writerow([problem.line, heading_of(batch, problem.column), harmless(problem.value), reason_of(problem)])


def harmless(value: str) -> str:
    """A value that a spreadsheet takes for a text: what begins like a formula would be computed."""
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t")) else value


def summary(batch: Import) -> Iterator[Found]:
    """What is wrong, the most frequent first."""
    groups = batch.problems.values("column", "code").annotate(rows=Count("pk")).order_by("-rows", "column", "code")
    for group in groups:
        first = batch.problems.filter(column=group["column"], code=group["code"]).order_by("line")[:FIRST_LINES]
        lines, sample = [problem.line for problem in first], first[0]
        yield Found(heading_of(batch, sample.column), reason_of(sample), group["rows"], lines)


def write_codes(batch: Import, table: Table, heading: Heading, file: IO[str]) -> None:
    """Writes the codes that the households of a file were given, beside the sender's own numbers: what the file of
    their trees names them by."""
    writer = csv.writer(file)
    writer.writerow([_("line"), _("own number"), _("household"), _("public id"), _("head of household")])
    given = {
        line_of(household.client_uuid): household
        for household in batch.households.order_by("pk").iterator(chunk_size=2_000)
    }
    place = heading.places.get("own_reference")
    for line, cells in table.read():
        if household := given.get(line):
            own = cells[place] if place is not None and place < len(cells) else ""
            code = f"{household.village_id}{household.ordinal:03d}"
            writer.writerow([line, harmless(own), code, household.public_id, mask_name(household.head_name)])


def report_path(file: Path, kind: str) -> Path:
    """Where a report lies by default: beside the file."""
    return file.with_name(f"{file.name}.{kind}.csv")
