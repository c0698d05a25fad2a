"""Photos of every kind, and the way one takes through the door and the task."""

import io
import random
import struct
import zlib
from typing import Any

from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import ExifTags, Image, ImageDraw

from tests import factories
from trees import tasks
from trees.models import Photo, Tree


def upload(client: Client, tree: Tree, content: bytes, name: str = "x.jpg", kind: str = "image/jpeg") -> Any:
    return client.post(f"/api/v1/trees/{tree.number}/photos", {"file": SimpleUploadedFile(name, content, kind)})


def processed(client: Client, tree: Tree, content: bytes) -> Photo:
    """A photo after it went through the door and the task."""
    answer = upload(client, tree, content)
    assert (answer.status_code, answer.json()["state"]) == (201, "received"), answer.content
    photo = Photo.objects.get(sha256=answer.json()["sha256"])
    tasks.process_photo(photo.pk)
    photo.refresh_from_db()
    return photo


def public(photo: Photo, size: str = "large", form: str = "JPEG") -> Image.Image:
    name = getattr(photo, size).name
    with default_storage.open(name if form == "JPEG" else name.removesuffix(".jpg") + ".webp") as file:
        return Image.open(io.BytesIO(file.read()))


def png_header(width: int, height: int) -> bytes:
    """The beginning of a PNG that claims to be this large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def jpeg_header(width: int, height: int, mode: str = "RGB", progressive: bool = False) -> bytes:
    """A small JPEG whose header claims to be this large."""
    content = bytearray(saved("JPEG", picture_of(mode), progressive=progressive))
    at = content.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    content[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(content)


def saved(form: str, image: Image.Image | None = None, **options: Any) -> bytes:
    buffer = io.BytesIO()
    (image or Image.open(io.BytesIO(factories.picture()))).save(buffer, form, **options)
    return buffer.getvalue()


def exif(**tags: Any) -> Image.Exif:
    """EXIF with tags of the main directory and, under gps, of the position."""
    made = Image.Exif()
    gps = tags.pop("gps", None)
    for name, value in tags.items():
        made[getattr(ExifTags.Base, name)] = value
    if gps:
        made[ExifTags.IFD.GPSInfo] = {getattr(ExifTags.GPS, name): value for name, value in gps.items()}
    return made


def picture_of(mode: str, size: tuple[int, int] = (240, 180)) -> Image.Image:
    image = Image.open(io.BytesIO(factories.picture(size)))
    if mode == "RGBA":
        image.putalpha(128)
        return image
    if mode == "P-transparent":
        return image.quantize(16)
    return image.convert(mode)


def scene(seed: int, size: tuple[int, int] = (1200, 900)) -> Image.Image:
    """A picture full of things, as a photo of a wood is; each seed gives another one."""
    chance = random.Random(seed)
    image = Image.new("RGB", size, (120, 140, 110))
    draw = ImageDraw.Draw(image)
    for _ in range(600):
        x, y, reach = chance.randint(0, size[0]), chance.randint(0, size[1]), chance.randint(6, 40)
        corners = [(x + chance.randint(-reach, reach), y + chance.randint(-reach, reach)) for _ in range(4)]
        draw.polygon(corners, fill=tuple(chance.randint(0, 255) for _ in range(3)))
    return image
