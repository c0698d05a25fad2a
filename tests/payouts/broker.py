"""What lies in the broker: the real Redis of the tests."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from django.conf import settings


@contextmanager
def _redis() -> Iterator[Any]:
    client = redis.Redis.from_url(settings.REDIS_URL)
    try:
        yield client
    finally:
        client.close()


def raw() -> str:
    """Everything in the broker as text, with what is encoded decoded too."""
    parts = []
    with _redis() as client:
        for key in client.scan_iter():
            kind = client.type(key)
            values = {
                b"list": lambda key=key: client.lrange(key, 0, -1),
                b"hash": lambda key=key: client.hvals(key),
                b"zset": lambda key=key: client.zrange(key, 0, -1),
                b"set": lambda key=key: client.smembers(key),
                b"string": lambda key=key: [client.get(key)],
            }[kind]()
            parts += [key.decode(), *(value.decode(errors="replace") for value in values)]
    return "\n".join(parts)


def messages(queue: str = "celery") -> list[dict[str, Any]]:
    """The messages that wait in a queue, oldest first: task and arguments."""
    with _redis() as client:
        waiting = [json.loads(one) for one in reversed(client.lrange(queue, 0, -1))]
    found = []
    for one in waiting:
        args, kwargs, _ = json.loads(base64.b64decode(one["body"]))
        found.append({"task": one["headers"]["task"], "args": args, "kwargs": kwargs, "headers": one["headers"]})
    return found


def unacknowledged() -> int:
    """Messages that a worker has taken and not finished."""
    with _redis() as client:
        return int(client.hlen("unacked"))
