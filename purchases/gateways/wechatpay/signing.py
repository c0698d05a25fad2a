"""WeChat Pay v3 signatures and sealed callbacks, as pure functions of bytes, keys and the time.

Source of the forms: WeChat Pay API v3, "Signature generation", "Signature verification" and "Decrypting callbacks".
"""

import base64
import re
from collections.abc import Mapping
from datetime import datetime

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256

WINDOW_SECONDS = 300


class BadSignature(Exception):
    """A message that cannot be trusted; the text says why, for the log."""


def authorization(
    *,
    method: str,
    path: str,
    body: bytes,
    mchid: str,
    serial: str,
    key: RSAPrivateKey,
    timestamp: int,
    nonce: str,
) -> str:
    """The Authorization header of a request; `path` with its query, `body` the exact bytes sent."""
    message = f"{method}\n{path}\n{timestamp}\n{nonce}\n".encode() + body + b"\n"
    signature = base64.b64encode(key.sign(message, PKCS1v15(), SHA256())).decode()
    return (
        f'WECHATPAY2-SHA256-RSA2048 mchid="{mchid}",nonce_str="{nonce}",timestamp="{timestamp}",'
        f'serial_no="{serial}",signature="{signature}"'
    )


def bridge(*, appid: str, prepay_id: str, key: RSAPrivateKey, timestamp: int, nonce: str) -> dict[str, str]:
    """The parameters of `getBrandWCPayRequest`, by WeChat Pay's "JSAPI: invoking payment"."""
    package = f"prepay_id={prepay_id}"
    message = f"{appid}\n{timestamp}\n{nonce}\n{package}\n".encode()
    return {
        "appId": appid,
        "timeStamp": str(timestamp),
        "nonceStr": nonce,
        "package": package,
        "signType": "RSA",
        "paySign": base64.b64encode(key.sign(message, PKCS1v15(), SHA256())).decode(),
    }


def verify(headers: Mapping[str, str], body: bytes, *, keys: Mapping[str, RSAPublicKey], now: datetime) -> None:
    """Checks a response or callback against the known platform keys. Raises BadSignature; never calls out."""
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        timestamp, nonce, signature, serial = (
            lower[f"wechatpay-{name}"] for name in ("timestamp", "nonce", "signature", "serial")
        )
    except KeyError as error:
        raise BadSignature(f"header {error} is missing") from error
    if not re.fullmatch(r"[0-9]{1,12}", timestamp) or abs(now.timestamp() - int(timestamp)) >= WINDOW_SECONDS:
        raise BadSignature("timestamp is outside the window")
    key = keys.get(serial)
    if key is None:
        raise BadSignature("unknown key serial")
    try:
        raw = base64.b64decode(signature, validate=True)
        key.verify(raw, f"{timestamp}\n{nonce}\n".encode() + body + b"\n", PKCS1v15(), SHA256())
    except (ValueError, InvalidSignature) as error:  # Probes (WECHATPAY/SIGNTEST/…) end here too.
        raise BadSignature("signature does not fit") from error


def unseal(*, ciphertext: str, nonce: str, associated_data: str, key: bytes) -> bytes:
    """Opens the AES-256-GCM resource of a callback. Raises BadSignature when it was altered."""
    try:
        return AESGCM(key).decrypt(
            nonce.encode(), base64.b64decode(ciphertext, validate=True), associated_data.encode()
        )
    except (ValueError, InvalidTag) as error:
        raise BadSignature("the sealed resource cannot be opened") from error
