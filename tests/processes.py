"""The stand-ins as processes of their own, as in the demo."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["carbonsink.standins.__main__", "encodings.idna", "httpcore"])


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """What the condition gives once it is true; a busy machine may take its time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("The condition did not come true in time.")


class Process:
    """A stand-in on a free port."""

    def __init__(self, name: str, directory: Path, *options: str) -> None:
        self.address_file, self.log_file = directory / f"{name}.url", directory / f"{name}.log"
        self.address_file.unlink(missing_ok=True)
        self._start([name, "--dir", str(directory), *options])
        self.url = wait_for(self._address)

    def _start(self, arguments: list[str]) -> None:
        command = [sys.executable, "-W", "error", "-m", "carbonsink.standins", *arguments]
        with self.log_file.open("ab") as log:
            self.child = subprocess.Popen(command, cwd=ROOT, stderr=log)

    def _runs(self) -> bool:
        return self.child.poll() is None

    def _address(self) -> str:
        assert self._runs(), self.log_file.read_text()
        return self.address_file.read_text() if self.address_file.exists() else ""

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends the process and returns its exit code."""
        self.child.send_signal(number)
        return self.child.wait(timeout=15)


class Fork(Process):
    """The same for one test alone: a process as new, but forked from one that has imported all it needs, which takes
    the most of a start's half second of CPU. That the program itself starts is for tests/standins."""

    def _start(self, arguments: list[str]) -> None:
        self._fork = FORKS.Process(target=_serve, args=(arguments, self.log_file), daemon=True)
        self._fork.start()

    def _runs(self) -> bool:
        return self._fork.is_alive()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self._fork.pid is not None
        if self._runs():
            os.kill(self._fork.pid, number)
        self._fork.join(15)
        assert self._fork.exitcode is not None, "It did not end."
        return self._fork.exitcode


def _serve(arguments: list[str], log_file: Path) -> None:
    from carbonsink.standins.__main__ import main

    with log_file.open("ab") as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
    warnings.simplefilter("error")
    sys.exit(main(arguments))
