"""Money is an integer of fen (1 yuan = 100 fen). Nothing here ever makes a float."""

import re
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

from django.utils.translation import gettext as _

from carbonsink.errors import DomainError

_YUAN = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]{1,2})?")


def yuan(fen: int) -> str:
    """Fen as yuan with two decimals and no grouping, e.g. 300 → "3.00", -5 → "-0.05"."""
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def fen(text: str) -> int:
    """Yuan as written in bills and statements ("3", "3.5", "-0.05") as fen. Anything else: DomainError."""
    text = text.strip()
    if not _YUAN.fullmatch(text):
        raise DomainError("bad_amount", _("“%(text)s” is not an amount in yuan such as 12.50.") % {"text": text[:40]})
    return int(Decimal(text) * 100)


def closing_fen(moves: Sequence[tuple[int, int]]) -> int | None:
    """The balance at the end of an account's movements, each with the balance after it, listed from old to new, within
    the same second perhaps in any order. None without any, and where the balances do not follow from the movements."""
    ends = Counter(balance for _fen, balance in moves)
    ends.subtract(balance - fen for fen, balance in moves)
    left = [balance for balance, count in ends.items() for _one in range(abs(count))]
    if not left:
        return moves[-1][1] if moves else None
    closing = [balance for balance, count in ends.items() if count == 1]
    return closing[0] if len(left) == 2 and len(closing) == 1 else None


_DIGITS = "零壹贰叁肆伍陆柒捌玖"
_PLACES = ["", "拾", "佰", "仟"]
_GROUPS = ["", "万", "亿"]


def in_words(fen: int) -> str:
    """Fen as an amount in financial capitals 大写, as cheques and receipts bear it: 100101 → "壹仟零壹元零壹分".

    By annex 1 of 《支付结算办法》 (People's Bank of China, 1997): 整 after yuan and jiao, one 零 for each gap, also
    between yuan and fen. ValueError for less than 0 or a trillion yuan and more.
    """
    if not 0 <= fen < 10**14:
        raise ValueError(f"{fen} fen cannot be written in words")
    whole, cents = divmod(fen, 100)
    jiao, rest = divmod(cents, 10)
    words = f"{_whole_in_words(whole)}元" if whole or not cents else ""
    if jiao:
        words += f"{_DIGITS[jiao]}角"
    elif rest and whole:
        words += "零"
    return words + (f"{_DIGITS[rest]}分" if rest else "整")


def _whole_in_words(whole: int) -> str:
    """A whole number, by groups of four digits."""
    words, gap = "", False
    for power in range(len(_GROUPS) - 1, -1, -1):
        group = whole // 10_000**power % 10_000
        if group:
            words += "零" if words and (gap or group < 1000) else ""
            words += _group_in_words(group) + _GROUPS[power]
        gap = not group
    return words or "零"


def _group_in_words(group: int) -> str:
    words, gap = "", False
    for place in range(3, -1, -1):
        digit = group // 10**place % 10
        if digit:
            words += ("零" if words and gap else "") + _DIGITS[digit] + _PLACES[place]
        gap = not digit
    return words
