"""The number of a tree and its check digit."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trees.numbers import is_tree_number, tree_number

numbers = st.builds(
    tree_number,
    st.integers(0, 10**12 - 1).map(lambda code: f"{code:012d}"),
    st.integers(1, 999),
    st.integers(1, 999),
)


@given(numbers)
def test_every_number_given_checks(number: str) -> None:
    assert len(number) == 19
    assert is_tree_number(number)


@given(numbers, st.integers(0, 18), st.integers(0, 9))
def test_every_single_wrong_digit_is_noticed(number: str, at: int, digit: int) -> None:
    assume(number[at] != str(digit))
    assert not is_tree_number(number[:at] + str(digit) + number[at + 1 :])


@given(numbers)
def test_every_swap_of_neighbours_is_noticed(number: str) -> None:
    for at in range(18):
        swapped = number[:at] + number[at + 1] + number[at] + number[at + 2 :]
        assert is_tree_number(swapped) == (swapped == number)


def test_the_parts_stand_where_they_belong() -> None:
    assert tree_number("522633102202", 7, 42)[:18] == "522633102202007042"


@pytest.mark.parametrize(
    "text", ["", "5", "５" * 19, "٥" * 19, "52263310220200704x1", " 522633102202007042", "0" * 18, "0" * 20]
)
def test_what_is_no_number_is_none(text: str) -> None:
    assert not is_tree_number(text)


@pytest.mark.parametrize("ordinals", [(0, 1), (1, 0), (1000, 1), (1, 1000), (-1, 1)])
def test_ordinals_have_three_digits(ordinals: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="ordinals must be 1 to 999"):
        tree_number("522633102202", *ordinals)
