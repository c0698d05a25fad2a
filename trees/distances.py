"""Distances on the ground, on a sphere with the Earth's mean radius."""

import math
from typing import Any

EARTH_RADIUS_M = 6_371_000
METRES_PER_DEGREE = 111_195  # Of latitude.


def distance_m(first: tuple[Any, Any], second: tuple[Any, Any]) -> float:
    """Metres between two positions (longitude, latitude in degrees)."""
    (lon1, lat1), (lon2, lat2) = ([math.radians(float(part)) for part in place] for place in (first, second))
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(half)))
