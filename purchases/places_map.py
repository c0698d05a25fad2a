"""What a map of places shows: counties by their outlines, villages by circles. Drawn by static/js/places-map.js."""

from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils.http import urlencode

from carbonsink.templatetags.places import place
from purchases import outlines, survey
from purchases.areas import Area
from trees.models import Division


def places_map(vintage: int, prefix: str, places: list[Area]) -> dict[str, Any] | None:
    """What the map of the divisions within `prefix` needs, JSON-able; None where there is nothing to draw.

    A place is drawn by its outline, where that was loaded, or by a circle where its trees stand, rounded to 0.01°.
    """
    if not places:
        return None
    within = prefix[: Division.DIGITS["county"]]
    drawn = outlines.codes(within)
    found = survey.latest(vintage)
    positions = found.positions(prefix) if found else {}
    shown = [_place(area, positions.get(area.division.code)) for area in places]
    if not any(item["position"] or item["code"] in drawn for item in shown):
        return None
    return {
        "outlines": f"{reverse('purchases:map-outlines')}?{urlencode({'within': within})}" if drawn else "",
        "tiles": settings.MAP_TILES_URL,
        "attribution": settings.MAP_TILES_ATTRIBUTION,
        "places": shown,
    }


def _place(area: Area, position: tuple[float, float] | None) -> dict[str, Any]:
    return {
        "code": area.division.code,
        "name": place(area.division.name),
        "url": reverse("purchases:area", args=[area.division.code]),
        "unsold": area.unsold,
        "total": area.total,
        "position": position,
    }
