"""Starts the parts of the platform on this machine, watches them, ends them in order. Imports no Django."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, TypeVar

import celery

from carbonsink.embedded import Servers, children

from . import environment

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
FIRST_PORT = 8000
PORTS_TRIED = 100
READY_SECONDS = 90
STEP_SECONDS = 600
LOG_LINES = 20
STOP_SIGNALS = ((signal.SIGTERM, 15.0),)
GUNICORN_OPTIONS = (
    "--workers=2",
    "--worker-class=gthread",
    "--threads=4",
    "--graceful-timeout=10",
    "--access-logfile=-",
    "--no-control-socket",
)
# One worker needs no talk with others, which would cost its first seconds.
WORKER_OPTIONS = (
    "--pool=prefork",
    "--concurrency=2",
    "--loglevel=INFO",
    "--without-gossip",
    "--without-mingle",
)
PORTS = "ports.json"
SERVER_VARIABLES = ("DATABASE_URL", "REDIS_URL")
STATIC_STAMP = "static.sha256"
# The stand-in settles what was paid to the supervised account this often, so that payouts need no hand.
SETTLE_SECONDS = 5


Answer = TypeVar("Answer")


class DemoError(Exception):
    """A sentence for the person at the terminal, with the log that tells more if there is one."""

    def __init__(self, sentence: str, log: Path | None = None) -> None:
        super().__init__(sentence)
        self.log = log

    def last_lines(self) -> list[str]:
        """The end of the log that belongs to the error."""
        if self.log is None or not self.log.exists():
            return []
        return self.log.read_text(errors="replace").splitlines()[-LOG_LINES:]


@dataclass
class Part:
    """One running child and where it writes: its log, and its standard output if that is read here."""

    name: str
    child: subprocess.Popen[bytes]
    log: Path | None
    output: IO[bytes] | None = None


@dataclass
class Platform:
    """All that runs for one demo directory. `stop` ends everything that was started, in the reverse order."""

    directory: Path
    servers: Servers
    port: int
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    parts: list[Part] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The address of the web pages."""
        return f"http://{HOST}:{self.port}"

    def set_environment(self, standins: dict[str, str]) -> None:
        """Settle what the platform's processes are told, now that every address is known."""
        given = {name: os.environ[name] for name in SERVER_VARIABLES if os.environ.get(name)}
        own = environment.settings(self.directory, port=self.port, standins=standins)
        self.environment = own | given | self.servers.environment
        environment.write_exports(self.directory, self.environment)

    def start_standins(self) -> dict[str, str]:
        """Start the stand-in bank and gateways, on their former ports if free; gives their addresses."""
        remembered = self.directory / PORTS
        ports = json.loads(remembered.read_text()) if remembered.exists() else {}
        bank = self._start_standin("bank", ports.get("bank", 0))
        settling = ("--bank-url", bank, "--auto-settle", str(SETTLE_SECONDS))
        urls = {"bank": bank}
        for name in ("wechatpay", "alipay"):
            urls[name] = self._start_standin(name, ports.get(name, 0), *settling)
        remembered.write_text(json.dumps({name: int(url.rsplit(":", 1)[1]) for name, url in urls.items()}))
        return urls

    def _start_standin(self, name: str, port: int, *options: str) -> str:
        folder = self.directory / environment.STANDINS
        address_file = folder / f"{name}.url"
        address_file.unlink(missing_ok=True)
        port = port if port_is_free(port) else 0
        part = self._start(name, "carbonsink.standins", name, f"--dir={folder}", f"--port={port}", *options)
        url = self._wait(part, partial(_read_address, address_file))
        self._wait(part, partial(_answers, f"{url}/health"))
        return url

    def start_web(self) -> None:
        """Start the web server and wait until /healthz is well."""
        bind = f"--bind={HOST}:{self.port}"
        part = self._start("web", "gunicorn", "carbonsink.wsgi:application", bind, *GUNICORN_OPTIONS)
        self._wait(part, partial(_answers, f"{self.url}/healthz"))

    def start_worker(self) -> None:
        """Start the Celery worker and wait until it answers a ping through the broker."""
        node = f"demo-{self.port}@localhost"
        command = ("celery", "-A", "carbonsink", "worker", f"--hostname={node}", "--queues=celery,photos")
        part = self._start("worker", *command, *WORKER_OPTIONS)
        with celery.Celery(broker=self.environment["REDIS_URL"], set_as_current=False) as asking:
            self._wait(part, lambda: asking.control.ping(destination=[node], timeout=0.5) or None)

    def start_beat(self) -> None:
        """Start the clock that rings for the sweepers."""
        folder = self.directory / "beat"
        folder.mkdir(exist_ok=True)
        command = ("celery", "-A", "carbonsink", "beat", "--loglevel=INFO", "--pidfile=")
        self._start("beat", *command, f"--schedule={folder / 'schedule'}")

    def manage(self, *arguments: str) -> str:
        """Run a management command to its end and give what it wrote to standard output.

        Raises DemoError when it fails; what it wrote is in its log then.
        """
        return self._finish(self._begin(*arguments))

    def show(self, *arguments: str) -> int:
        """Run a management command on the terminal; gives its exit code."""
        return self._attend(self._begin(*arguments, on_terminal=True))

    @contextmanager
    def collecting_static(self, say: Callable[[str], object]) -> Iterator[None]:
        """Collect the static files beside other work, unless nothing has changed since the last time."""
        stamp, now = self.directory / STATIC_STAMP, _static_fingerprint()
        if stamp.exists() and stamp.read_text() == now:
            yield
            return
        stamp.unlink(missing_ok=True)
        say("Collecting the files of the pages …")
        command = self._begin("collectstatic", "--noinput", "--clear", "--verbosity=0")
        try:
            yield
        except BaseException:
            children.stop(command.child, STOP_SIGNALS)
            raise
        self._finish(command)
        stamp.write_text(now)

    def serve(self) -> None:
        """Watch the parts for ever. Raises DemoError when one of them ends."""
        while True:
            self.check()
            time.sleep(0.5)

    def check(self) -> None:
        """Raise DemoError if a part or a server has ended without being asked to."""
        for part in self.parts:
            code = children.exit_code(part.child)
            if code is not None:
                raise DemoError(f"{part.name} ended unexpectedly (exit code {code}).", part.log)
        for server in self.servers.running:
            if server.has_ended():
                raise DemoError(f"{server.name} ended unexpectedly.", server.log)

    def stop(self) -> None:
        """End the parts, the last one first, then the servers. Safe to repeat."""
        (self.directory / environment.EXPORTS).unlink(missing_ok=True)
        while self.parts:
            children.stop(self.parts[-1].child, STOP_SIGNALS)
            self.parts.pop()
        self.servers.stop()

    def _start(self, name: str, module: str, *arguments: str) -> Part:
        log = self._new_log(name)
        with log.open("wb") as output:
            child = children.spawn(
                [sys.executable, "-m", module, *arguments],
                log=output,
                cwd=ROOT,
                environment=environment.of_children(self.environment),
            )
        part = Part(name, child, log)
        self.parts.append(part)
        return part

    def _wait(self, part: Part, attempt: Callable[[], Answer | None]) -> Answer:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            self.check()
            answer = attempt()
            if answer is not None:
                return answer
            time.sleep(children.POLL_SECONDS)
        raise DemoError(f"{part.name} was not ready within {READY_SECONDS} seconds.", part.log)

    def _begin(self, *arguments: str, on_terminal: bool = False) -> Part:
        log = None if on_terminal else self._new_log(arguments[0])
        output = None if on_terminal else tempfile.TemporaryFile()  # noqa: SIM115  _finish closes it
        with log.open("wb") if log else nullcontext() as errors:
            child = children.spawn(
                [sys.executable, ROOT / "manage.py", *arguments],
                log=output,
                errors=errors,
                cwd=ROOT,
                environment=environment.of_children(self.environment),
            )
        return Part(f"manage.py {arguments[0]}", child, log, output)

    def _finish(self, command: Part) -> str:
        code = self._attend(command, seconds=STEP_SECONDS)
        text = ""
        if command.output:
            with command.output as output:
                output.seek(0)
                text = output.read().decode(errors="replace")
        if code != 0:
            raise DemoError(f"{command.name} failed with exit code {code}.", command.log)
        return text

    def _attend(self, command: Part, *, seconds: float | None = None) -> int:
        """Wait for a passing child, watching the lasting ones; it does not outlive this call."""
        deadline = time.monotonic() + seconds if seconds else None
        try:
            while not children.has_ended(command.child):
                self.check()
                if deadline and time.monotonic() > deadline:
                    raise DemoError(f"{command.name} took more than {seconds:.0f} seconds.", command.log)
                time.sleep(children.POLL_SECONDS)
        finally:
            code = children.stop(command.child, STOP_SIGNALS)
        return code

    def _new_log(self, name: str) -> Path:
        """A log for this run; the last run's stays beside it as NAME.log.1."""
        folder = self.directory / "logs"
        folder.mkdir(exist_ok=True)
        log = folder / f"{name}.log"
        if log.exists():
            log.replace(folder / f"{name}.log.1")
        return log


def choose_port(wished: int | None) -> int:
    """The port for the web pages: the wished one, or the first free one from 8000 on.

    Raises DemoError when the wished one is taken.
    """
    if wished is not None:
        if not port_is_free(wished):
            raise DemoError(f"Port {wished} is taken: name another one (PORT={wished + 1}).")
        return wished
    for port in range(FIRST_PORT, FIRST_PORT + PORTS_TRIED):
        if port_is_free(port):
            return port
    raise DemoError(f"No port from {FIRST_PORT} on is free: name one (PORT=…).")


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError):
            return False
    return True


def _answers(url: str) -> bool | None:
    # Without the machine's proxy settings: a proxy would answer for the server that is not up yet.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as answer:
            return True if answer.status == 200 else None
    except (urllib.error.URLError, OSError):
        return None


def _read_address(file: Path) -> str | None:
    return file.read_text().strip() if file.exists() else None


def _static_fingerprint() -> str:
    """Changes whenever a static file of ours, a package or the way of serving changes."""
    state = hashlib.sha256((ROOT / "requirements.lock").read_bytes())
    state.update((ROOT / "carbonsink" / "settings.py").read_bytes())
    for folder in sorted([ROOT / "static", *ROOT.glob("[a-z]*/static"), *ROOT.glob("[a-z]*/*/static")]):
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                status = file.stat()
                state.update(f"{file} {status.st_size} {status.st_mtime_ns}\n".encode())
    return state.hexdigest()
