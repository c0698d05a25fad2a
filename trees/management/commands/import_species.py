import re
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from carbonsink.tables import read_csv
from trees.models import Species

COLUMNS = ["scientific_name", "name_zh", "name_en", "form"]
# The largest plausible DBH, above which a tree is flagged. Where the file lacks the column, known figures stay.
LARGEST = "max_dbh_cm"
LENGTHS = {field.name: field.max_length for field in Species._meta.concrete_fields if field.max_length}
DEFAULT = Path(__file__).resolve().parents[2] / "data" / "species.csv"


class Command(BaseCommand):
    """Loads species from CSV. Known scientific names get the new values."""

    help = (
        "Load species from a CSV file with the columns scientific_name, name_zh, name_en, form, and if wanted"
        " max_dbh_cm (largest plausible DBH). All rows or none."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, nargs="?", default=DEFAULT, help="default: the list of the project")
        parser.add_argument("--dry-run", action="store_true", help="check the file and store nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        species: dict[str, Species] = {}
        wrong: list[str] = []
        given: set[str] = set()
        for line, row in read_csv(options["file"], COLUMNS, [LARGEST]):
            given |= row.keys()
            if problem := self.problem(row, species):
                wrong.append(f"line {line}: {problem}")
            species[row["scientific_name"]] = Species(**row | {LARGEST: row.get(LARGEST) or None})
        for sentence in wrong[:50]:
            self.stderr.write(sentence)
        if wrong:
            raise CommandError(f"{len(wrong)} of the rows are wrong; nothing was stored.")
        if not options["dry_run"]:
            with transaction.atomic():
                Species.objects.bulk_create(
                    species.values(),
                    update_conflicts=True,
                    unique_fields=["scientific_name"],
                    update_fields=[name for name in [*COLUMNS[1:], LARGEST] if name in given],
                )
        self.stdout.write(f"{len(species)} species {'are fine' if options['dry_run'] else 'stored'}.")

    @staticmethod
    def problem(row: dict[str, str], species: dict[str, Species]) -> str:
        """What is wrong with a row, or an empty string."""
        if row["form"] not in Species.Form.values or not row["scientific_name"] or not row["name_zh"]:
            return "needs scientific_name, name_zh and form (tree or bamboo)"
        if row["scientific_name"] in species:
            return f"{row['scientific_name']} is there twice"
        for name, most in LENGTHS.items():
            if len(row[name]) > most:
                return f"{name} has more than {most} characters"
        if row.get(LARGEST) and not re.fullmatch(r"(?=.*[1-9])[0-9]{1,3}(\.[0-9])?", row[LARGEST], re.ASCII):
            return f"{LARGEST} “{row[LARGEST]}” is no DBH such as 150 or 62.5"
        return ""
