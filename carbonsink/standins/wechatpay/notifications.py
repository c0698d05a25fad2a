"""Signed notifications of payments: an outbox in the book, emptied by background threads.

Each payment has one event with one id, whose sealed body stays the same; every attempt is signed afresh.
Before the first attempt a probe goes out with the same body under a signature that begins
WECHATPAY/SIGNTEST/: a platform that takes it for a payment does not check signatures.
"""

import json
import secrets
import sqlite3
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from .. import signing
from ..faults import FaultBoard
from ..fields import RefusalError
from ..store import Store, china_time

# Seconds between attempts, by WeChat Pay's documentation of payment notifications.
PAUSES = (15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600)
ANSWER_SECONDS = 5
THREADS = 4
FITTING_FAULTS = frozenset({"duplicate", "garbage", "bad_signature"})


class Headers(Protocol):
    def __call__(self, body: bytes, *, forged: bool = False) -> dict[str, str]: ...


@dataclass(frozen=True)
class Answer:
    """What the merchant said; status is None when nothing came back within the time."""

    status: int | None
    text: str

    def accepted(self) -> bool:
        if self.status != 200:
            return self.status == 204
        try:
            return bool(json.loads(self.text)["code"] == "SUCCESS")
        except (ValueError, KeyError, TypeError):
            return False


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
    db.execute(
        "INSERT INTO notifications (id, transaction_id, out_trade_no, url, body, next_at) VALUES (?, ?, ?, ?, ?, ?)",
        (
            event_id,
            trade["transaction_id"],
            trade["out_trade_no"],
            url,
            json.dumps(event, ensure_ascii=False).encode(),
            now,
        ),
    )


class Notifier:
    """Sends what is due, and again after the pauses (times `scale`) until the merchant accepts."""

    def __init__(self, store: Store, headers: Headers, faults: FaultBoard, scale: float) -> None:
        self._store, self._headers, self._faults, self._scale = store, headers, faults, scale
        self._client = httpx.Client(timeout=ANSWER_SECONDS, trust_env=False, limits=httpx.Limits())
        self._bell = threading.Condition()
        self._in_flight: set[str] = set()
        self._stopping = False

    def start(self) -> None:
        for _ in range(THREADS):
            threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        with self._bell:
            self._stopping = True
            self._bell.notify_all()

    def wake(self) -> None:
        """Something new is in the outbox."""
        with self._bell:
            self._bell.notify_all()

    def resend(self, out_trade_no: str, times: int, *, parallel: bool) -> list[Answer]:
        """Send one and the same signed notification again, at once or one after the other."""
        with self._store.transaction() as db:
            query = "SELECT * FROM notifications WHERE out_trade_no = ? ORDER BY rowid LIMIT 1"
            row = db.execute(query, (out_trade_no,)).fetchone()
        if row is None:
            raise RefusalError(404, "NOT_FOUND", "No notification has been made for this order.")
        headers = self._headers(row["body"])
        with ThreadPoolExecutor(max_workers=times if parallel else 1) as pool:
            sending = [pool.submit(self._send, row, row["body"], headers) for _ in range(times)]
            answers = [one.result() for one in sending]
        with self._store.transaction() as db:
            for answer in answers:
                _record(db, row["id"], "resend", answer)
        return answers

    def _run(self) -> None:
        while True:
            with self._bell:
                row = self._claim()
                if self._stopping:
                    return
            if row is not None:
                try:
                    self._deliver(row)
                finally:
                    with self._bell:
                        self._in_flight.discard(row["id"])

    def _claim(self) -> sqlite3.Row | None:
        query = "SELECT * FROM notifications WHERE state = 'pending' ORDER BY next_at"
        with self._store.transaction() as db:
            waiting: list[sqlite3.Row] = [row for row in db.execute(query) if row["id"] not in self._in_flight]
        pause = waiting[0]["next_at"] - time.time() if waiting else None
        if pause is not None and pause <= 0:
            self._in_flight.add(waiting[0]["id"])
            return waiting[0]
        if not self._stopping:
            self._bell.wait(pause)
        return None

    def _deliver(self, row: sqlite3.Row) -> None:
        if not row["probed"]:
            probe = self._headers(row["body"])
            probe["Wechatpay-Signature"] = signing.WECHAT_PROBE + probe["Wechatpay-Signature"]
            answer = self._send(row, row["body"], probe)
            with self._store.transaction() as db:
                _record(db, row["id"], "probe", answer)
                db.execute("UPDATE notifications SET probed = 1 WHERE id = ?", (row["id"],))
        answers = self._attempt(row)
        attempts = row["attempts"] + 1
        state, next_at = "delivered", time.time()
        if not any(answer.accepted() for answer in answers):
            state = "pending" if attempts <= len(PAUSES) else "given_up"
            next_at += PAUSES[min(attempts, len(PAUSES)) - 1] * self._scale
        with self._store.transaction() as db:
            for answer in answers:
                _record(db, row["id"], "delivery", answer)
            db.execute(
                "UPDATE notifications SET state = ?, attempts = ?, next_at = ? WHERE id = ?",
                (state, attempts, next_at, row["id"]),
            )

    def _attempt(self, row: sqlite3.Row) -> list[Answer]:
        switched = self._faults.take("notification")
        fault = switched.fault if switched else ""
        body = b"\x00 not what you asked for" if fault == "garbage" else row["body"]
        headers = {} if fault == "garbage" else self._headers(body, forged=fault == "bad_signature")
        return [self._send(row, body, headers) for _ in range(2 if fault == "duplicate" else 1)]

    def _send(self, row: sqlite3.Row, body: bytes, headers: dict[str, str]) -> Answer:
        content_type = {"Content-Type": "application/json"}
        try:
            answer = self._client.post(row["url"], content=body, headers=headers | content_type)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Answer(None, type(error).__name__)
        return Answer(answer.status_code, answer.text[:2000])


def listing(db: sqlite3.Connection, out_trade_no: str | None) -> list[dict[str, Any]]:
    """Every notification with its deliveries, of one order or of all."""
    query = "SELECT id, out_trade_no, transaction_id, url, state, attempts FROM notifications"
    query += " WHERE out_trade_no = ?1 OR ?1 IS NULL ORDER BY rowid"
    found = [dict(row) for row in db.execute(query, (out_trade_no,)).fetchall()]
    for notification in found:
        sent = db.execute(
            "SELECT kind, at, status, answer FROM deliveries WHERE notification_id = ? ORDER BY id",
            (notification["id"],),
        )
        notification["deliveries"] = [dict(row) | {"at": china_time(row["at"])} for row in sent]
    return found


def _record(db: sqlite3.Connection, notification_id: str, kind: str, answer: Answer) -> None:
    db.execute(
        "INSERT INTO deliveries (notification_id, kind, at, status, answer) VALUES (?, ?, ?, ?, ?)",
        (notification_id, kind, time.time(), answer.status, answer.text),
    )
