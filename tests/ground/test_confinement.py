"""A child process with little memory: what goes wrong in it reaches us as an error, and the next call works."""

import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from carbonsink.confinement import ChildLost, Confined


def length(content: bytes) -> int:
    return len(content)


def pid(content: bytes) -> int:
    return os.getpid()


def hungry(content: bytes) -> int:
    return len(bytearray(int(content) * 2**20))


def crash(content: bytes) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def sleep(content: bytes) -> None:
    time.sleep(60)


def refuse(content: bytes) -> None:
    raise ValueError(content.decode())


def open_files(content: bytes) -> list[str]:
    links = [Path(f"/proc/self/fd/{number}") for number in range(3, 200)]
    return [str(link.readlink()) for link in links if link.is_symlink()]


def confined(work: Any, megabytes: int = 100, seconds: int = 30) -> Confined[Any]:
    return Confined(work, megabytes=megabytes, seconds=seconds)


def test_it_gives_what_the_function_gives_also_of_much() -> None:
    call = confined(length)
    assert [call(b"x" * size) for size in (0, 1, 15 * 2**20)] == [0, 1, 15 * 2**20]


def test_one_child_serves_many_calls_and_is_none_of_us() -> None:
    call = confined(pid)
    found = {call(b"") for _ in range(5)}
    assert len(found) == 1
    assert os.getpid() not in found


def test_memory_beyond_the_limit_is_refused_and_less_is_given() -> None:
    call = confined(hungry)
    assert call(b"80") == 80 * 2**20
    # The child may give back what it has of its parent, and use that beyond the limit: hundreds are always too many.
    with pytest.raises(MemoryError):
        call(b"400")
    assert call(b"80") == 80 * 2**20


def test_a_crash_is_an_error_and_the_next_call_gets_a_new_child() -> None:
    assert_lost(confined(crash))


def test_one_that_takes_too_long_is_ended() -> None:
    began = time.monotonic()
    assert_lost(confined(sleep, seconds=1))
    assert time.monotonic() - began < 20


def assert_lost(call: Confined[Any]) -> None:
    for _ in range(2):
        with pytest.raises(ChildLost):
            call(b"")
    call.work = length
    assert call(b"abc") == 3


def test_what_the_function_raises_is_raised_here() -> None:
    with pytest.raises(ValueError, match="no such tree"):
        confined(refuse)(b"no such tree")


def test_a_child_that_died_while_it_waited_is_replaced_without_an_error() -> None:
    call = confined(pid)
    first = call(b"")
    os.kill(first, signal.SIGKILL)
    assert call(b"") not in (first, os.getpid())


def test_a_call_that_is_interrupted_leaves_no_answer_for_the_next() -> None:
    class Interrupted(Exception):
        pass

    def interrupt(number: int, frame: Any) -> None:
        raise Interrupted

    call = confined(sleep, seconds=50)
    before = signal.signal(signal.SIGUSR2, interrupt)
    try:
        child = os.fork()
        if child == 0:
            time.sleep(0.5)
            os.kill(os.getppid(), signal.SIGUSR2)
            os._exit(0)
        with pytest.raises(Interrupted):
            call(b"")
        os.waitpid(child, 0)
    finally:
        signal.signal(signal.SIGUSR2, before)
    call.work = length
    assert call(b"abc") == 3


def test_the_child_holds_none_of_our_connections() -> None:
    with socket.create_server(("127.0.0.1", 0)), Path(__file__).open():
        found = confined(open_files)(b"")
    assert [name.partition(":")[0] for name in found] == ["socket"]  # Its end of the pipe.


def test_a_fork_of_ours_gets_a_child_of_its_own() -> None:
    call = confined(pid)
    mine = call(b"")
    reading, writing = os.pipe()
    fork = os.fork()
    if fork == 0:
        try:
            os.write(writing, str(call(b"")).encode())
        finally:
            os._exit(0)
    os.waitpid(fork, 0)
    assert int(os.read(reading, 20)) != mine
    assert call(b"") == mine
    os.close(reading)
    os.close(writing)
