"""The gateways' daily bills, compared line by line with our books, and what differs."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from carbonsink.states import Stateful


class Bill(models.Model):
    """A gateway's bill of one day, as it was compared."""

    gateway = models.CharField(_("gateway"), max_length=20)
    day = models.DateField(_("day"))
    sha256 = models.CharField(max_length=64)
    lines = models.PositiveIntegerField(_("lines"))
    captured_fen = models.BigIntegerField(_("captured (fen)"))
    refunded_fen = models.BigIntegerField(_("refunded (fen)"))
    compared_at = models.DateTimeField(_("compared at"))

    class Meta:
        verbose_name = _("daily bill")
        verbose_name_plural = _("daily bills")
        constraints = [models.UniqueConstraint(fields=["gateway", "day"], name="purchases_bill_once")]


class Difference(Stateful):
    """One line in which a bill and our books differ: a task for a person. It closes by itself when both agree later."""

    class State(models.TextChoices):
        OPEN = "open", _("open")
        AGREED = "agreed", _("agrees meanwhile")
        ANSWERED = "answered", _("answered")

    MOVES = {"open": {"agreed", "answered"}, "agreed": {"open"}}

    class Kind(models.TextChoices):
        CAPTURE_MISSING_HERE = "capture_here", _("the gateway captured what we do not know")
        CAPTURE_MISSING_THERE = "capture_there", _("we booked a capture that the bill lacks")
        CAPTURE_AMOUNT = "capture_fen", _("the amounts of a capture differ")
        REFUND_MISSING_HERE = "refund_here", _("the gateway refunded what we do not know")
        REFUND_MISSING_THERE = "refund_there", _("we booked a refund that the bill lacks")
        REFUND_AMOUNT = "refund_fen", _("the amounts of a refund differ")

    bill = models.ForeignKey(Bill, models.PROTECT, related_name="differences")
    kind = models.CharField(_("kind"), max_length=15, choices=Kind)
    # The gateway's transaction, or our refund number.
    reference = models.CharField(_("reference"), max_length=64)
    theirs_fen = models.BigIntegerField(_("the bill says (fen)"), null=True)
    ours_fen = models.BigIntegerField(_("we say (fen)"), null=True)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.OPEN)
    answer = models.CharField(_("answer"), max_length=200, blank=True)
    answered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField(_("found at"), auto_now_add=True)

    class Meta:
        verbose_name = _("difference to a bill")
        verbose_name_plural = _("differences to bills")
        constraints = [
            models.UniqueConstraint(fields=["bill", "kind", "reference"], name="purchases_difference_once"),
            models.CheckConstraint(
                condition=~Q(state="answered") | (~Q(answer="") & Q(answered_by__isnull=False)),
                name="purchases_difference_answered_by_somebody",
            ),
        ]
