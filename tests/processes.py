"""The stand-ins as processes of their own, as in the demo."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def wait_for(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """What the condition gives once it is true."""
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
        command = [sys.executable, "-W", "error", "-m", "carbonsink.standins", name, "--dir", str(directory)]
        with self.log_file.open("ab") as log:
            self.child = subprocess.Popen([*command, *options], cwd=ROOT, stderr=log)
        self.url = wait_for(self._address)

    def _address(self) -> str:
        assert self.child.poll() is None, self.log_file.read_text()
        return self.address_file.read_text() if self.address_file.exists() else ""

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends the process and returns its exit code."""
        self.child.send_signal(number)
        return self.child.wait(timeout=15)
