from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from carbonsink.tables import read_csv
from trees.models import Division

COLUMNS = ["code", "name", "level", "parent_code"]
NAME_LENGTH = Division._meta.get_field("name").max_length or 0


class Command(BaseCommand):
    """Loads divisions from CSV; parents come before their children. Known codes get the new name."""

    help = "Load divisions from a CSV file with the columns code, name, level, parent_code. All rows or none."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--dry-run", action="store_true", help="check the file and store nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        rows: dict[str, Division] = {}
        wrong: list[str] = []
        known = dict(Division.objects.values_list("code", "level"))
        for line, row in read_csv(options["file"], COLUMNS):
            problem = self.problem(row, rows, known)
            if problem:
                wrong.append(f"line {line}: {problem}")
                continue
            rows[row["code"]] = Division(
                code=row["code"], name=row["name"], level=row["level"], parent_id=row["parent_code"] or None
            )
            known[row["code"]] = row["level"]
        for sentence in wrong[:50]:
            self.stderr.write(sentence)
        if wrong:
            raise CommandError(f"{len(wrong)} of the rows are wrong; nothing was stored.")
        if not options["dry_run"]:
            with transaction.atomic():
                Division.objects.bulk_create(
                    rows.values(),
                    batch_size=2000,
                    update_conflicts=True,
                    unique_fields=["code"],
                    update_fields=["name", "level", "parent"],
                )
        self.stdout.write(f"{len(rows)} divisions {'are fine' if options['dry_run'] else 'stored'}.")

    @staticmethod
    def problem(row: dict[str, str], rows: dict[str, Division], known: dict[str, str]) -> str:
        """What is wrong with a row, or an empty string."""
        code, level, parent = row["code"], row["level"], row["parent_code"]
        if not (len(code) == 12 and code.isascii() and code.isdigit()):
            return f"code “{code}” has not 12 digits"
        if code in rows:
            return f"code {code} is there twice"
        if level not in Division.DIGITS:
            return f"level “{level}” is none of {', '.join(Division.DIGITS)}"
        if code[Division.DIGITS[level] :].strip("0"):
            return f"code {code} has more digits than a {level} may have"
        if code in known and known[code] != level:
            return f"{code} is known as a {known[code]}: a division keeps its level"
        if not row["name"]:
            return "the name is empty"
        if len(row["name"]) > NAME_LENGTH:
            return f"the name has more than {NAME_LENGTH} characters"
        if level == Division.Level.PROVINCE:
            return "a province has no parent" if parent else ""
        if parent not in known:
            return f"parent {parent or '(none)'} is not known: parents come first"
        if not code.startswith(parent[: Division.DIGITS[known[parent]]]) or known[parent] == level:
            return f"{code} does not lie within {parent}"
        return ""
