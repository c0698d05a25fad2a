"""Money is integer fen, and yuan only on paper."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsink import money
from carbonsink.errors import DomainError
from carbonsink.templatetags.money import yuan as shown


@given(st.integers(-(10**15), 10**15))
def test_fen_survive_the_way_to_yuan_and_back(fen: int) -> None:
    assert money.fen(money.yuan(fen)) == fen


@given(st.integers(-(10**15), 10**15))
def test_yuan_have_two_decimals_and_nothing_but_digits(fen: int) -> None:
    whole, _, cents = money.yuan(fen).removeprefix("-").partition(".")
    assert whole.isdigit()
    assert len(cents) == 2
    assert int(whole) * 100 + int(cents) == abs(fen)


@pytest.mark.parametrize(
    ("text", "fen"), [("3", 300), ("3.5", 350), ("0.01", 1), ("-0.05", -5), (" 12.50 ", 1250), ("0", 0)]
)
def test_amounts_as_banks_write_them_are_read(text: str, fen: int) -> None:
    assert money.fen(text) == fen
    assert type(money.fen(text)) is int


@pytest.mark.parametrize(
    "text", ["", "3.001", "1,000.00", "01", ".5", "5.", "1e3", "+1", "NaN", "¥3", "３", "1٣", "0.٥", "--1", "1 0"]
)
def test_anything_else_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(DomainError) as refused:
        money.fen(text)
    assert refused.value.code == "bad_amount"


@pytest.mark.parametrize(
    ("fen", "text"), [(300, "¥3.00"), (123450, "¥1,234.50"), (-5, "−¥0.05"), (-123450, "−¥1,234.50"), (0, "¥0.00")]
)
def test_pages_show_yuan_with_grouping(fen: int, text: str) -> None:
    assert shown(fen) == text
