"""Where each line of a certificate stands: one layout for picture and paper, in a frame of 1080 × 1440 units, the
origin at the top left."""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from carbonsink import fonts
from carbonsink.fonts import Weight
from purchases.drawing.facts import Facts
from purchases.drawing.words import Words

WIDTH, HEIGHT = 1080, 1440
INNER = 860
INK, FOREST, SOFT, GOLD, DANGER = "#1d2721", "#1e4d38", "#55605a", "#8b6f2f", "#a61b1b"
# The words in the middle begin and end here; above is the title, below the code.
TOP, BOTTOM = 392, 1128
LEAST_GAP = 4.0
CODE_SIDE, CODE_LEFT, CODE_TOP = 216, 778, 1148

# Latin words stay whole; of Chinese, each character may end a line, and no line begins with a closing mark.
_PIECE = re.compile(r"[^\s\u2e80-\U0003ffff]+\s*|[\u2e80-\U0003ffff][，。、：；！？」』）》〉]*\s*|\s+")


@dataclass(frozen=True)
class Line:
    """A line of text: x is its left end, middle or right end by `anchor` (l, m, r), y its baseline."""

    text: str
    x: float
    y: float
    size: int
    colour: str = INK
    weight: Weight = "Regular"
    anchor: str = "m"


@dataclass(frozen=True)
class Rule:
    """A thin horizontal line."""

    x: float
    y: float
    width: float
    colour: str = GOLD


@dataclass(frozen=True)
class Block:
    """What belongs together: parts relative to its top, and its height."""

    parts: tuple[Line | Rule, ...]
    height: float


def width_of(text: str, size: int, weight: Weight = "Regular") -> float:
    """How wide a line of text is: as wide as its characters, since nothing is kerned."""
    return sum(_advance(char, weight) for char in text) * size / 100


@functools.lru_cache(maxsize=8192)
def _advance(char: str, weight: Weight) -> float:
    return fonts.font(100, weight).getlength(char)


def wrapped(text: str, size: int, width: float, weight: Weight = "Regular") -> list[str]:
    """The text in lines no wider than `width`; a word that alone is wider is cut."""
    lines, line, wide = [], "", 0.0
    for piece in _pieces(text, size, width, weight):
        if line and wide + width_of(piece.rstrip(), size, weight) > width:
            lines.append(line.rstrip())
            line, wide = "", 0.0
        piece = piece if line else piece.lstrip()
        line, wide = line + piece, wide + width_of(piece, size, weight)
    return [*lines, line.rstrip()] if line.strip() else lines


def _pieces(text: str, size: int, width: float, weight: Weight) -> Iterator[str]:
    for piece in _PIECE.findall(text):
        if width_of(piece.rstrip(), size, weight) <= width:
            yield piece
        else:
            yield from piece


def fitted(
    text: str, sizes: tuple[int, ...], most_lines: int, width: float = INNER, weight: Weight = "Regular"
) -> tuple[int, list[str]]:
    """The largest of the sizes at which the text takes no more lines than that, and its lines; else the smallest."""
    lines: list[str] = []
    for size in sizes:
        lines = wrapped(text, size, width, weight)
        if len(lines) <= most_lines:
            return size, lines
    return sizes[-1], lines


def block(
    text: str, sizes: tuple[int, ...], most_lines: int, *, colour: str = INK, weight: Weight = "Regular"
) -> Block:
    """A paragraph, its lines centred."""
    size, lines = fitted(text, sizes, most_lines, weight=weight)
    step = size * 1.36
    parts = tuple(
        Line(line, WIDTH / 2, number * step + size, size, colour, weight) for number, line in enumerate(lines)
    )
    return Block(parts, len(lines) * step)


def certificate_layout(facts: Facts, words: Words) -> list[Line | Rule]:
    """All lines of a certificate. Where they would need more than the middle of the frame, they are made smaller."""
    middle = _middle(facts, words, compact=False)
    if sum(one.height for one in middle) + (len(middle) + 1) * LEAST_GAP > BOTTOM - TOP:
        middle = _middle(facts, words, compact=True)
    return [*_head(words), *spread(middle), *foot(facts, words)]


def _middle(facts: Facts, words: Words, *, compact: bool) -> list[Block]:
    blocks = [
        block(words("holder"), (28,), 1, colour=SOFT),
        block(facts.holder, (64, 56, 48, 42, 38, 34, 30), 2, colour=FOREST, weight="Bold"),
        block(facts.deed, (26,) if compact else (30, 28), 2),
    ]
    if facts.dedication:
        sizes = (22, 20) if compact else (32, 28, 26, 24)
        blocks.append(block(facts.dedication, sizes, 3, colour=GOLD, weight="Medium"))
    blocks.append(_figures(facts))
    where = "　".join(filter(None, (facts.species, facts.place)))
    if where:
        blocks.append(block(where, (22, 20) if compact else (28, 26, 24), 1 if compact else 2, colour=SOFT))
    if facts.retired:
        blocks.append(_retired(facts, (20, 18) if compact else (32, 30, 28, 26, 24, 22)))
    return blocks


def _head(words: Words) -> list[Line | Rule]:
    english = words.language == "en"
    other = "单株碳汇 · 购碳证书" if english else "Single-Tree Carbon Sink · Certificate"
    return [
        Line(words("title"), WIDTH / 2, 306, 68 if english else 84, FOREST, "Bold"),
        Line(other, WIDTH / 2, 358, 28, GOLD, "Medium"),
    ]


def _figures(facts: Facts) -> Block:
    """The figures beside each other, between two rules."""
    share = INNER / len(facts.figures)
    left = (WIDTH - INNER) / 2
    parts: list[Line | Rule] = [Rule(left, 0, INNER), Rule(left, 124, INNER)]
    for number, (value, name) in enumerate(facts.figures):
        middle = left + share * (number + 0.5)
        parts.append(Line(value, middle, 66, 54, FOREST, "Bold"))
        parts.append(Line(name, middle, 106, 25, SOFT))
    return Block(tuple(parts), 125)


def _retired(facts: Facts, sizes: tuple[int, ...]) -> Block:
    """For whom and what for the sinks were used up, and when."""
    text = block(facts.retired, sizes, 5, colour=GOLD, weight="Bold")
    day = Line(facts.retired_on, WIDTH / 2, text.height + 24, 24, GOLD)
    return Block((*text.parts, day), text.height + 32)


def spread(blocks: list[Block]) -> list[Line | Rule]:
    """The blocks one below the other in the middle of the frame, with equal gaps."""
    free = BOTTOM - TOP - sum(one.height for one in blocks)
    gap = max(LEAST_GAP, min(46.0, free / (len(blocks) + 1)))
    y = TOP + max(gap, (free - gap * (len(blocks) - 1)) / 2)
    placed: list[Line | Rule] = []
    for one in blocks:
        placed += [replace(part, y=part.y + y) for part in one.parts]
        y += one.height + gap
    return placed


def foot(facts: Facts, words: Words) -> list[Line | Rule]:
    """Serial, day and the sentence about the tariff on the left; what the code on the right is for."""
    left = 110.0
    lines: list[Line | Rule] = [
        Line(words("serial"), left, 1190, 24, SOFT, anchor="l"),
        Line(facts.serial, left + 180, 1190, 27, INK, "Medium", "l"),
        Line(words("issued"), left, 1232, 24, SOFT, anchor="l"),
        Line(facts.issued, left + 180, 1232, 27, INK, "Medium", "l"),
        Line(words("scan"), CODE_LEFT + CODE_SIDE / 2, 1384, *_one_line(words("scan"), 21, 250)),
    ]
    small = wrapped(facts.tariff, 21, 640) + wrapped(facts.note, 19, 640)[:2]
    lines += [Line(line, left, 1284 + 29 * number, 21, SOFT, anchor="l") for number, line in enumerate(small)]
    return lines


def _one_line(text: str, size: int, width: float) -> tuple[int, str]:
    """A size at which the text stays within the width, and its colour."""
    wide = width_of(text, size)
    return (size if wide <= width else int(size * width / wide)), SOFT
