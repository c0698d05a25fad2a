"""What is owed at the year's end is paid however little it is: that night, or as soon as it can be."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.utils import timezone

from payouts import alerts, runs, sending, waiting
from payouts.models import Payout
from payouts.models import Run as RunRow
from payouts.runs import Run, kind_of_today, run_payouts
from payouts.waiting import Reason
from tests import factories
from tests.payouts import money
from tests.purchases import books

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def minimum(settings: Any) -> None:
    """The year ends today."""
    settings.PAYOUT_MINIMUM_FEN = 500
    settings.PAYOUT_YEAR_END = f"{timezone.localdate():%m-%d}"


def night() -> Run:
    """The run by schedule."""
    return run_payouts(kind=kind_of_today())


def test_what_a_missed_night_left_goes_with_the_next_one_and_new_money_waits(later: Any) -> None:
    old, new, both = money.households(3)
    money.settle(10_000)
    money.owe({old: 3, both: 4})
    later(days=1)  # Nothing ran.
    money.owe({new: 5, both: 6})
    assert waiting.reasons([old.pk, new.pk]) == {old.pk: Reason.NEXT_RUN, new.pk: Reason.MINIMUM}
    assert night() == Run(2, 13, 0)
    assert money.payouts() == [(old.pk, 3, "approved"), (both.pk, 10, "approved")]
    assert RunRow.objects.get().kind == "scheduled"
    money.owe({old: 499})
    assert night() == Run(0, 0, 0)  # Of the new year.
    books.all_is_well()


@pytest.mark.parametrize("days", [1, 40, 364])
def test_an_alert_stops_the_year_s_end_until_it_is_answered(later: Any, days: int) -> None:
    (household,) = money.households(1)
    money.settle(10_000)
    money.owe({household: 3})
    alerts.raise_alert("odd", "x", "Look at it", stops=True)
    assert night() == Run(0, 0, 0)
    later(days=days)
    alerts.close_alerts("odd", "x", reason="looked at")
    assert night() == Run(1, 3, 0)


def test_what_the_escrow_did_not_hold_and_what_had_no_account_goes_later(later: Any) -> None:
    first, second = money.households(2)
    none = factories.household()
    money.settle(600)
    money.owe({first: 600})
    money.owe({second: 3, none: 3})
    assert night() == Run(1, 600, 0)
    later(days=20)
    money.settle(100)
    assert night() == Run(1, 3, 0)
    factories.account(none)
    assert night() == Run(1, 3, 0)
    assert [money.owed_fen(one) for one in (first, second, none)] == [0, 0, 0]


def test_an_account_that_cools_at_the_year_s_end_is_paid_after_it(later: Any) -> None:
    (household,) = money.households(1)
    factories.account(household)
    money.settle(600)
    money.owe({household: 3})
    assert night() == Run(0, 0, 0)
    later(hours=73)
    assert night() == Run(1, 3, 0)


@pytest.mark.parametrize("end", ["failed", "returned"])
def test_a_small_sum_that_came_back_goes_again_without_waiting_for_more(later: Any, end: str) -> None:
    back, new = money.households(2)
    money.settle(10_000)
    money.owe({back: 3})
    assert night() == Run(1, 3, 0)
    later(days=20)  # Of the new year.
    payout = Payout.objects.get()
    sending._begin(payout.pk)
    state: Any = "succeeded" if end == "returned" else end
    sending.record(payout.pk, sending.TransferReport(payout.out_no, state))
    payout.refresh_from_db()
    if end == "returned":
        sending.take_back(payout, reason="the account is closed")
        factories.account(back)
        later(hours=73)
    money.owe({new: 499})
    assert waiting.reasons([back.pk, new.pk]) == {back.pk: Reason.NEXT_RUN, new.pk: Reason.MINIMUM}
    assert night() == Run(1, 3, 0)
    assert money.payouts() == [(back.pk, 3, end), (back.pk, 3, "approved")]
    money.owe({back: 4})
    assert waiting.reasons([back.pk]) == {back.pk: Reason.MINIMUM}  # What is newly earned, though.
    assert night() == Run(0, 0, 0)


def test_a_small_payout_that_was_cancelled_after_the_year_s_end_goes_again(later: Any) -> None:
    cancelled, new = money.households(2)
    money.settle(10_000)
    money.owe({cancelled: 3})
    assert night() == Run(1, 3, 0)
    later(days=1)
    sending.cancel(Payout.objects.get(), reason="the account was changed")
    money.owe({new: 499})
    assert waiting.reasons([cancelled.pk, new.pk]) == {cancelled.pk: Reason.NEXT_RUN, new.pk: Reason.MINIMUM}
    assert night() == Run(1, 3, 0)
    assert Payout.objects.latest("pk").household == cancelled
    books.all_is_well()


def test_a_cancelled_payout_of_a_bank_that_takes_files_was_undone_by_no_file(later: Any) -> None:
    (household,) = money.households(1)
    money.settle(10_000, bank="pain001")
    money.owe({household: 3})
    assert run_payouts("pain001", kind=kind_of_today()) == Run(1, 3, 0)
    later(days=1)
    sending.cancel(Payout.objects.get(), reason="the account was changed")
    assert run_payouts("pain001") == Run(1, 3, 0)  # Waits for nobody.


def test_before_the_day_is_over_only_the_year_s_end_itself_pays_little(settings: Any) -> None:
    settings.PAYOUT_YEAR_END = f"{timezone.localdate() + timedelta(days=1):%m-%d}"
    (household,) = money.households(1)
    money.settle(600)
    money.owe({household: 3})
    assert night() == Run(0, 0, 0)
    assert runs.last_year_end() < timezone.now() - timedelta(days=360)


def test_what_is_less_than_alipay_transfers_waits_with_its_reason(settings: Any, later: Any) -> None:
    settings.PAYOUT_BANK = "alipay"
    nine, ten = money.households(2)
    money.settle(600, bank="alipay")
    money.owe({nine: 9, ten: 10})
    assert waiting.reasons([nine.pk, ten.pk]) == {nine.pk: Reason.LEAST, ten.pk: Reason.NEXT_RUN}
    assert night() == Run(1, 10, 0)
    later(days=1)
    assert night() == Run(0, 0, 0)
    assert waiting.reasons([nine.pk, ten.pk]) == {nine.pk: Reason.LEAST}
    money.owe({nine: 1})
    assert night() == Run(1, 10, 0)
    assert money.owed_fen(nine) == 0


@pytest.mark.parametrize("day", ["02-30", "02-29", "06-31", "12-00"])
def test_a_day_that_not_every_year_has_is_no_year_s_end(settings: Any, day: str) -> None:
    call_command("check")
    settings.PAYOUT_YEAR_END = day
    with pytest.raises(SystemCheckError, match="must be a day that every year has"):
        call_command("check")
