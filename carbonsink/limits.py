"""How often somebody may ask for something: so many times in so many seconds, counted in the cache.

It is a courtesy to everybody else, not a guard of data: when the cache is down, nobody is turned away.
"""

import time

import structlog
from django.core.cache import cache
from django.utils.translation import gettext as _
from redis.exceptions import RedisError

from carbonsink import crypto
from carbonsink.errors import DomainError

log = structlog.get_logger(__name__)


def allow(name: str, key: str, most: int, seconds: int) -> None:
    """Counts one more use of `name` by `key`. Raises DomainError("too_many", 429) from the one after `most`."""
    if not is_allowed(name, key, most, seconds):
        raise DomainError(
            "too_many", _("You have asked very often in a short time. Wait a few minutes, then try again."), 429
        )


def is_allowed(name: str, key: str, most: int, seconds: int) -> bool:
    """Counts one more use of `name` by `key` (an address, a contact: kept as a keyed digest only, and not for longer),
    and says whether there were at most `most` within the same `seconds` by the clock."""
    window = int(time.time()) // seconds
    counter = f"limit:{name}:{crypto.digest(key.encode().hex())}:{window}"
    try:
        cache.add(counter, 0, timeout=seconds + 1)
        return int(cache.incr(counter)) <= most
    except (RedisError, ValueError) as error:  # ValueError: the window ended between the two.
        log.warning("limit_not_counted", limit=name, error=type(error).__name__)
        return True
