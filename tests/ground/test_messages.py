"""Messages are written once, sent afterwards, and never lost; what they say is in no log."""

import io
import logging
import socketserver
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.utils import timezone

from carbonsink.locks import _SPACE, _key
from carbonsink.messages import sending, services
from carbonsink.messages.channels import SMS, MessageError
from carbonsink.messages.models import Message
from carbonsink.messages.tasks import send_messages
from carbonsink.states import move
from tests.ground.threads import at_once

pytestmark = pytest.mark.django_db
SECRET = "https://sink.example.org/my/enter/secret-link/"


@pytest.fixture(autouse=True)
def a_template(tmp_path: Path, settings: Any) -> None:
    (tmp_path / "messages").mkdir()
    text = (
        "{% load i18n %}{% autoescape off %}{% translate 'Sign in' %} & {{ word }}\n\n{{ link }}\n{% endautoescape %}"
    )
    (tmp_path / "messages" / "test.txt").write_text(text)
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]


def write(to: str = "buyer@example.org", key: str = "test:1", **more: Any) -> Message:
    context = {"word": "O'Neil", "link": SECRET}
    services.write_message(key, to=to, template="test", language="en", context=context, **more)
    return Message.objects.get(key=key)


class Deaf:
    """A provider that never answers, or refuses, and keeps what it was given."""

    outcome: Any = "unknown"
    got: list[tuple[str, str]] = []

    def send(self, to: str, text: str) -> None:
        self.got.append((to, text))
        if self.outcome:
            raise MessageError(self.outcome, "test")


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch, settings: Any) -> type[Deaf]:
    monkeypatch.setitem(SMS, "deaf", Deaf)
    monkeypatch.setattr(Deaf, "got", [])
    settings.SMS_PROVIDER = "deaf"
    return Deaf


@pytest.fixture
def put_forward(monkeypatch: pytest.MonkeyPatch) -> Any:
    real, shift = timezone.now, [timedelta()]

    def forward(**time: float) -> None:
        shift[0] += timedelta(**time)
        monkeypatch.setattr(timezone, "now", lambda: real() + shift[0])

    return forward


def test_an_email_goes_out_once_in_its_language_and_unescaped() -> None:
    write()
    write()
    send_messages()
    send_messages()
    (sent,) = mail.outbox
    assert (sent.to, sent.subject, sent.body) == (["buyer@example.org"], "Sign in & O'Neil", SECRET)
    assert list(Message.objects.values_list("state", "tries")) == [("sent", 1)]


def test_what_is_kept_is_ciphertext() -> None:
    write()
    with connection.cursor() as cursor:
        cursor.execute('SELECT "to" || subject || body FROM outbox_message')
        (stored,) = cursor.fetchone()
    assert "buyer" not in stored and "secret" not in stored and "Sign in" not in stored


def test_a_message_waits_for_its_day(put_forward: Any) -> None:
    write(due_at=timezone.now() + timedelta(days=3))
    send_messages()
    assert mail.outbox == []
    put_forward(days=3)
    send_messages()
    assert len(mail.outbox) == 1


def test_a_withdrawn_message_is_never_sent(put_forward: Any) -> None:
    write(due_at=timezone.now() + timedelta(days=3))
    assert services.withdraw_messages(["test:1", "unknown"], "not wanted") == 1
    put_forward(days=4)
    send_messages()
    assert (mail.outbox, Message.objects.get().state) == ([], "withdrawn")


def test_silence_is_tried_five_times_with_growing_pauses(provider: type[Deaf], put_forward: Any) -> None:
    write("13912345678")
    waited = []
    for _try in range(5):
        send_messages()
        send_messages()  # At once again: it rests.
        message = Message.objects.get()
        waited.append((len(provider.got), message.state, round((message.due_at - timezone.now()).total_seconds() / 60)))
        put_forward(hours=7)
    send_messages()
    assert [(n, state) for n, state, _m in waited] == [*((n, "waiting") for n in range(1, 5)), (5, "failed")]
    assert [minutes for _n, _s, minutes in waited[:4]] == [1, 10, 60, 360]
    assert len(provider.got) == 5


def test_a_refused_number_fails_at_once(provider: type[Deaf], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Deaf, "outcome", "refused")
    write("13912345678")
    send_messages()
    send_messages()
    assert (Message.objects.get().state, len(provider.got)) == ("failed", 1)


def test_what_a_dead_sender_left_is_sent_after_ten_minutes(put_forward: Any) -> None:
    message = write()
    move(message, Message.State.SENDING, tries=1, due_at=timezone.now() + sending.CALL)
    put_forward(minutes=9)
    send_messages()
    assert mail.outbox == []
    put_forward(minutes=2)
    send_messages()
    assert (len(mail.outbox), Message.objects.get().state) == (1, "sent")


@pytest.mark.django_db(transaction=True)
def test_two_senders_at_once_send_it_once(provider: type[Deaf], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Deaf, "outcome", None)
    messages = [write("13912345678", key=f"test:{n}") for n in range(5)]
    both = [Message.objects.get(pk=m.pk) for m in messages], [Message.objects.get(pk=m.pk) for m in messages]
    assert at_once(*(lambda mine=mine: [sending.send(m) for m in mine] for mine in both)) == [[None] * 5] * 2
    assert len(provider.got) == 5


@pytest.mark.django_db(transaction=True)
def test_a_second_task_leaves_the_work_to_the_first() -> None:
    write()

    def elsewhere() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", [_SPACE, _key("messages.send")])
        taken.set()
        done.wait(20)

    taken, done = threading.Event(), threading.Event()

    def here() -> None:
        taken.wait(20)
        send_messages()
        done.set()

    at_once(elsewhere, here)
    assert (mail.outbox, Message.objects.get().state) == ([], "waiting")


class Answers(socketserver.StreamRequestHandler):
    """A mail server that says one thing to every recipient."""

    code = "550"

    def handle(self) -> None:
        self.wfile.write(b"220 test\r\n")
        for line in self.rfile:
            answer = f"{self.code} no" if line.upper().startswith(b"RCPT") else "250 ok"
            self.wfile.write(f"{'221 bye' if line.upper().startswith(b'QUIT') else answer}\r\n".encode())


@pytest.fixture
def mail_server(settings: Any) -> Iterator[type[Answers]]:
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", server.server_address[1], 5
    yield Answers
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("code", "state"), [("550", "failed"), ("450", "waiting")])
def test_a_mail_servers_no_is_final_and_its_not_now_is_not(
    mail_server: type[Answers], code: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_server, "code", code)
    write()
    send_messages()
    assert Message.objects.get().state == state


def test_a_mail_server_that_is_not_there_is_asked_again(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    write()
    send_messages()
    assert list(Message.objects.values_list("state", "tries")) == [("waiting", 1)]


def test_neither_text_nor_address_is_logged(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    write()
    write("13912345678", key="test:2")
    send_messages()
    logging.getLogger().removeHandler(handler)
    said = stream.getvalue()
    assert "139******78" in said and "message_not_sent" in said
    for secret in ("13912345678", "buyer@example.org", "secret-link", "O'Neil"):
        assert secret not in said


def test_the_demo_lays_both_into_a_folder(settings: Any, tmp_path: Path) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = settings.MESSAGES_FOLDER = str(tmp_path / "mail")
    settings.SMS_PROVIDER = "folder"
    write()
    write("13912345678", key="test:2")
    send_messages()
    files = sorted((tmp_path / "mail").iterdir())
    assert len(files) == 2
    assert all(SECRET in file.read_text() for file in files)
