"""Random days with random differences: each is found, and none is invented. The seed is printed."""

import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from carbonsink.days import bounds
from payouts import alerts
from payouts.models import Payout, StatementRow
from purchases.models import Bill, Difference
from tests import factories
from tests.payouts.days import Day, differences
from tests.standins.clients import BankClient, WechatClient

pytestmark = pytest.mark.django_db(transaction=True)

# What was done, as it must be found: kind and reference; and whether nothing known explains it.
Expected = set[tuple[str, str, bool]]


class Mischief:
    """The ways in which a day's sides are made to differ, each at most once a day."""

    def __init__(self, day: Day, dice: random.Random) -> None:
        self.day, self.dice = day, dice
        self.spare = [day.leave_serials() for _ in range(3)]
        self.taken: set[str] = set()
        self.bill_lines = 0

    def _row(self) -> StatementRow:
        known = StatementRow.objects.filter(kind__in=["sponsor", "payout"]).order_by("pk")
        row = self.dice.choice(list(known.exclude(serial__in=self.taken)))
        self.taken.add(row.serial)
        return row

    def stranger(self) -> Expected:
        serial = self.day.credit(self.dice.randint(1, 9_999), "路人甲")
        return {("row_unexplained", f"standin:{serial}", True)}

    def changed_row(self) -> Expected:
        row = self._row()
        more = self.dice.randint(1, 99)
        self.day.sql("bank", "UPDATE movements SET fen = fen + ? WHERE serial = ?", more, int(row.serial))
        return {("row_changed", f"standin:{row.serial}", True)}

    def vanished_row(self) -> Expected:
        row = self._row()
        self.day.sql("bank", "DELETE FROM movements WHERE serial = ?", int(row.serial))
        return {("row_gone", f"standin:{row.serial}", True)}

    def late_row(self) -> Expected:
        self.day.book_later(self.spare.pop(), self.dice.randint(1, 9_999))
        return set()  # Booked, noted, and well.

    def late_stranger(self) -> Expected:
        serial = self.spare.pop()
        self.day.book_later(serial, self.dice.randint(1, 9_999), name="路人乙")
        return {("row_unexplained", f"standin:{serial}", True)}

    def row_of_yesterday(self) -> Expected:
        at = bounds(self.day.day)[0] - timedelta(seconds=self.dice.randint(1, 80_000))
        self.day.book_later(self.spare.pop(), self.dice.randint(1, 9_999), at=at)
        return {("balance", f"standin:{self.day.day}", True)}

    def bill_line(self) -> Expected:
        self.day.sql(
            "wechatpay", "UPDATE transactions SET fen = fen + 1 WHERE rowid = (SELECT min(rowid) FROM transactions)"
        )
        self.bill_lines = 1
        return set()  # Found by the bills themselves.


@pytest.mark.parametrize("turn", range(3))
def test_each_difference_of_a_random_day_is_found_and_none_is_invented(
    turn: int, bank: BankClient, gateway: WechatClient, standin_dir: Path, later: Any
) -> None:
    seed = random.SystemRandom().randrange(10**9) if turn else 20260214
    dice, day = random.Random(seed), Day(bank, gateway, standin_dir, later)
    mischief = Mischief(day, dice)
    for household in factories.market(*[2] * dice.randint(1, 3)):
        factories.account(household)
    for _ in range(dice.randint(1, 2)):
        day.sell(1)
    for _ in range(dice.randint(3, 5)):
        day.credit(dice.randint(1_000, 99_999))
    settled = dice.random() < 0.5
    if settled:
        day.settle()
    day.pay_out()
    day.credit(dice.randint(1, 999))
    ways: list[Callable[[], Expected]] = [
        mischief.stranger, mischief.changed_row, mischief.vanished_row, mischief.late_row, mischief.late_stranger,
        mischief.row_of_yesterday, mischief.bill_line,
    ]  # fmt: skip
    done = dice.sample(ways, dice.randint(0, 5))
    expected = set().union(*(way() for way in done))
    day.end()
    if dice.random() < 0.3:
        Difference.objects.all().delete()
        Bill.objects.all().delete()
        mischief.bill_lines = 0
        expected.add(("bill_missing", f"wechatpay:{day.day}", False))
    if not settled:
        expected.add(("settlement", f"wechatpay:{day.day}", False))

    made = day.reconcile()
    told = f"seed {seed}: {[way.__name__ for way in done]}"
    found = {(kind, reference) for kind, reference, _ours, _theirs in differences()}
    assert found == {(kind, reference) for kind, reference, _unexplained in expected}, told
    serious = {reference for _kind, reference, *_fen in differences(unexplained=True)}
    assert serious == {reference for _kind, reference, unexplained in expected if unexplained}, told
    assert Difference.objects.filter(state="open").count() == mischief.bill_lines, told
    is_unexplained = bool(serious) or mischief.bill_lines > 0
    assert (made.state == "unexplained") == is_unexplained, told
    assert alerts.stopping().filter(kind="reconciliation").exists() == is_unexplained, told
    assert Payout.objects.exclude(state="succeeded").count() == 0
    once = differences()
    day.reconcile()
    assert differences() == once, told
