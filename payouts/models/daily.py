"""The daily statement: what is published of the money of a day, signed, and once."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from carbonsink.crypto import EncryptedField
from carbonsink.ledger.models import Entry


class DailyStatement(models.Model):
    """A day's totals as they were signed. Append-only.

    The secret blinds the leaves of the tree; it is carried from one statement to the next, so that keys may change.
    """

    number = models.PositiveIntegerField(_("number"), unique=True)
    day = models.DateField(_("day"), unique=True)
    # The exact text that is signed.
    body = models.TextField(_("signed text"))
    root = models.CharField(max_length=64)
    lines = models.PositiveIntegerField(_("lines"))
    signature = models.CharField(max_length=88)
    key_id = models.CharField(max_length=16)
    secret = EncryptedField()
    published_at = models.DateTimeField(_("published at"))

    class Meta:
        verbose_name = _("daily statement")
        verbose_name_plural = _("daily statements")
        constraints = [
            models.CheckConstraint(condition=Q(number__gt=0), name="payouts_dailystatement_number"),
            models.CheckConstraint(condition=Q(root__regex="^[0-9a-f]{64}$"), name="payouts_dailystatement_root"),
        ]

    def __str__(self) -> str:
        return str(self.day)


class DailyTree(models.Model):
    """The hashes of a statement's leaves in a row, from which its tree is made again for each proof. Append-only.

    The seal says what the ledger said of the day's entries (`payouts.sealing`). A day that was published before there
    were seals has none.
    """

    statement = models.OneToOneField(DailyStatement, models.PROTECT, primary_key=True, related_name="tree")
    hashes = models.BinaryField()
    seal = models.CharField(max_length=64, blank=True, default="")

    class Meta:
        verbose_name = _("tree of a daily statement")
        verbose_name_plural = _("trees of daily statements")
        constraints = [
            models.CheckConstraint(condition=Q(seal__regex="^([0-9a-f]{64})?$"), name="payouts_dailytree_seal"),
        ]


class PublishedEntry(models.Model):
    """Says in which statement a ledger entry was published: in one, and never in another. Append-only.

    References are not enforced row by row, since there may be a hundred thousand a day; `audit` proves them.
    """

    entry = models.OneToOneField(Entry, models.PROTECT, primary_key=True, db_constraint=False, related_name="published")
    statement = models.ForeignKey(DailyStatement, models.PROTECT, db_constraint=False, related_name="entries")

    class Meta:
        verbose_name = _("published entry")
        verbose_name_plural = _("published entries")
