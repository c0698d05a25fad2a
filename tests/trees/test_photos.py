"""Photos of trees: what is refused at once, what the task refuses, how they arrive and where they can be fetched."""

import hashlib
import io
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage, storages
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone, translation
from PIL import Image

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from tests import factories
from tests.ground.threads import at_once
from tests.trees.conftest import signed_in
from tests.trees.pictures import jpeg_header, png_header, processed, saved, upload
from tests.trees.registry import evidence, stored
from trees import photos, pictures, review, tasks
from trees.models import Photo, Tree

NOT_A_PHOTO = "This file is not a photo (JPEG, PNG, WebP or HEIC). Choose another one."
TOO_MANY_PIXELS = "The photo has too many pixels. Take it again with a lower resolution."
DAMAGED = "The photo is damaged and cannot be read. Take it again."
TOO_SMALL = "The photo is too small to show a tree. Take it again."
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
    "AVIF": (saved("AVIF"), 400, NOT_A_PHOTO),
    "text": ("这不是照片".encode(), 400, NOT_A_PHOTO),
    "more than 15 MB": (factories.picture() + b"\0" * (15 * 2**20), 413,
                        "The photo has more than 15 MB. Take it again with a lower resolution."),
    "a PNG bomb": (png_header(50_000, 50_000), 413, TOO_MANY_PIXELS),
    "a PNG of 25 megapixels": (png_header(5_000, 5_000), 413, TOO_MANY_PIXELS),
    "a JPEG bomb": (jpeg_header(65_000, 65_000), 413, TOO_MANY_PIXELS),
    "a JPEG of 72 megapixels": (jpeg_header(9_000, 8_000), 413, TOO_MANY_PIXELS),
    "a progressive JPEG of 25 megapixels": (jpeg_header(5_000, 5_000, progressive=True), 413, TOO_MANY_PIXELS),
    "a WebP of 25 megapixels": (saved("WEBP", Image.new("RGB", (5_000, 5_000))), 413, TOO_MANY_PIXELS),
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


@pytest.mark.parametrize(
    ("width", "height", "mode", "progressive"),
    [(10_000, 7_000, "RGB", False), (10_000, 7_000, "CMYK", False), (6_000, 4_000, "RGB", True)],
)
def test_the_largest_jpegs_are_taken(
    field: Client, tree: Tree, width: int, height: int, mode: str, progressive: bool
) -> None:
    """Those that can be decoded at a fraction of their size may have 70 megapixels, others 24."""
    assert upload(field, tree, jpeg_header(width, height, mode, progressive)).status_code == 201


def broken() -> dict[str, tuple[bytes, str]]:
    """Photos whose header is fine: each with the sentence the officer reads after the task."""
    jpeg, png, webp = factories.picture((600, 400)), saved("PNG"), saved("WEBP")
    heic = saved("HEIF")
    return {
        "half a JPEG": (jpeg[: len(jpeg) // 2], DAMAGED),
        "a JPEG without its image": (jpeg[:700], DAMAGED),
        "half a PNG": (png[: len(png) // 2], DAMAGED),
        "half a WebP": (webp[: len(webp) // 2], DAMAGED),
        "a HEIC without its last third": (heic[: len(heic) * 2 // 3], DAMAGED),
        "a PNG that holds less than it claims": (png_header(2_000, 2_000), DAMAGED),
        "tiny": (factories.picture((49, 400)), TOO_SMALL),
        "one pixel": (saved("PNG", Image.new("RGB", (1, 1))), TOO_SMALL),
    }


@pytest.mark.parametrize("fault", broken())
def test_a_photo_that_cannot_be_decoded_is_refused_with_its_reason(field: Client, tree: Tree, fault: str) -> None:
    content, sentence = broken()[fault]
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
    with translation.override("en"):
        assert photo.get_refusal_display() == sentence
    assert not photo.large
    assert not default_storage.exists("trees") or default_storage.listdir("trees")[0] == []
    assert [(c.from_state, c.to_state) for c in photo.history()] == [("received", "refused")]
    told = field.get(f"/api/v1/trees/{tree.number}").json()["photos"][0]
    assert (told["state"], told["refusal"], told["refusal_code"]) == ("refused", sentence, photo.refusal)
    assert sentence in field.get(f"/officer/households/{tree.household.public_id}/").content.decode()
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


class TestAddresses:
    """What can be fetched, and what cannot."""

    def test_a_public_picture_is_a_jpeg_or_webp_that_nobody_sniffs(self, field: Client, tree: Tree) -> None:
        photo = processed(field, tree, saved("PNG"))
        for url, kind, start in (
            (photo.large.url, "image/jpeg", b"\xff\xd8\xff"), (photo.small.url, "image/jpeg", b"\xff\xd8\xff"),
            (photo.large_webp, "image/webp", b"RIFF"), (photo.small_webp, "image/webp", b"RIFF"),
        ):  # fmt: skip
            assert url.startswith("/media/trees/")
            answer = Client().get(url)
            assert answer.status_code == 200
            assert answer["Content-Type"] == kind
            assert answer["X-Content-Type-Options"] == "nosniff"
            assert answer["Cache-Control"] == "public, max-age=31536000, immutable"
            assert b"".join(answer.streaming_content).startswith(start)
            answer.close()
            assert Client().post(url).status_code == 405

    def test_a_page_offers_webp_and_jpeg(self, field: Client, tree: Tree) -> None:
        photo = processed(field, tree, factories.picture())
        page = field.get(f"/officer/households/{tree.household.public_id}/").content.decode()
        assert f'<source type="image/webp" srcset="{photo.small_webp}">' in page
        assert f'<img src="{photo.small.url}"' in page

    def test_a_picture_of_before_webp_is_its_jpeg(self, field: Client, tree: Tree, media: Path) -> None:
        photo = processed(field, tree, factories.picture())
        (media / "public" / photo.large.name).with_suffix(".webp").unlink()
        answer = Client().get(photo.large_webp)
        assert (answer.status_code, answer["Content-Type"]) == (200, "image/jpeg")
        answer.close()

    def test_a_missing_picture_shows_a_placeholder_that_is_not_kept(
        self, field: Client, tree: Tree, media: Path
    ) -> None:
        photo = processed(field, tree, factories.picture())
        for file in (media / "public" / photo.large.name).parent.iterdir():
            file.unlink()
        for url in (photo.large.url, photo.small_webp):
            answer = Client().get(url)
            assert (answer.status_code, answer["Content-Type"]) == (404, "image/svg+xml")
            assert answer["Cache-Control"] == "no-store"
            assert answer.content.startswith(b"<svg")

    def test_pages_say_what_became_of_a_photo_that_is_not_there(self, field: Client, tree: Tree) -> None:
        page = f"/officer/households/{tree.household.public_id}/"
        assert "no photo yet" in field.get(page).content.decode()
        upload(field, tree, factories.picture((30, 40)))
        assert '<span class="picture-note">being processed' in field.get(page).content.decode()
        tasks.process_photo(Photo.objects.get().pk)
        assert '<span class="picture-note">refused' in field.get(page).content.decode()

    def test_originals_and_other_files_have_no_address(self, field: Client, tree: Tree, media: Path) -> None:
        photo = processed(field, tree, factories.picture())
        name = photo.original.name
        (media / "public" / "secret.txt").write_text("secret")
        token = photo.large.name.removeprefix("trees/")
        for path in (
            photo.original.url, f"/media/{name}", f"/media/evidence/{name}", f"/media/trees/{name}", f"/media/trees/../evidence/{name}",
            "/media/secret.txt", "/media/trees/../secret.txt", "/media/trees/%2e%2e/secret.txt", "/media/", "/media/trees/",
            f"/media/trees/{token}x", f"/media/trees/{token[:3]}{'0' * 32}-large.jpg",
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

    def test_an_original_that_is_being_written_is_not_taken_for_one_of_a_dead_process(
        self, media: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        content, began = factories.picture(), []

        class Slow(ContentFile):
            """Another one begins with the same file, and dies, while half of this one is written."""

            def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
                began.append(1)
                yield content[:1000]
                if len(began) > 1:
                    raise InterruptedError
                with pytest.raises(InterruptedError):
                    photos.keep_original(io.BytesIO(content))
                yield content[1000:]

        monkeypatch.setattr(photos, "ContentFile", Slow)
        kept = photos.keep_original(io.BytesIO(content))
        assert [path.read_bytes() for path in (media / "evidence").rglob("*") if path.is_file()] == [content]
        assert kept.name.endswith(kept.sha256)
        assert len(began) == 2

    def test_the_sweeper_rings_for_photos_whose_bell_was_missed(
        self, field: Client, tree: Tree, monkeypatch: Any
    ) -> None:
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

    def test_a_photo_that_kills_its_worker_each_time_is_refused_in_the_end(
        self, field: Client, tree: Tree, monkeypatch: Any
    ) -> None:
        def killed(file: Any) -> None:
            raise SystemExit(-9)

        upload(field, tree, factories.picture())
        photo = Photo.objects.get()
        monkeypatch.setattr(pictures, "process_confined", killed)
        for _ in range(3):
            with pytest.raises(SystemExit):
                tasks.process_photo(photo.pk)
            assert Photo.objects.get().state == "received"
        tasks.process_photo(photo.pk)
        photo.refresh_from_db()
        assert (photo.state, photo.refusal) == ("refused", "failed")

    def test_a_tree_that_was_approved_takes_no_further_photo(self, field: Client, reviewer: User, tree: Tree) -> None:
        processed(field, tree, factories.picture((100, 100)))
        review.approve_tree(tree, reviewer=reviewer)
        before = stored()
        answer = upload(field, tree, factories.picture((100, 120)))
        assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")
        assert stored() == before

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
        both, decode = threading.Barrier(2, timeout=20), pictures.process_confined

        def decode_together(content: bytes) -> Any:
            made = decode(content)
            both.wait()  # Both have decoded it before one of them moves it.
            return made

        monkeypatch.setattr(pictures, "process_confined", decode_together)
        assert at_once(*[lambda: tasks.process_photo(photo.pk)] * 2) == [None, None]
        photo.refresh_from_db()
        assert (photo.state, photo.history().count()) == ("accepted", 1)
        written = {str(path.relative_to(media / "public")) for path in (media / "public").rglob("*.*")}
        jpegs = [photo.large.name, photo.small.name]
        assert written == {*jpegs, *(name.replace(".jpg", ".webp") for name in jpegs)}


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
