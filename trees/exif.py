"""What a camera wrote into a photo: EXIF is often broken and never trusted; what makes no sense is left out."""

import math
import struct
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from PIL import ExifTags, Image

SIGNS = {"N": 1, "E": 1, "S": -1, "W": -1}
BROKEN = (
    OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, RuntimeError,
    EOFError, struct.error,
)  # fmt: skip


def taken_at(image: Image.Image) -> datetime | None:
    """When the photo was taken; by the camera's own offset from UTC if it says one, else by the platform's zone."""
    with suppress(*BROKEN):
        exif = image.getexif()
        details = exif.get_ifd(ExifTags.IFD.Exif)
        original = details.get(ExifTags.Base.DateTimeOriginal)
        offset = details.get(ExifTags.Base.OffsetTimeOriginal if original else ExifTags.Base.OffsetTime)
        text = str(original or exif.get(ExifTags.Base.DateTime) or "")[:19]
        taken = timezone.make_aware(datetime.strptime(text, "%Y:%m:%d %H:%M:%S"))
        with suppress(*BROKEN):
            taken = datetime.strptime(f"{text} {offset}", "%Y:%m:%d %H:%M:%S %z")
        if taken <= timezone.now() + timedelta(days=1):
            return taken
    return None


def position(image: Image.Image) -> tuple[float | None, float | None]:
    """Longitude and latitude in degrees, or (None, None)."""
    with suppress(*BROKEN):
        gps = image.getexif().get_ifd(ExifTags.IFD.GPSInfo)
        lat = _degrees(gps[ExifTags.GPS.GPSLatitude]) * SIGNS[gps[ExifTags.GPS.GPSLatitudeRef]]
        lon = _degrees(gps[ExifTags.GPS.GPSLongitude]) * SIGNS[gps[ExifTags.GPS.GPSLongitudeRef]]
        if abs(lat) <= 90 and abs(lon) <= 180 and (lat, lon) != (0, 0):
            return lon, lat
    return None, None


def _degrees(parts: Any) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    value = degrees + minutes / 60 + seconds / 3600
    if not math.isfinite(value):
        raise ValueError("not a position")
    return value
