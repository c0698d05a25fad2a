"""python -m tests.chaos [--only NAME …] [--times 20] [--seed N] [--jobs 1] [--fresh] [--dir .chaos]

Plays every scenario so many times, each with a seed of its own, on servers of its own. What has been played stands in
DIR/state.json, so that an interrupted run goes on where it was, as long as the code stays the same: plays of other code
are kept, and do not count. DIR/report.md and report.json tell what came of it. Exit code 1 when any play of this code
found something, or the code was changed meanwhile.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from carbonsink.embedded import children
from tests.chaos import code, report
from tests.chaos.names import NAMES, ONCE, SECONDS
from tests.processes import ROOT


def main(arguments: list[str]) -> int:
    """Parse the command line, play, report, and give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--only", action="append", choices=sorted(NAMES), help="only this scenario; may be repeated")
    parser.add_argument("--times", type=int, default=20, help="how often each is played (default 20)")
    parser.add_argument("--seed", type=int, default=None, help="plays with this one seed (CHAOS_SEED)")
    parser.add_argument("--jobs", type=int, default=1, help="how many plays at once (default 1)")
    parser.add_argument("--fresh", action="store_true", help="forget what was played before")
    parser.add_argument("--dir", type=Path, default=ROOT / ".chaos", help="where everything lies")
    options = parser.parse_args(arguments)
    if options.seed is None and os.environ.get("CHAOS_SEED"):
        options.seed = int(os.environ["CHAOS_SEED"])
    options.dir.mkdir(parents=True, exist_ok=True)
    state = State(options.dir / "state.json", fresh=options.fresh)
    try:
        perform(options, state)
    except KeyboardInterrupt:
        Console(stderr=True).print("Interrupted; the next run goes on from here.")
        return 130
    return account(options, state)


def account(options: argparse.Namespace, state: "State") -> int:
    """Reports, and gives the exit code."""
    plays = state.of_this_code()
    older = len(state.plays) - len(plays)
    report.write(options.dir, plays, older=older)
    report.show(plays, Console(), older=older)
    if code.digest(state.root) != state.digest:
        Console(stderr=True).print("The code was changed meanwhile: play it again.")
        return 1
    wanted = options.only or NAMES
    return 1 if any(not play["ok"] and play["scenario"] in wanted for play in plays) else 0


class State:
    """All plays so far, kept after each; those count that were played on the code as it is now."""

    def __init__(self, file: Path, *, fresh: bool, root: Path = ROOT) -> None:
        self._file, self._lock = file, threading.Lock()
        self.root, self.digest = root, code.digest(root)
        self.plays: list[dict[str, Any]] = []
        if file.exists() and not fresh:
            self.plays = json.loads(file.read_text())

    def of_this_code(self) -> list[dict[str, Any]]:
        """Those that count."""
        return [play for play in self.plays if play.get("played_on") == self.digest]

    def add(self, play: dict[str, Any]) -> None:
        """Notes a play, whole or not at all."""
        with self._lock:
            self.plays.append(play)
            draft = self._file.with_suffix(".new")
            draft.write_text(json.dumps(self.plays, ensure_ascii=False, indent=1))
            draft.replace(self._file)

    def times(self, name: str) -> int:
        """How often a scenario was played well."""
        return sum(play["scenario"] == name and play["ok"] for play in self.of_this_code())


def perform(options: argparse.Namespace, state: State) -> None:
    """All plays that are still to be played, with a bar."""
    plan = list(_plan(options, state))
    grounds: SimpleQueue[Path] = SimpleQueue()
    for number in range(options.jobs):
        grounds.put(options.dir / f"ground{number}")
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=Console(stderr=True),
    )  # fmt: skip
    running: set[subprocess.Popen[bytes]] = set()
    with bar, ThreadPoolExecutor(options.jobs) as pool:
        plays = bar.add_task("plays", total=len(plan))

        def one(play: tuple[str, int]) -> None:
            ground = grounds.get()
            line = bar.add_task(play[0], total=None)
            try:
                played = run(*play, ground, lambda done, of: bar.update(line, completed=done, total=of), running)
                if played["code"] != -signal.SIGTERM:
                    state.add(played)
            finally:
                bar.remove_task(line)
                bar.advance(plays)
                grounds.put(ground)

        try:
            list(pool.map(one, plan))
        except KeyboardInterrupt:
            for child in list(running):
                child.terminate()  # What it started ends with it.
            raise


def _plan(options: argparse.Namespace, state: State) -> Iterator[tuple[str, int]]:
    chance = random.SystemRandom()
    for turn in range(options.times):
        for name in options.only or NAMES:
            most = options.times if options.only else min(options.times, 1 if name in ONCE else options.times)
            if turn < most - (0 if options.seed is not None else state.times(name)):
                yield name, chance.randrange(10**9) if options.seed is None else options.seed


def run(
    name: str,
    seed: int,
    ground: Path,
    watch: Callable[[int, int], None] = lambda done, of: None,
    running: set[subprocess.Popen[bytes]] | None = None,
) -> dict[str, Any]:
    """Plays one scenario as a process of its own, which is ended with all it started when it takes too long. `played_on`
    is the code's digest, empty where it was changed meanwhile."""
    played_on = code.digest()
    ground.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.chaos.play", name, "--dir", str(ground), "--seed", str(seed)]
    running, log = set() if running is None else running, ground / "play.log"
    last: dict[str, Any] = {"scenario": name, "seed": seed, "ok": False, "error": ""}
    started = time.monotonic()
    with log.open("wb") as errors:
        child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, start_new_session=True)
    running.add(child)
    limit = threading.Timer(SECONDS.get(name, 900), child.kill)
    limit.start()
    try:
        with child.stdout or nullcontext([]) as said:
            for line in map(json.loads, said):
                if "progress" in line:
                    watch(line["progress"], line["of"])
                elif "ok" in line:
                    last = line
    finally:
        limit.cancel()
        ended = children.stop(child, ((signal.SIGTERM, 20.0),))
        running.discard(child)
    if "seconds" not in last:
        last["seconds"] = round(time.monotonic() - started, 1)
        last["error"] = f"ended with {ended}: {log.read_text(errors='replace')[-2000:]}"
    return last | {"code": ended, "played_on": played_on if code.digest() == played_on else ""}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
