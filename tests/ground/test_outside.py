"""The one client for all that is outside."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from carbonsink import outside


def test_it_keeps_no_cookie_no_connection_and_heeds_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    asked: list[tuple[str | None, int]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append((self.headers["Cookie"], self.client_address[1]))
            self.send_response(200)
            self.send_header("Set-Cookie", "who=we; Path=/")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            return

    made = outside.client.__wrapped__()  # Now, and not when somebody asked for it before.
    with made, ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        for _ in range(2):
            answer = made.get(f"http://127.0.0.1:{server.server_port}/", timeout=10)
            assert answer.headers["set-cookie"].startswith("who=we")
        server.shutdown()
    assert [cookie for cookie, _port in asked] == [None, None]
    assert asked[0][1] != asked[1][1]
    assert outside.client() is outside.client()
