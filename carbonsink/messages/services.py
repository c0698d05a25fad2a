"""Writing messages. They are kept in the same transaction as what they tell of, and sent by a task."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import override

from carbonsink.messages.models import Message
from carbonsink.states import move_many


def draft_message(
    key: str, *, to: str, template: str, language: str, context: dict[str, Any], due_at: datetime | None = None
) -> Message:
    """A message that is not kept yet, from `templates/messages/<template>.txt`, whose first line is the subject."""
    with override(language):
        subject, _newline, body = render_to_string(f"messages/{template}.txt", context).strip().partition("\n")
    return Message(key=key, to=to, subject=subject.strip(), body=body.strip(), due_at=due_at or timezone.now())


def write_message(
    key: str, *, to: str, template: str, language: str, context: dict[str, Any], due_at: datetime | None = None
) -> None:
    """Writes a message in a language, to be sent from `due_at` on.

    `to` is an e-mail address or a mobile number. The same key again writes nothing.
    """
    keep_messages([draft_message(key, to=to, template=template, language=language, context=context, due_at=due_at)])


def keep_messages(drafts: Iterable[Message]) -> None:
    """Keeps many drafts at once; those whose key is known already are left out."""
    Message.objects.bulk_create(drafts, batch_size=1_000, ignore_conflicts=True)


def withdraw_messages(keys: Iterable[str], reason: str) -> int:
    """Has messages that were not sent yet never sent, and returns how many."""
    return len(move_many(Message.objects.filter(key__in=list(keys)), Message.State.WITHDRAWN, reason=reason))
