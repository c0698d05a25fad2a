"""python -m bench.payer: one run of payouts, as the task does it; writes how many payouts and fen it made, how many
seconds it took, and by how many MB the process grew, as JSON."""

import json
import sys
import time

from bench.door import memory_mb


def main() -> None:
    """Runs it in a process that has done nothing yet."""
    import django

    django.setup()
    from django.db import connection

    from payouts import runs

    connection.ensure_connection()
    before_mb, begun = memory_mb("VmRSS"), time.perf_counter()
    run = runs.run_payouts()
    seconds = time.perf_counter() - begun
    grown = memory_mb("VmHWM") - before_mb
    sys.stdout.write(json.dumps({"seconds": seconds, "grown_mb": grown, "payouts": run.payouts, "fen": run.fen}))


if __name__ == "__main__":
    main()
