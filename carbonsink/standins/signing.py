"""Signatures of the two protocols, as pure functions over bytes, keys and a clock given from outside.

WeChat Pay v3: SHA256 with RSA PKCS#1 v1.5 over lines ending in a line feed, base64; notifications are
sealed with AES-256-GCM under the merchant's APIv3 key. Alipay: the same over sorted parameters, or over the
answer's own bytes. Bank: Ed25519 over lines that hold the body's
SHA-256, base64. The platform's adapters implement the same independently; that the two agree is a test of
both.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

WINDOW_SECONDS = 300
WECHAT_SCHEME = "WECHATPAY2-SHA256-RSA2048"
WECHAT_PROBE = "WECHATPAY/SIGNTEST/"


class SignatureRefusedError(Exception):
    """The signature is missing, stale, of another party, or does not fit what was sent."""


class HeaderSource(Protocol):
    def get(self, key: str, default: str, /) -> str: ...


@dataclass(frozen=True)
class Sent:
    """A request as it went over the wire; `target` is path and query, undecoded."""

    method: str
    target: str
    body: bytes


def check_fresh(timestamp: str, now: float) -> None:
    """Refuse a timestamp (seconds since 1970) that is not a number or lies 300 s or more from `now`."""
    if not re.fullmatch(r"\d{1,12}", timestamp):
        raise SignatureRefusedError("The timestamp is missing or not a number of seconds.")
    if abs(now - int(timestamp)) >= WINDOW_SECONDS:
        raise SignatureRefusedError("The timestamp is more than 300 seconds off; check the clock.")


def wechat_message(*lines: str, body: bytes) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode() + body + b"\n"


def rsa_sign(key: rsa.RSAPrivateKey, message: bytes) -> str:
    return base64.b64encode(key.sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()


def rsa_check(key: rsa.RSAPublicKey, message: bytes, signature: str) -> None:
    try:
        key.verify(_unbase64(signature), message, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature as error:
        raise SignatureRefusedError("The signature does not fit the request.") from error


def wechat_authorization(
    sent: Sent, key: rsa.RSAPrivateKey, *, mchid: str, serial: str, timestamp: int, nonce: str
) -> str:
    """The Authorization header of a merchant's request."""
    signature = rsa_sign(key, wechat_message(sent.method, sent.target, str(timestamp), nonce, body=sent.body))
    return (
        f'{WECHAT_SCHEME} mchid="{mchid}",nonce_str="{nonce}",timestamp="{timestamp}",'
        f'serial_no="{serial}",signature="{signature}"'
    )


def verify_wechat_request(
    sent: Sent, authorization: str, key: rsa.RSAPublicKey, *, mchid: str, serial: str, now: float
) -> None:
    """Raise SignatureRefusedError unless this merchant signed exactly these bytes within the window."""
    scheme, _, rest = authorization.partition(" ")
    parts = dict(re.findall(r'(\w+)="([^"]*)"', rest))
    if scheme != WECHAT_SCHEME or {"mchid", "nonce_str", "timestamp", "serial_no", "signature"} - set(parts):
        raise SignatureRefusedError("The Authorization header is missing or not WECHATPAY2-SHA256-RSA2048.")
    if parts["mchid"] != mchid or parts["serial_no"] != serial:
        raise SignatureRefusedError("The merchant number or the serial of its certificate is unknown.")
    if not parts["nonce_str"]:
        raise SignatureRefusedError("The nonce is empty.")
    check_fresh(parts["timestamp"], now)
    message = wechat_message(sent.method, sent.target, parts["timestamp"], parts["nonce_str"], body=sent.body)
    rsa_check(key, message, parts["signature"])


def wechat_headers(body: bytes, key: rsa.RSAPrivateKey, *, key_id: str, timestamp: int, nonce: str) -> dict[str, str]:
    """The headers by which WeChat Pay signs a response or a notification."""
    return {
        "Wechatpay-Timestamp": str(timestamp),
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Signature": rsa_sign(key, wechat_message(str(timestamp), nonce, body=body)),
        "Wechatpay-Serial": key_id,
        "Wechatpay-Signature-Type": WECHAT_SCHEME,
    }


def seal(apiv3_key: bytes, plaintext: bytes, *, nonce: str, associated_data: str) -> str:
    """AES-256-GCM, base64; the 16-byte tag is at the end."""
    return base64.b64encode(AESGCM(apiv3_key).encrypt(nonce.encode(), plaintext, associated_data.encode())).decode()


def alipay_message(parameters: Mapping[str, str], *, without: set[str]) -> bytes:
    """What Alipay's signatures are over: name=value of all that is not empty, by name, joined by &."""
    used = {name: value for name, value in parameters.items() if value and name not in without}
    return "&".join(f"{name}={used[name]}" for name in sorted(used)).encode()


def bank_request_message(sent: Sent, timestamp: str, nonce: str) -> bytes:
    return _lines(sent.method, sent.target, timestamp, nonce, hashlib.sha256(sent.body).hexdigest())


def bank_response_message(status: int, body: bytes, timestamp: str, request_nonce: str) -> bytes:
    return _lines(str(status), timestamp, request_nonce, hashlib.sha256(body).hexdigest())


def bank_request_headers(
    sent: Sent, key: ed25519.Ed25519PrivateKey, *, client: str, timestamp: int, nonce: str
) -> dict[str, str]:
    """The headers by which a client of the bank signs its request."""
    return {
        "X-Bank-Client": client,
        "X-Bank-Timestamp": str(timestamp),
        "X-Bank-Nonce": nonce,
        "X-Bank-Signature": _ed25519_sign(key, bank_request_message(sent, str(timestamp), nonce)),
    }


def verify_bank_request(
    sent: Sent, headers: HeaderSource, key: ed25519.Ed25519PublicKey, *, client: str, now: float
) -> str:
    """The nonce of a well-signed request (replays are the caller's), or SignatureRefusedError."""
    if headers.get("X-Bank-Client", "") != client:
        raise SignatureRefusedError("The X-Bank-Client is missing or unknown.")
    timestamp, nonce = headers.get("X-Bank-Timestamp", ""), headers.get("X-Bank-Nonce", "")
    check_fresh(timestamp, now)
    if not re.fullmatch(r"[0-9A-Za-z_-]{16,64}", nonce):
        raise SignatureRefusedError("The X-Bank-Nonce must be 16 to 64 characters of 0-9 A-Z a-z _ -.")
    try:
        signature = _unbase64(headers.get("X-Bank-Signature", ""))
        key.verify(signature, bank_request_message(sent, timestamp, nonce))
    except InvalidSignature as error:
        raise SignatureRefusedError("The X-Bank-Signature does not fit the request.") from error
    return nonce


def bank_response_headers(
    status: int, body: bytes, key: ed25519.Ed25519PrivateKey, *, timestamp: int, request_nonce: str
) -> dict[str, str]:
    """The headers by which the bank signs its answer to the request that bore `request_nonce`."""
    message = bank_response_message(status, body, str(timestamp), request_nonce)
    return {"X-Bank-Timestamp": str(timestamp), "X-Bank-Signature": _ed25519_sign(key, message)}


def _ed25519_sign(key: ed25519.Ed25519PrivateKey, message: bytes) -> str:
    return base64.b64encode(key.sign(message)).decode()


def _lines(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SignatureRefusedError("The signature is missing or not base64.") from error
