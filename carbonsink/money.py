"""Money is an integer of fen (1 yuan = 100 fen). Nothing here ever makes a float."""

import re
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
