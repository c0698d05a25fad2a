"""Photos that show what another tree's photo shows are flagged on the newer one's tree; others are not."""

import threading
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone
from PIL import Image, ImageEnhance, ImageOps

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from payouts.demo.pictures import tree_picture
from tests import factories
from tests.ground.threads import at_once
from tests.trees.conftest import signed_in
from tests.trees.pictures import exif, processed, saved, scene, upload
from trees import marks, similarity, tasks
from trees.models import Flag, Photo, PhotoMarks, Tree

COPIES: dict[str, Callable[[Image.Image], bytes]] = {
    "compressed again": lambda image: saved("JPEG", image, quality=35),
    "as another format": lambda image: saved("WEBP", image),
    "smaller": lambda image: saved("JPEG", image.resize((500, 375))),
    "cut to 80 %": lambda image: saved("JPEG", image.crop((60, 60, 1020, 780))),
    "cut to 70 %": lambda image: saved("JPEG", image.crop((240, 90, 1080, 720))),
    "turned by 90°": lambda image: saved("JPEG", image.rotate(90, expand=True)),
    "upside down": lambda image: saved("JPEG", image.rotate(180)),
    "tilted": lambda image: saved("JPEG", image.rotate(8, Image.Resampling.BICUBIC).crop((120, 90, 1080, 810))),
    "mirrored": lambda image: saved("JPEG", ImageOps.mirror(image)),
    "mirrored and cut": lambda image: saved("JPEG", ImageOps.mirror(image).crop((100, 100, 1100, 850))),
    "brighter": lambda image: saved("JPEG", ImageEnhance.Brightness(image).enhance(1.3)),
    "stretched": lambda image: saved("JPEG", image.resize((1380, 900))),
}


def flags() -> list[tuple[str, Tree, Tree | None]]:
    return [(flag.kind, flag.tree, flag.other_tree) for flag in Flag.objects.order_by("pk")]


@pytest.fixture
def other(officer: User) -> Tree:
    """A tree of another household in the officer's county."""
    return factories.tree(factories.household(officer), photo=False)


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_is_flagged_on_the_newer_tree(field: Client, tree: Tree, other: Tree, copy: str) -> None:
    original = scene(1)
    first = processed(field, tree, saved("JPEG", original, quality=90))
    second = processed(field, other, COPIES[copy](original))
    assert flags() == [("near_photo", other, tree)]
    flag = Flag.objects.get()
    assert (flag.household, flag.other_household) == (other.household, None)
    assert flag.evidence["photo"] == second.pk
    assert flag.evidence["other_photo"] == first.pk
    assert flag.evidence["points"] >= 20
    assert 4 < flag.evidence["share_percent"] <= 100
    assert flag.evidence["mirrored"] is copy.startswith("mirrored")
    assert second.compared_at is not None


def test_other_pictures_are_not_flagged(field: Client, officer: User) -> None:
    owner = factories.household(officer)
    for seed in range(5):
        processed(field, factories.tree(owner, photo=False), saved("JPEG", scene(seed, (800, 600))))
    for seed in range(5):
        processed(field, factories.tree(owner, photo=False), tree_picture(seed))
    for _ in range(5):
        processed(field, factories.tree(owner, photo=False), factories.picture())
    assert flags() == []
    assert Photo.objects.filter(compared_at__isnull=False).count() == PhotoMarks.objects.count() == 15


def test_the_same_file_for_another_tree_is_the_same_photo_and_not_also_a_near_one(
    field: Client, tree: Tree, other: Tree
) -> None:
    content = saved("JPEG", scene(2))
    first = processed(field, tree, content)
    upload(field, other, content)
    second = Photo.objects.get(tree=other)
    tasks.process_photo(second.pk)
    assert flags() == [("same_photo", other, tree)]
    assert Flag.objects.get().evidence == {"photo": second.pk, "other_photo": first.pk}


def test_two_photos_of_one_tree_may_be_alike(field: Client, tree: Tree) -> None:
    original = scene(3)
    processed(field, tree, saved("JPEG", original, quality=90))
    processed(field, tree, saved("JPEG", original, quality=50))
    assert flags() == []


def test_copies_are_found_across_officers_and_counties(field: Client, tree: Tree) -> None:
    processed(field, tree, saved("JPEG", scene(4)))
    stranger = factories.user(roles.OFFICER, factories.OTHER_COUNTY[:6])
    far = factories.tree(factories.household(stranger, village_code=factories.OTHER_COUNTY), photo=False)
    processed(signed_in(stranger), far, saved("JPEG", scene(4).crop((0, 0, 1000, 800))))
    assert flags() == [("near_photo", far, tree)]


def test_the_newer_photo_is_flagged_also_when_it_was_processed_first(field: Client, tree: Tree, other: Tree) -> None:
    original = scene(5)
    upload(field, tree, saved("JPEG", original, quality=90))
    older = Photo.objects.get()
    processed(field, other, saved("JPEG", original, quality=50))
    assert flags() == []
    tasks.process_photo(older.pk)
    assert flags() == [("near_photo", other, tree)]


@pytest.mark.django_db(transaction=True)
def test_two_copies_that_are_accepted_at_once_find_each_other(monkeypatch: Any) -> None:
    officer = factories.user(roles.OFFICER)
    owner, client, original = factories.household(officer), signed_in(officer), scene(6)
    trees = [factories.tree(owner, photo=False) for _ in range(2)]
    for tree, quality in zip(trees, (90, 60), strict=True):
        upload(client, tree, saved("JPEG", original, quality=quality))
    both, process = threading.Barrier(2, timeout=30), similarity.compare

    def compare_together(photo: Photo) -> None:
        both.wait()  # Both are accepted before one of them is compared.
        process(photo)

    monkeypatch.setattr(similarity, "compare", compare_together)
    at_once(*[lambda pk=photo.pk: tasks.process_photo(pk) for photo in Photo.objects.all()])
    assert flags() == [("near_photo", trees[1], trees[0])]


class TestFailure:
    """Comparing comes after acceptance, and is made up for."""

    def test_a_comparison_that_fails_leaves_the_photo_accepted_and_is_made_up_for(
        self, field: Client, tree: Tree, other: Tree, monkeypatch: Any
    ) -> None:
        original = scene(7)
        processed(field, tree, saved("JPEG", original, quality=90))
        upload(field, other, saved("JPEG", original, quality=60))
        photo = Photo.objects.get(tree=other)
        with monkeypatch.context() as broken:
            broken.setattr(default_storage, "open", lambda name: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                tasks.process_photo(photo.pk)
        photo.refresh_from_db()
        assert (photo.state, photo.compared_at, flags()) == ("accepted", None, [])
        rung: list[int] = []
        monkeypatch.setattr(tasks.process_photo, "delay", rung.append)
        tasks.sweep_photos()
        assert rung == []  # It may still be at work.
        Photo.objects.update(received_at=timezone.now() - timedelta(minutes=1))
        tasks.sweep_photos()
        assert rung == [photo.pk]
        tasks.process_photo(photo.pk)
        assert flags() == [("near_photo", other, tree)]

    def test_one_that_fails_each_time_is_not_rung_for_without_end(
        self, field: Client, tree: Tree, monkeypatch: Any
    ) -> None:
        photo = processed(field, tree, factories.picture())
        Photo.objects.update(compared_at=None, received_at=timezone.now() - timedelta(minutes=1), tries=2)
        rung: list[int] = []
        monkeypatch.setattr(tasks.process_photo, "delay", rung.append)
        tasks.sweep_photos()
        Photo.objects.update(tries=3)
        tasks.sweep_photos()
        assert rung == [photo.pk]

    def test_photos_from_before_there_were_marks_get_them(self, field: Client, tree: Tree, other: Tree) -> None:
        original = scene(8)
        first = processed(field, tree, saved("JPEG", original, quality=90))
        kept = set(first.marks.marks)
        first.marks.delete()
        Photo.objects.update(compared_at=None)
        tasks.process_photo(first.pk)
        assert len(kept & set(PhotoMarks.objects.get(photo=first).marks)) > 50
        processed(field, other, saved("JPEG", original, quality=60))
        assert flags() == [("near_photo", other, tree)]

    def test_compared_once_flags_once(self, field: Client, tree: Tree, other: Tree) -> None:
        processed(field, tree, saved("JPEG", scene(9), quality=90))
        second = processed(field, other, saved("JPEG", scene(9), quality=60))
        stale = Photo.objects.get(pk=second.pk)
        similarity.compare(stale)
        tasks.process_photo(second.pk)
        assert len(flags()) == 1


def test_marks_are_stored_and_must_not_change_from_release_to_release() -> None:
    found = marks.of(marks.grey(scene(1)))
    assert len(found) > 200
    assert all(0 <= mark < 2**26 for mark in found)
    assert marks.SAMPLES[0][:6].tolist() == [197, 194, 227, 107, 10, 66]
    assert marks.SAMPLES.shape == (3, 32)


def test_a_sheet_of_paper_has_no_marks() -> None:
    blank = marks.grey(Image.new("RGB", (800, 600), "white"))
    assert marks.of(blank) == []
    assert marks.matching(marks.points(blank), marks.points(blank)) == 0


SHANGHAI = ZoneInfo("Asia/Shanghai")
GPS = {
    "GPSLatitudeRef": "N", "GPSLatitude": (25.0, 54.0, 43.2),
    "GPSLongitudeRef": "E", "GPSLongitude": (108.0, 55.0, 15.6),
}  # fmt: skip


class TestExif:
    """What the camera says against the form. The form's position is 108.921, 25.912, as the camera's in GPS."""

    def flagged(self, field: Client, officer: User, tags: dict[str, Any], **changes: Any) -> dict[str, Any]:
        tree = factories.tree(factories.household(officer), photo=False, **changes)
        photo = processed(field, tree, factories.picture(exif=exif(**tags)))
        assert photo.state == "accepted"
        found = Flag.objects.all()
        assert {(flag.tree, flag.other_tree, flag.evidence.pop("photo")) for flag in found} <= {(tree, None, photo.pk)}
        return {flag.kind: flag.evidence for flag in found}

    @pytest.mark.parametrize(
        ("taken", "hours"),
        [
            ("2026:03:09 10:00:01", None), ("2026:03:11 09:59:59", None), ("2026:03:10 10:00:00", None),
            ("2026:03:09 09:00:00", 25), ("2026:03:11 12:00:00", 26), ("2024:03:10 10:00:00", 730 * 24),
        ],
    )  # fmt: skip
    def test_more_than_a_day_from_the_device_s_record(
        self, field: Client, officer: User, taken: str, hours: int | None
    ) -> None:
        captured = datetime(2026, 3, 10, 10, tzinfo=SHANGHAI)
        found = self.flagged(field, officer, {"DateTime": taken}, captured_at=captured, measured_on=date(2026, 3, 10))
        assert list(found) == ([] if hours is None else ["photo_time"])
        if hours is not None:
            assert found["photo_time"]["hours"] == hours
            assert found["photo_time"]["taken_at"].startswith(taken[:10].replace(":", "-"))

    @pytest.mark.parametrize(
        ("taken", "odd"),
        [
            ("2026:03:09 00:00:01", False), ("2026:03:11 23:59:59", False), ("2026:03:08 23:00:00", True),
            ("2026:03:12 01:00:00", True),
        ],
    )  # fmt: skip
    def test_a_day_alone_is_a_whole_day(self, field: Client, officer: User, taken: str, odd: bool) -> None:
        found = self.flagged(field, officer, {"DateTime": taken}, measured_on=date(2026, 3, 10))
        assert list(found) == (["photo_time"] if odd else [])

    def test_a_further_photo_may_be_as_young_as_its_arrival(self, field: Client, officer: User) -> None:
        tree = factories.tree(factories.household(officer), photo=False, measured_on=date(2026, 3, 10))
        processed(field, tree, factories.picture())
        now = timezone.localtime().strftime("%Y:%m:%d %H:%M:%S")
        processed(field, tree, factories.picture(exif=exif(DateTime=now)))
        assert flags() == []
        processed(field, tree, factories.picture(exif=exif(DateTime="2025:01:01 00:00:00")))
        assert flags() == [("photo_time", tree, None)]

    @pytest.mark.parametrize(
        ("lat", "accuracy_m", "metres"),
        [("25.912", 8, None), ("25.9138", 8, None), ("25.9140", 8, 222), ("25.9140", 30, None), ("26.912", 8, 111195)],
    )
    def test_further_away_than_the_accuracy_explains(
        self, field: Client, officer: User, lat: str, accuracy_m: int, metres: int | None
    ) -> None:
        found = self.flagged(field, officer, {"gps": GPS}, lat=Decimal(lat), accuracy_m=accuracy_m)
        expected = {} if metres is None else {"photo_place": {"distance_m": metres, "accuracy_m": accuracy_m}}
        assert found == expected

    def test_without_a_position_in_the_form_or_the_photo_there_is_nothing_to_compare(
        self, field: Client, officer: User
    ) -> None:
        assert self.flagged(field, officer, {"gps": GPS}, lon=None, lat=None, accuracy_m=None) == {}
        assert self.flagged(field, officer, {}) == {}
