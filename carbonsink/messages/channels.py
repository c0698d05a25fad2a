"""How a message leaves the house: e-mail by Django's mail, SMS by an adapter that a setting names.

Neither text nor address is ever logged: the texts hold links that open what belongs to somebody.
"""

import smtplib
from pathlib import Path
from typing import Literal, Protocol

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.utils import timezone

from carbonsink.crypto import mask
from carbonsink.messages.models import Message

log = structlog.get_logger(__name__)
Outcome = Literal["refused", "unknown"]


class MessageError(Exception):
    """A message was not sent: `refused` for good (a wrong address), or `unknown` (silence), to be tried again."""

    def __init__(self, outcome: Outcome, code: str) -> None:
        super().__init__(code)
        self.outcome: Outcome = outcome
        self.code = code


class Sms(Protocol):
    """A provider of short messages."""

    def send(self, to: str, text: str) -> None:
        """Sends a text to a mobile number of 11 digits. Raises MessageError."""


class ConsoleSms:
    """Sends nothing and says so in the log: for a deployment that has no provider yet."""

    def send(self, to: str, text: str) -> None:
        log.warning("sms_not_sent", to=mask(to, 3, 2), characters=len(text))


class FolderSms:
    """Lays each text into a file of MESSAGES_FOLDER, where a visitor of the demo reads it."""

    def send(self, to: str, text: str) -> None:
        folder = Path(settings.MESSAGES_FOLDER)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / f"{timezone.localtime():%Y%m%d-%H%M%S-%f}-sms-{to}.txt"
            file.write_text(f"To: {to}\n\n{text}\n", encoding="utf-8")
        except OSError as error:
            raise MessageError("unknown", type(error).__name__) from error


SMS: dict[str, type[Sms]] = {"console": ConsoleSms, "folder": FolderSms}


def deliver(message: Message) -> None:
    """Hands a message to its channel: by e-mail if its address has an @, else by SMS. Raises MessageError."""
    if "@" in message.to:
        _send_email(message)
    else:
        SMS[settings.SMS_PROVIDER]().send(message.to, f"{message.subject}\n{message.body}")


def _send_email(message: Message) -> None:
    try:
        EmailMessage(message.subject, message.body, to=[message.to]).send()
    except smtplib.SMTPRecipientsRefused as error:
        raise _refusal(*(code for code, _said in error.recipients.values())) from error
    except smtplib.SMTPResponseException as error:
        raise _refusal(error.smtp_code) from error
    except OSError as error:  # SMTPException is one, and so are time-outs and closed connections.
        raise MessageError("unknown", type(error).__name__) from error
    except (ValueError, UnicodeError) as error:  # No address that mail can be written to.
        raise MessageError("refused", type(error).__name__) from error


def _refusal(*codes: int) -> MessageError:
    """What a mail server's answer means: 5xx is final, 4xx asks for patience."""
    return MessageError("refused" if min(codes) >= 500 else "unknown", f"SMTP {min(codes)}")
