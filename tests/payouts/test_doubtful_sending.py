"""What stops a payout from being sent once more: another content than before, a bank that forgot, a caller that slept."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from payouts import sending, tasks, watching
from payouts.banks import bank as channel
from payouts.banks.base import BankError
from payouts.models import Alert
from tests.payouts import money
from tests.payouts.test_sending import approved, arrived_once, states
from tests.purchases import books
from tests.standins.clients import BankClient

pytestmark = pytest.mark.django_db(transaction=True)


def raised() -> list[tuple[str, str, bool]]:
    return list(Alert.objects.filter(state="open").order_by("pk").values_list("kind", "about", "stops"))


def test_what_would_go_again_with_another_content_does_not_go(bank: BankClient, settings: Any, later: Any) -> None:
    payout = approved(bank)
    there, settings.STANDIN_BANK_URL = settings.STANDIN_BANK_URL, "http://127.0.0.1:9"
    tasks.send_payout(payout.pk)
    settings.STANDIN_BANK_URL = there
    ours, settings.STANDIN_BANK_ESCROW_ACCOUNT = settings.STANDIN_BANK_ESCROW_ACCOUNT, "5200188000000000099"
    later(minutes=1)
    for _ in range(2):
        tasks.send_payout(payout.pk)
        tasks.ask(payout)
    assert raised() == [("content_changed", payout.out_no, False)]
    assert states(payout) == ("sending", ["unsent"])
    assert money.transfers(bank) == []
    watching.watch()
    assert raised() == [("content_changed", payout.out_no, False)]
    settings.STANDIN_BANK_ESCROW_ACCOUNT = ours
    tasks.send_payout(payout.pk)
    assert states(payout) == ("succeeded", ["unsent", "succeeded"])
    watching.watch()
    assert raised() == []
    arrived_once(bank, payout)


def test_what_a_bank_accepted_and_then_does_not_know_is_never_sent_again(bank: BankClient, later: Any) -> None:
    payout = approved(bank)
    assert sending._begin(payout.pk) is not None  # The bank takes it here, and loses its book.
    sending.record(payout.pk, sending.TransferReport(payout.out_no, "accepted", "B77"))
    later(days=1)
    for _ in range(2):
        tasks.sweep()
        later(days=1)
    assert states(payout) == ("unknown", ["unknown"])
    assert money.transfers(bank) == []
    (alert,) = Alert.objects.filter(kind="bank_forgot", state="open")
    assert alert.about == payout.out_no
    assert "B77" in alert.text
    watching.watch()
    assert ("bank_forgot", payout.out_no, False) in raised()
    # It finds it again.
    sending.record(payout.pk, sending.TransferReport(payout.out_no, "succeeded", "B77"))
    watching.watch()
    assert "bank_forgot" not in [kind for kind, _about, _stops in raised()]
    books.all_is_well()


def test_a_caller_that_slept_before_its_call_does_not_make_it(
    bank: BankClient, later: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    payout = approved(bank)
    with monkeypatch.context() as slow:
        slow.setattr(sending, "CALLER_LIVES", -timedelta(seconds=1))
        tasks.send_payout(payout.pk)
    assert states(payout) == ("sending", ["unsent"])
    assert money.transfers(bank) == []
    later(minutes=1)
    tasks.sweep()
    assert states(payout) == ("succeeded", ["unsent", "succeeded"])
    arrived_once(bank, payout)


def test_a_request_is_signed_as_of_its_attempt(bank: BankClient) -> None:
    """Whatever happens between the attempt and the signature, the bank takes it for 300 s after the attempt only."""
    payout = approved(bank)
    instruction, now = sending.instruction_of(payout), datetime.now(UTC)
    with pytest.raises(BankError) as error:
        channel("standin").submit(replace(instruction, at=now - timedelta(seconds=301)))
    assert error.value.outcome == "unknown"
    assert money.transfers(bank) == []
    channel("standin").submit(replace(instruction, at=now - timedelta(seconds=280)))
    assert len(money.transfers(bank)) == 1
