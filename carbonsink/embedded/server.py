"""A server that was started here: its process, its address, how it is stopped."""

import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from carbonsink.embedded import children
from carbonsink.embedded.errors import EmbeddedError

PORT_TRIES = 5
READY_SECONDS = 60
KEPT_LOG_LINES = 400

Ready = TypeVar("Ready")


@dataclass
class Server:
    """One running child. `url` carries its password, so it goes into environments and never into a log."""

    name: str
    version: str
    variable: str
    url: str = field(repr=False)
    child: subprocess.Popen[bytes]
    log: Path
    stop_signals: Sequence[tuple[signal.Signals, float]]

    @property
    def port(self) -> int:
        """The port on 127.0.0.1."""
        return urlsplit(self.url).port or 0

    def has_ended(self) -> bool:
        """Whether the process has gone without being asked."""
        return children.has_ended(self.child)

    def stop(self) -> None:
        """End it and wait until it has gone."""
        children.stop(self.child, self.stop_signals)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_is_taken(port: int) -> bool:
    """Whether somebody listens on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def new_password() -> str:
    """A password that needs no quoting in an address."""
    return secrets.token_hex(24)


def wait_until_ready(
    child: subprocess.Popen[bytes], attempt: Callable[[], Ready | None], *, seconds: float = READY_SECONDS
) -> Ready | None:
    """Try until `attempt` gives something else than None; None when the child has ended or time is up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not children.has_ended(child):
        answer = attempt()
        if answer is not None:
            return answer
        time.sleep(children.POLL_SECONDS)
    return None


def did_not_start(name: str, log: Path) -> EmbeddedError:
    """The error for a server that ended or never answered, with the line of its log that says most."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    telling = [line for line in lines[-20:] if "FATAL" in line or "rror" in line or "cannot" in line]
    reason = (telling or lines or ["it left no reason"])[-1]
    return EmbeddedError(f"{name} did not start: {reason} (more in {log}).")


def shorten(log: Path) -> None:
    """Keep the tail of an old log, so that it tells about the last runs and never fills the disk."""
    if log.exists() and log.stat().st_size > 1_000_000:
        lines = log.read_text(errors="replace").splitlines(keepends=True)
        log.write_text("".join(lines[-KEPT_LOG_LINES:]))
