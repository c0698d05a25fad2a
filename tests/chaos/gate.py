"""Stands between the platform and the bank, on a socket of its own: a call can be held, lost, spoilt or repeated.

Each call is given to the gate's rule, which forwards it to the bank (once, never, twice, late) and answers it.
"""

import http.client
import json
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    """What goes back to the platform, byte for byte."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


GARBAGE = Answer(200, [("Content-Type", "text/html")], b"<html>\x00 not what you asked for")
BROKEN = Answer(500, [("Content-Type", "application/json")], b'{"code": "SYSTEM_ERROR", "message": "?"}')


class Call:
    """One request of the platform's, held in our hands."""

    def __init__(self, handler: BaseHTTPRequestHandler, bank: str) -> None:
        self._handler, self._bank = handler, urlsplit(bank).netloc
        self.method, self.path = handler.command, handler.path
        self.body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        self._headers = {
            name: value for name, value in handler.headers.items() if name.lower() not in ("connection", "host")
        }

    @property
    def is_transfer(self) -> bool:
        return self.method == "POST"

    @property
    def out_no(self) -> str:
        """The number of the transfer it is about; "" for the statement."""
        if self.is_transfer:
            return str(json.loads(self.body)["out_no"])
        return "" if "statements" in self.path else self.path.rpartition("/")[2]

    def forward(self) -> Answer:
        """Has the bank do it, and gives what it answers."""
        connection = http.client.HTTPConnection(self._bank, timeout=60)
        try:
            connection.request(self.method, self.path, self.body, self._headers)
            answer = connection.getresponse()
            skipped = ("connection", "content-length", "transfer-encoding", "server", "date")
            headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in skipped]
            return Answer(answer.status, headers, answer.read())
        finally:
            connection.close()

    def answer(self, answer: Answer) -> None:
        """Answers the platform, unless it has gone meanwhile."""
        with suppress(ConnectionError):
            self._handler.send_response(answer.status)
            for name, value in answer.headers:
                self._handler.send_header(name, value)
            self._handler.send_header("Content-Length", str(len(answer.body)))
            self._handler.end_headers()
            self._handler.wfile.write(answer.body)

    def hang_up(self) -> None:
        """No byte goes back: the connection just ends."""
        self._handler.close_connection = True


Rule = Callable[[Call], None]


def through(call: Call) -> None:
    """The rule of a good day."""
    call.answer(call.forward())


class _Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that was killed leaves its socket behind; anything else fails the play by its money."""


class Gate:
    """The address the platform takes for the bank's. `rule` may be changed at any moment."""

    def __init__(self, bank: Callable[[], str]) -> None:
        self.rule: Rule = through
        self.transfers: list[str] = []
        gate = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                call = Call(self, bank())
                if call.is_transfer:
                    gate.transfers.append(call.out_no)
                gate.rule(call)

            do_GET = do_POST

            def log_message(self, *args: object) -> None:
                return

        self._handler, self._port = Handler, 0
        self.open_door()
        self.url = f"http://127.0.0.1:{self._port}"

    def open_door(self) -> None:
        """Listens, from the second time on at the same address."""
        self._server = _Server(("127.0.0.1", self._port), self._handler)
        self._port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def close_door(self) -> None:
        """Nobody listens any more: who calls is turned away before anything is sent."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Held:
    """A rule that keeps transfers in its hands until it is told what to do with them."""

    def __init__(self, *, after_the_bank: bool = False, most: int | None = None) -> None:
        self._after, self._most = after_the_bank, most
        self.calls: list[Call] = []
        self.answers: list[Answer] = []
        self._lock, self._let_go = threading.Lock(), threading.Event()

    def __call__(self, call: Call) -> None:
        with self._lock:
            keep = call.is_transfer and (self._most is None or len(self.calls) < self._most)
            if keep:
                if self._after:
                    self.answers.append(call.forward())
                self.calls.append(call)
        if not keep:
            through(call)
            return
        self._let_go.wait(120)
        call.hang_up()

    def let_go(self) -> None:
        """Hangs up on everybody who waits, without a byte."""
        self._let_go.set()
