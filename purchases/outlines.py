"""Outlines of counties for the map, drawn with no more corners than a phone can show."""

import hashlib
import json
import math
from typing import Any

from django.core.cache import cache
from django.db import connection

from trees.boundaries import rings_of
from trees.models import Boundary, Division

# About 300 m: less than a pixel of a map that shows a province on a phone.
TOLERANCE_DEGREES = 0.003
DECIMALS = 4
KEPT_SECONDS = 24 * 3600
Position = tuple[float, float]


def simplified(ring: list[Position], tolerance: float = TOLERANCE_DEGREES) -> list[Position]:
    """A closed ring with fewer corners, none of those left out farther from the new line than `tolerance` degrees
    (Douglas and Peucker 1973). The first corner stays, and so does the one farthest from it."""
    if len(ring) <= 4:
        return ring
    far = max(range(len(ring)), key=lambda index: math.dist(ring[0], ring[index]))
    kept = {0, far, len(ring) - 1}
    open_parts = [(0, far), (far, len(ring) - 1)]
    while open_parts:
        start, end = open_parts.pop()
        if end - start < 2:
            continue
        worst = max(range(start + 1, end), key=lambda index: _distance(ring[index], ring[start], ring[end]))
        if _distance(ring[worst], ring[start], ring[end]) > tolerance:
            kept.add(worst)
            open_parts += [(start, worst), (worst, end)]
    found = [ring[index] for index in sorted(kept)]
    return found if len(found) >= 4 else ring


def _distance(point: Position, start: Position, end: Position) -> float:
    """How far a point is from a stretch, in the units of its coordinates."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = dx * dx + dy * dy
    along = 0.0 if length == 0 else ((point[0] - start[0]) * dx + (point[1] - start[1]) * dy) / length
    along = min(1.0, max(0.0, along))
    return math.dist(point, (start[0] + along * dx, start[1] + along * dy))


def _versions(prefix: str) -> list[tuple[str, str]]:
    """The counties within a prefix that have outlines, each with the version of its row."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT b.division_id, b.xmin::text || b.ctid::text FROM trees_boundary b
                 JOIN trees_division d ON d.code = b.division_id
                WHERE d.level = %s AND b.division_id LIKE %s ORDER BY b.division_id""",
            [Division.Level.COUNTY, f"{prefix}%"],
        )
        return cursor.fetchall()


def codes(prefix: str) -> set[str]:
    """The counties within a prefix that have outlines."""
    return {code for code, _version in _versions(prefix)}


def version(prefix: str) -> str:
    """Names what `features` gives: another name means that an outline was added, changed or taken away."""
    known = json.dumps([TOLERANCE_DEGREES, DECIMALS, prefix, _versions(prefix)])
    return hashlib.sha256(known.encode()).hexdigest()[:20]


def features(prefix: str, named: str) -> bytes:
    """The outlines of the counties within a prefix as GeoJSON, each with its code. Kept in the cache by the version
    `named`."""
    key = f"outlines:{named}"
    kept = cache.get(key)
    if kept is None:
        rows = Boundary.objects.filter(division__level=Division.Level.COUNTY, division__code__startswith=prefix)
        drawn = [_feature(row) for row in rows.order_by("pk")]
        kept = json.dumps({"type": "FeatureCollection", "features": drawn}, separators=(",", ":")).encode()
        cache.set(key, kept, KEPT_SECONDS)
    return bytes(kept)


def _feature(row: Boundary) -> dict[str, Any]:
    # By the even-odd rule a ring alone is a part or a hole; drawn as rings of one polygon they look the same.
    rings = [simplified([(corner[0], corner[1]) for corner in ring]) for ring in rings_of(row.geometry)]
    coordinates = [[[round(lon, DECIMALS), round(lat, DECIMALS)] for lon, lat in ring] for ring in rings]
    return {
        "type": "Feature",
        "properties": {"code": row.division_id},
        "geometry": {"type": "Polygon", "coordinates": coordinates},
    }
