"""What `import_households` and `import_trees` share: one file, from the command line to the registry."""

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.tables import Table, open_table
from trees.imports import loading, reports
from trees.imports.columns import Heading
from trees.models import Import

INTERRUPTED = 130


def one_mapping(text: str) -> tuple[str, str]:
    """`column=their name` in two."""
    ours, equals, theirs = text.partition("=")
    if not equals:
        raise ValueError(text)
    return ours.strip(), theirs.strip()


class ImportCommand(BaseCommand):
    """Loads one CSV or XLSX file. Exits 1 when rows were refused, also where the good ones were stored (--partial)."""

    kind: ClassVar[Import.Kind]

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="CSV or XLSX")
        parser.add_argument("--by", required=True, help="e-mail or phone of the officer who answers for the file")
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            type=one_mapping,
            metavar="COLUMN=THEIR NAME",
            help="what a column is called in the file, where that is not recognised; COLUMN= leaves it out",
        )
        parser.add_argument("--partial", action="store_true", help="store the good rows and report the others")
        parser.add_argument("--dry-run", action="store_true", help="check the file and store nothing")
        parser.add_argument("--sheet", default="", help="the workbook's sheet (default: the first)")
        parser.add_argument("--encoding", default="", help="the CSV file's encoding (default: found out)")
        parser.add_argument("--report", type=Path, help="where to write what is wrong (default: FILE.report.csv)")

    def handle(self, *args: Any, **options: Any) -> None:
        by = User.objects.by_identifier(options["by"])
        if by is None:
            raise CommandError(f"There is no user {options['by']}.")
        path: Path = options["file"]
        try:
            with path.open("rb") as file:
                self.load(file, by, options)
        except OSError as error:
            raise CommandError(f"{error.filename or path} cannot be used: {error.strerror}.") from error
        except DomainError as error:
            raise CommandError(error.message) from error
        except KeyboardInterrupt:
            raise CommandError(
                "Stopped. Nothing is half stored; the same command goes on.", returncode=INTERRUPTED
            ) from None

    def load(self, file: BinaryIO, by: User, options: dict[str, Any]) -> None:
        """The phases, one after the other; those that an earlier run has finished are skipped."""
        with self.bar() as bar:
            bar.add_task("opening", total=None)
            table = open_table(file, options["file"].name, sheet=options["sheet"], encoding=options["encoding"])
            batch, heading = loading.begin_import(self.kind, table, by=by, given=dict(options["map"]))
            if batch.state == Import.State.STORED:
                self.stdout.write(
                    f"{table.name} was loaded before, by {batch.imported_by.name}: {batch.rows_stored} rows. "
                    "Nothing was stored again."
                )
                return
            self.run_phase(bar, "reading", lambda tell: loading.stage(batch, table, heading, tell))
            self.run_phase(bar, "checking", lambda _tell: loading.check(batch))
            if not options["dry_run"] and (options["partial"] or not batch.rows_wrong):
                self.run_phase(bar, "storing", lambda _tell: loading.store(batch, partial=options["partial"]))
        self.tell_outcome(batch, table, heading, options)

    @contextmanager
    def bar(self) -> Iterator[Progress]:
        """A progress bar on a terminal; nothing elsewhere."""
        columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
        with Progress(*columns, console=Console(file=sys.stderr), disable=not sys.stderr.isatty()) as bar:
            yield bar

    @staticmethod
    def run_phase(bar: Progress, name: str, run: Any) -> None:
        for task in bar.task_ids:
            bar.remove_task(task)
        task = bar.add_task(name, total=None)
        run(lambda rows, part: bar.update(task, total=1.0, completed=part, description=f"{name} ({rows} rows)"))

    def tell_outcome(self, batch: Import, table: Table, heading: Heading, options: dict[str, Any]) -> None:
        """The summary on the terminal, the report beside the file. CommandError when rows were refused."""
        if heading.unused:
            self.stdout.write(f"Columns that were not used: {', '.join(heading.unused)}.")
        report = options["report"] or reports.report_path(options["file"], "report")
        if batch.rows_wrong:
            with report.open("w", encoding="utf-8-sig", newline="") as file:
                reports.write_report(batch, file)
            for found in reports.summary(batch):
                lines = ", ".join(map(str, found.lines)) + (", …" if found.rows > len(found.lines) else "")
                self.stdout.write(f"{found.rows} × {found.column}: {found.reason} (lines {lines})")
        stored, read = batch.rows_stored, batch.rows_read
        if batch.state == Import.State.STORED:
            self.after_storing(batch, table, heading, options)
            self.stdout.write(f"{stored} of {read} rows stored.")
        else:
            loading.cancel_import(
                batch, by=batch.imported_by, reason="dry run" if options["dry_run"] else "rows refused"
            )
            self.stdout.write(f"{read - batch.rows_wrong} of {read} rows are fine; nothing was stored.")
        if batch.rows_wrong:
            raise CommandError(f"{batch.rows_wrong} rows are refused: {report}")

    def after_storing(self, batch: Import, table: Table, heading: Heading, options: dict[str, Any]) -> None:
        """What a kind of file has to give back."""
