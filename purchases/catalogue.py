"""The trees that can be bought, a page at a time. No page counts sinks or skips rows: lists go on after what was seen
last, and what is counted by species comes from a survey that is taken every few minutes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import F, Q
from django.http import Http404

from purchases.areas import Offer
from purchases.models import Stock
from trees.models import Division, Household, Species, Tree

PAGE = 12
HOUSEHOLDS = 24
# More than any household has trees.
_LAST_RANK = 2**15
_CURSOR = re.compile(r"-?[0-9]{1,18}(\.-?[0-9]{1,18})*")


@dataclass(frozen=True)
class Page:
    """Some trees for sale, and where the list goes on (empty at its end)."""

    trees: list[Tree]
    next: str


@dataclass(frozen=True)
class Holding(Offer):
    """A household with its stock of the vintage."""

    household: Household


def read_cursor(text: str, length: int) -> list[int] | None:
    """The numbers a list goes on after, or None for its beginning. Raises Http404 for what is no such place."""
    if not text:
        return None
    numbers = [int(part) for part in text.split(".")] if _CURSOR.fullmatch(text) else []
    # A number that no column holds leads nowhere.
    if len(numbers) != length or any(abs(number) >= 2**63 for number in numbers):
        raise Http404
    return numbers


def _write_cursor(*numbers: int) -> str:
    return ".".join(map(str, numbers))


def _after(names: Sequence[str], values: Sequence[int]) -> Q:
    """Rows that come after `values` in the order of the columns."""
    (name, *others), (value, *more) = names, values
    later = Q(**{f"{name}__gt": value})
    return later | (Q(**{name: value}) & _after(others, more)) if others else later


def _unsold(vintage: int, area: Division | None = None, species: Species | None = None) -> Any:
    """The stock of the households that have something left."""
    stocks = Stock.objects.filter(vintage=vintage, sold__lt=F("total"))
    if area is not None:
        stocks = stocks.filter(village_code__startswith=area.prefix)
    if species is not None:
        stocks = stocks.filter(species__contains=[species.pk])
    return stocks


_LEAST_SOLD = ("sold", "shuffle", "household_id")


def least_sold(vintage: int, *, area: Division | None = None, species: Species | None = None, after: str = "") -> Page:
    """Trees for sale of the households that have sold least: one of each household, or some of each where a dozen
    households are all there are. Of a species a page may be shorter. Raises Http404 for a bad `after`.
    """
    place = read_cursor(after, 3)
    found: list[_Offer] = []
    more = True
    while more and not found:
        stocks = _unsold(vintage, area, species)
        stocks = stocks.filter(_after(_LEAST_SOLD, place)) if place else stocks
        rows = list(stocks.order_by(*_LEAST_SOLD).values_list(*_LEAST_SOLD)[: PAGE + 1])
        more, rows = len(rows) > PAGE, rows[:PAGE]
        if not rows:
            break
        each = 1 if more or place else -(-PAGE // len(rows))
        place = list(rows[-1])
        found = _offers(vintage, [row[2] for row in rows], each, species)
    found.sort(key=lambda offer: offer.turn)
    return Page(_trees([offer.tree_id for offer in found[:PAGE]]), _write_cursor(*place) if place and more else "")


def for_sale(
    vintage: int,
    *,
    area: Division | None = None,
    household: Household | None = None,
    species: Species | None = None,
    after: str = "",
    size: int = PAGE,
) -> Page:
    """All trees for sale, household by household, each one's in the order of their numbers. Of a species a page may be
    shorter than `size`, or empty, and yet not be the last. Raises Http404 for a bad `after`.
    """
    owner, rank = read_cursor(after, 2) or (0, -1)
    stocks = _unsold(vintage, area, species).filter(household_id__gte=owner)
    stocks = stocks if household is None else stocks.filter(household=household)
    # Each has at least one tree left, but for the one where the last page ended: that many fill a page.
    owners = list(stocks.order_by("household_id").values_list("household_id", flat=True)[: size + 2])
    found = _offers(vintage, owners, size + 1, species, after=(owner, rank))
    trees = _trees([offer.tree_id for offer in found[:size]])
    if len(found) > size:
        return Page(trees, _write_cursor(found[size - 1].household_id, found[size - 1].rank))
    return Page(trees, _write_cursor(owners[-1], _LAST_RANK) if len(owners) == size + 2 else "")


class _Offer(NamedTuple):
    """A tree for sale: the how manieth of its household's it is."""

    tree_id: int
    household_id: int
    rank: int
    turn: int


def _offers(
    vintage: int,
    households: Sequence[int],
    each: int,
    species: Species | None = None,
    *,
    after: tuple[int, int] = (0, -1),
) -> list[_Offer]:
    """Of each household the next `each` trees for sale, in the order of the households and their trees' numbers."""
    of_species = "JOIN trees_tree t ON t.id = s.tree_id AND t.species_id = %s" if species is not None else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT k.tree_id, h.id, k.rank, k.turn
                  FROM unnest(%s::bigint[]) WITH ORDINALITY AS h(id, place) CROSS JOIN LATERAL (
                    SELECT s.tree_id, s.rank, row_number() OVER (ORDER BY s.rank) AS turn
                      FROM purchases_sink s {of_species}
                     WHERE s.household_id = h.id AND s.vintage = %s AND s.order_id IS NULL AND s.open
                       AND (s.household_id, s.rank) > (%s, %s)
                     ORDER BY s.rank LIMIT %s) k
                 ORDER BY h.place, k.rank""",  # noqa: S608
            [list(households), *([species.pk] if species is not None else []), vintage, *after, each],
        )
        return [_Offer(*row) for row in cursor.fetchall()]


def _trees(ids: Sequence[int]) -> list[Tree]:
    """The trees with all that a card shows of them, in the order of their ids."""
    found = Tree.objects.select_related("species", "household__village", "picture").in_bulk(list(ids))
    return [found[pk] for pk in ids if pk in found]


def neighbours(vintage: int, tree: Tree) -> list[Tree]:
    """Trees for sale instead of one that is sold: of the same household, else of the same village."""
    own = for_sale(vintage, household=tree.household)
    return own.trees or least_sold(vintage, area=tree.household.village).trees


def holdings(vintage: int, village: Division, after: str = "") -> tuple[list[Holding], str]:
    """A page of a village's households with trees of the vintage, those that have sold least first, and where the list
    goes on. Raises Http404 for a bad `after`."""
    place = read_cursor(after, 3)
    stocks = Stock.objects.filter(vintage=vintage, village_code=village.code, total__gt=0)
    stocks = stocks.filter(_after(_LEAST_SOLD, place)) if place else stocks
    rows = list(stocks.order_by(*_LEAST_SOLD).select_related("household")[: HOUSEHOLDS + 1])
    shown = rows[:HOUSEHOLDS]
    following = ""
    if len(rows) > HOUSEHOLDS:
        following = _write_cursor(shown[-1].sold, shown[-1].shuffle, shown[-1].household_id)
    return [Holding(row.total, row.sold, row.household) for row in shown], following


def holding(vintage: int, household: Household) -> Holding:
    """A household with its stock, also when it has none."""
    row = Stock.objects.filter(vintage=vintage, household=household).first()
    return Holding(row.total if row else 0, row.sold if row else 0, household)
