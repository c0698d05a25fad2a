"""Photos of trees: looked at when they arrive, decoded and re-encoded by a task afterwards.

The header decides at once whether a file can be a photo; only the task decodes it (`trees.pictures`), and a picture
that cannot be decoded is refused with the reason.
"""

import hashlib
import io
import secrets
from dataclasses import dataclass
from typing import BinaryIO

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage, storages
from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.states import move
from trees import pictures
from trees.models import Inspection, Photo, PhotoMarks, Tree

MAX_TRIES = 3
# While somebody may still change what is recorded; and while inspections look at what became of the tree.
REGISTERED = (
    Tree.State.DRAFT, Tree.State.SUBMITTED, Tree.State.REJECTED, Tree.State.EXPIRED, Tree.State.WITHDRAWN,
)  # fmt: skip
INSPECTED = (Tree.State.APPROVED, Tree.State.SUSPENDED)


@dataclass(frozen=True)
class Original:
    """A photo's file among the evidence."""

    sha256: str
    name: str


def check_size(size: int) -> None:
    """Raises DomainError 413 for a photo of more bytes than are taken."""
    if size > settings.PHOTO_MAX_BYTES:
        raise DomainError(
            "photo_too_large",
            _("The photo has more than %(mb)s MB. Take it again with a lower resolution.")
            % {"mb": settings.PHOTO_MAX_BYTES // 2**20},
            status=413,
        )


def check_header(file: BinaryIO) -> None:
    """Raises DomainError unless the file begins like a photo of an allowed kind and size. Decodes nothing."""
    check_size(file.seek(0, io.SEEK_END))
    file.seek(0)
    try:
        fits = pictures.allowed(file)
    except ValueError as error:
        raise DomainError(
            "not_a_photo", _("This file is not a photo (JPEG, PNG, WebP or HEIC). Choose another one.")
        ) from error
    finally:
        file.seek(0)
    if not fits:
        raise DomainError(
            "photo_too_large",
            _("The photo has too many pixels. Take it again with a lower resolution."),
            status=413,
        )


def keep_original(file: BinaryIO, *, sha256: str = "") -> Original:
    """Stores an arriving file among the evidence, under its SHA-256. Needs no row and holds no lock: it may take long.

    `sha256` is what the sender says it is. Raises DomainError when the file is another one, or no photo.
    """
    check_header(file)
    content = file.read()
    found = hashlib.sha256(content).hexdigest()
    if sha256 and sha256 != found:
        raise DomainError("damaged", _("The photo was damaged on its way. Send it again."), status=422)
    evidence, name = storages["evidence"], f"{found[:2]}/{found}"
    if evidence.exists(name) and evidence.size(name) != len(content):
        evidence.delete(name)  # Begun by a process that died.
    if not evidence.exists(name) and (kept := evidence.save(name, ContentFile(content))) != name:
        evidence.delete(kept)  # Somebody else kept the same file meanwhile.
    return Original(found, name)


def take_photo(
    tree: Tree, file: BinaryIO, *, officer: User, inspection: Inspection | None = None, sha256: str = ""
) -> Photo:
    """Keeps an arriving photo as evidence and has it processed. The same file twice for a tree: the same photo.

    The file is stored before the row is written, so that a crash between leaves nothing half done.
    Raises DomainError as `keep_original` and `add_photo` do.
    """
    known = tree.photos.filter(sha256=hashlib.sha256(file.read()).hexdigest()).first()
    if known is not None and sha256 in ("", known.sha256):
        return known  # Even if the tree takes no other photo any more.
    check_takes_photos(tree, inspection)
    return add_photo(tree, keep_original(file, sha256=sha256), officer=officer, inspection=inspection)


def add_photo(tree: Tree, original: Original, *, officer: User, inspection: Inspection | None = None) -> Photo:
    """Adds a kept original to a tree, or to an inspection of it, and has it processed.

    Raises DomainError when the tree's state takes no such photo, or the inspection is another tree's.
    """
    check_takes_photos(tree, inspection)
    photo, _made = Photo.objects.get_or_create(
        tree=tree,
        sha256=original.sha256,
        defaults={"original": original.name, "uploaded_by": officer, "inspection": inspection},
    )
    from trees.tasks import process_photo

    transaction.on_commit(lambda: process_photo.delay(photo.pk), robust=True)
    return photo


def check_takes_photos(tree: Tree, inspection: Inspection | None) -> None:
    """Raises DomainError 409 unless the tree, in its state, takes photos of its own, or this inspection's."""
    if inspection is not None and inspection.tree_id != tree.pk:
        raise DomainError("wrong_tree", _("This inspection is of another tree."), status=409)
    if tree.state not in (REGISTERED if inspection is None else REGISTERED + INSPECTED):
        raise DomainError("wrong_state", _("This tree has been reviewed: its photos stay as they are."), status=409)


def process(photo: Photo) -> None:
    """Decodes a received photo, makes its public pictures and moves it to accepted, or to refused with the reason.

    Raises DomainError("wrong_state") when another worker was faster; its pictures count, and none of ours stay.
    Each try is counted while it decodes: a photo that kills its worker is refused in the end, and no failing store
    makes it refused.
    """
    photo.refresh_from_db(fields=["tries"])
    if photo.tries >= MAX_TRIES:
        _refuse(photo, "too many tries", Photo.Refusal.FAILED)
        return
    try:
        with photo.original.open("rb") as file:
            content = file.read()
    except FileNotFoundError:
        _refuse(photo, "the original is gone", Photo.Refusal.FAILED)
        return
    Photo.objects.filter(pk=photo.pk).update(tries=F("tries") + 1)
    try:
        made = pictures.process_confined(content)
    except pictures.PictureError as error:
        _refuse(photo, error.code, error.code)
        return
    Photo.objects.filter(pk=photo.pk).update(tries=F("tries") - 1)
    _accept(photo, made)


def _refuse(photo: Photo, reason: str, refusal: str) -> None:
    move(photo, Photo.State.REFUSED, reason=reason, refusal=refusal)


def _accept(photo: Photo, made: pictures.Pictures) -> None:
    token = secrets.token_hex(16)
    names = {
        end: default_storage.save(f"trees/{token[:2]}/{token}-{end}", ContentFile(content))
        for end, content in made.files.items()
    }
    try:
        with transaction.atomic():
            move(
                photo,
                Photo.State.ACCEPTED,
                large=names["large.jpg"],
                small=names["small.jpg"],
                dhash=made.dhash,
                exif_taken_at=made.exif_taken_at,
                exif_lon=made.exif_lon,
                exif_lat=made.exif_lat,
            )
            PhotoMarks.objects.create(photo=photo, marks=made.marks)
            trees = Tree.objects.filter(pk=photo.tree_id).exclude(picture__gt=photo.pk)
            if photo.inspection_id is None:  # Approved meanwhile: the picture stays the one the reviewer saw.
                trees = trees.exclude(state__in=INSPECTED)
            trees.update(picture=photo)
    except DomainError:
        for name in names.values():
            default_storage.delete(name)
        raise
