"""Messages to people outside, by e-mail or SMS: written first, sent afterwards, each once."""

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

    # One whose sender died in mid-call is not sent again: perhaps it arrived.
    MOVES = {"waiting": {"sending"}, "sending": {"sent", "failed", "waiting"}}

    key = models.CharField(max_length=120, unique=True)
    to = EncryptedField(_("to"))
    subject = EncryptedField(_("subject"))
    body = EncryptedField(_("text"))
    due_at = models.DateTimeField(_("not before"))
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.WAITING)
    written_at = models.DateTimeField(_("written at"), auto_now_add=True)

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        indexes = [models.Index(fields=["due_at"], condition=Q(state="waiting"), name="outbox_message_waiting")]
