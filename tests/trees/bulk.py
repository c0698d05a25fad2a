"""Files for the imports, and the commands that load them."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openpyxl
from django.core.management import CommandError, call_command
from django.utils import timezone

from payouts.demo.people import villager
from tests import factories
from trees.models import ConsentText, Household, Species

TREE_HEADING = ["household", "species", "dbh_cm", "planted_year", "lon", "lat", "accuracy_m", "measured_on"]
HOUSEHOLD_HEADING = [
    "村代码", "户主姓名", "身份证号", "联系电话", "农户类别", "林地面积(亩)", "权属", "林权证号", "同意书版本", "签署日期",
]  # fmt: skip


def code(household: Household) -> str:
    """What a file calls a household."""
    return f"{household.village_id}{household.ordinal:03d}"


def fir() -> Species:
    species: Species = factories.tree_data()["species"]
    return species


def tree_row(household: Household | str, **changes: Any) -> list[str]:
    """A good row for TREE_HEADING."""
    fir()
    values = {
        "household": household if isinstance(household, str) else code(household),
        "species": "杉木",
        "dbh_cm": "7.5",
        "planted_year": "",
        "lon": "108.921",
        "lat": "25.912",
        "accuracy_m": "8",
        "measured_on": timezone.localdate().isoformat(),
        **changes,
    }
    return [str(values[name]) for name in TREE_HEADING]


def household_row(number: int, **changes: Any) -> list[str]:
    """A good row for HOUSEHOLD_HEADING."""
    factories.divisions()
    factories.programme()
    ConsentText.objects.get_or_create(version="1", defaults={"body": "…"})
    person = villager(number)
    values = {
        "village": factories.VILLAGE,
        "name": person.name,
        "id_number": person.id_number,
        "phone": person.phone,
        "category": "建档立卡户",
        "area": "1.5",
        "tenure": "退耕还林",
        "tenure_number": "",
        "version": "1",
        "signed": "2026-03-05",
        **changes,
    }
    return [str(value) for value in values.values()]


def write_csv(
    path: Path, heading: Sequence[str], *rows: Sequence[str], encoding: str = "utf-8", separator: str = ","
) -> Path:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=separator).writerows([heading, *rows])
    path.write_bytes(buffer.getvalue().encode(encoding))
    return path


def write_xlsx(path: Path, *rows: Sequence[Any], prepare: Any = None) -> Path:
    """A workbook; `prepare(sheet)` may add what rows cannot say."""
    book = openpyxl.Workbook()
    sheet = book.active
    for row in rows:
        sheet.append(row)
    if prepare:
        prepare(sheet)
    book.save(path)
    return path


def run(command: str, file: Path, by: Any, *options: str) -> tuple[int, str]:
    """Exit code, and what a person sees."""
    out, returncode = io.StringIO(), 0
    try:
        call_command(command, str(file), f"--by={by.email}", *options, stdout=out, stderr=out)
    except CommandError as error:
        out.write(f"{error}\n")
        returncode = error.returncode
    return returncode, out.getvalue()


def report(file: Path) -> list[list[str]]:
    """The rows of the report beside a file, without its heading."""
    path = file.with_name(f"{file.name}.report.csv")
    return list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))[1:] if path.exists() else []
