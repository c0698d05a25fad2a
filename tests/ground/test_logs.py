"""Logs are one JSON object a line, and carry the id of the request that caused them."""

import copy
import io
import json
import logging
import logging.config
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import Client

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.ground.urls")]


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the console handler of the settings would write."""
    config = logging.config.DictConfigurator(copy.deepcopy(settings.LOGGING))
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(config.configure_formatter(config.config["formatters"]["json"]))
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel("INFO")
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_each_line_of_a_request_has_its_id_which_the_answer_tells(client: Client, written: io.StringIO) -> None:
    first, second = client.get("/test/note/"), client.get("/test/note/")
    ids = [first["X-Request-Id"], second["X-Request-Id"]]
    assert len(set(ids)) == 2
    ours = [line for line in lines(written) if line["logger"] == "carbonsink.test"]
    assert [(line["event"], line["request_id"]) for line in ours] == [
        ("by the book", ids[0]), ("structured", ids[0]), ("by the book", ids[1]), ("structured", ids[1]),
    ]  # fmt: skip
    assert ours[1]["trees"] == 3
    assert all({"timestamp", "level"} <= set(line) for line in ours)


def test_a_crash_is_logged_whole_on_one_line_with_the_request_s_id(client: Client, written: io.StringIO) -> None:
    client.raise_request_exception = False
    answer = client.get("/test/crash/")
    crash = next(line for line in lines(written) if line["level"] == "error")
    assert crash["request_id"] == answer["X-Request-Id"]
    assert "RuntimeError: a bug" in str(crash["exception"])


@pytest.mark.parametrize(
    "address", ["/g/ABCDEFGH23456789/", "/h/secret/pin/", "/orders/secret-token/gifts/", "/my/enter/secret:link/"]
)
def test_addresses_that_open_something_are_cut_in_logs(client: Client, written: io.StringIO, address: str) -> None:
    assert client.post(address).status_code in (404, 405)
    assert "django.request" in written.getvalue()
    for secret in ("ABCDEFGH", "secret"):
        assert secret not in written.getvalue()
