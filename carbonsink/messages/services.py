"""Writing messages. They are kept in the same transaction as what they tell of, and sent by a task."""

from datetime import datetime
from typing import Any

from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import override

from carbonsink.messages.models import Message


def write_message(
    key: str, *, to: str, template: str, language: str, context: dict[str, Any], due_at: datetime | None = None
) -> Message:
    """Writes a message from `templates/messages/<template>.txt`, whose first line is the subject, in a language.

    `to` is an e-mail address or a mobile number. The same key again writes nothing and gives the first message.
    """
    with override(language):
        subject, _newline, body = render_to_string(f"messages/{template}.txt", context).strip().partition("\n")
    values = {"to": to, "subject": subject.strip(), "body": body.strip(), "due_at": due_at or timezone.now()}
    return Message.objects.get_or_create(key=key, defaults=values)[0]
