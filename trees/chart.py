"""The small chart of a tree's history: where its points lie, as numbers for an SVG of 320 × 150."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from trees.growth import Sight
from trees.models import Inspection

LEFT, RIGHT, TOP, BOTTOM = 30.0, 308.0, 18.0, 122.0
MOST_YEARS_NAMED = 8


@dataclass(frozen=True)
class Point:
    """A sight of the tree on the chart; `mark` is measured, seen, damaged, ended, or doubted (reported or refuted)."""

    x: float
    y: float
    mark: str
    sight: Sight
    is_named: bool


@dataclass(frozen=True)
class Tick:
    """A line of the grid with its text."""

    at: float
    text: str


@dataclass(frozen=True)
class Chart:
    """The line of DBH over the years, the points on and below it, and the grid."""

    points: list[Point]
    line: str
    years: list[Tick]
    diameters: list[Tick]


def draw(sights: Sequence[Sight]) -> Chart | None:
    """The chart of what was seen of a tree, oldest first; None when a chart would show nothing: less than two days."""
    if len({sight.day for sight in sights}) < 2:
        return None
    first, last = sights[0].day.year, sights[-1].day.year + 1
    begin, days = date(first, 1, 1), (date(last, 1, 1) - date(first, 1, 1)).days
    step, most = _scale(max((float(sight.dbh_cm) for sight in sights if sight.dbh_cm is not None), default=0.0))
    named = {_last_measured(sights, reverse=False), _last_measured(sights, reverse=True)}
    points = [
        Point(
            x=round(LEFT + (RIGHT - LEFT) * (sight.day - begin).days / days, 1),
            y=_height(float(sight.dbh_cm), most) if sight.dbh_cm is not None else BOTTOM,
            mark=_mark(sight),
            sight=sight,
            is_named=sight.dbh_cm is not None and number in named,
        )
        for number, sight in enumerate(sights)
    ]
    every = -(-(last - first) // MOST_YEARS_NAMED)
    standing = [point for point in points if point.sight.dbh_cm is not None and point.mark in ("measured", "damaged")]
    return Chart(
        points=points,
        line=" ".join(f"{point.x},{point.y}" for point in standing),
        years=[
            Tick(round(LEFT + (RIGHT - LEFT) * (date(year, 1, 1) - begin).days / days, 1), str(year))
            for year in range(first, last, every)
        ],
        diameters=[Tick(_height(step * n, most), str(step * n)) for n in range(0, int(most / step) + 1)],
    )


def _scale(largest_cm: float) -> tuple[int, float]:
    """The step between lines, and the diameter at the top: a whole number of steps above the largest one."""
    step = next((step for step in (2, 5, 10, 20, 50, 100) if largest_cm < 4 * step), 200)
    return step, step * (int(largest_cm // step) + 1)


def _height(dbh_cm: float, most: float) -> float:
    return round(BOTTOM - (BOTTOM - TOP) * dbh_cm / most, 1)


def _last_measured(sights: Sequence[Sight], *, reverse: bool) -> int:
    numbers = [number for number, sight in enumerate(sights) if sight.dbh_cm is not None]
    return (numbers[-1] if reverse else numbers[0]) if numbers else -1


def _mark(sight: Sight) -> str:
    ends = sight.condition in (Inspection.Condition.DEAD, Inspection.Condition.FELLED)
    if ends:
        return "ended" if sight.state == Inspection.State.CONFIRMED else "doubted"
    if sight.condition == Inspection.Condition.DAMAGED:
        return "damaged"
    return "measured" if sight.dbh_cm is not None else "seen"
