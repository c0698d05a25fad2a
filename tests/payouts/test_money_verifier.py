"""The stand-alone verifier of the money, as a process of its own, on the files that the pages offer."""

import base64
import copy
import hashlib
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

from payouts import daily, merkle
from payouts.models import DailyStatement
from purchases import certificates
from tests import factories
from tests.processes import ROOT

pytestmark = pytest.mark.django_db
VERIFIER = ROOT / "clients" / "verify_money.py"
Files = dict[str, Any]
_published: Files = {}


@pytest.fixture
def files(later: Any) -> Files:
    """The keys, two statements and the proof of an order, as anyone downloads them; published once, and a copy of its
    own for each test."""
    if not _published:
        _published.update(_publish(later))
    return copy.deepcopy(_published)


def _publish(later: Any) -> Files:
    factories.market(3, 2, 1)
    order = factories.paid_order(5)
    factories.paid_order(1)
    later(days=1)
    daily.publish_missed()
    factories.paid_order(1, tree=factories.market(1)[0].trees.get())
    later(days=1)
    daily.publish_missed()
    days = [f"{one.day}" for one in DailyStatement.objects.order_by("day")]
    anyone = Client()
    return {
        "keys": anyone.get("/.well-known/certificate-keys.json").json(),
        "first": anyone.get(f"/money/{days[0]}.json").json(),
        "second": anyone.get(f"/money/{days[1]}.json").json(),
        "proof": anyone.get(f"/money/{days[0]}/proof?order={order.number}&token={order.token}").json(),
    }


def verify(folder: Path, *contents: Any) -> tuple[int, str]:
    """The exit code and what was said; away from the platform, without its settings."""
    names = []
    for number, content in enumerate(contents):
        names.append(folder / f"{number}.json")
        names[-1].write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    answer = subprocess.run(
        [sys.executable, "-I", str(VERIFIER), *map(str, names)], cwd=folder, env={}, capture_output=True, check=False
    )
    said = (answer.stdout + answer.stderr).decode()
    assert "Traceback" not in said, said
    return answer.returncode, said


def test_what_was_published_fits(files: Files, tmp_path: Path) -> None:
    code, said = verify(tmp_path, *files.values())
    assert (code, "相符 FITS" in said) == (0, True), said
    days = [json.loads(files[name]["body"])["day"] for name in ("first", "second")]
    assert f"{days[0]}, number 1: 18.00 yuan had come in, 0.00 yuan had arrived\n" in said
    assert f"{days[1]}, number 2: 21.00 yuan had come in, 0.00 yuan had arrived\n" in said
    order = files["proof"]["order"]
    assert f"order {order}, capture {days[0]}: 15.00 yuan, in the statement of {days[0]}" in said


def test_files_may_come_in_any_order_and_a_proof_is_enough_by_itself(files: Files, tmp_path: Path) -> None:
    assert verify(tmp_path, files["keys"], files["proof"], files["second"], files["first"])[0] == 0
    assert verify(tmp_path, files["keys"], files["proof"])[0] == 0
    code, said = verify(tmp_path, files["keys"], files["second"])
    assert (code, "the statement before it was not given" in said) == (0, True)


def body(one: dict[str, Any], **changes: Any) -> None:
    """Changes what the text says, and leaves the signature."""
    one["body"] = json.dumps(json.loads(one["body"]) | changes, sort_keys=True, separators=(",", ":"))


def resigned(files: Files, name: str, change: Callable[[dict[str, Any]], Any]) -> None:
    """What only the platform itself could do: a text that says something else, signed again."""
    text = json.loads(files[name]["body"])
    change(text)
    files[name]["body"] = json.dumps(text, sort_keys=True, separators=(",", ":"))
    signature = certificates.signing_key().sign(daily.CONTEXT + files[name]["body"].encode())
    files[name]["signature"] = base64.b64encode(signature).decode()


def leaf(files: Files, **changes: Any) -> None:
    """Changes what a line of the proof says."""
    at, text = files["proof"]["leaves"][0]
    files["proof"]["leaves"][0] = [at, json.dumps(json.loads(text) | changes, separators=(",", ":"))]


def twice(files: Files) -> None:
    files["proof"]["leaves"].append(files["proof"]["leaves"][0])


def of_another_key(files: Files) -> None:
    forger = Ed25519PrivateKey.generate()
    one = files["first"]
    one["key_id"] = certificates.key_id(forger.public_key())
    body(one, key_id=one["key_id"])
    one["signature"] = base64.b64encode(forger.sign(daily.CONTEXT + one["body"].encode())).decode()


def without_context(files: Files) -> None:
    """Signed as a certificate would be."""
    signature = certificates.signing_key().sign(files["first"]["body"].encode())
    files["first"]["signature"] = base64.b64encode(signature).decode()


def own_tree(files: Files) -> None:
    """A forged line with a proof that is right for another root."""
    text = json.dumps({"day": "x", "entry": "capture", "fen": 1, "order": files["proof"]["order"]})
    files["proof"] |= {"leaves": [[0, text]], "nodes": [merkle.leaf_hash(b"x").hex()]}


def forks(files: Files) -> None:
    """Another statement under the same number."""
    files["third"] = copy.deepcopy(files["first"])
    resigned(files, "third", lambda text: text.update(published_at="2026-01-01T00:00:00+08:00"))


ALTERED: dict[str, Callable[[Files], Any]] = {
    "more came in": lambda files: body(files["first"], ever={}),
    "a space more": lambda files: files["first"].update(body=files["first"]["body"] + " "),
    "another signature": lambda files: files["first"].update(signature=base64.b64encode(b"x" * 64).decode()),
    "no signature": lambda files: files["first"].pop("signature"),
    "no base64": lambda files: files["first"].update(signature=files["first"]["signature"] + "!"),
    "an unknown key": lambda files: files["first"].update(key_id="0" * 16),
    "signed by somebody else": of_another_key,
    "signed as something else": without_context,
    "another key named": lambda files: resigned(files, "first", lambda text: text.update(key_id="0" * 16)),
    "a fen missing": lambda files: resigned(files, "second", lambda text: text["of_day"].update(waiting=299)),
    "a fen missing in all": lambda files: resigned(files, "second", lambda text: text["ever"].update(waiting=1)),
    "money that lies nowhere": lambda files: resigned(files, "second", lambda text: text["ever"].update(fees=6)),
    "totals that do not add up": lambda files: resigned(
        files,
        "second",
        lambda text: text["ever"].update({"in": {"wechatpay": 2200}, "waiting": 2200, "at_gateways": 2200}),
    ),
    "came in by another way": lambda files: resigned(
        files, "second", lambda text: text["ever"].update({"in": {"alipay": 2100}})
    ),
    "a rewritten past": lambda files: resigned(files, "first", lambda text: text.update(published_at="never")),
    "a day left out": lambda files: resigned(files, "second", lambda text: text.update(day="2126-01-01")),
    "a text that is no statement": lambda files: resigned(files, "first", lambda text: text.clear()),
    "two statements of a day": forks,
    "another amount in the line": lambda files: leaf(files, fen=1_000_000),
    "another day in the line": lambda files: leaf(files, day="2020-01-01"),
    "another household in the line": lambda files: leaf(files, household="0" * 64),
    "another order": lambda files: files["proof"].update(order="X"),
    "another order's line": lambda files: leaf(files, order="X"),
    "a line twice": twice,
    "a line at another place": lambda files: files["proof"]["leaves"][0].__setitem__(0, 2),
    "a line that is not there": lambda files: files["proof"]["leaves"][0].__setitem__(0, 99),
    "no lines": lambda files: files["proof"].update(leaves=[]),
    "nodes missing": lambda files: files["proof"].update(nodes=[]),
    "nodes too many": lambda files: files["proof"]["nodes"].append("00" * 32),
    "another node": lambda files: files["proof"].update(nodes=["00" * 32] * len(files["proof"]["nodes"])),
    "nodes that are no hashes": lambda files: files["proof"].update(nodes=["x"]),
    "a tree of one's own": own_tree,
    "a proof without its statement": lambda files: files["proof"].pop("statement"),
    "a proof with another day's statement": lambda files: files["proof"].update(statement=files["second"]),
}


@pytest.mark.parametrize("what", ALTERED)
def test_what_was_altered_does_not_fit(files: Files, tmp_path: Path, what: str) -> None:
    ALTERED[what](files)
    code, said = verify(tmp_path, *files.values())
    assert (code, "DOES NOT FIT" in said) == (1, True), said


def test_a_key_under_a_borrowed_id_is_refused(files: Files, tmp_path: Path) -> None:
    raw = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    files["keys"]["keys"][0]["public_key"] = base64.b64encode(raw).decode()
    code, said = verify(tmp_path, *files.values())
    assert (code, "does not belong to its id" in said) == (2, True), said


@pytest.mark.parametrize("content", ["", "[]", "{", "null", '{"a": 1.5}', '{"a": NaN}', "[" * 100_000])
def test_what_is_no_statement_is_unreadable(files: Files, tmp_path: Path, content: str) -> None:
    assert verify(tmp_path, files["keys"], content)[0] == 2
    assert verify(tmp_path, content, files["first"])[0] == 2


def test_without_files_it_says_how_it_is_used(files: Files, tmp_path: Path) -> None:
    code, said = verify(tmp_path, files["keys"])
    assert (code, said.startswith("Usage:")) == (2, True)


def test_the_whole_previous_text_is_bound(files: Files) -> None:
    told = json.loads(files["second"]["body"])
    assert told["previous"] == hashlib.sha256(files["first"]["body"].encode()).hexdigest()
