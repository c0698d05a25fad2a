#!/usr/bin/env python3
"""Checks a carbon sink certificate without asking anybody.

    python verify_certificate.py certificate.json certificate-keys.json

certificate.json is what the certificate's page offers at /c/<token>/certificate.json, certificate-keys.json what the
platform publishes at /.well-known/certificate-keys.json: get the keys from a place you trust, best long before you
need them. Needs Python 3.9 and `cryptography`, nothing of the platform.

A good signature (Ed25519 over the exact UTF-8 text "payload") proves what was issued. Whether it still holds (it may
have been retired, handed on, replaced or refunded since) only the register knows.

Exit code: 0 genuine, 1 not genuine, 2 a file cannot be read.
"""

import base64
import binascii
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

GENUINE, NOT_GENUINE, UNREADABLE = 0, 1, 2


class Unreadable(Exception):
    """A file is not there, or not what it should be."""


class NotGenuine(Exception):
    """The certificate was not issued like this; says why."""


def main(arguments: list[str]) -> int:
    """Says whether the certificate is genuine, and gives the exit code."""
    if len(arguments) != 2:
        say("Usage: python verify_certificate.py certificate.json certificate-keys.json", sys.stderr)
        return UNREADABLE
    try:
        text = verified(read(arguments[0]), read(arguments[1]))
    except Unreadable as error:
        say(f"Cannot be read: {error}", sys.stderr)
        return UNREADABLE
    except NotGenuine as error:
        say(f"不可信 NOT GENUINE: {error}")
        return NOT_GENUINE
    say("真实 GENUINE: this is what was issued. Ask the register whether it still holds.")
    for name, value in text.items():
        say(f"  {name}: {value}")
    return GENUINE


def read(name: str) -> dict[str, Any]:
    """The object in a JSON file."""
    try:
        content = json.loads(Path(name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Unreadable(f"{name}: {error}") from error
    if not isinstance(content, dict):
        raise Unreadable(f"{name}: this is no JSON object")
    return content


def verified(certificate: dict[str, Any], published: dict[str, Any]) -> dict[str, Any]:
    """The fields of the signed text, once the signature fits it."""
    payload, signature = certificate.get("payload"), certificate.get("signature")
    if not isinstance(payload, str) or not isinstance(signature, str):
        raise NotGenuine("the signed text or the signature is missing")
    key = key_of(certificate.get("key_id"), published)
    try:
        key.verify(base64.b64decode(signature, validate=True), payload.encode())
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise NotGenuine("the signature does not fit the text") from error
    fields: dict[str, Any] = json.loads(payload)
    if fields.get("key_id") != certificate["key_id"]:
        raise NotGenuine("the text names another key")
    return fields


def key_of(key_id: Any, published: dict[str, Any]) -> Ed25519PublicKey:
    """The published key with this id; the id is a digest of the key, so that none can be slipped in under it."""
    for entry in published.get("keys", []):
        if isinstance(entry, dict) and entry.get("key_id") == key_id:
            try:
                raw = base64.b64decode(str(entry.get("public_key")), validate=True)
                key = Ed25519PublicKey.from_public_bytes(raw)
            except ValueError as error:
                raise Unreadable(f"the published key {key_id}: {error}") from error
            if hashlib.sha256(raw).hexdigest()[:16] != key_id:
                raise Unreadable(f"the published key {key_id} does not belong to its id")
            return key
    raise NotGenuine(f"it is signed with the key {key_id}, which is not published")


def say(line: str, stream: Any = None) -> None:
    """A line of output, also on a terminal that lacks its characters."""
    (stream or sys.stdout).buffer.write(f"{line}\n".encode())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
