"""The month that a paper is about."""

from dataclasses import dataclass
from datetime import date, datetime

from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink.days import midnight
from carbonsink.errors import DomainError

FIRST_YEAR = 2018  # When the scheme began.


@dataclass(frozen=True)
class Month:
    """A calendar month here, from its first moment up to the next one's."""

    first: date

    @classmethod
    def named(cls, text: str) -> "Month":
        """The month of "2026-11"; this month for "". DomainError for anything else, and for months to come."""
        today = timezone.localdate()
        if not text:
            return cls(today.replace(day=1))
        year, _hyphen, month = text.partition("-")
        right = len(year) == 4 and len(month) == 2 and (year + month).isascii() and (year + month).isdigit()
        if right and FIRST_YEAR <= int(year) <= today.year and 1 <= int(month) <= 12:
            first = date(int(year), int(month), 1)
            if first <= today:
                return cls(first)
        raise DomainError("bad_month", _("Choose a month that has begun, such as 2026-11."))

    @property
    def next(self) -> date:
        """The first day after it."""
        return date(self.first.year + self.first.month // 12, self.first.month % 12 + 1, 1)

    @property
    def since(self) -> datetime:
        """Its first moment."""
        return midnight(self.first)

    @property
    def until(self) -> datetime:
        """The first moment after it."""
        return midnight(self.next)

    def __str__(self) -> str:
        return f"{self.first.year}年{self.first.month}月"


def newest_months(count: int) -> list[Month]:
    """This month and those before it."""
    months = [Month.named("")]
    while len(months) < count:
        before = months[-1].first
        months.append(Month(date(before.year - (before.month == 1), (before.month - 2) % 12 + 1, 1)))
    return months
