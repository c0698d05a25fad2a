"""Photos that arrive in parts over a bad line: begun, continued where they stopped, and finished when every byte is
here and has the SHA-256 that the phone announced. The parts wait in the database, so that any server can go on.

An upload belongs to an officer and a tree. Whatever arrives twice or at once, a tree has each photo once.
"""

import hashlib
import io
import uuid
from datetime import timedelta
from typing import NamedTuple

from django.db import transaction
from django.db.models import Sum
from django.db.models.functions import Length
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.locks import one_after_another
from trees import photos
from trees.models import Inspection, Photo, Tree, Upload, UploadPart

PART_MAX_BYTES = 256 * 1024
# What one officer may have under way. An unfinished upload is forgotten after a week.
MOST_UPLOADS = 200
MOST_BYTES = 300 * 1024 * 1024
KEPT_FOR = timedelta(days=7)


class Arrived(NamedTuple):
    """How many bytes of a photo are here, and the photo once it is whole."""

    offset: int
    photo: Photo | None


def begin_upload(tree: Tree, *, officer: User, inspection: uuid.UUID | None, sha256: str, size: int) -> Arrived:
    """Makes room for a photo of `size` bytes, or tells how far it has come.

    The caller has looked the tree up among those the officer may see. Raises DomainError 404 when the inspection is not
    here, 409 when the tree takes no photos any more, 413 for a photo that is too large, 429 when the officer has too
    many under way.
    """
    known = tree.photos.filter(sha256=sha256).first()
    if known is not None:
        Upload.objects.filter(officer=officer, tree=tree, sha256=sha256).delete()
        return Arrived(size, known)
    photos.check_size(size)
    found = _inspection_of(tree, inspection)
    with transaction.atomic():
        one_after_another(f"uploads of {officer.pk}")
        upload = Upload.objects.filter(officer=officer, tree=tree, sha256=sha256).first()
        if upload is None or upload.size != size or upload.inspection_id != (found.pk if found else None):
            # Begun for something else: begun anew.
            Upload.objects.filter(officer=officer, tree=tree, sha256=sha256).delete()
            _check_room(officer, size)
            upload = Upload.objects.create(officer=officer, tree=tree, inspection=found, sha256=sha256, size=size)
    return _finish_if_whole(upload)


def _inspection_of(tree: Tree, client_uuid: uuid.UUID | None) -> Inspection | None:
    """The inspection that a photo belongs to. The tree must take photos: of its own before it is approved, with an
    inspection afterwards."""
    if client_uuid is None:
        photos.check_takes_photos(tree, None)
        return None
    found = tree.inspections.filter(client_uuid=client_uuid).first()
    if found is None:
        raise DomainError("unknown_inspection", _("This inspection has not arrived yet. Send it first."), 404)
    return found


def _check_room(officer: User, size: int) -> None:
    """DomainError when the officer has too much under way. An upload counts as what it will be, so that whatever was
    begun can be finished."""
    mine = Upload.objects.filter(officer=officer)
    if mine.count() >= MOST_UPLOADS or (mine.aggregate(n=Sum("size"))["n"] or 0) + size > MOST_BYTES:
        raise DomainError(
            "too_many_uploads",
            _("Too many photos are under way. Let those that were begun arrive first."),
            status=429,
        )


def append_part(tree: Tree, *, officer: User, sha256: str, offset: int, content: bytes) -> Arrived:
    """Keeps the next bytes of an upload. With the last ones the photo is taken.

    Raises DomainError "wrong_offset" 409 (with the `offset` to go on from), 404 when it was not begun, 413 when the
    part is too long, "damaged" 422 when all bytes are here but are not the photo announced: then it begins anew.
    """
    with transaction.atomic():
        upload = Upload.objects.select_for_update(no_key=True).filter(officer=officer, tree=tree, sha256=sha256).first()
        if upload is not None:
            _store_part(upload, offset, content)
    if upload is None:
        known = tree.photos.filter(sha256=sha256).first()
        if known is None:
            raise DomainError("unknown_upload", _("This photo was not announced, or long ago. Begin it again."), 404)
        return Arrived(offset + len(content), known)
    return _finish_if_whole(upload)


def _store_part(upload: Upload, offset: int, content: bytes) -> None:
    arrived = _arrived(upload)
    if arrived == upload.size:
        return  # Whole already, and being finished by another request.
    if not 0 < len(content) <= PART_MAX_BYTES:
        raise DomainError(
            "wrong_part", _("A part has at least one byte and at most %(n)s.") % {"n": PART_MAX_BYTES}, status=413
        )
    if offset != arrived:
        raise DomainError("wrong_offset", _("Go on where the photo stopped."), status=409, offset=arrived)
    if offset + len(content) > upload.size:
        raise DomainError(
            "wrong_part", _("This is more than was announced. Begin the photo again."), status=422, offset=arrived
        )
    UploadPart.objects.create(upload=upload, offset=offset, content=content)


def _arrived(upload: Upload) -> int:
    """How many bytes are here; parts follow one another without gaps."""
    return upload.parts.aggregate(n=Sum(Length("content")))["n"] or 0


def _finish_if_whole(upload: Upload) -> Arrived:
    """Takes the photo when all bytes are here. No lock is held while the photo goes to its storage: of two that finish
    the same one at once, both find the same photo in the end."""
    arrived = _arrived(upload)
    if arrived < upload.size:
        return Arrived(arrived, None)
    content = b"".join(bytes(part) for part in upload.parts.order_by("offset").values_list("content", flat=True))
    if hashlib.sha256(content).hexdigest() != upload.sha256:
        known = upload.tree.photos.filter(sha256=upload.sha256).first()
        if known is not None:  # Somebody finished it while its parts were read.
            return Arrived(upload.size, known)
        upload.parts.all().delete()
        raise DomainError(
            "damaged", _("The photo was damaged on its way. It is sent again from the beginning."), status=422, offset=0
        )
    try:
        with transaction.atomic():
            photo = photos.take_photo(
                upload.tree, io.BytesIO(content), officer=upload.officer, inspection=upload.inspection
            )
            Upload.objects.filter(pk=upload.pk).delete()
    except DomainError:
        Upload.objects.filter(pk=upload.pk).delete()  # Refused for good: it would only wait in vain.
        raise
    return Arrived(upload.size, photo)


def drop_old_uploads() -> int:
    """Forgets uploads that were begun more than a week ago, and returns how many. The phone keeps its original and
    begins again."""
    old = Upload.objects.filter(begun_at__lt=timezone.now() - KEPT_FOR)
    count = old.count()
    old.delete()
    return count
