"""What one look at a day finds; nothing here writes."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from payouts.models import Discrepancy

# Fen by name and side, such as {"captured": {"ledger": 300, "gateway": 300}}.
Sums = dict[str, dict[str, int | None]]


@dataclass(frozen=True)
class Found:
    """One difference: both amounts in fen (None: not there), since when, and whether nothing known explains it."""

    kind: Discrepancy.Kind
    reference: str
    ours_fen: int | None
    theirs_fen: int | None
    since: datetime
    unexplained: bool = False

    @property
    def delta_fen(self) -> int:
        """By how much the others have more than our books."""
        return (self.theirs_fen or 0) - (self.ours_fen or 0)


@dataclass
class Look:
    """A day as it looks now: its sums, what differs, and how many rows the statement has; and of what nobody could tell
    whether it differs, as kind and whose it is: what was told of that before stays as it is."""

    sums: Sums = field(default_factory=dict)
    found: list[Found] = field(default_factory=list)
    rows: int = 0
    untold: set[tuple[str, str]] = field(default_factory=set)

    def may_end(self, one: Discrepancy) -> bool:
        """Whether what was found earlier and is not found now is well again, as far as anybody could tell."""
        return (one.kind, one.reference.partition(":")[0]) not in self.untold

    def add(self, name: str, side: str, fen: int | None) -> None:
        """Adds fen to a sum; None says that this side has none, and makes no 0 of it."""
        sides = self.sums.setdefault(name, {})
        sides[side] = fen if sides.get(side) is None else (sides[side] or 0) + (fen or 0)


def working_days_before(day: date, count: int) -> date:
    """The day that lies so many working days (Monday to Friday) before a day."""
    while count > 0:
        day -= timedelta(days=1)
        count -= day.weekday() < 5
    return day
