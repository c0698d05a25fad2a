"""Alipay's RSA2 signatures, as pure functions of bytes and keys.

Source of the forms: Alipay open platform, "Signing by yourself" and "Verifying by yourself".
"""

import base64
import json
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

_SPACE = re.compile(r"[ \t\r\n]*")


class BadSignature(Exception):
    """A message that cannot be trusted; the text says why, for the log."""


def sign(parameters: Mapping[str, str], key: RSAPrivateKey) -> str:
    """The signature of a request: all of its parameters that are not empty, in the order of their names."""
    return base64.b64encode(key.sign(_joined(parameters, without={"sign"}), PKCS1v15(), SHA256())).decode()


def read_notification(body: bytes, key: RSAPublicKey) -> dict[str, str]:
    """The parameters of an authentic callback. Raises BadSignature.

    What is signed is `name=value` joined by `&`, unescaped: a value that holds `&name=` could stand for two parameters,
    or two for one. Nothing we ever send holds one, so it is refused; and so is a name that comes twice.
    """
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=100
        )
    except ValueError as error:
        raise BadSignature("not a form in UTF-8") from error
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise BadSignature("a parameter comes twice")
    if any(re.search(r"&[A-Za-z_]+=", value) for value in parameters.values()):
        raise BadSignature("a parameter within a parameter")
    # Neither is part of what is signed: only the one that we use is taken.
    if parameters.get("sign_type") != "RSA2":
        raise BadSignature("not signed by RSA2")
    _verify(_joined(parameters, without={"sign", "sign_type"}), parameters.get("sign", ""), key)
    return parameters


def read_answer(body: bytes, name: str, key: RSAPublicKey, certificate: str = "") -> dict[str, object]:
    """The object `name` of an authentic answer; its bytes as they came are what was signed. In certificate mode it
    must name the number of the certificate that `key` is of. Raises BadSignature."""
    try:
        text = body.decode()
        parts = _top_level(text)
        found = json.loads(parts[name])
        signature = json.loads(parts["sign"])
        named = json.loads(parts["alipay_cert_sn"]) if certificate else ""
    except (ValueError, KeyError, RecursionError) as error:
        raise BadSignature(f"not an answer with {name} and sign") from error
    if not isinstance(found, dict) or not isinstance(signature, str):
        raise BadSignature(f"not an answer with {name} and sign")
    if named != certificate:
        raise BadSignature(f"signed by another certificate of Alipay's: {str(named)[:64]}")
    _verify(parts[name].encode(), signature, key)
    return found


def _joined(parameters: Mapping[str, str], without: set[str]) -> bytes:
    used = sorted((name, value) for name, value in parameters.items() if value and name not in without)
    return "&".join(f"{name}={value}" for name, value in used).encode()


def _verify(message: bytes, signature: str, key: RSAPublicKey) -> None:
    try:
        key.verify(base64.b64decode(signature, validate=True), message, PKCS1v15(), SHA256())
    except (ValueError, InvalidSignature) as error:
        raise BadSignature("signature does not fit") from error


def _top_level(text: str) -> dict[str, str]:
    """The members of a JSON object as they are written. ValueError for anything else, also for a name given twice."""
    decoder, parts = json.JSONDecoder(), dict[str, str]()
    at = _past(text, _past(text, 0), "{")
    while True:
        name, at = decoder.raw_decode(text, at)
        start = _past(text, at, ":")
        at = decoder.raw_decode(text, start)[1]
        if not isinstance(name, str) or name in parts:
            raise ValueError("a name that is none, or comes twice")
        parts[name] = text[start:at]
        at = _past(text, at)
        if text[at : at + 1] == "}":
            if text[at + 1 :].strip():
                raise ValueError("more than an object")
            return parts
        at = _past(text, at, ",")


def _past(text: str, at: int, sign: str = "") -> int:
    """The place after spaces, this sign, and spaces."""
    found = _SPACE.match(text, at)
    at = found.end() if found else at
    if not sign:
        return at
    if text[at : at + 1] != sign:
        raise ValueError(f"{sign} is missing")
    return _past(text, at + 1)
