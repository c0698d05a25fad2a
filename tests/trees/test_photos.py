"""Photos of trees: what is refused at once, what the task refuses, and what the public gets to see."""

import hashlib
import io
import random
import struct
import threading
import zlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings as django_settings
from django.core.files.storage import default_storage, storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone
from PIL import ExifTags, Image, PngImagePlugin, TiffImagePlugin

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from trees import photos, tasks
from trees.models import Photo, Tree
from tests import factories
from tests.ground.threads import at_once
from tests.trees.conftest import signed_in
from tests.trees.registry import evidence, stored

NOT_A_PHOTO = "This file is not a photo (JPEG, PNG, WebP or HEIC). Choose another one."
TOO_MANY_PIXELS = "The photo has too many pixels. Take it again with a lower resolution."
DAMAGED = "The photo is damaged and cannot be read. Take it again."


@pytest.fixture
def tree(officer: User) -> Tree:
    return factories.tree(factories.household(officer), photo=False)


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


def public(photo: Photo, size: str = "large") -> Image.Image:
    with default_storage.open(getattr(photo, size).name) as file:
        return Image.open(io.BytesIO(file.read()))


def png_header(width: int, height: int) -> bytes:
    """The beginning of a PNG that claims to be this large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def jpeg_header(width: int, height: int) -> bytes:
    """A small JPEG whose header claims to be this large."""
    content = bytearray(factories.picture())
    at = content.index(b"\xff\xc0")
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


AT_ONCE = {
    "svg": (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", 400, NOT_A_PHOTO),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n", 400, NOT_A_PHOTO),
    "html": (b"<!doctype html><script>alert(1)</script>", 400, NOT_A_PHOTO),
    "gif": (b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00"
            b"\x01\x00\x01\x00\x00\x02\x02D\x01\x00;", 400, NOT_A_PHOTO),
    "tiff": (saved("TIFF"), 400, NOT_A_PHOTO),
    "bmp": (saved("BMP"), 400, NOT_A_PHOTO),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", 400, NOT_A_PHOTO),
    "html behind a JPEG's first bytes": (b"\xff\xd8\xff\xe0<html><script>alert(1)</script></html>", 400, NOT_A_PHOTO),
    "nothing but a beginning": (b"\xff\xd8\xff", 400, NOT_A_PHOTO),
    "half a PNG signature": (b"\x89PNG", 400, NOT_A_PHOTO),
    "text": ("这不是照片".encode(), 400, NOT_A_PHOTO),
    "more than 15 MB": (factories.picture() + b"\0" * (15 * 2**20), 413,
                        "The photo has more than 15 MB. Take it again with a lower resolution."),
    "a PNG bomb": (png_header(50_000, 50_000), 413, TOO_MANY_PIXELS),
    "a PNG of 25 megapixels": (png_header(5_000, 5_000), 413, TOO_MANY_PIXELS),
    "a JPEG bomb": (jpeg_header(65_000, 65_000), 413, TOO_MANY_PIXELS),
    "a JPEG of 72 megapixels": (jpeg_header(9_000, 8_000), 413, TOO_MANY_PIXELS),
}  # fmt: skip


@pytest.mark.parametrize("fault", AT_ONCE)
@pytest.mark.parametrize(("name", "kind"), [("tree.jpg", "image/jpeg"), ("../../etc/x.svg", "image/svg+xml")])
def test_what_is_no_photo_is_refused_at_once_and_not_kept(
    field: Client, tree: Tree, fault: str, name: str, kind: str
) -> None:
    content, status, sentence = AT_ONCE[fault]
    before = stored()
    answer = upload(field, tree, content, name, kind)
    assert (answer.status_code, answer.json()["message"]) == (status, sentence)
    assert stored() == before


def test_an_empty_or_missing_file_is_named(field: Client, tree: Tree) -> None:
    for answer in (upload(field, tree, b""), field.post(f"/api/v1/trees/{tree.number}/photos", {"file": "text"})):
        assert (answer.status_code, list(answer.json()["fields"])) == (400, ["file"])
    assert Photo.objects.count() == 0


def test_a_file_just_within_the_limits_is_taken(field: Client, tree: Tree) -> None:
    content = factories.picture()
    largest = content + b"\0" * (django_settings.PHOTO_MAX_BYTES - len(content))
    assert upload(field, tree, largest).status_code == 201
    assert upload(field, tree, largest + b"\0").status_code == 413


def broken() -> dict[str, tuple[bytes, str]]:
    """Photos whose header is fine: each with the sentence the officer reads after the task."""
    jpeg, png, webp = factories.picture((600, 400)), saved("PNG"), saved("WEBP")
    small = "The photo is too small to show a tree. Take it again."
    heic = saved("HEIF")
    return {
        "half a JPEG": (jpeg[: len(jpeg) // 2], DAMAGED),
        "a JPEG without its image": (jpeg[:700], DAMAGED),
        "half a PNG": (png[: len(png) // 2], DAMAGED),
        "half a WebP": (webp[: len(webp) // 2], DAMAGED),
        "a HEIC without its last third": (heic[: len(heic) * 2 // 3], DAMAGED),
        "a PNG that holds less than it claims": (png_header(2_000, 2_000), DAMAGED),
        "tiny": (factories.picture((49, 400)), small),
        "one pixel": (saved("PNG", Image.new("RGB", (1, 1))), small),
    }


@pytest.mark.parametrize("fault", broken())
def test_a_photo_that_cannot_be_decoded_is_refused_with_its_reason(field: Client, tree: Tree, fault: str) -> None:
    content, _ = broken()[fault]
    answer = upload(field, tree, content)
    if answer.status_code == 400:  # Some begin so badly that the header says it already.
        assert answer.json()["code"] == "not_a_photo"
        assert (Photo.objects.count(), evidence()) == (0, [])
        return
    assert answer.status_code == 201
    photo = Photo.objects.get()
    tasks.process_photo(photo.pk)
    photo.refresh_from_db()
    assert photo.state == "refused"
    assert photo.refusal
    assert not photo.large
    assert not default_storage.exists("trees") or default_storage.listdir("trees")[0] == []
    assert [(c.from_state, c.to_state) for c in photo.history()] == [("received", "refused")]
    told = field.get(f"/api/v1/trees/{tree.number}").json()["photos"][0]
    assert (told["state"], told["refusal"]) == ("refused", photo.refusal)
    assert photo.refusal in field.get(f"/officer/households/{tree.household.public_id}/").content.decode()
    with photo.original.open("rb") as kept:
        assert kept.read() == content  # Refused ones are evidence too.


def test_most_damage_is_found_by_decoding_not_by_the_header() -> None:
    found_late = 0
    for content, _ in broken().values():
        try:
            photos.check_header(io.BytesIO(content))
            found_late += 1
        except photos.DomainError:
            pass
    assert found_late >= 6


def picture_of(mode: str, size: tuple[int, int] = (240, 180)) -> Image.Image:
    image = Image.open(io.BytesIO(factories.picture(size)))
    if mode == "RGBA":
        image.putalpha(128)
        return image
    if mode == "P-transparent":
        return image.quantize(16)
    return image.convert(mode)


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
    for size in ("large", "small"):
        picture = public(photo, size)
        picture.load()
        assert (picture.format, picture.mode) == ("JPEG", "RGB")
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
GPS = {"GPSLatitudeRef": "N", "GPSLatitude": (25.0, 54.0, 43.2), "GPSLongitudeRef": "E", "GPSLongitude": (108.0, 55.0, 15.6)}


def test_nothing_of_the_original_but_its_pixels_reaches_the_public(field: Client, tree: Tree, media: Path) -> None:
    content = factories.picture(
        exif=exif(Make="CameraMaker", Software="Version 9", DateTime="2024:05:06 07:08:09", gps=GPS),
        comment=b"CommentOfTheOwner", icc_profile=b"IccProfileSecret",
    ) + SECRET  # fmt: skip
    photo = processed(field, tree, content)
    assert photo.state == "accepted"
    for name in (photo.large.name, photo.small.name):
        written = (media / "public" / name).read_bytes()
        for secret in (SECRET[:20], b"CameraMaker", b"Version 9", b"2024:05", b"CommentOf", b"IccProfile", b"Exif", b"GPS"):
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

    @pytest.mark.parametrize("text", ["0000:00:00 00:00:00", "    :  :     :  :  ", "yesterday", "2024:02:30 00:00:00", "2099:01:01 00:00:00"])
    def test_a_time_that_is_none_is_not_kept(self, field: Client, tree: Tree, text: str) -> None:
        assert self.read(field, tree, DateTime=text).exif_taken_at is None


class TestAddresses:
    """What can be fetched, and what cannot."""

    def test_a_public_picture_is_a_jpeg_that_nobody_sniffs(self, field: Client, tree: Tree) -> None:
        photo = processed(field, tree, saved("PNG"))
        for size in ("large", "small"):
            url = getattr(photo, size).url
            assert url.startswith("/media/trees/")
            answer = Client().get(url)
            assert answer.status_code == 200
            assert answer["Content-Type"] == "image/jpeg"
            assert answer["X-Content-Type-Options"] == "nosniff"
            assert answer["Cache-Control"] == "public, max-age=31536000, immutable"
            assert b"".join(answer.streaming_content)[:3] == b"\xff\xd8\xff"
            answer.close()
            assert Client().post(url).status_code == 405

    def test_originals_and_other_files_have_no_address(self, field: Client, tree: Tree, media: Path) -> None:
        photo = processed(field, tree, factories.picture())
        name = photo.original.name
        (media / "public" / "secret.txt").write_text("secret")
        token = photo.large.name.removeprefix("trees/")
        for path in (
            photo.original.url, f"/media/{name}", f"/media/evidence/{name}", f"/media/trees/{name}", f"/media/trees/../evidence/{name}",
            "/media/secret.txt", "/media/trees/../secret.txt", "/media/trees/%2e%2e/secret.txt", "/media/", "/media/trees/",
            f"/media/trees/{token}x", f"/media/trees/{token}\n", f"/media/trees/{token[:3]}{'0' * 32}-large.jpg",
        ):  # fmt: skip
            assert Client().get(path).status_code == 404, path

    def test_names_tell_nothing_of_tree_or_content(self, field: Client, tree: Tree) -> None:
        photo = processed(field, tree, factories.picture())
        assert tree.number not in photo.large.name
        assert photo.sha256[:16] not in photo.large.name

    def test_originals_are_for_the_server_s_user_alone(self, field: Client, tree: Tree, media: Path) -> None:
        photo = processed(field, tree, factories.picture())
        assert (media / "evidence" / photo.original.name).stat().st_mode & 0o777 == 0o600


class TestArrival:
    def test_the_same_file_again_is_the_same_photo(self, field: Client, tree: Tree) -> None:
        content = factories.picture()
        first = processed(field, tree, content)
        answer = upload(field, tree, content)
        assert (answer.status_code, answer.json()["state"]) == (201, "accepted")
        assert (Photo.objects.count(), len(evidence())) == (1, 1)
        tasks.process_photo(first.pk)
        assert first.history().count() == 1

    def test_the_same_file_for_another_tree_is_another_photo_of_one_original(
        self, field: Client, officer: User, tree: Tree
    ) -> None:
        content = factories.picture()
        processed(field, tree, content)
        other = factories.tree(tree.household, photo=False)
        assert upload(field, other, content).status_code == 201
        assert (Photo.objects.count(), len(evidence())) == (2, 1)

    def test_an_original_half_written_by_a_process_that_died_is_written_again(
        self, field: Client, tree: Tree, media: Path
    ) -> None:
        content = factories.picture()
        name = hashlib.sha256(content).hexdigest()
        path = media / "evidence" / name[:2] / name
        path.parent.mkdir(parents=True)
        path.write_bytes(content[:1000])
        photo = processed(field, tree, content)
        assert (photo.state, path.read_bytes()) == ("accepted", content)

    def test_the_sweeper_rings_for_photos_whose_bell_was_missed(self, field: Client, tree: Tree, monkeypatch: Any) -> None:
        upload(field, tree, factories.picture((100, 100)))
        upload(field, tree, factories.picture((100, 120)))
        done = processed(field, tree, factories.picture((100, 140)))
        old, new = Photo.objects.filter(state="received").order_by("pk")
        Photo.objects.filter(pk__in=[old.pk, done.pk]).update(received_at=timezone.now() - timedelta(minutes=1))
        rung: list[int] = []
        monkeypatch.setattr(tasks.process_photo, "delay", rung.append)
        tasks.sweep_photos()
        assert rung == [old.pk]
        assert new.state == "received"

    def test_a_task_for_a_photo_that_is_gone_does_nothing(self, db: None) -> None:
        tasks.process_photo(0)

    @pytest.mark.django_db(transaction=True)
    def test_ten_uploads_of_one_file_at_once_are_one_photo(self) -> None:
        officer = factories.user(roles.OFFICER)
        tree = factories.tree(factories.household(officer), photo=False)
        content, clients = factories.picture(), [signed_in(officer) for _ in range(10)]
        answers = at_once(*(lambda client=client: upload(client, tree, content) for client in clients))
        assert [answer.status_code for answer in answers] == [201] * 10
        assert Photo.objects.count() == 1
        with Photo.objects.get().original.open("rb") as kept:
            assert kept.read() == content

    @pytest.mark.django_db(transaction=True)
    def test_two_workers_at_one_photo_leave_one_pair_of_pictures(self, media: Path, monkeypatch: Any) -> None:
        tree = factories.tree(photo=False)
        photo = photos.take_photo(tree, io.BytesIO(factories.picture()), officer=tree.registered_by)
        both, read = threading.Barrier(2, timeout=20), photos.read

        def read_together(file: Any) -> Any:
            found = read(file)
            both.wait()  # Both have decoded it before one of them moves it.
            return found

        monkeypatch.setattr(photos, "read", read_together)
        assert at_once(*[lambda: tasks.process_photo(photo.pk)] * 2) == [None, None]
        photo.refresh_from_db()
        assert (photo.state, photo.history().count()) == ("accepted", 1)
        written = sorted(str(path.relative_to(media / "public")) for path in (media / "public").rglob("*.jpg"))
        assert written == sorted([photo.large.name, photo.small.name])


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
            hashes[seed] = photos.read(io.BytesIO(saved("JPEG", scene, quality=95)))["dhash"]
            for copy in (saved("JPEG", scene, quality=30), saved("PNG", scene.resize((240, 180))), saved("WEBP", scene)):
                assert self.differing(hashes[seed], photos.read(io.BytesIO(copy))["dhash"]) <= 6
        for first in hashes:
            for second in hashes:
                assert first == second or self.differing(hashes[first], hashes[second]) >= 12

    def test_it_fits_into_a_signed_column(self) -> None:
        falling = Image.linear_gradient("L").rotate(-90)
        rising = Image.linear_gradient("L").rotate(90)
        assert {photos.dhash(falling), photos.dhash(rising)} == {-1, 0}


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
                photos.read(io.BytesIO(damaged))
                ends["accepted"] += 1
            except photos.DomainError as error:
                ends["at once" if error.code == "not_a_photo" else "refused"] += 1
    assert min(ends.values()) > 0


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("state = 'accepted'", "accepted_has_pictures"), ("state = 'accepted', large = 'x'", "accepted_has_pictures"),
        ("state = 'accepted', large = 'x', small = 'x'", "accepted_has_pictures"),
        ("state = 'refused'", "refused_has_reason"),
    ],
)  # fmt: skip
def test_photos_keep_their_rules_by_plain_sql(field: Client, tree: Tree, change: str, rule: str) -> None:
    upload(field, tree, factories.picture())
    with pytest.raises(IntegrityError, match=rule), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE trees_photo SET {change}")
    assert storages["evidence"].exists(Photo.objects.get().original.name)
