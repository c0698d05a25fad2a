"""What stands around a tree: its neighbours, its village's trees and boundary, as the desk's map draws them."""

import math
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from carbonsink.accounts.models import User
from trees import distances
from trees.models import Boundary, Tree

NEAR_M = 60
MOST_NEIGHBOURS, MOST_POINTS = 200, 3000


def distance_m(one: Tree, other: Tree) -> float | None:
    """Metres between two trees, or None where a position is missing."""
    if one.lon is None or one.lat is None or other.lon is None or other.lat is None:
        return None
    return distances.distance_m((one.lon, one.lat), (other.lon, other.lat))


def neighbours(tree: Tree, user: User) -> list[tuple[Tree, float]]:
    """The trees within 60 m that the user may see, nearest first, with their distance in metres."""
    if tree.lon is None or tree.lat is None:
        return []
    up = Decimal(NEAR_M / distances.METRES_PER_DEGREE)
    across = up / Decimal(max(0.01, math.cos(math.radians(float(tree.lat)))))
    box = Tree.objects.visible_to(user).filter(
        lat__range=(tree.lat - up, tree.lat + up), lon__range=(tree.lon - across, tree.lon + across)
    )
    found = [(other, distance_m(tree, other) or 0.0) for other in _shown(box).exclude(pk=tree.pk)[:MOST_NEIGHBOURS]]
    return sorted((pair for pair in found if pair[1] <= NEAR_M), key=lambda pair: pair[1])


def _shown(trees: QuerySet[Tree]) -> QuerySet[Tree]:
    return trees.exclude(state__in=[Tree.State.DRAFT, Tree.State.REJECTED])


def map_of(tree: Tree, user: User) -> dict[str, Any]:
    """All that the map of a tree draws: positions as [lon, lat]; distances in metres."""
    village = Tree.objects.visible_to(user).filter(household__village=tree.household.village_id, lat__isnull=False)
    # By ordinal, so that every household is on the map when there are too many trees for it.
    points: Any = _shown(village).order_by("ordinal", "pk").values_list("lon", "lat")[:MOST_POINTS]
    return {
        "tree": _point(tree) | {"accuracy_m": tree.accuracy_m},
        "near": [
            _point(other) | {"state": str(other.get_state_display()), "distance_m": round(metres, 1)}
            for other, metres in neighbours(tree, user)
        ],
        "village": [[float(lon), float(lat)] for lon, lat in points],
        "boundary": _boundary(tree),
        "tiles": settings.MAP_TILES_URL,
        "attribution": settings.MAP_TILES_ATTRIBUTION,
    }


def _point(tree: Tree) -> dict[str, Any]:
    position = None if tree.lon is None or tree.lat is None else [float(tree.lon), float(tree.lat)]
    return {"number": tree.number, "position": position}


def _boundary(tree: Tree) -> dict[str, Any] | None:
    """The outline of the smallest division around the tree's village that has one."""
    path = tree.household.village.path
    known = Boundary.objects.in_bulk([division.code for division in path])
    return next((known[division.code].geometry for division in reversed(path) if division.code in known), None)
