"""From a photo's bytes to what is kept of it: public pictures, hash, marks and what its EXIF says. Knows no models.

Only JPEG is decoded at a fraction of its size. Everything here may be fed anything: `process_confined` runs it in a
child process with little memory and time.
"""

import io
import math
import warnings
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

import cv2
import numpy as np
from django.conf import settings
from PIL import ExifTags, Image
from pillow_heif import register_heif_opener

from carbonsink.confinement import ChildLost, Confined
from trees import exif, marks

FORMATS = ["JPEG", "PNG", "WEBP", "HEIF"]  # MPO comes by way of JPEG. AVIF: see docs/decisions/0008.
# What is decoded whole, and progressive JPEGs, whose coefficients are kept whole: up to 210 MB at this size.
MAX_PIXELS_WHOLE = 24_000_000
LARGE, SMALL, QUALITY = 1600, 400, 82
WEBP_METHOD = 2
SMALLEST = 50
# 15 MB of file and this are what one photo may cost a worker; the largest allowed ones take about 215 MB.
MEGABYTES, SECONDS = 270, 60
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
# What Pillow, libheif and OpenCV raise for files and metadata that are not what they seem.
BROKEN = (*exif.BROKEN, Image.DecompressionBombError, cv2.error)

register_heif_opener(thumbnails=False)
cv2.setNumThreads(1)  # Workers share the cores among themselves, and a forked child has no threads.


class PictureError(Exception):
    """A photo that cannot be taken: `code` is one of `Photo.Refusal`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Pictures:
    """What is made of a photo. The pictures carry no metadata; `files` has them by the end of their names."""

    files: dict[str, bytes]
    dhash: int
    marks: list[int]
    exif_taken_at: datetime | None
    exif_lon: float | None
    exif_lat: float | None


def allowed(file: BinaryIO) -> bool:
    """Whether the header tells of a photo within our limits of pixels; decodes nothing. ValueError: no photo."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Size is judged here; what else Pillow notes is the file's business.
            with Image.open(file, formats=FORMATS) as image:
                drafted = image.format in ("JPEG", "MPO") and not image.info.get("progressive")
                return image.width * image.height <= (settings.PHOTO_MAX_PIXELS if drafted else MAX_PIXELS_WHOLE)
    except Image.DecompressionBombError:
        return False
    except BROKEN as error:
        raise ValueError("not a photo") from error


def process_confined(content: bytes) -> Pictures:
    """As `process`, in a child process. PictureError too when the photo needs more memory or time than there is."""
    try:
        return _confined(content)
    except MemoryError as error:
        raise PictureError("too_large") from error
    except ChildLost as error:
        raise PictureError("failed") from error


def process(content: bytes) -> Pictures:
    """Everything that is kept of a photo besides its original. Raises PictureError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shrunk, taken_at, lon, lat = _decode(content)
            upright = _on_white(shrunk)
    except BROKEN as error:
        raise PictureError("unreadable") from error
    if min(upright.size) < SMALLEST:
        raise PictureError("too_small")
    upright.thumbnail((LARGE, LARGE), Image.Resampling.BICUBIC)
    grey = marks.grey(upright)
    files = _encode(upright, "large")
    upright.thumbnail((SMALL, SMALL), Image.Resampling.BICUBIC)
    files |= _encode(upright, "small")
    return Pictures(files, marks.dhash(upright), marks.of(grey), taken_at, lon, lat)


def _decode(content: bytes) -> tuple[Image.Image, datetime | None, float | None, float | None]:
    """The photo, turned as the camera was held and not much larger than the large picture; its EXIF's time and place.

    Not turned by Pillow's `exif_transpose`: that one writes the rest of the EXIF anew, and fails where it is broken.
    """
    turn = None
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        taken_at, (lon, lat) = exif.taken_at(image), exif.position(image)
        with suppress(*BROKEN):
            turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
        by_pillow = image.format != "WEBP"
        if by_pillow:
            # draft() compares with the photo's own aspect; a square would switch it off.
            image.draft("RGB", _fitting(image.size))
            image.load()
            shrunk = _shrunk(image)
    del image  # With Pillow's WebP decoder, which keeps two canvases.
    if not by_pillow:
        shrunk = _decode_webp(content)
    return (shrunk if turn is None else shrunk.transpose(turn)), taken_at, lon, lat


def _fitting(size: tuple[int, int]) -> tuple[int, int]:
    """The size within the large picture's, in the same aspect; never enlarged."""
    scale = min(1, LARGE / max(size))
    return max(1, math.ceil(size[0] * scale)), max(1, math.ceil(size[1] * scale))


def _shrunk(image: Image.Image) -> Image.Image:
    """As RGB, or RGBA where something is transparent; shrunk before it is converted, which would copy all of it."""
    if image.mode.startswith("I"):
        # 16-bit grey is scaled; converting alone would cut it off.
        deep = np.asarray(image)
        image = Image.fromarray((deep >> 8 if deep.max(initial=0) > 255 else deep).astype(np.uint8))
    elif image.mode not in ("RGB", "RGBA", "L", "LA", "CMYK"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    transparent = image.has_transparency_data
    if max(image.size) > 2 * LARGE:
        image = image.resize(_fitting(image.size), Image.Resampling.BICUBIC, reducing_gap=2)
    return image.convert("RGBA" if transparent else "RGB")


def _decode_webp(content: bytes) -> Image.Image:
    """By OpenCV, which takes half the memory: Pillow decodes every WebP as an animation."""
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 3:
        raise ValueError("not decodable")
    height, width = pixels.shape[:2]
    if max(width, height) > LARGE:
        pixels = cv2.resize(pixels, _fitting((width, height)), interpolation=cv2.INTER_AREA)
    order = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return Image.fromarray(cv2.cvtColor(pixels, order))


def _on_white(image: Image.Image) -> Image.Image:
    """A new picture without transparency; it carries no EXIF, ICC profile or comment along."""
    clean = Image.new("RGB", image.size, "white")
    clean.paste(image, mask=image.getchannel("A") if image.mode == "RGBA" else None)
    return clean


def _encode(image: Image.Image, size: str) -> dict[str, bytes]:
    """One public picture: WebP, and JPEG for old browsers."""
    jpeg, webp = io.BytesIO(), io.BytesIO()
    image.save(jpeg, "JPEG", quality=QUALITY, progressive=True)
    image.save(webp, "WEBP", quality=QUALITY, method=WEBP_METHOD)
    return {f"{size}.jpg": jpeg.getvalue(), f"{size}.webp": webp.getvalue()}


_confined = Confined(process, megabytes=MEGABYTES, seconds=SECONDS)
