"""The drawn ornament of certificates: year rings, leaves and a frame, as plain shapes in the units of the layout."""

import functools
import math
from dataclasses import dataclass

from purchases.drawing.layout import WIDTH

PAPER, RING, LEAF, LEAF_PALE, FRAME, TRUNK = "#fbf7ee", "#f1e8d3", "#3f8058", "#9cc3a5", "#c9b98f", "#8b6f2f"


@dataclass(frozen=True)
class Circle:
    """A ring, not filled."""

    x: float
    y: float
    radius: float
    width: float
    colour: str


@dataclass(frozen=True)
class Shape:
    """A filled polygon, its corners as (x, y)."""

    corners: tuple[tuple[float, float], ...]
    colour: str


@dataclass(frozen=True)
class Frame:
    """A rectangle, not filled: this far from each edge."""

    inset: float
    width: float
    colour: str


@functools.cache
def ornament() -> tuple[Circle | Shape | Frame, ...]:
    """All shapes, from the lowest to the uppermost."""
    return (*_rings(130, 1330, 15, 26), *_rings(970, 100, 11, 30), *_frames(), *_crown(), *_corners())


def _rings(x: float, y: float, count: int, step: float) -> list[Circle]:
    """The year rings of a stem: no two equally wide, like good and bad years."""
    radius, rings = 14.0, []
    for year in range(count):
        rings.append(Circle(x, y, radius, 2.5 + 2 * math.sin(year * 1.9) ** 2, RING))
        radius += step * (0.75 + 0.45 * math.sin(year * 2.3 + 1) ** 2)
    return rings


def _frames() -> list[Frame]:
    return [Frame(30, 2.5, FRAME), Frame(42, 1.2, FRAME)]


def _crown() -> list[Shape]:
    """A young tree above the title: a stem with leaves in pairs."""
    x, foot, top = WIDTH / 2, 214, 92
    stem = Shape(((x - 4, foot), (x - 1.5, top + 20), (x + 1.5, top + 20), (x + 4, foot)), TRUNK)
    leaves = [_leaf(x, top + 30, -90, 50, LEAF)]
    for number, y in enumerate((130, 152, 174, 196)):
        length = 52 + 12 * number
        for side in (-1, 1):
            tilt = -90 + side * (46 + 7 * number)
            leaves.append(_leaf(x + side * 1.5, y, tilt, length, LEAF if (number + side) % 3 else LEAF_PALE))
    return [stem, *leaves]


def _corners() -> list[Shape]:
    """Twigs in both upper corners, growing inwards along the frame."""
    twigs = []
    for number in range(5):
        far, length = 22 + 25 * number, 42 - 5 * number
        for across in (True, False):
            x, y, tilt = (far, 10, 38) if across else (10, far, 52)
            colour = LEAF_PALE if (number + across) % 2 else LEAF
            twigs.append(_leaf(54 + x, 54 + y, tilt, length, colour))
            twigs.append(_leaf(WIDTH - 54 - x, 54 + y, 180 - tilt, length, colour))
    return twigs


def _leaf(x: float, y: float, degrees: float, length: float, colour: str) -> Shape:
    """A pointed leaf growing from (x, y) in a direction (0 is to the right, 90 downwards)."""
    angle, corners = math.radians(degrees), []
    steps = 12
    for side in (1, -1):
        for step in range(steps + 1):
            along = step / steps if side > 0 else 1 - step / steps
            across = side * 0.21 * math.sin(math.pi * along**0.8)
            corners.append(
                (
                    x + length * (along * math.cos(angle) - across * math.sin(angle)),
                    y + length * (along * math.sin(angle) + across * math.cos(angle)),
                )
            )
    return Shape(tuple(corners), colour)
