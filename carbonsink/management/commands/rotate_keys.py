from typing import Any

from django.apps import apps
from django.core.exceptions import FieldError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from rich.progress import track

from carbonsink.crypto import DigestField, EncryptedField, digests

BATCH = 500


class Command(BaseCommand):
    """Re-encrypts every encrypted column and renews every digest with the first key of each list."""

    help = "Re-encrypt personal data and renew its digests with the current keys. Can be run again after a crash."

    def handle(self, *args: Any, **options: Any) -> None:
        for model in apps.get_models():
            names = [f.name for f in model._meta.local_fields if isinstance(f, EncryptedField | DigestField)]
            if not names:
                continue
            try:
                self.rotate(model, names)
            except FieldError as error:
                raise CommandError(f"{model._meta.label}: {error} Add that key at the end of the list.") from error

    def rotate(self, model: Any, names: list[str]) -> None:
        ids = list(model._base_manager.order_by("pk").values_list("pk", flat=True))
        for start in track(range(0, len(ids), BATCH), description=model._meta.label, disable=not self.stdout.isatty()):
            with transaction.atomic():
                batch = model._base_manager.filter(pk__in=ids[start : start + BATCH]).order_by("pk")
                for row in batch.select_for_update():
                    self.refuse_misfit(row)
                    row.save(update_fields=names)
        self.stdout.write(f"{model._meta.label}: {len(ids)} rows")

    @staticmethod
    def refuse_misfit(row: Any) -> None:
        """Renewing a digest that does not fit its value would hide that somebody changed the row."""
        for field in row._meta.local_fields:
            if isinstance(field, DigestField):
                value, stored = getattr(row, field.of), getattr(row, field.attname)
                if (stored or value) and stored not in digests(value or ""):
                    raise CommandError(
                        f"{row._meta.label} {row.pk}: {field.name} does not fit {field.of}. Its key is not in"
                        " FIELD_LOOKUP_KEYS any more, or the row was changed by hand: clear that up first."
                    )
