"""Trees at chosen places, and outlines around them."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone

from tests import factories
from trees.models import Flag, Household, Tree

LON, LAT = Decimal("108.921000"), Decimal("25.912000")
NOON = timezone.make_aware(datetime(2026, 3, 2, 12))


def place(north: str | float = 0, east: str | float = 0) -> dict[str, Decimal]:
    """A position so many degrees off the usual one."""
    return {"lat": LAT + Decimal(str(north)), "lon": LON + Decimal(str(east))}


def plant(owner: Household, **changes: Any) -> Tree:
    """A tree without a photo, as the device registers it; on the usual spot unless said otherwise."""
    return factories.tree(owner, photo=False, **{**place(), **changes})


def square(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    """An outline with four corners."""
    return {"type": "Polygon", "coordinates": [ring(west, south, east, north)]}


def ring(west: float, south: float, east: float, north: float) -> list[list[float]]:
    """A closed ring with four corners."""
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def flags(kind: str) -> list[tuple[Tree | None, Tree | None, dict[str, Any]]]:
    """All flags of a kind, oldest first: the tree, the other tree, the evidence."""
    return [(flag.tree, flag.other_tree, flag.evidence) for flag in Flag.objects.filter(kind=kind).order_by("pk")]
