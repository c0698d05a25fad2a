"""What opens a household's own page: a PIN of six digits, kept as a hash that is useless without the look-up keys."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from trees.models import Household


class HouseholdPin(models.Model):
    """A household's PIN, and how often a wrong one was entered since the last right one."""

    household = models.OneToOneField(Household, models.PROTECT, related_name="pin")
    # Empty where none was set yet: no six digits fit.
    hashed = models.CharField(max_length=128, blank=True)
    # A new PIN is a new version, and ends what was opened with the one before.
    version = models.PositiveIntegerField(default=0)
    wrong = models.PositiveIntegerField(_("wrong tries"), default=0)
    locked_until = models.DateTimeField(_("locked until"), null=True)
    # The newest one sent by SMS, until it is entered for the first time and becomes the PIN.
    sent_hashed = models.CharField(max_length=128, blank=True, db_default="")
    # How many were sent by SMS on that day.
    sent_on = models.DateField(null=True)
    sent = models.PositiveSmallIntegerField(default=0)
    set_at = models.DateTimeField(_("set at"), null=True)
    # Empty where the household asked for it by SMS.
    set_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")

    class Meta:
        verbose_name = _("PIN of a household")
        verbose_name_plural = _("PINs of households")
        constraints = [
            models.CheckConstraint(
                condition=Q(hashed="", set_at__isnull=True) | (~Q(hashed="") & Q(set_at__isnull=False)),
                name="payouts_householdpin_set_at",
            ),
            # Whoever writes: five wrong tries in a row are never left without a lock.
            models.CheckConstraint(
                condition=Q(wrong__lt=5) | Q(locked_until__isnull=False), name="payouts_householdpin_locks"
            ),
        ]

    def __str__(self) -> str:
        return str(self.household)
