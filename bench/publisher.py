"""python -m bench.publisher: publishes every day that is over, as the task does it; writes how many days and leaves
there are, how many seconds it took, and how much memory it had at most, as JSON."""

import json
import sys
import time

from bench.door import memory_mb


def main() -> None:
    """Publishes them in a process of its own."""
    import django

    django.setup()
    from django.db.models import Sum

    from payouts import daily
    from payouts.models import DailyStatement

    begun = time.perf_counter()
    days = daily.publish_missed()
    seconds = time.perf_counter() - begun
    leaves = DailyStatement.objects.aggregate(leaves=Sum("lines", default=0))["leaves"]
    peak_mb = memory_mb("VmHWM")
    sys.stdout.write(json.dumps({"days": days, "leaves": leaves, "seconds": seconds, "peak_mb": peak_mb}))


if __name__ == "__main__":
    main()
