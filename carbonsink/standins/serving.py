"""Running a stand-in as a process: listen on loopback, tell the address, log each request, end cleanly."""

import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from .standin import Standin
from .store import china_time

HOST = "127.0.0.1"


def log_line(**facts: object) -> None:
    """One JSON object per line on stderr."""
    sys.stderr.write(json.dumps({"at": china_time(time.time())} | facts, ensure_ascii=False) + "\n")
    sys.stderr.flush()


class Handler(WSGIRequestHandler):
    """Logs without the query, which may hold account numbers."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        path = self.path.partition("?")[0]
        log_line(method=self.command, path=path, status=getattr(code, "value", code))

    def log(self, type: str, message: str, *args: Any) -> None:
        log_line(level=type, message=message % args if args else message)


def serve(app: Flask, directory: Path, port: int) -> int:
    """Serve until SIGTERM or SIGINT; 0 when ended so, 1 with a sentence on stderr when the port is taken.

    `<directory>/<name>.url` holds the base address from the moment the socket listens until the process ends.
    """
    standin: Standin = app.extensions["standin"]
    address_file = directory / f"{standin.name}.url"
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            sys.stderr.write(f"Cannot listen on {HOST}:{port} ({error.strerror}); choose another --port.\n")
            return 1
        listener.listen(128)
        server = make_server(HOST, port, app, threaded=True, request_handler=Handler, fd=listener.fileno())
    address_file.unlink(missing_ok=True)
    standin.base_url = f"http://{HOST}:{server.port}"
    standin.start()
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    serving.start()
    _write_whole(address_file, standin.base_url)
    log_line(standin=standin.name, listening=standin.base_url)
    stopping.wait()
    server.shutdown()
    serving.join()
    standin.stop()
    address_file.unlink(missing_ok=True)
    return 0


def _write_whole(path: Path, content: str) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(content)
    draft.replace(path)
