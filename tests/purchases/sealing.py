"""WeChat Pay's side of a notification, written from its documentation: what only the holder of its keys can make."""

import base64
import json
import secrets
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from django.test import Client

from carbonsink import pem
from purchases.models import Payment

PATH = "/payments/wechatpay/notifications"


class Wechat:
    """Signs and seals with the keys of the stand-in."""

    def __init__(self, keys: dict[str, str]) -> None:
        self.mchid, self.appid = keys["WECHATPAY_MCHID"], keys["WECHATPAY_APPID"]
        self.serial = keys["WECHATPAY_PUBLIC_KEY_ID"]
        self.apiv3 = Path(keys["WECHATPAY_APIV3_KEY_FILE"]).read_bytes()
        folder = Path(keys["WECHATPAY_PUBLIC_KEY_FILE"]).parent
        key = pem.private_key(folder / "wechatpay.key.pem", RSAPrivateKey)
        self.key = key

    def trade(self, payment: Payment, **changes: Any) -> dict[str, Any]:
        """What a capture says of itself."""
        return {
            "appid": self.appid,
            "mchid": self.mchid,
            "out_trade_no": payment.reference,
            "transaction_id": f"4200{payment.pk:016d}",
            "trade_type": "NATIVE",
            "trade_state": "SUCCESS",
            "success_time": "2030-01-02T03:04:05+08:00",
            "payer": {"openid": "o123"},
            "amount": {"total": payment.fen, "payer_total": payment.fen, "currency": "CNY"},
        } | changes

    def event(self, trade: Any, **changes: Any) -> dict[str, Any]:
        """The sealed event."""
        nonce = secrets.token_hex(6)
        sealed = AESGCM(self.apiv3).encrypt(nonce.encode(), json.dumps(trade).encode(), b"transaction")
        return {
            "id": f"EV-{secrets.token_hex(8)}",
            "create_time": "2030-01-02T03:04:05+08:00",
            "resource_type": "encrypt-resource",
            "event_type": "TRANSACTION.SUCCESS",
            "summary": "支付成功",
            "resource": {
                "original_type": "transaction",
                "algorithm": "AEAD_AES_256_GCM",
                "ciphertext": base64.b64encode(sealed).decode(),
                "associated_data": "transaction",
                "nonce": nonce,
            },
        } | changes

    def headers(self, body: bytes, *, at: float = 0, key: RSAPrivateKey | None = None) -> dict[str, str]:
        """Signature headers over exactly these bytes; `at` in seconds from now."""
        timestamp, nonce = str(int(time.time() + at)), secrets.token_hex(16)
        signature = (key or self.key).sign(f"{timestamp}\n{nonce}\n".encode() + body + b"\n", PKCS1v15(), SHA256())
        return {
            "Wechatpay-Timestamp": timestamp,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Signature": base64.b64encode(signature).decode(),
            "Wechatpay-Serial": self.serial,
            "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
        }

    def genuine(self, payment: Payment, **changes: Any) -> tuple[dict[str, str], bytes]:
        """Headers and body of the notification of a capture."""
        body = json.dumps(self.event(self.trade(payment, **changes)), ensure_ascii=False).encode()
        return self.headers(body), body


def deliver(headers: dict[str, str], body: bytes, *, calm: bool = False) -> Any:
    """Brings a notification to the platform's door; `calm`: an unexpected error is a 500, as on a server."""
    client = Client(raise_request_exception=not calm)
    return client.post(PATH, body, content_type="application/json", headers=headers)


ALIPAY_PATH = "/payments/alipay/notifications"


class Alipay:
    """Signs Alipay's notifications with the keys of the stand-in, from its documentation."""

    def __init__(self, keys: dict[str, str]) -> None:
        self.app_id, self.seller_id = keys["ALIPAY_APP_ID"], keys["ALIPAY_SELLER_ID"]
        folder = Path(keys["ALIPAY_PUBLIC_KEY_FILE"]).parent
        key = pem.private_key(folder / "alipay.key.pem", RSAPrivateKey)
        self.key = key

    def told(self, payment: Payment, **changes: str) -> dict[str, str]:
        """What a capture says of itself, unsigned."""
        amount = f"{payment.fen // 100}.{payment.fen % 100:02d}"
        return {
            "notify_time": "2030-01-02 03:04:06",
            "notify_type": "trade_status_sync",
            "notify_id": secrets.token_hex(17),
            "app_id": self.app_id,
            "seller_id": self.seller_id,
            "charset": "utf-8",
            "version": "1.0",
            "out_trade_no": payment.reference,
            "trade_no": f"2030010222001400{payment.pk:012d}",
            "trade_status": "TRADE_SUCCESS",
            "total_amount": amount,
            "receipt_amount": amount,
            "subject": "单株碳汇 + 1",
            "body": "",
            "gmt_payment": "2030-01-02 03:04:05",
            "fund_bill_list": f"[{{&quot;amount&quot;:&quot;{amount}&quot;}}]",
        } | changes

    def signature(self, told: dict[str, str], key: RSAPrivateKey | None = None) -> str:
        used = sorted(name for name, value in told.items() if value and name not in ("sign", "sign_type"))
        message = "&".join(f"{name}={told[name]}" for name in used).encode()
        return base64.b64encode((key or self.key).sign(message, PKCS1v15(), SHA256())).decode()

    def sealed(self, told: dict[str, str], key: RSAPrivateKey | None = None) -> dict[str, str]:
        """The same, signed."""
        return told | {"sign": self.signature(told, key), "sign_type": "RSA2"}

    def genuine(self, payment: Payment, **changes: str) -> dict[str, str]:
        return self.sealed(self.told(payment, **changes))


def deliver_form(body: dict[str, str] | bytes, *, calm: bool = False) -> Any:
    """Brings Alipay's notification to the platform's door."""
    raw = body if isinstance(body, bytes) else urlencode(body).encode()
    client = Client(raise_request_exception=not calm)
    return client.post(ALIPAY_PATH, raw, content_type="application/x-www-form-urlencoded; charset=utf-8")
