"""Notifications of trades: forms, whose parameters are signed. An event stays the same to the letter, however often it
is sent.
"""

import secrets
import sqlite3
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import parse_qsl, urlencode

from .. import keys, outbox, signing
from ..outbox import Answer, Message
from ..store import china_time

# Seconds between attempts, by Alipay's documentation of asynchronous notifications: 25 hours in all.
PAUSES = (240, 600, 600, 3600, 7200, 21600, 54000)


class Signature(Protocol):
    def __call__(self, message: bytes, *, forged: bool = False) -> str: ...


def enqueue(db: sqlite3.Connection, trade: Mapping[str, str], url: str, now: float) -> None:
    """Put the notification of a trade into the outbox, within the transaction of what happened to it."""
    event_id = secrets.token_hex(17)
    event = {
        "notify_time": clock(now),
        "notify_type": "trade_status_sync",
        "notify_id": event_id,
        "charset": "utf-8",
        "version": "1.0",
        "app_id": keys.ALIPAY_APP_ID,
        "auth_app_id": keys.ALIPAY_APP_ID,
        "seller_id": keys.ALIPAY_SELLER_ID,
        **trade,
    }
    outbox.enqueue(
        db,
        event_id,
        transaction_id=trade["trade_no"],
        out_trade_no=trade["out_trade_no"],
        url=url,
        body=urlencode(event).encode(),
        now=now,
    )


class AlipayManner:
    """Alipay sends no probes. Only the word `success` is a yes."""

    pauses: tuple[int, ...] = PAUSES
    content_type = "application/x-www-form-urlencoded; charset=utf-8"

    def __init__(self, signature: Signature) -> None:
        self._signature = signature

    def message(self, body: bytes, *, forged: bool = False) -> Message:
        parameters = dict(parse_qsl(body.decode(), keep_blank_values=True))
        message = signing.alipay_message(parameters, without=set())
        signed = parameters | {"sign": self._signature(message, forged=forged), "sign_type": "RSA2"}
        return {}, urlencode(signed).encode()

    def probe(self, body: bytes) -> None:
        return None

    def accepted(self, answer: Answer) -> bool:
        return answer.status == 200 and answer.text == "success"


def clock(moment: float) -> str:
    """A time as Alipay writes it."""
    return china_time(moment)[:19].replace("T", " ")
