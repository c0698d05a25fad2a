from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from trees.boundaries import problem_of, read_features
from trees.models import Boundary, Division

# 12 digits, or as many as are significant.
DIGITS = {2, 4, 6, 9, 12}


class Command(BaseCommand):
    """Loads outlines of divisions from GeoJSON. Known divisions get the new outline."""

    help = (
        "Load outlines of counties, townships or villages from a GeoJSON FeatureCollection (WGS84) whose features have"
        " the property code. All features or none; can be run again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--source", required=True, help="where the outlines come from, with year and licence")
        parser.add_argument("--code", default="code", help="the property that holds the division's code")
        parser.add_argument("--dry-run", action="store_true", help="check the file and store nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 0 < len(options["source"]) <= 120:
            raise CommandError("--source has more than 120 characters, or none.")
        try:
            features = read_features(options["file"])
        except ValueError as error:
            raise CommandError(str(error)) from error
        codes = set(Division.objects.values_list("code", flat=True))
        boundaries: dict[str, Boundary] = {}
        wrong: list[str] = []
        for index, feature in enumerate(features):
            code = self.code(feature, options["code"])
            if problem := self.problem(code, feature, codes, boundaries):
                wrong.append(f"feature {index}: {problem}")
                continue
            boundaries[code] = Boundary(
                division_id=code, geometry=self.bare(feature["geometry"]), source=options["source"]
            )
        for sentence in wrong[:50]:
            self.stderr.write(sentence)
        if wrong:
            raise CommandError(f"{len(wrong)} of the features are wrong; nothing was stored.")
        if not options["dry_run"]:
            with transaction.atomic():
                Boundary.objects.bulk_create(
                    boundaries.values(),
                    batch_size=200,
                    update_conflicts=True,
                    unique_fields=["division"],
                    update_fields=["geometry", "source"],
                )
        self.stdout.write(f"{len(boundaries)} boundaries {'are fine' if options['dry_run'] else 'stored'}.")

    @staticmethod
    def code(feature: Any, name: str) -> str:
        """The feature's code with 12 digits, or whatever stands in its place."""
        properties = feature.get("properties") if isinstance(feature, dict) else None
        code = str(properties.get(name, "")) if isinstance(properties, dict) else ""
        return code.ljust(12, "0") if len(code) in DIGITS and code.isascii() and code.isdigit() else code

    @staticmethod
    def problem(code: str, feature: Any, codes: set[str], boundaries: dict[str, Boundary]) -> str:
        """What is wrong with a feature, or an empty string."""
        if code not in codes:
            return f"division “{code}” is not known: load divisions first, and name the property with --code"
        if code in boundaries:
            return f"division {code} is there twice"
        return problem_of(feature.get("geometry"))

    @staticmethod
    def bare(geometry: dict[str, Any]) -> dict[str, Any]:
        """Type and coordinates, without what else a file may carry."""
        return {"type": geometry["type"], "coordinates": geometry["coordinates"]}
