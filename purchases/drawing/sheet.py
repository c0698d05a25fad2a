"""The sheet of one tree of a certificate: which it is, where it stands, who tends it."""

from carbonsink import fonts
from purchases.drawing.facts import Facts, place_of
from purchases.drawing.layout import (
    FOREST,
    GOLD,
    INK,
    INNER,
    SOFT,
    WIDTH,
    Block,
    Line,
    Rule,
    block,
    fitted,
    foot,
    spread,
)
from purchases.drawing.words import Words
from trees.models import Tree
from trees.tags import grouped


def sheet_layout(facts: Facts, words: Words, tree: Tree) -> list[Line | Rule]:
    """All lines of one tree's sheet."""
    species = (
        tree.species.name_zh if words.language == "zh-hans" else tree.species.name_en or tree.species.scientific_name
    )
    rows = [
        (words("number"), " ".join(grouped(tree.number))),
        (words("place"), place_of(tree.household.village)),
        (words("household"), tree.household.masked_name),
        (words("dbh"), words("dbh_cm", cm=tree.dbh_cm) if tree.dbh_cm else ""),
        (words("holder_label"), facts.holder),
        (words("vintage").capitalize(), facts.figures[2][0]),
    ]
    blocks = [
        block(fonts.drawable(species), (72, 60, 48), 1, colour=FOREST, weight="Bold"),
        block(tree.species.scientific_name, (28, 24), 1, colour=SOFT),
        *[_row(name, fonts.drawable(value)) for name, value in rows if value],
    ]
    if facts.retired:
        blocks.append(block(facts.retired, (26, 24, 22, 20, 18), 4, colour=GOLD, weight="Bold"))
    title = Line(words("sheet"), WIDTH / 2, 306, 64, FOREST, "Bold")
    return [title, Line(words("site"), WIDTH / 2, 358, 28, GOLD, "Medium"), *spread(blocks), *foot(facts, words)]


def _row(name: str, value: str) -> Block:
    """What it is on the left, which on the right, a rule below; on one line where that can be read."""
    left, width = (WIDTH - INNER) / 2, INNER - 300
    size, lines = fitted(value, (30, 28, 26, 24), 1, width)
    if len(lines) > 1:
        size, lines = fitted(value, (26, 24, 22, 20), 2, width)
    step = size * 1.32
    parts: list[Line | Rule] = [Line(name, left, 30, 24, SOFT, anchor="l")]
    parts += [Line(line, left + 300, 30 + step * number, size, INK, "Medium", "l") for number, line in enumerate(lines)]
    height = 30 + step * (len(lines) - 1) + 16
    return Block((*parts, Rule(left, height, INNER, "#e3dbcb")), height)
