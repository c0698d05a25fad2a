"""Many payouts and a bank that is slow, silent or never done: each has its turn, and a wrong clock only makes it wait."""

from typing import Any

import pytest

from payouts import sending, tasks
from payouts.models import Payout
from payouts.runs import run_payouts
from tests.payouts import money
from tests.purchases import books
from tests.standins.clients import BankClient

pytestmark = pytest.mark.django_db(transaction=True)


def approved(bank: BankClient, count: int) -> list[Payout]:
    households = money.households(count)
    money.fund(bank, 300 * count)
    money.owe(dict.fromkeys(households, 300))
    run_payouts()
    return list(Payout.objects.order_by("pk"))


def states() -> list[str]:
    return list(Payout.objects.order_by("pk").values_list("state", flat=True))


def test_payouts_the_bank_never_settles_keep_no_other_from_being_asked_about(
    bank: BankClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    payouts = approved(bank, 3)
    bank.fault("transfer", "error_500_before", times=3)
    for payout in payouts:
        tasks.send_payout(payout.pk)
    assert states() == ["unknown"] * 3
    monkeypatch.setattr(sending, "ASK_AT_ONCE", 2)
    drawn = [{row.pk for row in sending.to_ask()} for _ in range(60)]
    assert {len(one) for one in drawn} == {2}
    assert set().union(*drawn) == {payout.pk for payout in payouts}


def test_a_silent_bank_keeps_a_sweep_from_asking_no_longer_than_its_patience(
    bank: BankClient, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    approved(bank, 4)
    patient, settings.OUTSIDE_TIMEOUT_SECONDS = settings.OUTSIDE_TIMEOUT_SECONDS, 2
    bank.fault("transfer", "accept_then_silence", times=None, hold_seconds=10)
    monkeypatch.setattr(tasks, "SWEEP_PATIENCE_SECONDS", 1.5)
    tasks.sweep()
    # One call was more than the patience; the bank was asked about it all the same, and answered.
    assert states() == ["succeeded", "approved", "approved", "approved"]
    bank.control("DELETE", "faults")
    monkeypatch.undo()
    settings.OUTSIDE_TIMEOUT_SECONDS = patient
    tasks.sweep()
    assert states() == ["succeeded"] * 4
    books.all_is_well()


def test_a_clock_that_went_back_makes_a_payout_wait_and_ends_it_not(bank: BankClient, later: Any) -> None:
    (payout,) = approved(bank, 1)
    later(hours=-2)
    tasks.send_payout(payout.pk)
    assert (states(), payout.attempts.count(), money.transfers(bank)) == (["approved"], 0, [])
    later(hours=2)
    tasks.sweep()
    assert states() == ["succeeded"]
    assert len(money.transfers(bank)) == 1
    books.all_is_well()
