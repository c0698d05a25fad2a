"""Child processes that end with us: in an orderly way when we stop them, by the kernel when we are killed."""

import json
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

LAUNCHER = Path(__file__).with_name("launcher.py")
POLL_SECONDS = 0.05
PASSED_ON = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
SENT_BY_THE_TERMINAL = 0x80  # the kernel's SI_KERNEL


@dataclass(frozen=True)
class User:
    """An unprivileged user of this machine, as whom a server runs when we are root."""

    name: str
    uid: int
    gid: int

    @classmethod
    def named(cls, name: str) -> "User | None":
        """The user of this name, or None where the machine has none."""
        with suppress(KeyError):
            return cls._of(pwd.getpwnam(name))
        return None

    @classmethod
    def of_uid(cls, uid: int) -> "User":
        """The user with this number; one without a name in the user list keeps its number as group too."""
        with suppress(KeyError):
            return cls._of(pwd.getpwuid(uid))
        return cls(str(uid), uid, uid)

    @classmethod
    def _of(cls, entry: pwd.struct_passwd) -> "User":
        return cls(entry.pw_name, entry.pw_uid, entry.pw_gid)


def command_line(
    command: Sequence[str | Path], *, user: User | None, cwd: Path | None, death_signal: signal.Signals
) -> list[str]:
    """The command, wrapped so that it runs as `user` in `cwd` and gets `death_signal` when we die."""
    order = {
        "parent": os.getpid(),
        "signal": int(death_signal),
        "user": [user.uid, user.gid] if user else None,
        "cwd": str(cwd) if cwd else None,
    }
    return [sys.executable, "-I", "-S", str(LAUNCHER), json.dumps(order), *map(str, command)]


def spawn(
    command: Sequence[str | Path],
    *,
    log: IO[bytes] | None,
    errors: IO[bytes] | None = None,
    user: User | None = None,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
    stdin: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own, so that Ctrl-C in the terminal reaches us alone.

    `log` takes its output (None: ours), and its errors too unless `errors` does. When this process dies,
    however it dies, the child gets `death_signal`; that is tied to the calling thread, so use the main one.
    """
    return subprocess.Popen(  # noqa: S603  commands come from our own code
        command_line(command, user=user, cwd=cwd, death_signal=death_signal),
        stdin=stdin,
        stdout=log,
        stderr=errors or (subprocess.STDOUT if log else None),
        env=environment,
        start_new_session=True,
    )


def run(
    command: Sequence[str | Path],
    *,
    user: User | None = None,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    timeout: float = 120,
) -> subprocess.CompletedProcess[str]:
    """Run a short command to its end under the same rules as `spawn`; output is captured together."""
    return subprocess.run(  # noqa: S603  commands come from our own code
        command_line(command, user=user, cwd=cwd, death_signal=signal.SIGKILL),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
        timeout=timeout,
        check=False,
    )


def run_in_foreground(command: Sequence[str | Path], *, environment: Mapping[str, str]) -> int:
    """Run a command that may use the terminal, pass on signals, give its exit code as a shell would.

    It stays in our process group, so Ctrl-C reaches it by itself; what is sent to us alone is passed on.
    """
    watched = PASSED_ON | {signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    try:
        child = subprocess.Popen(  # noqa: S603  the command is the caller's own
            command_line(command, user=None, cwd=None, death_signal=signal.SIGTERM), env=environment
        )
        while child.poll() is None:
            received = signal.sigwaitinfo(watched)
            if received.si_signo in PASSED_ON and received.si_code != SENT_BY_THE_TERMINAL:
                child.send_signal(received.si_signo)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def has_ended(child: subprocess.Popen[bytes]) -> bool:
    """Whether the child has gone."""
    return exit_code(child) is not None


def exit_code(child: subprocess.Popen[bytes]) -> int | None:
    """The child's exit code, negative for a signal, None while it runs.

    It is not reaped: until `stop` does that, nobody else can get its process group.
    """
    if child.returncode is not None:
        return child.returncode
    end = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if end is None:
        return None
    return end.si_status if end.si_code == os.CLD_EXITED else -end.si_status


def stop(child: subprocess.Popen[bytes], signals: Sequence[tuple[signal.Signals, float]]) -> int:
    """End our own child: each signal in turn with its seconds of patience, then SIGKILL to its whole group.

    Returns the exit status. The group is the child's own (see `spawn`), so nothing else is ever hit; what is
    left of it when the child has gone (a pool process that did not notice) is killed as well.
    """
    if child.returncode is not None:
        return child.returncode
    for number, seconds in signals:
        if has_ended(child):
            break
        child.send_signal(number)
        deadline = time.monotonic() + seconds
        while not has_ended(child) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    return child.wait()
