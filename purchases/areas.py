"""What can be bought where: the divisions below a place, with how many sinks are unsold. Sums stock rows only."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import add

from django.db import connection
from django.db.models import Count, Sum

from purchases.models import Stock
from trees.models import Division


@dataclass(frozen=True)
class Offer:
    """How many trees of a vintage are or were for sale somewhere."""

    total: int
    sold: int

    @property
    def unsold(self) -> int:
        """Trees that can be bought now."""
        return self.total - self.sold

    @property
    def sold_percent(self) -> int:
        """How much of 100 is sold, rounded down."""
        return 100 * self.sold // self.total if self.total else 0


@dataclass(frozen=True)
class Area(Offer):
    """A division with its trees of a vintage."""

    households: int
    division: Division


def area_of(division: Division, sums: Sequence[int]) -> Area:
    """A division with the sums over its stock: total, sold, households."""
    total, sold, households = sums
    return Area(total, sold, households, division)


@dataclass(frozen=True)
class Spread:
    """How evenly an area's households have sold: trees sold by the household that sold least, the middle one, and the
    one that sold most, and the most trees that one of them offers."""

    households: int
    least: int
    median: int
    most: int
    offered: int

    @property
    def bar(self) -> dict[str, float]:
        """Where the bar of the spread begins, how wide it is and where its middle lies, in per cent of what is
        offered."""
        share = 100 / max(1, self.offered)
        return {
            "x": round(self.least * share, 1),
            "width": round((self.most - self.least) * share, 1),
            "median": round(self.median * share, 1),
        }


def at_levels(vintage: int, prefix: str, *levels: str) -> dict[str, list[Area]]:
    """The areas with trees within the divisions whose code begins with `prefix`, for each of the levels in the order of
    their codes. Two queries, whatever the levels."""
    rows = (
        Stock.objects.filter(vintage=vintage, village_code__startswith=prefix)
        .values_list("village_code")
        .annotate(Sum("total"), Sum("sold"), Count("id"))
    )
    sums: dict[str, dict[str, list[int]]] = {level: {} for level in levels}
    for village, *numbers in rows:
        for level, found in sums.items():
            held = found.setdefault(village[: Division.DIGITS[level]].ljust(12, "0"), [0, 0, 0])
            held[:] = map(add, held, numbers)
    codes = {code for found in sums.values() for code in found}
    areas: dict[str, list[Area]] = {level: [] for level in levels}
    for division in Division.objects.filter(code__in=codes, level__in=levels).order_by("code"):
        areas[division.level].append(area_of(division, sums[division.level][division.code]))
    return areas


def least_sold_first(found: list[Area]) -> list[Area]:
    """The areas in the order in which they wait for buyers."""
    return sorted(found, key=lambda area: (area.sold_percent, area.division.code))


def level_below(division: Division) -> str | None:
    """The level directly below a division's; None below a village."""
    levels = list(Division.DIGITS)
    deeper = levels[levels.index(division.level) + 1 :]
    return deeper[0] if deeper else None


def below(vintage: int, division: Division) -> list[Area]:
    """The areas directly below a division that have trees, those that have sold least first."""
    level = level_below(division)
    return least_sold_first(at_levels(vintage, division.prefix, level)[level]) if level else []


def whole(vintage: int, division: Division) -> Area:
    """A division with all its trees, also when there are none."""
    row = Stock.objects.filter(vintage=vintage, village_code__startswith=division.prefix).aggregate(
        total=Sum("total", default=0), sold=Sum("sold", default=0), households=Count("id")
    )
    return Area(row["total"], row["sold"], row["households"], division)


def first_choice(vintage: int, found: dict[str, list[Area]]) -> list[Area]:
    """The widest areas among which there is a choice, of those found at the levels province, prefecture and county; of
    a single county its townships, or else its villages."""
    for level in ("province", "prefecture", "county"):
        if len(found[level]) > 1:
            return least_sold_first(found[level])
    if not found["county"]:
        return []
    inside = at_levels(vintage, found["county"][0].division.prefix, "township", "village")
    return least_sold_first(inside["township"] if len(inside["township"]) > 1 else inside["village"])


def spread(vintage: int, prefix: str) -> Spread | None:
    """How evenly the households of an area have sold; None where there are fewer than two."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT count(*), min(sold), percentile_disc(0.5) WITHIN GROUP (ORDER BY sold), max(sold), max(total)
                 FROM purchases_stock WHERE vintage = %s AND village_code LIKE %s AND total > 0""",
            [vintage, f"{prefix}%"],
        )
        found = Spread(*cursor.fetchone())
    return found if found.households > 1 else None
