"""A pytest plugin that starts PostgreSQL and Redis before Django's settings are read, where none are given.

The process that was called starts them; the xdist workers inherit their addresses and get databases of their own.
"""

import os
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[1] / ".test"

os.environ["DEPLOYMENT"] = "test"
# Playwright keeps an event loop in the tests' thread, which Django would take for an asynchronous caller.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
os.environ["STATIC_ROOT"] = str(HERE / "static")
os.environ["MEDIA_ROOT"] = str(HERE / "media")
(HERE / "static").mkdir(parents=True, exist_ok=True)

_started = None
if not (os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL")):
    from carbonsink import embedded

    try:
        _started = embedded.start(HERE / "servers", durable=False)
    except embedded.EmbeddedError as error:
        pytest.exit(str(error), returncode=1)
    os.environ.update(_started.environment)
    # Only in a server of our own may there be more databases than Django's tests make anyway.
    os.environ["TEMPLATES_AT"] = os.environ["DATABASE_URL"]

# Each worker has a Redis database of its own, as it has one of PostgreSQL.
_worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
os.environ["REDIS_URL"] = f"{os.environ['REDIS_URL'].rpartition('/')[0]}/{int(_worker) % 16}"


def pytest_unconfigure() -> None:
    """Stops what was started here."""
    if _started is not None:
        _started.stop()
