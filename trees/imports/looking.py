"""Looking at stored rows for what is suspicious: afterwards and in parts, since millions of rows take a while.

How far it has come stands with the import, so a sweep goes on wherever another one stopped.
"""

import time

from django.db import transaction
from django.utils import timezone

from carbonsink.locks import only_one
from trees.flags import look_at_households, look_at_trees
from trees.models import Household, Import, Tree

PART = 2_000


def look_at_imports(seconds: float) -> int:
    """Goes on looking at what was imported, for about so many seconds; returns how many rows it looked at."""
    until, looked = time.monotonic() + seconds, 0
    with only_one("trees.look_at_imports") as mine:
        while mine and time.monotonic() < until:
            batch = Import.objects.filter(state=Import.State.STORED, looked_at__isnull=True).order_by("pk").first()
            if batch is None:
                break
            looked += _look_on(batch)
    return looked


@transaction.atomic
def _look_on(batch: Import) -> int:
    """Looks at the next part of an import; after the last one it is done."""
    of_trees = batch.kind == Import.Kind.TREES
    rows = (Tree if of_trees else Household)._base_manager.filter(imported_from=batch, pk__gt=batch.looked_to)
    ids = list(rows.order_by("pk").values_list("pk", flat=True)[:PART])
    if ids:
        batch.looked_to = ids[-1]
        (look_at_trees if of_trees else look_at_households)(ids)
    else:
        batch.looked_at = timezone.now()
    batch.save(update_fields=["looked_to", "looked_at"])
    return len(ids)
