"""WeChat Pay's signatures as pure functions, against vectors made here from the documentation."""

import base64
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256

from purchases.gateways.wechatpay import signing

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
KEYS = {"PUB_KEY_ID_1": KEY.public_key()}
NOW = datetime(2030, 1, 1, tzinfo=UTC)
TIMESTAMP = str(int(NOW.timestamp()))
BODY = '{"id":"EV-1","summary":"支付成功"}'.encode()


def signed(message: bytes, key: rsa.RSAPrivateKey = KEY) -> str:
    return base64.b64encode(key.sign(message, PKCS1v15(), SHA256())).decode()


def headers(timestamp: str = TIMESTAMP, nonce: str = "abc", body: bytes = BODY, **changes: str) -> dict[str, str]:
    return {
        "Wechatpay-Timestamp": timestamp,
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Signature": signed(timestamp.encode() + b"\n" + nonce.encode() + b"\n" + body + b"\n"),
        "Wechatpay-Serial": "PUB_KEY_ID_1",
    } | changes


def check(sent: dict[str, str], body: bytes = BODY, now: datetime = NOW) -> None:
    signing.verify(sent, body, keys=KEYS, now=now)


def test_what_wechat_signed_is_taken() -> None:
    check(headers())
    check({name.lower(): value for name, value in headers().items()})
    check({name.upper(): value for name, value in headers().items()})
    check(headers(body=b""), b"")


@pytest.mark.parametrize("seconds", [-299, 299])
def test_within_the_window(seconds: int) -> None:
    check(headers(), now=NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize("seconds", [-301, -300, 300, 301, 86400])
def test_outside_the_window(seconds: int) -> None:
    with pytest.raises(signing.BadSignature, match="window"):
        check(headers(), now=NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("sent", "body", "why"),
    [
        ({}, BODY, "missing"),
        *[({k: v for k, v in headers().items() if k != name}, BODY, "missing") for name in headers()],
        (headers(), BODY + b" ", "does not fit"),
        (headers(), b"", "does not fit"),
        (headers() | {"Wechatpay-Nonce": "abd"}, BODY, "does not fit"),
        (headers() | {"Wechatpay-Timestamp": str(int(TIMESTAMP) + 1)}, BODY, "does not fit"),
        (headers() | {"Wechatpay-Serial": "PUB_KEY_ID_2"}, BODY, "unknown key"),
        (headers() | {"Wechatpay-Serial": ""}, BODY, "unknown key"),
        (headers() | {"Wechatpay-Signature": ""}, BODY, "does not fit"),
        (headers() | {"Wechatpay-Signature": "not base64"}, BODY, "does not fit"),
        (headers() | {"Wechatpay-Signature": "签名"}, BODY, "does not fit"),
        (headers() | {"Wechatpay-Signature": "WECHATPAY/SIGNTEST/" + headers()["Wechatpay-Signature"]}, BODY, "fit"),
        (
            headers()
            | {"Wechatpay-Signature": signed(f"{TIMESTAMP}\nabc\n".encode() + BODY + b"\n", OTHER)},
            BODY,
            "does not fit",
        ),
        # A line feed moved from one part to another must not pass for the same message.
        (headers(nonce="abc\nx") | {"Wechatpay-Nonce": "abc"}, b"x\n" + BODY, "does not fit|fit"),
        *[
            (headers(timestamp=bad), BODY, "window")
            for bad in ("", "-1", "1e9", "0x10", f" {TIMESTAMP}", f"{TIMESTAMP}\n", f"{TIMESTAMP}.0", "٣", "9" * 400,
                        "9" * 5000, "0")
        ],
    ],
)  # fmt: skip
def test_anything_else_is_refused(sent: dict[str, str], body: bytes, why: str) -> None:
    if body.startswith(b"x\n"):
        # The signature over TS\nabc\nx\nBODY\n fits this too: the form itself allows it, JSON does not.
        check(sent, body)
        return
    with pytest.raises(signing.BadSignature, match=why):
        check(sent, body)


def test_the_authorization_of_a_request_signs_method_path_time_nonce_and_body() -> None:
    header = signing.authorization(
        method="POST", path="/v3/pay/transactions/native?x=1", body=BODY, mchid="190", serial="5157", key=KEY,
        timestamp=1554208460, nonce="593BEC0C930BF1AFEB40B4A08C8FB242",
    )  # fmt: skip
    found = re.fullmatch(
        r'WECHATPAY2-SHA256-RSA2048 mchid="190",nonce_str="593BEC0C930BF1AFEB40B4A08C8FB242",timestamp="1554208460",'
        r'serial_no="5157",signature="([^"]+)"',
        header,
    )
    assert found
    message = b"POST\n/v3/pay/transactions/native?x=1\n1554208460\n593BEC0C930BF1AFEB40B4A08C8FB242\n" + BODY + b"\n"
    KEY.public_key().verify(base64.b64decode(found[1]), message, PKCS1v15(), SHA256())


def sealed(**changes: Any) -> dict[str, Any]:
    text = base64.b64encode(AESGCM(b"k" * 32).encrypt(b"nonce-123456", b"{}", b"transaction")).decode()
    return {"ciphertext": text, "nonce": "nonce-123456", "associated_data": "transaction", "key": b"k" * 32} | changes


def test_a_sealed_resource_opens_with_the_key_alone() -> None:
    assert signing.unseal(**sealed()) == b"{}"
    flipped = bytearray(base64.b64decode(sealed()["ciphertext"]))
    flipped[0] ^= 1
    for changes in (
        {"key": b"x" * 32}, {"key": b"short"}, {"nonce": "nonce-123457"}, {"nonce": ""}, {"associated_data": ""},
        {"ciphertext": base64.b64encode(bytes(flipped)).decode()}, {"ciphertext": ""}, {"ciphertext": "?"},
    ):  # fmt: skip
        with pytest.raises(signing.BadSignature):
            signing.unseal(**sealed(**changes))


def test_a_published_vector_of_a_sealed_resource_opens() -> None:
    """From WeChat Pay's own SDK: wechatpay-java, AeadAesCipherTest with the key of its TestConfig."""
    opened = signing.unseal(
        ciphertext="ulwSiIajGClcvcOYvOQ7+l+0PAbzzwI=",
        nonce="uluk4a9R25RW",
        associated_data="associatedData",
        key=b"a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb",
    )
    assert opened == b"message"


def test_the_bridge_signs_app_time_nonce_and_package() -> None:
    found = signing.bridge(appid="wx1", prepay_id="wx2", key=KEY, timestamp=1554208460, nonce="n0nce")
    signature = base64.b64decode(found.pop("paySign"))
    KEY.public_key().verify(signature, b"wx1\n1554208460\nn0nce\nprepay_id=wx2\n", PKCS1v15(), SHA256())
    assert found == {
        "appId": "wx1", "timeStamp": "1554208460", "nonceStr": "n0nce", "package": "prepay_id=wx2", "signType": "RSA",
    }  # fmt: skip
