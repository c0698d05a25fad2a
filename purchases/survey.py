"""What only a look at every sink can tell: how many trees of a species are for sale where, and about where a village's
trees stand. The survey is taken every few minutes by a task and kept in the cache; pages read it, and never count.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.core.cache import cache
from django.db import connection, transaction
from django.db.models import Sum
from django.utils import timezone

from purchases.models import Stock

KEPT_SECONDS = 24 * 3600
# A look at all sinks takes twenty seconds where there are millions: meanwhile nobody else begins one.
TAKING_SECONDS = 120
# So many take a fifth of a second: a visitor may wait for them.
TAKEN_AT_ONCE_SINKS = 50_000


class Row(NamedTuple):
    """Trees of a species in a village: how many are for sale, the sums of their positions (degrees) and how many have
    one, and one of the trees."""

    village_code: str
    species_id: int
    unsold: int
    lon_sum: float
    lat_sum: float
    placed: int
    tree_id: int


@dataclass(frozen=True)
class Survey:
    """The trees of a vintage as they were at a moment."""

    taken_at: datetime
    rows: tuple[Row, ...]

    def unsold_by_species(self, prefix: str = "") -> Counter[int]:
        """About how many trees of each species are for sale in the divisions whose code begins with `prefix`."""
        found: Counter[int] = Counter()
        for row in self.rows:
            if row.village_code.startswith(prefix):
                found[row.species_id] += row.unsold
        return found

    def examples(self) -> dict[int, int]:
        """For each species one of its trees, by their primary keys: for sale where there is any."""
        return {row.species_id: row.tree_id for row in sorted(self.rows, key=lambda row: row.unsold > 0)}

    def positions(self, prefix: str = "") -> dict[str, tuple[float, float]]:
        """About where each village's trees stand: the mean of their positions (longitude, latitude), rounded to 0.01°
        as every position that is shown."""
        sums: dict[str, list[float]] = {}
        for row in self.rows:
            if row.placed and row.village_code.startswith(prefix):
                held = sums.setdefault(row.village_code, [0.0, 0.0, 0.0])
                held[0] += row.lon_sum
                held[1] += row.lat_sum
                held[2] += row.placed
        return {code: (round(lon / n, 2), round(lat / n, 2)) for code, (lon, lat, n) in sums.items()}


def _key(vintage: int) -> str:
    return f"survey-1:{vintage}"


def take(vintage: int) -> Survey:
    """Looks at every sink of a vintage, and keeps what was found for the pages."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT h.village_id, t.species_id, count(*) FILTER (WHERE k.open AND k.order_id IS NULL),
                      coalesce(sum(t.lon), 0)::float8, coalesce(sum(t.lat), 0)::float8, count(t.lon),
                      coalesce(min(t.id) FILTER (WHERE t.picture_id IS NOT NULL AND k.open AND k.order_id IS NULL),
                               min(t.id))
                 FROM purchases_sink k
                 JOIN trees_tree t ON t.id = k.tree_id
                 JOIN trees_household h ON h.id = k.household_id
                WHERE k.vintage = %s GROUP BY 1, 2 ORDER BY 1, 2""",
            [vintage],
        )
        found = (timezone.now(), cursor.fetchall())
    cache.set(_key(vintage), found, KEPT_SECONDS)
    return _survey(found)


def latest(vintage: int) -> Survey | None:
    """The latest survey of a vintage. Where there is none yet it is taken now, if that is soon done, by one visitor;
    else by a task. Meanwhile the others get None and do without."""
    from purchases.tasks import take_survey

    kept = cache.get(_key(vintage))
    if kept is not None:
        return _survey(kept)
    taking = f"{_key(vintage)}:being-taken"
    if not cache.add(taking, 1, TAKING_SECONDS):
        return None
    if Stock.objects.filter(vintage=vintage).aggregate(n=Sum("total", default=0))["n"] > TAKEN_AT_ONCE_SINKS:
        transaction.on_commit(lambda: take_survey.delay(), robust=True)
        return None
    try:
        return take(vintage)
    finally:
        cache.delete(taking)


def _survey(kept: tuple[datetime, list[tuple[Any, ...]]]) -> Survey:
    """Plain values are kept, not objects: another version of this module may read them."""
    taken_at, rows = kept
    return Survey(taken_at, tuple(map(Row._make, rows)))
