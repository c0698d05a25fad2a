"""What a photo's EXIF says against what was recorded: another time, another place. The columns behind are private."""

from datetime import datetime, timedelta
from typing import Any

from carbonsink.days import midnight
from trees.distances import distance_m
from trees.models import Flag, Photo

# A camera whose zone is set wrongly is up to 14 hours off, and one that tells no zone is taken for one of ours.
TOLERANCE = timedelta(hours=24)
# A tree is photographed from some steps away, and a phone among trees is off by tens of metres.
TOLERANCE_M = 200


def find_contradictions(photo: Photo) -> list[tuple[Flag.Kind, dict[str, Any]]]:
    """The kinds of flags that an accepted photo's EXIF gives rise to, with their evidence."""
    found: list[tuple[Flag.Kind, dict[str, Any]]] = []
    if photo.exif_taken_at is not None and (off := _off(photo, photo.exif_taken_at)) > TOLERANCE:
        evidence = {"hours": round(off / timedelta(hours=1)), "taken_at": photo.exif_taken_at.isoformat()}
        found.append((Flag.Kind.PHOTO_TIME, {"photo": photo.pk, **evidence}))
    recorded = photo.inspection if photo.inspection is not None and photo.inspection.lon is not None else photo.tree
    if None not in (photo.exif_lon, photo.exif_lat, recorded.lon, recorded.lat):
        metres = distance_m((photo.exif_lon, photo.exif_lat), (recorded.lon, recorded.lat))
        if metres > TOLERANCE_M + (recorded.accuracy_m or 0):
            evidence = {"distance_m": round(metres), "accuracy_m": recorded.accuracy_m}
            found.append((Flag.Kind.PHOTO_PLACE, {"photo": photo.pk, **evidence}))
    return found


def _off(photo: Photo, taken: datetime) -> timedelta:
    """How long before or after the recorded time the photo was taken; negative: within it.

    Recorded is a moment by the same device's clock, or only a day. A further photo of a tree, as after a rejection, may
    be as young as its arrival.
    """
    first, last = photo.tree.captured_at, photo.tree.captured_at
    if photo.inspection is not None or first is None or last is None:
        day = photo.inspection.inspected_on if photo.inspection is not None else photo.tree.measured_on
        first = midnight(day)
        last = first + timedelta(days=1)
    if photo.inspection is None and photo.tree.photos.filter(pk__lt=photo.pk).exists():
        last = max(last, photo.received_at)
    return max(first - taken, taken - last)
