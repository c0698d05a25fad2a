"""Following many payouts at once: those of a file, with its rows on the bank's statement, or those of a household.

They are counted by how they ended and seen page by page, each with the way to its own chain. A file has thousands: the
number of queries stays the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.core.paginator import Page, Paginator
from django.db.models import (
    Case,
    CharField,
    Count,
    F,
    FilteredRelation,
    Prefetch,
    Q,
    QuerySet,
    Sum,
    TextChoices,
    Value,
    When,
)
from django.utils.translation import gettext_lazy as _

from payouts import whole_files
from payouts.models import Attempt, Batch, Clarification, Payout, StatementRow
from trees.models import Household

# Payouts on a page, and rows of a file that are shown.
ON_A_PAGE = 100
ROWS_SHOWN = 50


class End(TextChoices):
    """How a payout ended; of a file, those that went with another one since it never reached the bank."""

    ARRIVED = "arrived", _("arrived")
    FAILED = "failed", _("failed")
    RETURNED = "returned", _("returned by the bank")
    OPEN = "open", _("not ended yet")
    CANCELLED = "cancelled", _("cancelled")
    ELSEWHERE = "elsewhere", _("sent with another file")


_ENDS = [
    When(state=Payout.State.SUCCEEDED, then=Value(End.ARRIVED)),
    When(state=Payout.State.FAILED, then=Value(End.FAILED)),
    When(state=Payout.State.RETURNED, then=Value(End.RETURNED)),
    When(state=Payout.State.CANCELLED, then=Value(End.CANCELLED)),
]


@dataclass(frozen=True)
class Ended:
    """How many payouts ended in this way, and their fen."""

    end: End
    payouts: int
    fen: int


@dataclass(frozen=True)
class Many:
    """Payouts, counted, and a page of those that ended as was `asked` for, or of all."""

    counts: list[Ended]
    page: Page[Payout]
    asked: str

    @property
    def payouts(self) -> int:
        """How many there are in all."""
        return sum(one.payouts for one in self.counts)

    @property
    def fen(self) -> int:
        """Fen of all together."""
        return sum(one.fen for one in self.counts)


@dataclass(frozen=True)
class FileRows:
    """What the bank's statement has of a file, the oldest rows first, each with what two people have said of it.
    `more` rows are not shown; fen: debited (negative), given back, and what the bank still has to give back."""

    shown: list[StatementRow]
    more: int
    debited_fen: int
    given_back_fen: int
    owed_back_fen: int


def of_file(batch: Batch, end: str = "", page: str | None = None) -> Many:
    """The payouts of a file in the order in which they stand in it."""
    mine = FilteredRelation("attempts", condition=Q(attempts__batch=batch))
    here = Payout.objects.alias(here=mine).filter(here__isnull=False).order_by("pk")
    unsent = When(here__state=Attempt.State.UNSENT, then=Value(End.ELSEWHERE))
    return _many(here, [unsent, *_ENDS], end, page)


def of_household(household: Household, end: str = "", page: str | None = None) -> Many:
    """The payouts of a household, the newest first."""
    return _many(household.payouts.order_by("-pk"), _ENDS, end, page)


def _many(found: QuerySet[Payout], ends: Sequence[When], end: str, page: str | None) -> Many:
    told = found.alias(end=Case(*ends, default=Value(End.OPEN), output_field=CharField()))
    summed = told.order_by().annotate(ended=F("end")).values_list("ended").annotate(Count("pk"), Sum("fen"))
    counts = {name: Ended(End(name), payouts, fen) for name, payouts, fen in summed}
    chosen = told.filter(end=end) if end in counts else found
    pages = Paginator(chosen.select_related("household__village"), ON_A_PAGE)
    return Many([counts[one] for one in End if one in counts], pages.get_page(page), end if end in counts else "")


def rows_of_file(batch: Batch) -> FileRows:
    """What the statement has of a file, by what its rows say or by the word of two people."""
    said = Clarification.objects.filter(state=Clarification.State.AGREED)
    by_people = said.select_related("payout", "proposed_by", "agreed_by")
    rows = whole_files.rows_of(batch)
    sums = rows.aggregate(
        count=Count("pk"),
        out=Sum("fen", filter=Q(fen__lt=0), default=0),
        back=Sum("fen", filter=Q(fen__gt=0), default=0),
    )
    shown = rows.select_related("payout").order_by("pk")
    shown = shown.prefetch_related(Prefetch("clarifications", by_people, to_attr="agreed"))[:ROWS_SHOWN]
    owed_back = whole_files.standing(batch).owed_back_fen
    return FileRows(list(shown), max(0, sums["count"] - ROWS_SHOWN), sums["out"], sums["back"], owed_back)
