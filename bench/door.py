"""python -m bench.door COMMAND ARGUMENTS…: runs one management command, as `manage.py` does, and writes how many
seconds it took and how much memory it had at most, as JSON. Starting Python and Django does not count as time."""

import json
import sys
import time
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Runs the command; the exit code is its own."""
    import django

    django.setup()
    from django.core.management import CommandError, call_command
    from django.db import connection

    connection.ensure_connection()
    code, begun = 0, time.perf_counter()
    try:
        call_command(*arguments, stdout=sys.stderr)
    except CommandError as error:
        sys.stderr.write(f"{error}\n")
        code = error.returncode
    seconds = time.perf_counter() - begun
    sys.stdout.write(json.dumps({"seconds": seconds, "peak_mb": memory_mb("VmHWM")}))
    return code


def memory_mb(which: str) -> float:
    """How much memory this process has (VmRSS) or has had at most (VmHWM): from /proc, since what exec leaves in
    ru_maxrss is the parent's."""
    with Path("/proc/self/status").open() as file:
        return next(int(line.split()[1]) for line in file if line.startswith(which)) / 1024


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
