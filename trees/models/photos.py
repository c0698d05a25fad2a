"""Photos of trees: evidence that stays private, and the public pictures made of it."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.core.files.storage import Storage, storages
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from carbonsink.states import Stateful
from trees.models.stand import Tree


def evidence_storage() -> Storage:
    """Where originals are kept; never served."""
    return storages["evidence"]


class Photo(Stateful):
    """A picture of a tree. The original stays private as evidence; the public pictures carry no metadata."""

    class State(models.TextChoices):
        RECEIVED = "received", _("being processed")
        ACCEPTED = "accepted", _("accepted")
        REFUSED = "refused", _("refused")

    class Refusal(models.TextChoices):
        UNREADABLE = "unreadable", _("The photo is damaged and cannot be read. Take it again.")
        TOO_SMALL = "too_small", _("The photo is too small to show a tree. Take it again.")
        TOO_LARGE = "too_large", _("The photo has too many pixels. Take it again with a lower resolution.")
        FAILED = "failed", _("The photo could not be processed. Take it again.")

    MOVES = {"received": {"accepted", "refused"}}

    tree = models.ForeignKey(Tree, models.PROTECT, related_name="photos")
    inspection = models.ForeignKey("Inspection", models.PROTECT, null=True, related_name="photos")
    sha256 = models.CharField(max_length=64)
    original = models.FileField(storage=evidence_storage, max_length=120)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.RECEIVED)
    refusal = models.CharField(_("why it was refused"), max_length=20, choices=Refusal, blank=True)
    large = models.ImageField(max_length=120, blank=True)
    small = models.ImageField(max_length=120, blank=True)
    dhash = models.BigIntegerField(null=True)
    exif_taken_at = models.DateTimeField(null=True)
    exif_lon = models.FloatField(null=True)
    exif_lat = models.FloatField(null=True)
    # How often processing was begun; after that, comparing.
    tries = models.PositiveSmallIntegerField(default=0)
    # When it was compared with the other photos and with what was recorded of its tree.
    compared_at = models.DateTimeField(null=True)
    received_at = models.DateTimeField(_("received at"), auto_now_add=True)
    uploaded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")

    class Meta:
        verbose_name = _("photo")
        verbose_name_plural = _("photos")
        constraints = [
            models.UniqueConstraint(fields=["tree", "sha256"], name="trees_photo_once_per_tree"),
            models.CheckConstraint(
                condition=~Q(state="accepted") | (~Q(large="") & ~Q(small="") & Q(dhash__isnull=False)),
                name="trees_photo_accepted_has_pictures",
            ),
            models.CheckConstraint(
                condition=~Q(state="refused") | ~Q(refusal=""), name="trees_photo_refused_has_reason"
            ),
        ]
        indexes = [
            models.Index(fields=["sha256"], name="trees_photo_sha256"),
            models.Index(fields=["received_at"], condition=Q(state="received"), name="trees_photo_waiting"),
            models.Index(fields=["dhash"], condition=Q(state="accepted"), name="trees_photo_dhash"),
            models.Index(
                fields=["received_at"],
                condition=Q(state="accepted", compared_at__isnull=True),
                name="trees_photo_uncompared",
            ),
        ]

    @property
    def large_webp(self) -> str:
        """Address of the large picture as WebP; it lies beside the JPEG."""
        return self.large.url.removesuffix(".jpg") + ".webp"

    @property
    def small_webp(self) -> str:
        """Address of the small picture as WebP."""
        return self.small.url.removesuffix(".jpg") + ".webp"


class PhotoMarks(models.Model):
    """What a photo is recognised by when it was cropped, turned or compressed again: hashes of its striking points."""

    photo = models.OneToOneField(Photo, models.CASCADE, primary_key=True, related_name="marks")
    marks = ArrayField(models.IntegerField())

    class Meta:
        verbose_name = _("marks of a photo")
        verbose_name_plural = _("marks of photos")
        indexes = [GinIndex(fields=["marks"], name="trees_photomarks_marks", opclasses=["array_ops"])]


class Upload(models.Model):
    """A photo that is arriving in parts over a bad line. Gone once the photo is whole, or after some days."""

    officer = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    tree = models.ForeignKey(Tree, models.CASCADE, related_name="uploads")
    inspection = models.ForeignKey("Inspection", models.CASCADE, null=True, related_name="uploads")
    sha256 = models.CharField(max_length=64)
    size = models.PositiveIntegerField(help_text="Bytes in all.")
    begun_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("upload")
        verbose_name_plural = _("uploads")
        constraints = [
            models.UniqueConstraint(fields=["officer", "tree", "sha256"], name="trees_upload_once"),
            models.CheckConstraint(condition=Q(size__gt=0, sha256__regex=r"^[0-9a-f]{64}$"), name="trees_upload_sane"),
        ]
        indexes = [models.Index(fields=["begun_at"], name="trees_upload_begun")]


class UploadPart(models.Model):
    """Bytes of an upload, from an offset on."""

    upload = models.ForeignKey(Upload, models.CASCADE, related_name="parts")
    offset = models.PositiveIntegerField()
    content = models.BinaryField()

    class Meta:
        verbose_name = _("part of an upload")
        verbose_name_plural = _("parts of uploads")
        constraints = [models.UniqueConstraint(fields=["upload", "offset"], name="trees_uploadpart_once")]
