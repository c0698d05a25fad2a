"""Notifications to the merchant: an outbox in the book, emptied by background threads.

Each event has one id and one body; it is sent again after the gateway's own pauses until the merchant accepts it.
How a message is signed, what is sent before the first one, and which answer is a yes, is the gateway's.
"""

import functools
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from .faults import FaultBoard
from .fields import RefusalError
from .store import Store, china_time

ANSWER_SECONDS = 5
THREADS = 4
FITTING_FAULTS = frozenset({"duplicate", "garbage", "bad_signature"})

SCHEMA = """
CREATE TABLE IF NOT EXISTS notifications (
    id TEXT PRIMARY KEY,
    transaction_id TEXT NOT NULL,
    out_trade_no TEXT NOT NULL,
    url TEXT NOT NULL,
    body BLOB NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'given_up')),
    attempts INTEGER NOT NULL DEFAULT 0,
    probed INTEGER NOT NULL DEFAULT 0,
    next_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    notification_id TEXT NOT NULL REFERENCES notifications,
    kind TEXT NOT NULL CHECK (kind IN ('probe', 'delivery', 'resend')),
    at REAL NOT NULL,
    status INTEGER,
    answer TEXT NOT NULL
);
"""

Message = tuple[dict[str, str], bytes]


@dataclass(frozen=True)
class Answer:
    """What the merchant said; status is None when nothing came back within the time."""

    status: int | None
    text: str


class Manner(Protocol):
    """A gateway's manner of notifying."""

    # Seconds between attempts, by its documentation.
    pauses: tuple[int, ...]
    content_type: str

    def message(self, body: bytes, *, forged: bool = False) -> Message:
        """Headers and body of one attempt, signed, or with `forged` signed with a stranger's key."""

    def probe(self, body: bytes) -> Message | None:
        """What goes out once before the first attempt and must be refused, if there is such a thing."""

    def accepted(self, answer: Answer) -> bool:
        """Whether the merchant has taken it."""


def enqueue(
    db: sqlite3.Connection, event_id: str, *, transaction_id: str, out_trade_no: str, url: str, body: bytes, now: float
) -> None:
    """Put an event into the outbox, within the transaction of what it tells."""
    db.execute(
        "INSERT INTO notifications (id, transaction_id, out_trade_no, url, body, next_at) VALUES (?, ?, ?, ?, ?, ?)",
        (event_id, transaction_id, out_trade_no, url, body, now),
    )


class Notifier:
    """Sends what is due, and again after the pauses (times `scale`) until the merchant accepts."""

    def __init__(self, store: Store, manner: Manner, faults: FaultBoard, scale: float) -> None:
        self._store, self._manner, self._faults, self._scale = store, manner, faults, scale
        self._bell = threading.Condition()
        self._in_flight: set[str] = set()
        self._stopping = False

    @functools.cached_property
    def _client(self) -> httpx.Client:
        """Made when there is something to send, since that loads all certificates. No connection is kept: the
        merchant's server would keep a thread for it."""
        limits = httpx.Limits(max_keepalive_connections=0)
        return httpx.Client(timeout=ANSWER_SECONDS, trust_env=False, limits=limits)

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
        message = self._manner.message(row["body"])
        with ThreadPoolExecutor(max_workers=times if parallel else 1) as pool:
            sending = [pool.submit(self._send, row, message) for _ in range(times)]
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
            probe = self._manner.probe(row["body"])
            answer = self._send(row, probe) if probe else None
            with self._store.transaction() as db:
                if answer:
                    _record(db, row["id"], "probe", answer)
                db.execute("UPDATE notifications SET probed = 1 WHERE id = ?", (row["id"],))
        answers = self._attempt(row)
        attempts = row["attempts"] + 1
        state, next_at = "delivered", time.time()
        if not any(self._manner.accepted(answer) for answer in answers):
            pauses = self._manner.pauses
            state = "pending" if attempts <= len(pauses) else "given_up"
            next_at += pauses[min(attempts, len(pauses)) - 1] * self._scale
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
        message: Message = {}, b"\x00 not what you asked for"
        if fault != "garbage":
            message = self._manner.message(row["body"], forged=fault == "bad_signature")
        return [self._send(row, message) for _ in range(2 if fault == "duplicate" else 1)]

    def _send(self, row: sqlite3.Row, message: Message) -> Answer:
        headers, body = message
        content_type = {"Content-Type": self._manner.content_type}
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
