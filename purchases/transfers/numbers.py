"""Order numbers in what a payer wrote: spaces, hyphens and case do not matter; nearly right ones are suggestions."""

import re
import unicodedata
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from purchases.models import Order
from purchases.models.buyers import ALPHABET

LENGTH = 12
_BETWEEN = re.compile(r"[\s\-_.,·:：]+")
_RUN = re.compile(rf"[{ALPHABET}]{{{LENGTH},}}")
_LOOSE_RUN = re.compile(rf"[0-9A-Z]{{{LENGTH - 1},}}")
# Nobody mistypes the number of an order that was over long ago.
NEARBY = timedelta(days=90)


def _joined(text: str) -> str:
    return _BETWEEN.sub("", unicodedata.normalize("NFKC", text).upper())


def orders_named(text: str) -> list[Order]:
    """The orders whose number stands in the text."""
    windows = {
        run[start : start + LENGTH] for run in _RUN.findall(_joined(text)) for start in range(len(run) - LENGTH + 1)
    }
    return list(Order.objects.filter(number__in=windows).order_by("pk")) if windows else []


def names(text: str, number: str) -> bool:
    """Whether a number of ours, of digits and small letters, stands in the text."""
    return number.upper() in _joined(text)


def orders_nearly_named(text: str) -> list[Order]:
    """Open orders whose number stands in the text with one character wrong, missing or too many."""
    windows = {
        run[start : start + length]
        for run in _LOOSE_RUN.findall(_joined(text))
        for length in (LENGTH - 1, LENGTH, LENGTH + 1)
        for start in range(len(run) - length + 1)
    }
    half = LENGTH // 2
    halves = Q()  # One mistake leaves one half whole.
    for window in sorted(windows)[:500]:
        halves |= Q(number__startswith=window[:half]) | Q(number__endswith=window[-half:])
    if not windows:
        return []
    unpaid = Order.objects.filter(
        state__in=[Order.State.HELD, Order.State.EXPIRED], created_at__gt=timezone.now() - NEARBY
    )
    found = unpaid.filter(halves).order_by("pk")[:50]
    return [order for order in found if any(_one_apart(order.number, window) for window in windows)]


def _one_apart(number: str, window: str) -> bool:
    """Whether one character changed, left out or put in makes one of the other."""
    if len(number) == len(window):
        return sum(a != b for a, b in zip(number, window, strict=True)) == 1
    longer, shorter = sorted((number, window), key=len, reverse=True)
    return any(longer[:place] + longer[place + 1 :] == shorter for place in range(len(longer)))
