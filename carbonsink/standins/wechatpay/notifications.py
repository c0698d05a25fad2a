"""Signed notifications of payments. Each payment has one event with one id, whose sealed body stays the same; every
attempt is signed afresh.
"""

import json
import secrets
import sqlite3
import uuid
from typing import Any, Protocol

from .. import outbox, signing
from ..outbox import Answer, Message
from ..store import china_time

# Seconds between attempts, by WeChat Pay's documentation of payment notifications.
PAUSES = (15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600)


class Headers(Protocol):
    def __call__(self, body: bytes, *, forged: bool = False) -> dict[str, str]: ...


def enqueue(db: sqlite3.Connection, trade: dict[str, Any], url: str, apiv3_key: bytes, now: float) -> None:
    """Put the notification of a capture into the outbox, within the capture's own transaction."""
    event_id, nonce = str(uuid.uuid4()), secrets.token_hex(6)
    plaintext = json.dumps(trade, ensure_ascii=False).encode()
    event = {
        "id": event_id,
        "create_time": china_time(now),
        "resource_type": "encrypt-resource",
        "event_type": "TRANSACTION.SUCCESS",
        "summary": "支付成功",
        "resource": {
            "original_type": "transaction",
            "algorithm": "AEAD_AES_256_GCM",
            "ciphertext": signing.seal(apiv3_key, plaintext, nonce=nonce, associated_data="transaction"),
            "associated_data": "transaction",
            "nonce": nonce,
        },
    }
    outbox.enqueue(
        db,
        event_id,
        transaction_id=trade["transaction_id"],
        out_trade_no=trade["out_trade_no"],
        url=url,
        body=json.dumps(event, ensure_ascii=False).encode(),
        now=now,
    )


class WechatManner:
    """The probes are sent with the same body under a signature that begins WECHATPAY/SIGNTEST/: a platform that takes
    one for a payment does not check signatures."""

    pauses: tuple[int, ...] = PAUSES
    content_type = "application/json"

    def __init__(self, headers: Headers) -> None:
        self._headers = headers

    def message(self, body: bytes, *, forged: bool = False) -> Message:
        return self._headers(body, forged=forged), body

    def probe(self, body: bytes) -> Message:
        headers = self._headers(body)
        headers["Wechatpay-Signature"] = signing.WECHAT_PROBE + headers["Wechatpay-Signature"]
        return headers, body

    def accepted(self, answer: Answer) -> bool:
        if answer.status != 200:
            return answer.status == 204
        try:
            return bool(json.loads(answer.text)["code"] == "SUCCESS")
        except (ValueError, KeyError, TypeError):
            return False
