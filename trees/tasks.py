"""Celery rings the bell; the photo's state says what is to do."""

from datetime import timedelta

import structlog
from celery import shared_task
from django.conf import settings
from django.utils import timezone

from carbonsink.errors import DomainError
from carbonsink.locks import only_one
from trees import growth, photos, second_looks, similarity, uploads
from trees.imports import looking
from trees.imports import uploads as imported_files
from trees.models import Import, Photo

log = structlog.get_logger(__name__)


@shared_task
def process_photo(photo_id: int) -> None:
    """Processes one received photo and compares it. Twice or late does no harm: each is done once."""
    photo = Photo.objects.filter(pk=photo_id).first()
    if photo is None:
        return
    if photo.state == Photo.State.RECEIVED:
        try:
            photos.process(photo)
        except DomainError:
            log.info("photo_processed_meanwhile", photo=photo_id)
            return
    if photo.state == Photo.State.ACCEPTED and photo.compared_at is None:
        similarity.compare(photo)


@shared_task
def sweep_photos() -> None:
    """Rings again for photos whose bell was missed, and for accepted ones that nobody compared."""
    missed = Photo.objects.filter(received_at__lt=timezone.now() - timedelta(seconds=30)).order_by("received_at")
    received = missed.filter(state=Photo.State.RECEIVED)
    uncompared = missed.filter(state=Photo.State.ACCEPTED, compared_at__isnull=True, tries__lt=similarity.MAX_TRIES)
    for waiting in (received, uncompared):
        for pk in waiting.values_list("pk", flat=True)[:200]:
            process_photo.delay(pk)


@shared_task
def drop_old_uploads() -> None:
    """Forgets photos that stopped arriving."""
    uploads.drop_old_uploads()


@shared_task
def draw_second_looks() -> None:
    """Draws the nightly sample of approvals. A missed night is in the next draw; one at a time, and none twice."""
    with only_one("trees.draw_second_looks") as mine:
        if mine:
            second_looks.draw_second_looks()


@shared_task
def expire_trees() -> None:
    """Ends the trees whose vintages are over. Every night: only the first one of a year finds many."""
    log.info("trees_expired", trees=growth.expire_trees())


@shared_task
def look_at_imports() -> None:
    """Goes on looking for flags among the imported, a little at a time."""
    looking.look_at_imports(settings.SWEEP_SECONDS)


@shared_task
def load_upload(import_id: int, partial: bool | None) -> None:
    """Reads, checks and (with `partial` given) stores a file of the admin. Twice does no harm: each phase runs once."""
    imported_files.load_in_background(Import.objects.get(pk=import_id), partial)
