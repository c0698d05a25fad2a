"""What is refused before anything of it is read, and settings that no process starts with."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client, RequestFactory

from carbonsink.pages import client_address
from tests.processes import ROOT


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/v1/orders", "/sign-in/", "/payments/wechatpay/notifications", "/"])
def test_a_request_that_is_too_long_is_refused_unread(path: str) -> None:
    answer = Client().post(path, b"", content_type="application/json", CONTENT_LENGTH=str(17 * 2**20))
    assert (answer.status_code, answer.content) == (413, b"This is too large. Send a smaller photo.\n")


@pytest.mark.parametrize("length", ["-1", "many", "1e9"])
def test_a_length_that_is_none_is_refused(length: str) -> None:
    assert Client().post("/", b"", content_type="text/plain", CONTENT_LENGTH=length).status_code == 413


@pytest.mark.parametrize(
    ("remote", "forwarded", "proxy", "seen"),
    [
        ("203.0.113.7", "", False, "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", False, "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.9", True, "203.0.113.9"),
        ("10.0.0.1", "", True, "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "", False, "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "", False, "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "", False, "203.0.113.7"),
        ("unix", "", False, ""),
    ],
)
def test_the_address_is_a_line_and_not_a_device(
    settings: object, remote: str, forwarded: str, proxy: bool, seen: str
) -> None:
    settings.BEHIND_PROXY = proxy  # type: ignore[attr-defined]
    headers = {"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {}
    assert client_address(RequestFactory().get("/", REMOTE_ADDR=remote, **headers)) == seen


@pytest.mark.parametrize(
    "command",
    [
        ["-c", "import carbonsink.wsgi"],
        ["-m", "celery", "-A", "carbonsink", "worker", "--pool=solo"],
        # Beat removes and writes anew whatever its schedule's path names: never a device.
        ["-m", "celery", "-A", "carbonsink", "beat", "--schedule={folder}/schedule"],
    ],
)
def test_no_process_starts_on_a_stand_in_in_production(command: list[str], tmp_path: Path) -> None:
    command = [part.format(folder=tmp_path) for part in command]
    production = {
        "DEPLOYMENT": "production",
        "SECRET_KEY": "x" * 50,
        "FIELD_ENCRYPTION_KEYS": "dGVzdC1vbmx5LWtleS10aGF0LXByb3RlY3RzLW5vbmU=",
        "FIELD_LOOKUP_KEYS": "k1:" + "11" * 32,
        "PAYOUT_BANK": "standin",
    }
    process = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=os.environ | production, capture_output=True, text=True, timeout=60
    )
    assert process.returncode != 0
    assert "A stand-in bank is configured in production." in process.stderr + process.stdout
