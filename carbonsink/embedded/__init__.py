"""PostgreSQL and Redis of our own, for the demo, for development and for the tests.

They serve only where DATABASE_URL or REDIS_URL is unset, keep everything in one directory, listen on free
ports of 127.0.0.1 with random passwords, and end with the process that started them. Works without Django.
"""

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from carbonsink.embedded import places
from carbonsink.embedded.errors import EmbeddedError
from carbonsink.embedded.places import Say
from carbonsink.embedded.server import Server

__all__ = ["EmbeddedError", "Servers", "is_running", "remove", "start"]


def _to_stderr(line: str) -> None:
    sys.stderr.write(f"{line}\n")


class Servers:
    """The running servers of one directory; a context manager that stops them at its end.

    `environment` holds DATABASE_URL and REDIS_URL of those that were started, and nothing for the others.
    """

    def __init__(self, directory: Path, lock: TextIO) -> None:
        self.directory = directory
        self.running: list[Server] = []
        self._lock = lock

    @property
    def environment(self) -> dict[str, str]:
        """What others need to reach these servers."""
        return {server.variable: server.url for server in self.running}

    def stop(self) -> None:
        """Stop what was started here, the last one first, and give the directory free. Safe to repeat."""
        while self.running:
            self.running[-1].stop()
            self.running.pop()
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start(directory: Path, *, durable: bool = True, fresh: bool = False, say: Say = _to_stderr) -> Servers:
    """Start the servers whose address is not in the environment, with their data in `directory`.

    durable=False is for tests (no fsync; data that cannot be trusted is made again). fresh=True first removes
    all that an earlier run left in the directory. `say` gets the lines a person should see. Call it from the
    main thread: the servers end with the thread that started them.

    Raises EmbeddedError with one sentence saying what is wrong and what to do; nothing is left running then.
    """
    directory = directory.resolve()
    try:
        servers = Servers(directory, places.claim(directory))
        try:
            _start_missing(servers, durable=durable, fresh=fresh, say=say)
        except BaseException:
            servers.stop()
            raise
    except OSError as error:
        raise _cannot_use(error.filename or directory, error) from error
    except subprocess.TimeoutExpired as error:
        raise EmbeddedError(f"{Path(error.cmd[-1]).name} gave no answer for {error.timeout:.0f} s.") from error
    return servers


def is_running(directory: Path) -> bool:
    """Whether a process keeps servers in this directory at this moment."""
    return places.is_claimed(directory.resolve())


def remove(directory: Path) -> None:
    """Remove the directory with all data, also what lies elsewhere; nothing happens where there is none.

    Raises EmbeddedError when its servers are running, or when it is not a directory of ours.
    """
    directory = directory.resolve()
    if not directory.exists():
        return
    try:
        with places.claim(directory):
            places.empty(directory)
            (directory / places.LOCK).unlink()
        directory.rmdir()
    except OSError as error:
        raise _cannot_use(error.filename or directory, error) from error


def _cannot_use(path: str | Path, error: OSError) -> EmbeddedError:
    return EmbeddedError(f"Cannot use {path} ({error.strerror or error}): name a folder that you may read and write.")


def _start_missing(servers: Servers, *, durable: bool, fresh: bool, say: Say) -> None:
    if fresh:
        places.empty(servers.directory)
    # Imported here: without these two libraries a set DATABASE_URL and REDIS_URL must still do.
    from carbonsink.embedded import postgresql, valkey

    place = None
    for variable, begin in (
        ("DATABASE_URL", lambda place: postgresql.start(place, durable=durable)),
        ("REDIS_URL", valkey.start),
    ):
        if os.environ.get(variable):
            continue
        place = place or places.settle(servers.directory, say)
        servers.running.append(begin(place))
