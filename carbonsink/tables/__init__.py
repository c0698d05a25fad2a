"""Reading tables that people send: lists of the platform's own kind (`read_csv`), and anybody's CSV files and
workbooks (`open_table`): rows of text with their line number, whatever they were stored as."""

import csv
from collections.abc import Collection, Iterator
from pathlib import Path

from django.core.management.base import CommandError

from carbonsink.tables.opening import Table, open_table

__all__ = ["Table", "open_table", "read_csv"]


def read_csv(path: Path, columns: list[str], optional: Collection[str] = ()) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and row of a UTF-8 CSV file (a BOM is fine) which has at least these columns. Of the `optional` ones
    a row has those that the file has."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in columns if name not in (reader.fieldnames or [])]
            if missing:
                raise CommandError(f"{path.name}: the first line lacks the column(s) {', '.join(missing)}.")
            wanted = [*columns, *(name for name in optional if name in (reader.fieldnames or []))]
            for row in reader:
                yield reader.line_num, {name: (row[name] or "").strip() for name in wanted}
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{path.name} is not UTF-8. Save it again as “CSV UTF-8”.") from error
    except csv.Error as error:
        raise CommandError(f"{path.name} is not a CSV file: {error}.") from error
