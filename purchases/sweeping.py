"""Working off rows one by one, so that one that cannot be worked off keeps no other waiting."""

import time
from collections.abc import Callable, Iterable
from itertools import takewhile
from typing import TypeVar

import structlog
from celery.exceptions import SoftTimeLimitExceeded

log = structlog.get_logger(__name__)
T = TypeVar("T")


def each(items: Iterable[T], act: Callable[[T], object]) -> None:
    """Acts on every item. What one of them raises is logged with its trace, and the next one has its turn."""
    for item in items:
        try:
            act(item)
        except SoftTimeLimitExceeded:
            raise
        except Exception:  # Whatever it is, it must not stop the money of everybody else.
            log.exception("sweep_failed", act=act.__name__, item=str(item))


def in_time(items: Iterable[T], seconds: float) -> Iterable[T]:
    """The items as long as there is time for another one; the next sweep goes on with the others."""
    end = time.monotonic() + seconds
    return takewhile(lambda _: time.monotonic() < end, items)
