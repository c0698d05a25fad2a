"""The stand-alone verifier, as a process of its own, on the files that the pages offer."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.test import Client

from purchases import certificates
from tests import factories
from tests.processes import ROOT

pytestmark = pytest.mark.django_db
VERIFIER = ROOT / "clients" / "verify_certificate.py"
Files = tuple[dict[str, Any], dict[str, Any]]


@pytest.fixture
def files() -> Files:
    """A certificate and the published keys, as anyone downloads them."""
    factories.market(3)
    found = factories.paid_order(2, holder="贵州𠮷省 & 友").certificate
    assert found is not None
    return (
        Client().get(f"/c/{found.token}/certificate.json").json(),
        Client().get("/.well-known/certificate-keys.json").json(),
    )


def verify(folder: Path, *contents: Any) -> tuple[int, str]:
    """The exit code and what was said; away from the platform, without its settings."""
    names = []
    for number, content in enumerate(contents):
        names.append(folder / f"{number}.json")
        names[-1].write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    answer = subprocess.run(
        [sys.executable, "-I", str(VERIFIER), *map(str, names)], cwd=folder, env={}, capture_output=True, check=False
    )
    return answer.returncode, (answer.stdout + answer.stderr).decode()


def test_a_genuine_certificate_is_genuine(files: Files, tmp_path: Path) -> None:
    code, said = verify(tmp_path, *files)
    assert code == 0, said
    assert "真实 GENUINE" in said
    assert "holder: 贵州𠮷省 & 友" in said
    assert "trees: 2" in said


def of_another_key(certificate: dict[str, Any]) -> None:
    forger = Ed25519PrivateKey.generate()
    certificate["key_id"] = certificates.key_id(forger.public_key())
    signed = json.loads(certificate["payload"]) | {"key_id": certificate["key_id"]}
    certificate["payload"] = json.dumps(signed)
    certificate["signature"] = base64.b64encode(forger.sign(certificate["payload"].encode())).decode()


ALTERED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another holder": lambda one: one.update(payload=one["payload"].replace("贵州", "云南")),
    "more trees": lambda one: one.update(payload=one["payload"].replace('"trees":2', '"trees":20')),
    "a space more": lambda one: one.update(payload=one["payload"] + " "),
    "another signature": lambda one: one.update(signature=base64.b64encode(b"x" * 64).decode()),
    "no signature": lambda one: one.pop("signature"),
    "an unknown key": lambda one: one.update(key_id="0" * 16),
    "signed by somebody else": of_another_key,
    "no base64": lambda one: one.update(signature=one["signature"] + "!"),
}


@pytest.mark.parametrize("what", ALTERED)
def test_an_altered_one_is_not(files: Files, tmp_path: Path, what: str) -> None:
    certificate, keys = files
    ALTERED[what](certificate)
    code, said = verify(tmp_path, certificate, keys)
    assert (code, "NOT GENUINE" in said) == (1, True), said


def test_a_key_under_a_borrowed_id_is_refused(files: Files, tmp_path: Path) -> None:
    certificate, keys = files
    forger = Ed25519PrivateKey.generate()
    raw = forger.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    keys["keys"][0]["public_key"] = base64.b64encode(raw).decode()
    certificate["signature"] = base64.b64encode(forger.sign(certificate["payload"].encode())).decode()
    code, said = verify(tmp_path, certificate, keys)
    assert (code, "does not belong to its id" in said) == (2, True), said


@pytest.mark.parametrize("content", ["", "[]", "{", "null"])
def test_what_is_no_certificate_is_unreadable(files: Files, tmp_path: Path, content: str) -> None:
    code, said = verify(tmp_path, content, files[1])
    assert (code, "Traceback" in said) == (2, False), said


def test_without_two_files_it_says_how_it_is_used(tmp_path: Path) -> None:
    code, said = verify(tmp_path)
    assert (code, said.startswith("Usage:")) == (2, True)


def test_former_keys_are_published_with_todays(settings: Any) -> None:
    former = Ed25519PrivateKey.generate().public_key()
    raw = base64.b64encode(former.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    settings.CERTIFICATE_FORMER_KEYS = [raw]
    keys = Client().get("/.well-known/certificate-keys.json").json()["keys"]
    assert [(key["signs_today"], key["algorithm"]) for key in keys] == [(True, "Ed25519"), (False, "Ed25519")]
    assert (keys[1]["key_id"], keys[1]["public_key"]) == (certificates.key_id(former), raw)
    assert keys[0]["public_key"] == certificates.public_key_text()
