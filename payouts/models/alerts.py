"""Alerts: what a person must look at. One is open for a thing at a time, and says so until somebody has answered."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from carbonsink.states import Stateful


class Alert(Stateful):
    """Something that a person must look at. `stops` keeps runs of payouts from starting until it is closed."""

    class State(models.TextChoices):
        OPEN = "open", _("open")
        CLOSED = "closed", _("closed")

    MOVES = {"open": {"closed"}}

    kind = models.CharField(_("kind"), max_length=40)
    # What it is about, such as a payout's number or a bank and a day.
    about = models.CharField(_("about"), max_length=120)
    text = models.CharField(_("text"), max_length=300)
    stops = models.BooleanField(_("stops payouts"), default=False)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.OPEN)
    raised_at = models.DateTimeField(_("raised at"))
    # When people were last told of it.
    told_at = models.DateTimeField(_("told at"), null=True)

    class Meta:
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "about"], condition=Q(state="open"), name="payouts_alert_one_open_each"
            )
        ]
        indexes = [models.Index(fields=["raised_at"], condition=Q(state="open"), name="payouts_alert_open")]

    def __str__(self) -> str:
        return f"{self.kind} {self.about}"
