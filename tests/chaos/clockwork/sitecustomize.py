"""Found first by a child's Python: puts its clock off by what the file CHAOS_CLOCK says, in seconds.

`time.time` and Django's `timezone.now` are put off, which is all that decides in our code and in the stand-in bank.
`datetime.now`, the database's clock and the kernel's are as they were.
"""

import os
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

_clock = Path(os.environ["CHAOS_CLOCK"])
_real_time = time.time


def offset() -> float:
    """By how many seconds this process's clock is off now; 0 without a file."""
    with suppress(FileNotFoundError):
        return float(_clock.read_text())
    return 0.0


def _time() -> float:
    return _real_time() + offset()


time.time = _time
if os.environ.get("CHAOS_CLOCK_OF") == "platform":
    from django.utils import timezone

    _real_now = timezone.now
    timezone.now = lambda: _real_now() + timedelta(seconds=offset())
