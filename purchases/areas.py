"""What can be bought where: the divisions below a place, with how many sinks are unsold. Sums stock rows only."""

from dataclasses import dataclass

from django.db.models import Count, Sum
from django.db.models.functions import Left

from purchases.models import Stock
from trees.models import Division


@dataclass(frozen=True)
class Area:
    """A division with its trees of a vintage."""

    division: Division
    total: int
    sold: int
    households: int

    @property
    def unsold(self) -> int:
        """Trees that can be bought now."""
        return self.total - self.sold

    @property
    def sold_percent(self) -> int:
        """How much of 100 is sold, rounded down."""
        return 100 * self.sold // self.total if self.total else 0


def _sums(vintage: int, prefix: str, digits: int) -> dict[str, Area]:
    rows = (
        Stock.objects.filter(vintage=vintage, village_code__startswith=prefix)
        .values(part=Left("village_code", digits))
        .annotate(total=Sum("total"), sold=Sum("sold"), households=Count("id"))
    )
    by_code = {row["part"].ljust(12, "0"): row for row in rows}
    divisions = Division.objects.filter(code__in=by_code).order_by("code")
    return {
        division.code: Area(division, row["total"], row["sold"], row["households"])
        for division in divisions
        for row in [by_code[division.code]]
    }


def below(vintage: int, division: Division) -> list[Area]:
    """The areas directly below a division that have trees, those that have sold least first."""
    levels = list(Division.DIGITS)
    deeper = levels[levels.index(division.level) + 1 :]
    if not deeper:
        return []
    found = _sums(vintage, division.prefix, Division.DIGITS[deeper[0]])
    return sorted(found.values(), key=lambda area: (area.sold_percent, area.division.code))


def whole(vintage: int, division: Division) -> Area:
    """A division with all its trees, also when there are none."""
    found = _sums(vintage, division.prefix, Division.DIGITS[division.level])
    return found.get(division.code, Area(division, 0, 0, 0))


def first_choice(vintage: int) -> list[Area]:
    """The widest areas among which there is a choice: those below the smallest area that holds all trees."""
    places = list(_sums(vintage, "", Division.DIGITS["province"]).values())
    while len(places) == 1:
        deeper = below(vintage, places[0].division)
        if not deeper:
            break
        places = deeper
    return places
