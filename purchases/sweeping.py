"""Working off rows one by one, so that one that cannot be worked off keeps no other waiting."""

from collections.abc import Callable, Iterable
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
