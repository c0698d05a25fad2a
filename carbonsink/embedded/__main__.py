"""python -m carbonsink.embedded exec --dir .test [--disposable] -- COMMAND …
python -m carbonsink.embedded remove --dir .test

Runs COMMAND with DATABASE_URL and REDIS_URL of embedded servers, which end with it. The exit code is its own.
"""

import argparse
import os
import signal
import sys
from pathlib import Path

from carbonsink import embedded
from carbonsink.embedded import children


def main(arguments: list[str]) -> int:
    """Parse the command line, run, and give the exit code: the command's, or 1 with a sentence on stderr."""
    parser = argparse.ArgumentParser(prog="python -m carbonsink.embedded", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("exec", help="run a command with the servers")
    run.add_argument("--dir", type=Path, required=True, help="where the servers keep everything")
    run.add_argument("--disposable", action="store_true", help="data for tests: faster, not safe in a power cut")
    run.add_argument("command", nargs="+", help="the command and its arguments, after --")
    remove = verbs.add_parser("remove", help="remove the data of servers that do not run")
    remove.add_argument("--dir", type=Path, required=True, help="where the servers keep everything")
    options = parser.parse_args(arguments)
    try:
        if options.verb == "remove":
            embedded.remove(options.dir)
            return 0
        with embedded.start(options.dir, durable=not options.disposable) as servers:
            return children.run_in_foreground(options.command, environment=os.environ | servers.environment)
    except embedded.EmbeddedError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
