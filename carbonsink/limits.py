"""How often somebody may do a thing: counted in the cache, for a while."""

import hashlib
import time

from django.core.cache import cache


def allow(name: str, key: str, most: int, seconds: int) -> bool:
    """Counts one more try of `key` at the thing `name`; False once there were more than `most` in so many seconds.

    The key (a network address, a contact) is kept as a digest only.
    """
    window = int(time.time() // seconds)
    place = f"limit:{name}:{window}:{hashlib.sha256(key.encode()).hexdigest()}"
    cache.add(place, 0, seconds)
    try:
        return cache.incr(place) <= most
    except ValueError:  # The window ended between the two calls.
        return True
