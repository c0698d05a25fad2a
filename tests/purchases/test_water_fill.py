"""Who sells when many households offer: a pure function, so anything can be tried."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purchases.allocation import Level, water_fill


@st.composite
def households(draw: st.DrawFn) -> list[Level]:
    sizes = draw(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(-3, 3)), max_size=12))
    return [Level(key, sold, sold + room, shuffle) for key, (sold, room, shuffle) in enumerate(sizes)]


@st.composite
def wishes(draw: st.DrawFn) -> tuple[list[Level], int]:
    levels = draw(households())
    return levels, draw(st.integers(0, sum(level.total - level.sold for level in levels)))


@settings(deadline=None, max_examples=400)
@given(wishes())
def test_takes_sum_up_and_nobody_sells_more_than_there_is(wish: tuple[list[Level], int]) -> None:
    levels, wanted = wish
    takes = water_fill(levels, wanted)
    room = {level.key: level.total - level.sold for level in levels}
    assert sum(takes.values()) == wanted
    assert all(0 < take <= room[key] for key, take in takes.items())


@settings(deadline=None, max_examples=400)
@given(wishes())
def test_nobody_sells_one_more_while_another_with_room_is_two_behind(wish: tuple[list[Level], int]) -> None:
    levels, wanted = wish
    takes = water_fill(levels, wanted)
    after = {level.key: level.sold + takes.get(level.key, 0) for level in levels}
    with_room = [level.key for level in levels if after[level.key] < level.total]
    for seller in takes:
        assert all(after[seller] <= after[other] + 1 for other in with_room)


@settings(deadline=None)
@given(wishes(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing(wish: tuple[list[Level], int], chance: object) -> None:
    levels, wanted = wish
    mixed = list(levels)
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    assert water_fill(mixed, wanted) == water_fill(levels, wanted)


@given(households())
def test_one_more_than_there_is_is_refused(levels: list[Level]) -> None:
    with pytest.raises(ValueError, match="too few"):
        water_fill(levels, sum(level.total - level.sold for level in levels) + 1)


def test_the_shuffle_breaks_ties_and_not_the_key() -> None:
    assert water_fill([Level(1, 0, 5, shuffle=2), Level(2, 0, 5, shuffle=1)], 1) == {2: 1}
    assert water_fill([Level(1, 0, 5, shuffle=2), Level(2, 0, 5, shuffle=1)], 3) == {2: 2, 1: 1}


def test_those_who_have_sold_least_are_lifted_first() -> None:
    assert water_fill([Level(1, 4, 9), Level(2, 1, 9), Level(3, 0, 2)], 5) == {2: 3, 3: 2}
