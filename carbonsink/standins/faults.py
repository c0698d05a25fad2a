"""Ways to misbehave, switched on per endpoint by POST /control/faults.

A fault is one function from a Call to a response, named as it is switched on. It decides whether the work is
done, how often, and what the client hears. Switched faults live in memory and are gone after a restart.
"""

import select
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Protocol

from flask import Response

LONGEST_HOLD_SECONDS = 60


class Sign(Protocol):
    def __call__(self, response: Response, *, forged: bool = False) -> Response: ...


@dataclass(frozen=True)
class Call:
    """One verified request: what would be done, and the means to answer it well or badly."""

    work: Callable[[], Response]
    sign: Sign
    failure: Callable[[], Response]
    connection: socket.socket
    hold_seconds: float


FAULTS: dict[str, Callable[[Call], Response]] = {}


def fault(function: Callable[[Call], Response]) -> Callable[[Call], Response]:
    """Put a fault into the registry under its function's name."""
    FAULTS[function.__name__] = function
    return function


@fault
def accept_then_silence(call: Call) -> Response:
    """Does the work, then hangs up without a byte, after `hold_seconds` or when the client leaves."""
    call.work()
    return Response(_hang_up(call))


@fault
def error_500_before(call: Call) -> Response:
    """Does nothing and answers 500."""
    return call.sign(call.failure())


@fault
def error_500_after(call: Call) -> Response:
    """Does the work and answers 500 all the same."""
    call.work()
    return call.sign(call.failure())


@fault
def duplicate(call: Call) -> Response:
    """Does the work twice, as if the request had come twice, and answers the second time."""
    call.work()
    return call.sign(call.work())


@fault
def garbage(call: Call) -> Response:
    """Does the work and answers 200 with an unsigned body that means nothing."""
    call.work()
    return Response(b"<html>\x00 not what you asked for", status=200, content_type="text/html")


@fault
def bad_signature(call: Call) -> Response:
    """Does the work and answers properly, but signed with a key that is not ours."""
    return call.sign(call.work(), forged=True)


def _hang_up(call: Call) -> Iterator[bytes]:
    # A client that goes away makes its socket readable, so nobody waits here longer than the client does.
    if call.hold_seconds > 0:
        select.select([call.connection], [], [], call.hold_seconds)
    call.connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError
    yield b""  # makes this a generator, so that it runs when the server asks for the body


@dataclass
class Switched:
    where: str
    fault: str
    times: int | None
    hold_seconds: float


class FaultBoard:
    """Which faults are on. The first one switched on for a place is used up first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._switched: list[Switched] = []

    def switch_on(self, switched: Switched) -> None:
        with self._lock:
            self._switched.append(switched)

    def take(self, where: str) -> Switched | None:
        """The fault for the call that is being answered, counted down."""
        with self._lock:
            found = next((one for one in self._switched if one.where == where), None)
            if found is not None and found.times is not None:
                found.times -= 1
                if found.times == 0:
                    self._switched.remove(found)
            return found

    def clear(self) -> None:
        with self._lock:
            self._switched.clear()

    def listing(self) -> list[dict[str, object]]:
        with self._lock:
            return [asdict(one) for one in self._switched]
