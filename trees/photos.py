"""Photos of trees: looked at when they arrive, decoded and re-encoded by a task afterwards.

The header decides at once whether a file can be a photo; only the task decodes it, and a picture that cannot be
decoded is refused with the reason. Public pictures are new JPEGs without any metadata.
"""

import hashlib
import io
import math
import secrets
import struct
import warnings
from contextlib import suppress
from datetime import datetime, timedelta
from typing import IO, Any, BinaryIO

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage, storages
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _
from PIL import ExifTags, Image

from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.states import move
from trees.models import Inspection, Photo, Tree

FORMATS = ["JPEG", "PNG", "WEBP", "HEIF"]  # MPO comes by way of JPEG.
# Only JPEG can be decoded at a fraction of its size; the others are capped at what fits into a worker.
MAX_PIXELS = {"JPEG": settings.PHOTO_MAX_PIXELS, "MPO": settings.PHOTO_MAX_PIXELS}
MAX_PIXELS_OTHERS = 24_000_000
LARGE, SMALL, QUALITY = 1600, 400, 82
MAX_TRIES = 3
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
SIGNS = {"N": 1, "E": 1, "S": -1, "W": -1}
# What Pillow and libheif raise for files and metadata that are not what they seem.
BROKEN = (
    OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, RuntimeError,
    EOFError, struct.error, Image.DecompressionBombError,
)  # fmt: skip


def check_header(file: BinaryIO) -> None:
    """Raises DomainError unless the file begins like a photo of an allowed kind and size. Decodes nothing."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if size > settings.PHOTO_MAX_BYTES:
        raise DomainError(
            "photo_too_large",
            _("The photo has more than %(mb)s MB. Take it again with a lower resolution.")
            % {"mb": settings.PHOTO_MAX_BYTES // 2**20},
            status=413,
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Size is judged below; what else Pillow notes is the file's business.
            with Image.open(file, formats=FORMATS) as image:
                pixels, form = image.width * image.height, image.format or ""
                if image.mode == "CMYK" or image.info.get("progressive"):
                    form = ""  # These are decoded whole, like the other formats.
    except Image.DecompressionBombError:
        pixels, form = MAX_PIXELS_OTHERS + settings.PHOTO_MAX_PIXELS, ""
    except BROKEN as error:
        raise DomainError(
            "not_a_photo", _("This file is not a photo (JPEG, PNG, WebP or HEIC). Choose another one.")
        ) from error
    finally:
        file.seek(0)
    if pixels > MAX_PIXELS.get(form, MAX_PIXELS_OTHERS):
        raise DomainError(
            "photo_too_large",
            _("The photo has too many pixels. Take it again with a lower resolution."),
            status=413,
        )


def take_photo(tree: Tree, file: BinaryIO, *, officer: User, inspection: Inspection | None = None) -> Photo:
    """Keeps an arriving photo as evidence and has it processed. The same file twice for a tree: the same photo.

    A tree in the scheme takes photos with an inspection only. The file is stored under its SHA-256 before the row is
    written, so that a crash between leaves nothing half done.
    """
    if inspection is None and tree.state not in (Tree.State.DRAFT, Tree.State.SUBMITTED, Tree.State.REJECTED):
        raise DomainError("wrong_state", _("This tree has been reviewed: its photos stay as they are."), status=409)
    check_header(file)
    content = file.read()
    sha256 = hashlib.sha256(content).hexdigest()
    known = tree.photos.filter(sha256=sha256).first()
    if known is not None:
        return known
    name = _keep(sha256, content)
    photo, _made = Photo.objects.get_or_create(
        tree=tree, sha256=sha256, defaults={"original": name, "uploaded_by": officer, "inspection": inspection}
    )
    from trees.tasks import process_photo

    transaction.on_commit(lambda: process_photo.delay(photo.pk), robust=True)
    return photo


def _keep(sha256: str, content: bytes) -> str:
    """Stores an original among the evidence, unless it is there, and returns its name."""
    evidence, name = storages["evidence"], f"{sha256[:2]}/{sha256}"
    if evidence.exists(name) and evidence.size(name) != len(content):
        evidence.delete(name)  # Begun by a process that died.
    return name if evidence.exists(name) else evidence.save(name, ContentFile(content))


def process(photo: Photo) -> None:
    """Decodes a received photo, makes its public pictures and moves it to accepted, or to refused with the reason.

    Raises DomainError("wrong_state") when another worker was faster; its pictures count, and none of ours stay.
    Each try is counted before it begins: a photo that kills its worker is refused in the end.
    """
    Photo.objects.filter(pk=photo.pk).update(tries=F("tries") + 1)
    photo.refresh_from_db(fields=["tries"])
    if photo.tries > MAX_TRIES:
        move(photo, Photo.State.REFUSED, reason="too many tries", refusal=Photo.Refusal.FAILED)
        return
    try:
        with photo.original.open("rb") as file:
            found = read(file)
    except DomainError as error:
        move(photo, Photo.State.REFUSED, reason=error.code, refusal=error.code)
        return
    token = secrets.token_hex(16)
    names = {
        size: default_storage.save(f"trees/{token[:2]}/{token}-{size}.jpg", ContentFile(found.pop(size)))
        for size in ("large", "small")
    }
    try:
        with transaction.atomic():
            move(photo, Photo.State.ACCEPTED, **names, **found)
            Tree.objects.filter(pk=photo.tree_id).exclude(picture__gt=photo.pk).update(picture=photo)
    except DomainError:
        for name in names.values():
            default_storage.delete(name)
        raise


def read(file: IO[bytes]) -> dict[str, Any]:
    """Decodes a photo: `large` and `small` JPEG bytes, `dhash`, and what its EXIF says (private columns)."""
    unreadable = DomainError("unreadable", Photo.Refusal.UNREADABLE.label)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(file, formats=FORMATS) as image:
                exif = read_exif(image)
                # draft() compares with the photo's own aspect; a square would switch it off.
                scale = LARGE / max(image.size)
                image.draft("RGB", (math.ceil(image.width * scale), math.ceil(image.height * scale)))
                image.load()
                shrunk = _upright(_eight_bit(image))
    except BROKEN as error:
        raise unreadable from error
    shrunk.thumbnail((LARGE, LARGE), Image.Resampling.BICUBIC)
    upright = _on_white(shrunk)
    if min(upright.size) < 50:
        raise DomainError("too_small", Photo.Refusal.TOO_SMALL.label)
    large = _jpeg(upright)
    upright.thumbnail((SMALL, SMALL), Image.Resampling.BICUBIC)
    return {"large": large, "small": _jpeg(upright), "dhash": dhash(upright), **exif}


def _eight_bit(image: Image.Image) -> Image.Image:
    """As RGB, or RGBA where something is transparent. 16-bit grey is scaled; converting alone would cut it off."""
    if image.mode.startswith("I"):
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _upright(image: Image.Image) -> Image.Image:
    """Turned as the camera was held. Not by Pillow's `exif_transpose`: that one writes the rest of the EXIF anew, and
    fails where it is broken."""
    turn = None
    with suppress(*BROKEN):
        turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    return image if turn is None else image.transpose(turn)


def _on_white(image: Image.Image) -> Image.Image:
    """Without transparency; converting alone would show whatever lay beneath."""
    if image.mode != "RGBA":
        return image
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    return white.convert("RGB")


def _jpeg(image: Image.Image) -> bytes:
    clean = Image.new("RGB", image.size)  # A new image carries no EXIF, ICC profile or comment along.
    clean.paste(image)
    buffer = io.BytesIO()
    clean.save(buffer, "JPEG", quality=QUALITY, progressive=True)
    return buffer.getvalue()


def dhash(image: Image.Image) -> int:
    """64-bit difference hash, signed: near-same pictures differ in few bits."""
    grey = image.convert("L").resize((9, 8), Image.Resampling.BILINEAR)
    pixels = grey.tobytes()
    bits = "".join("1" if pixels[9 * y + x] > pixels[9 * y + x + 1] else "0" for y in range(8) for x in range(8))
    value = int(bits, 2)
    return value - 2**64 if value >= 2**63 else value


def read_exif(image: Image.Image) -> dict[str, Any]:
    """Time and position a camera wrote, as far as they make sense; EXIF is often broken and never trusted."""
    found: dict[str, Any] = {"exif_taken_at": None, "exif_lon": None, "exif_lat": None}
    with suppress(*BROKEN):  # Broken EXIF only means that there is none.
        exif = image.getexif()
        details = exif.get_ifd(ExifTags.IFD.Exif)
        text = details.get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime)
        if text:
            taken = timezone.make_aware(datetime.strptime(str(text)[:19], "%Y:%m:%d %H:%M:%S"))
            if taken <= timezone.now() + timedelta(days=1):
                found["exif_taken_at"] = taken
    with suppress(*BROKEN):
        gps = image.getexif().get_ifd(ExifTags.IFD.GPSInfo)
        lat = _degrees(gps[ExifTags.GPS.GPSLatitude]) * SIGNS[gps[ExifTags.GPS.GPSLatitudeRef]]
        lon = _degrees(gps[ExifTags.GPS.GPSLongitude]) * SIGNS[gps[ExifTags.GPS.GPSLongitudeRef]]
        if abs(lat) <= 90 and abs(lon) <= 180 and (lat, lon) != (0, 0):
            found |= {"exif_lat": lat, "exif_lon": lon}
    return found


def _degrees(parts: Any) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    value = degrees + minutes / 60 + seconds / 3600
    if not math.isfinite(value):
        raise ValueError("not a position")
    return value
