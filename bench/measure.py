"""What a case is, and how two ways of doing the same are compared."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.database import Databases

Say = Callable[[str], None]


@dataclass
class Setting:
    """What a run is given: how much of the whole world, how often each side, where files may lie, and who listens."""

    scale: float
    rounds: int
    directory: Path
    databases: Databases
    say: Say


@dataclass
class Result:
    """One row of the table. `ratio` is ours ÷ floor; without a goal it only informs."""

    case: str
    ours_s: float
    floor_s: float
    goal: float | None
    figures: dict[str, Any] = field(default_factory=dict)
    # Further goals that are no ratios: {what: (measured, at most)}.
    limits: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """How many times as long as the floor ours takes."""
        return self.ours_s / self.floor_s

    @property
    def ok(self) -> bool:
        """Whether every goal is met."""
        return (self.goal is None or self.ratio <= self.goal) and all(
            measured <= most for measured, most in self.limits.values()
        )

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {**asdict(self), "ratio": round(self.ratio, 3), "ok": self.ok}


@contextmanager
def timed(into: list[float]) -> Iterator[None]:
    """Appends the seconds that the block took."""
    begun = time.perf_counter()
    yield
    into.append(time.perf_counter() - begun)


def alternate(rounds: int, ours: Callable[[], float], floor: Callable[[], float], say: Say) -> tuple[float, float]:
    """The medians of both ways, measured in turn, so that what disturbs the machine disturbs both. Each gives its
    seconds itself: making things ready does not count."""
    seconds: dict[str, list[float]] = {"ours": [], "floor": []}
    for number in range(1, rounds + 1):
        for name, run in (("ours", ours), ("floor", floor)):
            seconds[name].append(run())
            say(f"round {number} of {rounds}, {name}: {seconds[name][-1]:.2f} s")
    return statistics.median(seconds["ours"]), statistics.median(seconds["floor"])
