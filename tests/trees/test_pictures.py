"""What becomes of a photo: two clean upright pictures for the public, private EXIF columns, and a hash to compare."""

import hashlib
import io
import itertools
import random
import struct
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from PIL import ExifTags, Image, PngImagePlugin, TiffImagePlugin

from tests import factories
from tests.trees.pictures import exif, picture_of, processed, public, saved
from trees import marks, photos, pictures
from trees.models import Photo, Tree

GOOD = {
    "JPEG": lambda: saved("JPEG"),
    "progressive JPEG": lambda: saved("JPEG", progressive=True),
    "grey JPEG": lambda: saved("JPEG", picture_of("L")),
    "CMYK JPEG": lambda: saved("JPEG", picture_of("CMYK")),
    "PNG": lambda: saved("PNG"),
    "PNG with alpha": lambda: saved("PNG", picture_of("RGBA")),
    "PNG with a transparent palette": lambda: saved("PNG", picture_of("P-transparent"), transparency=0),
    "grey PNG with alpha": lambda: saved("PNG", picture_of("LA")),
    "black and white PNG": lambda: saved("PNG", picture_of("1")),
    "WebP": lambda: saved("WEBP"),
    "WebP with alpha": lambda: saved("WEBP", picture_of("RGBA"), lossless=True),
    "HEIC": lambda: saved("HEIF"),
    "two pictures in one (MPO)": lambda: saved("MPO", save_all=True, append_images=[picture_of("RGB")]),
    "two frames of WebP": lambda: saved("WEBP", save_all=True, append_images=[picture_of("RGB")]),
    "the smallest": lambda: factories.picture((50, 50)),
    "garbage for EXIF": lambda: factories.picture(exif=b"Exif\0\0garbage garbage"),
    "EXIF that ends early": lambda: factories.picture(exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff"),
    "a profile of colours that is none": lambda: factories.picture(icc_profile=b"no profile"),
}


@pytest.mark.parametrize("kind", GOOD)
def test_photos_of_all_kinds_end_as_two_clean_pictures(field: Client, tree: Tree, kind: str) -> None:
    content = GOOD[kind]()
    photo = processed(field, tree, content)
    assert (photo.state, photo.refusal) == ("accepted", "")
    for size, form in itertools.product(("large", "small"), ("JPEG", "WEBP")):
        picture = public(photo, size, form)
        picture.load()
        assert (picture.format, picture.mode) == (form, "RGB")
        assert len(picture.getexif()) == 0
        assert {"exif", "icc_profile", "comment", "xmp", "photoshop", "mp"} & set(picture.info) == set()
        low, high = picture.convert("L").getextrema()
        assert high - low > 20  # Something is to be seen.
    assert photo.sha256 == hashlib.sha256(content).hexdigest()
    assert photo.dhash is not None


def test_sixteen_bit_grey_is_not_a_white_sheet(field: Client, tree: Tree) -> None:
    grey = Image.linear_gradient("L").resize((240, 180))
    deep = Image.frombytes("I;16", grey.size, b"".join(struct.pack("<H", value * 257) for value in grey.tobytes()))
    photo = processed(field, tree, saved("PNG", deep))
    assert photo.state == "accepted"
    histogram = public(photo).convert("L").histogram()
    assert sum(histogram[250:]) < sum(histogram) / 4


def test_what_is_transparent_becomes_white_not_whatever_lay_beneath(field: Client, tree: Tree) -> None:
    image = Image.new("RGBA", (200, 200), (255, 0, 0, 0))
    image.paste((0, 128, 0, 255), (50, 50, 150, 150))
    photo = processed(field, tree, saved("PNG", image))
    picture = public(photo)
    assert all(value > 245 for value in picture.getpixel((5, 5)))
    assert picture.getpixel((100, 100))[1] > 100


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright_whatever_the_camera_held(field: Client, tree: Tree, orientation: int) -> None:
    upright = Image.new("RGB", (120, 200), "white")  # Taller than wide, red above left, blue below left.
    upright.paste("red", (0, 0, 60, 60))
    upright.paste("blue", (0, 140, 60, 200))
    turns = {
        1: [], 2: ["FLIP_LEFT_RIGHT"], 3: ["ROTATE_180"], 4: ["FLIP_TOP_BOTTOM"], 5: ["TRANSPOSE"],
        6: ["ROTATE_90"], 7: ["TRANSVERSE"], 8: ["ROTATE_270"],
    }[orientation]  # fmt: skip
    held = upright
    for turn in turns:
        held = held.transpose(Image.Transpose[turn])
    photo = processed(field, tree, saved("JPEG", held, exif=exif(Orientation=orientation), quality=95))
    for size in ("large", "small"):
        picture = public(photo, size)
        assert picture.size == (120, 200)
        red, blue = picture.getpixel((20, 20)), picture.getpixel((20, 180))
        assert red[0] > 200 > 60 > red[2]
        assert blue[2] > 200 > 60 > blue[0]


@pytest.mark.parametrize(
    ("size", "large", "small"),
    [
        ((4000, 3000), (1600, 1200), (400, 300)), ((3000, 4000), (1200, 1600), (300, 400)),
        ((1601, 900), (1600, 899), (400, 225)), ((300, 200), (300, 200), (300, 200)), ((6000, 300), (1600, 80), (400, 20)),
    ],
)  # fmt: skip
def test_public_pictures_have_at_most_1600_and_400_pixels(
    field: Client, tree: Tree, size: tuple[int, int], large: tuple[int, int], small: tuple[int, int]
) -> None:
    photo = processed(field, tree, factories.picture(size))
    assert photo.state == "accepted"
    for name, (width, height) in (("large", large), ("small", small)):
        picture = public(photo, name)
        assert abs(picture.width - width) <= 1
        assert abs(picture.height - height) <= 1


NOT_A_NUMBER = TiffImagePlugin.IFDRational(0, 0)
SECRET = b"<script>alert('polyglot')</script>PK\x03\x04"
GPS = {
    "GPSLatitudeRef": "N",
    "GPSLatitude": (25.0, 54.0, 43.2),
    "GPSLongitudeRef": "E",
    "GPSLongitude": (108.0, 55.0, 15.6),
}


def test_nothing_of_the_original_but_its_pixels_reaches_the_public(field: Client, tree: Tree, media: Path) -> None:
    content = factories.picture(
        exif=exif(Make="CameraMaker", Software="Version 9", DateTime="2024:05:06 07:08:09", gps=GPS),
        comment=b"CommentOfTheOwner", icc_profile=b"IccProfileSecret",
    ) + SECRET  # fmt: skip
    photo = processed(field, tree, content)
    assert photo.state == "accepted"
    written_files = list((media / "public" / photo.large.name).parent.iterdir())
    assert len(written_files) == 4
    for path in written_files:
        written = path.read_bytes()
        for secret in (
            SECRET[:20],
            b"CameraMaker",
            b"Version 9",
            b"2024:05",
            b"CommentOf",
            b"IccProfile",
            b"Exif",
            b"GPS",
        ):
            assert secret not in written
    with photo.original.open("rb") as kept:
        assert kept.read() == content


def test_text_in_a_png_stays_out_too(field: Client, tree: Tree, media: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "NameOfTheOwner")
    photo = processed(field, tree, saved("PNG", pnginfo=info))
    assert b"NameOfTheOwner" not in (media / "public" / photo.large.name).read_bytes()


class TestExif:
    """What a camera wrote goes to private columns, as far as it makes sense."""

    def read(self, field: Client, tree: Tree, **tags: Any) -> Photo:
        photo = processed(field, tree, factories.picture(exif=exif(**tags)))
        assert photo.state == "accepted"
        return photo

    def test_time_and_position_are_kept_privately(self, field: Client, tree: Tree) -> None:
        photo = self.read(field, tree, DateTime="2024:05:06 07:08:09", gps=GPS)
        assert photo.exif_taken_at == datetime(2024, 5, 6, 7, 8, 9, tzinfo=ZoneInfo("Asia/Shanghai"))
        assert (photo.exif_lat, photo.exif_lon) == (pytest.approx(25.912), pytest.approx(108.921))
        assert "exif" not in field.get(f"/api/v1/trees/{tree.number}").content.decode()

    @pytest.mark.parametrize(
        ("offset", "zone"), [("+08:00", "Asia/Shanghai"), ("+00:00", "UTC"), ("somewhere", "Asia/Shanghai")]
    )
    def test_the_camera_s_own_offset_counts(self, field: Client, tree: Tree, offset: str, zone: str) -> None:
        made = Image.Exif()
        made[ExifTags.IFD.Exif] = {
            ExifTags.Base.DateTimeOriginal: "2024:05:06 07:08:09", ExifTags.Base.OffsetTimeOriginal: offset,
        }  # fmt: skip
        photo = processed(field, tree, factories.picture(exif=made))
        assert photo.exif_taken_at == datetime(2024, 5, 6, 7, 8, 9, tzinfo=ZoneInfo(zone))

    def test_south_and_west_are_negative(self, field: Client, tree: Tree) -> None:
        photo = self.read(field, tree, gps=GPS | {"GPSLatitudeRef": "S", "GPSLongitudeRef": "W"})
        assert (photo.exif_lat, photo.exif_lon) == (pytest.approx(-25.912), pytest.approx(-108.921))

    @pytest.mark.parametrize(
        "gps",
        [
            {"GPSLatitude": (0.0, 0.0, 0.0), "GPSLongitude": (0.0, 0.0, 0.0)},
            {"GPSLatitude": (NOT_A_NUMBER, 0.0, 0.0)}, {"GPSLongitude": (108.0, NOT_A_NUMBER, 0.0)},
            {"GPSLatitude": (91.0, 0.0, 0.0)}, {"GPSLongitude": (181.0, 0.0, 0.0)}, {"GPSLatitude": (25.0, 54.0)},
            {"GPSLatitude": (25.0,)}, {"GPSLatitudeRef": "X"}, {"GPSLongitudeRef": ""},
        ],
        ids=str,
    )  # fmt: skip
    def test_a_position_that_is_none_is_not_kept(self, field: Client, tree: Tree, gps: dict[str, Any]) -> None:
        photo = self.read(field, tree, gps=GPS | gps)
        assert (photo.exif_lat, photo.exif_lon) == (None, None)

    @pytest.mark.parametrize("missing", GPS)
    def test_half_a_position_is_none(self, field: Client, tree: Tree, missing: str) -> None:
        photo = self.read(field, tree, gps={name: value for name, value in GPS.items() if name != missing})
        assert (photo.exif_lat, photo.exif_lon) == (None, None)

    @pytest.mark.parametrize(
        "text",
        ["0000:00:00 00:00:00", "    :  :     :  :  ", "yesterday", "2024:02:30 00:00:00", "2099:01:01 00:00:00"],
    )
    def test_a_time_that_is_none_is_not_kept(self, field: Client, tree: Tree, text: str) -> None:
        assert self.read(field, tree, DateTime=text).exif_taken_at is None


class TestHash:
    def differing(self, first: int, second: int) -> int:
        return ((first ^ second) & (2**64 - 1)).bit_count()

    def scene(self, seed: int) -> Image.Image:
        chance = random.Random(seed)
        image = Image.new("RGB", (480, 360), (chance.randint(0, 255),) * 3)
        for _ in range(12):
            x, y = chance.randint(0, 420), chance.randint(0, 300)
            image.paste(tuple(chance.randint(0, 255) for _ in range(3)), (x, y, x + chance.randint(30, 150), y + 90))
        return image

    def test_recompressed_and_smaller_copies_are_near_and_other_scenes_far(self) -> None:
        hashes = {}
        for seed in range(6):
            scene = self.scene(seed)
            hashes[seed] = pictures.process(saved("JPEG", scene, quality=95)).dhash
            for copy in (
                saved("JPEG", scene, quality=30),
                saved("PNG", scene.resize((240, 180))),
                saved("WEBP", scene),
            ):
                assert self.differing(hashes[seed], pictures.process(copy).dhash) <= 6
        for first in hashes:
            for second in hashes:
                assert first == second or self.differing(hashes[first], hashes[second]) >= 12

    def test_it_fits_into_a_signed_column(self) -> None:
        falling = Image.linear_gradient("L").rotate(-90)
        rising = Image.linear_gradient("L").rotate(90)
        assert {marks.dhash(falling), marks.dhash(rising)} == {-1, 0}


def test_no_mutilated_photo_brings_the_task_down(field: Client, tree: Tree) -> None:
    """Every file is accepted or refused; never an exception, whatever a bad line did to it."""
    chance = random.Random(8)
    originals = [saved("JPEG", exif=exif(Make="x", gps=GPS)), saved("PNG"), saved("WEBP"), saved("HEIF")]
    ends = {"accepted": 0, "refused": 0, "at once": 0}
    for content in originals:
        for _ in range(40):
            damaged = bytearray(content)
            for _ in range(chance.randint(1, 12)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            try:
                photos.check_header(io.BytesIO(damaged))
                pictures.process(bytes(damaged))
                ends["accepted"] += 1
            except photos.DomainError:
                ends["at once"] += 1
            except pictures.PictureError:
                ends["refused"] += 1
    assert min(ends.values()) > 0
