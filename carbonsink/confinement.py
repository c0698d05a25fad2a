"""Work on files from outside in a child process: what goes wrong there ends the child, never the worker."""

import os
import resource
import signal
import threading
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

T = TypeVar("T")


class ChildLost(Exception):
    """The child ended without an answer: it crashed, or it took too long."""


class Confined(Generic[T]):
    """A function of bytes that runs in a forked child with little memory and time, and without our connections.

    `megabytes` is what the child may take beyond what we had when it was forked, `seconds` what one call may. The child
    is kept for the next call, since a fork and cold memory cost more than a tenth of a photo; it ends with us. A call
    returns or raises what the function does, MemoryError at the limit, ChildLost when the child dies. What fails in a
    child that worked before is done once more in a new one, so that no leftovers decide.
    """

    def __init__(self, work: Callable[[bytes], T], *, megabytes: int, seconds: int) -> None:
        self.work, self.megabytes, self.seconds = work, megabytes, seconds
        self._lock = threading.Lock()
        self._owner = self._child = 0
        self._pipe: Connection | None = None

    def __call__(self, content: bytes) -> T:
        with self._lock:
            while True:
                fresh = self._owner != os.getpid()
                pipe = self._start() if fresh or self._pipe is None else self._pipe
                done, value = self._ask(pipe, content)
                if done:
                    return value  # type: ignore[no-any-return]
                self._end()
                if fresh:
                    raise value

    def _ask(self, pipe: Connection, content: bytes) -> tuple[bool, Any]:
        answer = None
        try:
            pipe.send_bytes(content)
            answer = pipe.recv()
        except (EOFError, OSError):
            answer = False, ChildLost()
        finally:
            if answer is None:
                self._end()  # We were interrupted, and its answer would be taken for the next one's.
        return answer

    def _start(self) -> Connection:
        ours, theirs = Pipe()
        self._child = os.fork()
        if self._child == 0:
            _serve(theirs, self.work, self.megabytes, self.seconds)
        theirs.close()
        self._owner, self._pipe = os.getpid(), ours
        return ours

    def _end(self) -> None:
        if self._owner == os.getpid() and self._pipe is not None:
            os.kill(self._child, signal.SIGKILL)
            os.waitpid(self._child, 0)
            self._pipe.close()
        self._owner, self._pipe = 0, None


def _serve(pipe: Connection, work: Callable[[bytes], Any], megabytes: int, seconds: int) -> NoReturn:
    """The child's whole life. It ends without cleaning up: what could be cleaned up is its parent's."""
    try:
        os.closerange(3, pipe.fileno())
        os.closerange(pipe.fileno() + 1, os.sysconf("SC_OPEN_MAX"))
        for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        most = data_bytes() + megabytes * 2**20
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        while True:
            content = pipe.recv_bytes()
            signal.alarm(seconds)
            try:
                answer = True, work(content)
            except Exception as error:  # noqa: BLE001 - whatever it is, the parent raises it.
                error.__traceback__ = error.__cause__ = error.__context__ = None
                answer = False, error
            signal.alarm(0)
            pipe.send(answer)
    finally:
        os._exit(0)


def data_bytes() -> int:
    """Private writable memory of this process: what RLIMIT_DATA counts."""
    pages = int(Path("/proc/self/statm").read_text().split()[5])
    return pages * resource.getpagesize()
