"""What a run pays and to where, and what is different from last time: what somebody looks at before they approve it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef

from payouts.models import Clarification, Payout, Run

# A household that gets this many times its last payout is worth a second look.
MUCH_MORE = 3

# Each payout of the run beside the household's last one that arrived or is on its way.
_PAYOUTS = """
    SELECT p.id, h.village_id, p.fen, p.state, last.id IS NULL AS is_new,
           coalesce(last.account_id <> p.account_id, false) AS other_account,
           coalesce(p.fen > %(much)s * last.fen, false) AS much_more
      FROM payouts_payout p JOIN trees_household h ON h.id = p.household_id
      LEFT JOIN LATERAL (
           SELECT q.id, q.account_id, q.fen FROM payouts_payout q
            WHERE q.household_id = p.household_id AND q.id < p.id AND q.run_id < p.run_id
              AND q.state NOT IN ('cancelled', 'failed', 'returned')
            ORDER BY q.id DESC LIMIT 1) last ON true
     WHERE p.run_id = %(run)s ORDER BY p.id"""

# What failed and had gone all the same counts as paid by its own run.
_MISSING = """
    SELECT count(*), coalesce(sum(q.fen), 0)::bigint FROM payouts_payout q
     WHERE q.run_id = %(before)s AND (q.state NOT IN ('cancelled', 'failed', 'returned') OR EXISTS (
           SELECT FROM payouts_clarification c JOIN payouts_payout f ON f.id = c.follow_up_id
            WHERE c.payout_id = q.id AND f.state = 'succeeded')) AND NOT EXISTS (
           SELECT FROM payouts_payout p WHERE p.run_id = %(run)s AND p.household_id = q.household_id)"""


@dataclass(frozen=True)
class Sum:
    """So many payouts, so many fen, of an area or a state."""

    of: str
    payouts: int
    fen: int


@dataclass(frozen=True)
class Comparison:
    """A run as it stands now, beside the one before it.

    `held` is what waits for approval. `is_new`, `other_account` and `much_more` are ids of payouts; `missing` are the
    households that the run before paid and this one does not.
    """

    held: Sum
    states: list[Sum]
    counties: list[tuple[Sum, list[Sum]]]
    is_new: set[int]
    other_account: set[int]
    much_more: set[int]
    missing: Sum

    @property
    def remarkable(self) -> set[int]:
        """Ids of the payouts that differ from the household's last one."""
        return self.is_new | self.other_account | self.much_more


def compare(run: Run) -> Comparison:
    """Sums a run up, and compares each of its payouts with the household's last one before it."""
    # A follow-up that nobody sends has a run of its own, which paid nobody.
    follow_ups = Clarification.objects.filter(follow_up__run=OuterRef("pk"))
    before = Run.objects.filter(~Exists(follow_ups), bank=run.bank, pk__lt=run.pk).order_by("-pk").first()
    with connection.cursor() as cursor:
        cursor.execute(_PAYOUTS, {"run": run.pk, "much": MUCH_MORE})
        rows = cursor.fetchall()
        cursor.execute(_MISSING, {"run": run.pk, "before": before.pk if before else None})
        missing = Sum("", *cursor.fetchone())
    villages = _sums((row[1], row[2]) for row in rows)
    states = _sums((row[3], row[2]) for row in rows)
    counties = [
        (county, [village for village in villages if village.of[:6] == county.of])
        for county in _sums((row[1][:6], row[2]) for row in rows)
    ]
    return Comparison(
        held=next((one for one in states if one.of == Payout.State.HELD), Sum(Payout.State.HELD, 0, 0)),
        states=states,
        counties=counties,
        is_new={row[0] for row in rows if row[4]},
        other_account={row[0] for row in rows if row[5]},
        much_more={row[0] for row in rows if row[6]},
        missing=missing,
    )


def _sums(amounts: Iterable[tuple[str, Any]]) -> list[Sum]:
    """Payouts and fen by what they are of, in its order."""
    payouts: Counter[str] = Counter()
    fen: Counter[str] = Counter()
    for of, amount in amounts:
        payouts[of] += 1
        fen[of] += amount
    return [Sum(of, payouts[of], fen[of]) for of in sorted(payouts)]
