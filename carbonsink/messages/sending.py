"""Sending what was written: claimed first, then handed to its channel, then noted.

Who died in between is found by its time. A message may so arrive twice, but never not at all; nothing but words is
ever repeated here.
"""

from datetime import timedelta

import structlog
from django.utils import timezone

from carbonsink.errors import DomainError
from carbonsink.messages.channels import MessageError, deliver
from carbonsink.messages.models import Message
from carbonsink.states import move, move_many

log = structlog.get_logger(__name__)

# A sender is dead after this.
CALL = timedelta(minutes=10)
# How long a message rests after each try that nobody answered; after the last one it has failed.
PAUSES = [timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6)]
AT_ONCE = 200


def send_due() -> int:
    """Sends the messages whose time has come, oldest first, and returns how many it tried."""
    abandoned = Message.objects.filter(state=Message.State.SENDING, due_at__lte=timezone.now())
    move_many(abandoned, Message.State.WAITING, reason="sender died")
    due = Message.objects.filter(state=Message.State.WAITING, due_at__lte=timezone.now())
    messages = list(due.order_by("due_at", "pk")[:AT_ONCE])
    for message in messages:
        send(message)
    return len(messages)


def send(message: Message) -> None:
    """Sends one message, unless somebody else does or it was withdrawn meanwhile."""
    try:
        move(message, Message.State.SENDING, tries=message.tries + 1, due_at=timezone.now() + CALL)
    except DomainError:
        return
    try:
        deliver(message)
    except MessageError as error:
        log.warning("message_not_sent", message=message.pk, outcome=error.outcome, code=error.code, tries=message.tries)
        if error.outcome == "refused" or message.tries > len(PAUSES):
            move(message, Message.State.FAILED, reason=error.code)
        else:
            due_at = timezone.now() + PAUSES[message.tries - 1]
            move(message, Message.State.WAITING, reason=error.code, due_at=due_at)
    else:
        move(message, Message.State.SENT)
