"""Photos that show the same as another tree's: the same file, or the same picture cut, turned or compressed again.

Marks find candidates among millions (`trees.marks`), the hash of the whole picture a few more; then the striking points
of both pictures decide. Comparing is a step after acceptance: whatever fails in it, the photo stays accepted.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone
from PIL import Image

from trees import marks
from trees.contradictions import find_contradictions
from trees.flags import raise_flag
from trees.models import Flag, Photo, PhotoMarks

# Unrelated pictures have up to 4 points in common, cut, turned and compressed copies 20 and more (decision 0008).
LEAST_POINTS = 10
LEAST_SHARED_MARKS, CANDIDATES = 2, 10
MAX_TRIES = 3
NEAR_BITS, OFFICERS_NEWEST = 6, 500
BY_MARKS = """
    SELECT photo_id FROM (
        SELECT photo_id, count(*) AS number
          FROM unnest(%(marks)s::int[]) AS mark JOIN trees_photomarks ON marks @> ARRAY[mark]
         GROUP BY photo_id HAVING count(*) >= %(least)s
    ) shared JOIN trees_photo p ON p.id = photo_id
     WHERE p.tree_id <> %(tree)s
     ORDER BY number DESC, photo_id LIMIT %(limit)s"""
BY_HASH = """
    SELECT id FROM (
        SELECT id, tree_id, dhash FROM trees_photo WHERE uploaded_by_id = %(officer)s AND state = 'accepted'
         ORDER BY id DESC LIMIT %(newest)s
    ) p
     WHERE tree_id <> %(tree)s AND bit_count((dhash # %(dhash)s)::bit(64)) <= %(bits)s
     ORDER BY id LIMIT %(limit)s"""


@dataclass(frozen=True)
class Look:
    """A stored picture as it is compared: its points, and those of its mirror image."""

    image: Image.Image
    points: marks.Points
    mirrored: marks.Points
    mirrored_marks: list[int]


def compare(photo: Photo) -> None:
    """Compares an accepted photo with the other trees' and with what was recorded, once, and raises the flags.

    Of two photos alike, the flag is on the tree of the newer photo. Photos that are accepted at the same moment find
    each other: each is compared after it, with its marks, can be seen.
    """
    Photo.objects.filter(pk=photo.pk).update(tries=F("tries") + 1)
    photo = Photo.objects.select_related("tree__household", "inspection").get(pk=photo.pk)
    same, near = _same(photo), _near(photo)
    with transaction.atomic():
        if not Photo.objects.filter(pk=photo.pk, compared_at__isnull=True).update(compared_at=timezone.now()):
            return
        for kind, evidence in find_contradictions(photo):
            raise_flag(kind, household=photo.tree.household, tree=photo.tree, **evidence)
        for other in same:
            _flag_newer(Flag.Kind.SAME_PHOTO, photo, other)
        known = {other.tree_id for other in same}
        for other, evidence in near:
            if other.tree_id not in known:
                _flag_newer(Flag.Kind.NEAR_PHOTO, photo, other, **evidence)


def _flag_newer(kind: Flag.Kind, photo: Photo, other: Photo, **evidence: Any) -> None:
    newer, older = (photo, other) if photo.pk > other.pk else (other, photo)
    raise_flag(
        kind,
        household=newer.tree.household,
        tree=newer.tree,
        other_tree=older.tree,
        photo=newer.pk,
        other_photo=older.pk,
        **evidence,
    )


def _others(photo: Photo) -> Any:
    return Photo.objects.exclude(tree=photo.tree_id).select_related("tree__household")


def _same(photo: Photo) -> list[Photo]:
    """The same file on other trees, one photo of each; also those that are still to be processed."""
    found = _others(photo).filter(sha256=photo.sha256).exclude(state=Photo.State.REFUSED)
    return list(found.order_by("pk")[:CANDIDATES])


def _near(photo: Photo) -> list[tuple[Photo, dict[str, Any]]]:
    """Photos of other trees that show the same picture, the best of each tree, with what they have in common."""
    mine = _look(photo)
    own = PhotoMarks.objects.get_or_create(photo=photo, defaults={"marks": marks.of(marks.grey(mine.image))})[0].marks
    candidates = dict.fromkeys([
        *_by_marks(photo, own), *_by_marks(photo, mine.mirrored_marks), *_by_hash(photo, mine.image),
    ])  # fmt: skip
    best: dict[int, tuple[Photo, dict[str, Any]]] = {}
    for other in _others(photo).filter(pk__in=candidates, state=Photo.State.ACCEPTED).order_by("pk"):
        theirs = marks.points(marks.grey(_picture(other)))
        plain, mirrored = marks.matching(mine.points, theirs), marks.matching(mine.mirrored, theirs)
        points = max(plain, mirrored)
        if points >= LEAST_POINTS and points > best.get(other.tree_id, (other, {"points": 0}))[1]["points"]:
            share = points / max(1, min(len(mine.points.places), len(theirs.places)))
            best[other.tree_id] = (
                other,
                {"points": points, "share_percent": round(100 * share), "mirrored": mirrored > plain},
            )
    return list(best.values())


def _look(photo: Photo) -> Look:
    image = _picture(photo)
    grey = marks.grey(image)
    mirrored = marks.points(grey[:, ::-1])
    return Look(image, marks.points(grey), mirrored, marks.of_points(mirrored))


def _picture(photo: Photo) -> Image.Image:
    """The large public picture in grey, not much larger than needed: our own JPEG, so it may be decoded here."""
    with default_storage.open(str(photo.large.name)) as file, Image.open(file, formats=["JPEG"]) as image:
        scale = min(1, marks.SIDE / max(image.size))
        image.draft("L", (math.ceil(image.width * scale), math.ceil(image.height * scale)))
        return image.convert("L")


def _by_marks(photo: Photo, wanted: list[int]) -> Iterable[int]:
    return _ids(BY_MARKS, marks=wanted, least=LEAST_SHARED_MARKS, tree=photo.tree_id)


def _by_hash(photo: Photo, image: Image.Image) -> Iterator[int]:
    """The same hash anywhere, however turned or mirrored; a nearly same one among the officer's newest photos."""
    turned = {marks.dhash(image.transpose(turn)) for turn in Image.Transpose}
    same = _others(photo).filter(state=Photo.State.ACCEPTED, dhash__in=[photo.dhash, *turned])
    yield from same.order_by("pk").values_list("pk", flat=True)[:CANDIDATES]
    yield from _ids(
        BY_HASH,
        dhash=photo.dhash,
        officer=photo.uploaded_by_id,
        newest=OFFICERS_NEWEST,
        bits=NEAR_BITS,
        tree=photo.tree_id,
    )


def _ids(query: str, **values: Any) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(query, {"limit": CANDIDATES, **values})
        return [row[0] for row in cursor.fetchall()]
