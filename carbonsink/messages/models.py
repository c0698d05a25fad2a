"""Messages to people outside, by e-mail or SMS: written first, sent afterwards."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from carbonsink.crypto import EncryptedField
from carbonsink.states import Stateful


class Message(Stateful):
    """A message as it was written. Its key says what it is about, so that nobody is told twice."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        SENDING = "sending", _("being sent")
        SENT = "sent", _("sent")
        FAILED = "failed", _("failed")
        WITHDRAWN = "withdrawn", _("not wanted any more")

    # One whose sender died in mid-call waits again: a message may arrive twice, but never not at all.
    MOVES = {"waiting": {"sending", "withdrawn"}, "sending": {"sent", "failed", "waiting"}}

    key = models.CharField(max_length=120, unique=True)
    to = EncryptedField(_("to"))
    subject = EncryptedField(_("subject"))
    body = EncryptedField(_("text"))
    # Not before this moment. Of one being sent: when its sender must have died.
    due_at = models.DateTimeField(_("not before"))
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.WAITING)
    written_at = models.DateTimeField(_("written at"), auto_now_add=True)

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        indexes = [
            models.Index(fields=["due_at"], condition=Q(state__in=["waiting", "sending"]), name="outbox_message_unsent")
        ]
