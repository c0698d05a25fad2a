#!/usr/bin/env python3
"""Checks the daily statements of the money, and that an order is in them, without asking anybody.

    python verify_money.py certificate-keys.json money-2026-11-20.json money-2026-11-21.json proof-2026-11-20.json

certificate-keys.json is what the platform publishes at /.well-known/certificate-keys.json: get it from a place you
trust. The other files, in any order and as many as you like, are daily statements (/money/2026-11-20.json) and proofs
(from the page of your order). Needs Python 3.9 and `cryptography`, nothing of the platform.

What is checked: the signature (Ed25519) of each statement; that in each one every fen that came in is accounted for, on
that day and ever; that statements of days that follow each other continue each other; and that the lines of a proof are
among those that were signed (a Merkle tree as RFC 6962 hashes it).

What is not: that the statement is true. It binds the platform: it cannot tell you one thing and others another, nor
change a day afterwards. A proof that something arrived says what the bank had said by then; if it comes back, a later
statement says so.

Exit code: 0 all of it fits, 1 something does not, 2 a file cannot be read.
"""

import base64
import binascii
import hashlib
import json
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FITS, DOES_NOT_FIT, UNREADABLE = 0, 1, 2
CONTEXT = b"carbonsink daily statement\n"
OWNED = ("on_the_way", "waiting", "refunded", "owed_back", "to_explain")
NAMES = ("arrived", "returned", "borne_by_sponsor", "paid_in_by_sponsor", "advanced_by_sponsor", "fees", "at_gateways")
NAMES += ("in_supervised_account", *OWNED)


class Unreadable(Exception):
    """A file is not there, or not what it should be."""


class DoesNotFit(Exception):
    """Something is not as it was signed, or not as it must be; says what."""


def main(arguments: list) -> int:
    """Checks all files, says what was found, and gives the exit code."""
    if len(arguments) < 2:
        say("Usage: python verify_money.py certificate-keys.json FILE...", sys.stderr)
        return UNREADABLE
    try:
        published, *files = [read(name) for name in arguments]
        said = check(published, files)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        say(f"不符 DOES NOT FIT: what was signed is no daily statement ({error!r})")
        return DOES_NOT_FIT
    except Unreadable as error:
        say(f"Cannot be read: {error}", sys.stderr)
        return UNREADABLE
    except DoesNotFit as error:
        say(f"不符 DOES NOT FIT: {error}")
        return DOES_NOT_FIT
    say("相符 FITS: signatures, sums and proofs are right.")
    for line in said:
        say(f"  {line}")
    return FITS


def read(name: str) -> dict:
    """The object in a JSON file."""
    try:
        content = json.loads(Path(name).read_text(encoding="utf-8"), parse_float=refuse, parse_constant=refuse)
    except (OSError, ValueError, RecursionError) as error:
        raise Unreadable(f"{name}: {error}") from error
    if not isinstance(content, dict):
        raise Unreadable(f"{name}: this is no JSON object")
    return content


def refuse(number: str) -> Any:
    """Money is counted in whole fen."""
    raise ValueError(f"{number} is no whole number")


def check(published: dict, files: list) -> list:
    """What may be said of statements and proofs, once all of it fits."""
    if not isinstance(published.get("keys"), list):
        raise Unreadable("the first file must hold the published keys")
    days: dict = {}
    said = []
    proofs = [one for one in files if "leaves" in one]
    for one in [*(one for one in files if "leaves" not in one), *(one.get("statement") for one in proofs)]:
        text, fields = verified(one, published)
        if days.setdefault(fields["number"], (text, fields))[0] != text:
            raise DoesNotFit(f"there are two different statements with the number {fields['number']}")
    for number in sorted(days):
        said += followed(days.get(number - 1), *days[number])
    for one in proofs:
        said += proven(one, json.loads(one["statement"]["body"]))
    return said


def verified(statement: Any, published: dict) -> tuple:
    """The signed text of a statement and its fields, once the signature and the sums fit."""
    if not isinstance(statement, dict):
        raise DoesNotFit("the signed statement is missing")
    body, signature = statement.get("body"), statement.get("signature")
    if not isinstance(body, str) or not isinstance(signature, str):
        raise DoesNotFit("the signed text or the signature is missing")
    try:
        key_of(statement.get("key_id"), published).verify(
            base64.b64decode(signature, validate=True), CONTEXT + body.encode()
        )
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise DoesNotFit("the signature does not fit the text") from error
    fields = json.loads(body)
    if fields["key_id"] != statement["key_id"]:
        raise DoesNotFit("the text names another key")
    for name, when in (("of_day", f"of {fields['day']}"), ("ever", f"up to {fields['day']}")):
        balanced(fields[name], when)
    return body, fields


def key_of(key_id: Any, published: dict) -> Ed25519PublicKey:
    """The published key with this id; the id is a digest of the key, so that none can be slipped in under it."""
    for entry in published["keys"]:
        if isinstance(entry, dict) and entry.get("key_id") == key_id:
            try:
                raw = base64.b64decode(str(entry.get("public_key")), validate=True)
                key = Ed25519PublicKey.from_public_bytes(raw)
            except ValueError as error:
                raise Unreadable(f"the published key {key_id}: {error}") from error
            if hashlib.sha256(raw).hexdigest()[:16] != key_id:
                raise Unreadable(f"the published key {key_id} does not belong to its id")
            return key
    raise DoesNotFit(f"it is signed with the key {key_id}, which is not published")


def balanced(one: dict, when: str) -> None:
    """Refuses figures in which a fen is missing."""
    came = sum(one["in"].values())
    whose = one["arrived"] - one["returned"] + sum(one[name] for name in OWNED)
    if came + one["borne_by_sponsor"] != whose:
        raise DoesNotFit(f"{when}: not every fen that came in is accounted for ({came}, {whose})")
    paid_in = came + one["paid_in_by_sponsor"] + one["advanced_by_sponsor"]
    left = one["arrived"] - one["returned"] + one["refunded"] + one["fees"]
    if paid_in - left != one["at_gateways"] + one["in_supervised_account"]:
        raise DoesNotFit(f"{when}: what lies in the accounts is not what came in less what left")


def followed(before: Any, text: str, fields: dict) -> list:
    """What may be said of a statement, once it continues the one before, where that is at hand."""
    day, ever = fields["day"], fields["ever"]
    if before is not None:
        text_before, fields_before = before
        if fields["previous"] != hashlib.sha256(text_before.encode()).hexdigest():
            raise DoesNotFit(f"the statement of {day} does not follow that of {fields_before['day']}")
        if date.fromisoformat(day) - date.fromisoformat(fields_before["day"]) != timedelta(days=1):
            raise DoesNotFit(f"there is a gap between {fields_before['day']} and {day}")
        start = fields_before["ever"]
    elif fields["number"] == 1:
        start = {"in": {}, **dict.fromkeys(NAMES, 0)}
    else:
        start = None
    if start is not None and any(ever[name] != start[name] + fields["of_day"][name] for name in NAMES):
        raise DoesNotFit(f"the totals up to {day} are not those of the day before and of the day")
    if start is not None and any(
        ever["in"].get(name, 0) != start["in"].get(name, 0) + fields["of_day"]["in"].get(name, 0)
        for name in {*ever["in"], *start["in"], *fields["of_day"]["in"]}
    ):
        raise DoesNotFit(f"what had come in up to {day} is not what had come in before and on that day")
    unknown = "" if start is not None else " (the statement before it was not given)"
    arrived = ever["arrived"] - ever["returned"]
    came = sum(ever["in"].values())
    return [f"{day}, number {fields['number']}: {yuan(came)} had come in, {yuan(arrived)} had arrived{unknown}"]


def proven(one: dict, fields: dict) -> list:
    """What may be said of an order's lines, once they are among those that were signed."""
    order, day = one.get("order"), fields["day"]
    try:
        leaves = {int(at): str(text) for at, text in one["leaves"]}
        nodes = [bytes.fromhex(node) for node in one["nodes"]]
        told = [json.loads(text) for text in leaves.values()]
        sums: dict = {}
        for line in told:
            kind = (line["entry"], line["day"])
            sums[kind] = sums.get(kind, 0) + line["fen"]
            if line["order"] != order:
                raise DoesNotFit(f"{day}: one of the lines is of the order {line['order']}, not of {order}")
    except (KeyError, TypeError, ValueError) as error:
        raise DoesNotFit(f"{day}: the proof is not whole ({error})") from error
    if len(leaves) != len(one["leaves"]):
        raise DoesNotFit(f"{day}: the proof counts a line twice")
    hashes = {at: hashlib.sha256(b"\0" + text.encode()).digest() for at, text in leaves.items()}
    if root(hashes, fields["lines"], nodes).hex() != fields["root"]:
        raise DoesNotFit(f"{day}: these lines are not among those that were signed")
    return [
        f"order {order}, {entry} {when}: {yuan(fen)}, in the statement of {day}" for (entry, when), fen in sums.items()
    ]


def root(leaves: dict, size: int, nodes: list) -> bytes:
    """The root of the tree of `size` leaves, from some of them and the nodes beside their way up."""
    if not leaves or min(leaves) < 0 or max(leaves) >= size:
        raise DoesNotFit("the proof names lines that the statement does not have")
    known, rest = dict(leaves), iter(nodes)
    while size > 1:
        for beside in sorted({at ^ 1 for at in known} - known.keys()):
            if beside < size:
                known[beside] = next(rest, b"")
        if any(len(node) != hashlib.sha256().digest_size for node in known.values()):
            raise DoesNotFit("the proof is not whole")
        above = {}
        for at in {at >> 1 for at in known}:
            left, right = known[2 * at], known.get(2 * at + 1)
            above[at] = left if right is None else hashlib.sha256(b"\1" + left + right).digest()
        known, size = above, (size + 1) // 2
    if next(rest, None) is not None:
        raise DoesNotFit("the proof holds more than it needs")
    return known[0]


def yuan(fen: int) -> str:
    """An amount for people."""
    sign, fen = ("-" if fen < 0 else ""), abs(fen)
    return f"{sign}{fen // 100:,}.{fen % 100:02d} yuan"


def say(line: str, stream: Any = None) -> None:
    """A line of output, also on a terminal that lacks its characters."""
    (stream or sys.stdout).buffer.write(f"{line}\n".encode())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
