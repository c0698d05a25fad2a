from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from carbonsink.tables import Table
from trees.imports import reports
from trees.imports.columns import Heading
from trees.management.importing import ImportCommand
from trees.models import Import


class Command(ImportCommand):
    """Loads households with their consents, and writes which code each was given."""

    help = (
        "Load households from a CSV or XLSX file: village_code, head_name, id_number, phone, category, area_mu, "
        "tenure, tenure_number, consent_version, consent_signed_on, own_reference. All rows or none; --partial "
        "stores the good ones. Exits 1 when rows are refused."
    )
    kind = Import.Kind.HOUSEHOLDS

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--codes", type=Path, help="where to write the households' codes (default: FILE.codes.csv)")

    def after_storing(self, batch: Import, table: Table, heading: Heading, options: dict[str, Any]) -> None:
        path = options["codes"] or reports.report_path(options["file"], "codes")
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            reports.write_codes(batch, table, heading, file)
        self.stdout.write(f"The households' codes are in {path}.")
