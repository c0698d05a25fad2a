"""Sending against the stand-in bank with every fault: one transfer for each payout, whatever is heard of it."""

from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from carbonsink.locks import only_one
from payouts import sending, tasks
from payouts.banks import bank as channel
from payouts.models import Attempt, Payout
from payouts.runs import available_fen, run_payouts
from tests import factories
from tests.ground.threads import at_once
from tests.payouts import money
from tests.purchases import books
from tests.standins.clients import BankClient
from trees.models import Household

pytestmark = pytest.mark.django_db(transaction=True)
SILENT = ["accept_then_silence", "error_500_after", "garbage", "bad_signature"]


def approved(bank: BankClient, fen: int = 300) -> Payout:
    """A payout that is to be sent, with as much again in the supervised account."""
    (household,) = money.households(1)
    money.fund(bank, 2 * fen)
    money.owe({household: fen})
    run_payouts()
    return Payout.objects.get()


def states(payout: Payout) -> tuple[str, list[str]]:
    payout.refresh_from_db()
    return payout.state, list(payout.attempts.order_by("pk").values_list("state", flat=True))


def arrived_once(bank: BankClient, payout: Payout) -> None:
    """The bank has one transfer of the payout, the books have it once, and the statement agrees."""
    payout.refresh_from_db()
    assert payout.state == "succeeded"
    (transfer,) = money.transfers(bank, out_no=payout.out_no)
    assert (transfer["status"], transfer["fen"]) == ("succeeded", payout.fen)
    assert transfer["to_account"] == payout.account.number
    assert transfer["bank_reference"] == payout.bank_reference
    assert len(money.transfers(bank)) == 1
    tasks.sweep()
    escrow = bank.control("GET", "balance")["balance_fen"]
    assert books.balances() == {"escrow": escrow, "sponsor": -escrow}
    assert payout.statement_rows.get().fen == -payout.fen
    assert money.owed_fen(payout.household) == 0
    assert available_fen("standin") == escrow
    books.all_is_well()


def household_of(payout: Payout) -> Household:
    return payout.household


def test_a_payout_arrives(bank: BankClient) -> None:
    payout = approved(bank)
    tasks.send_payout(payout.pk)
    assert states(payout) == ("succeeded", ["succeeded"])
    assert payout.completed_at is not None
    assert payout.completed_at <= timezone.now()
    arrived_once(bank, payout)
    tasks.send_payout(payout.pk)
    arrived_once(bank, payout)


@pytest.mark.parametrize("fault", SILENT)
def test_what_the_bank_does_not_confirm_is_asked_about_and_not_sent_again(bank: BankClient, fault: str) -> None:
    payout = approved(bank)
    bank.fault("transfer", fault)
    tasks.send_payout(payout.pk)
    assert states(payout) == ("unknown", ["unknown"])
    tasks.send_payout(payout.pk)
    assert states(payout) == ("unknown", ["unknown"])
    for query_fault in (*SILENT, "error_500_before"):
        bank.fault("transfer_query", query_fault)
        for one in sending.to_ask():
            tasks.ask(one)
        assert states(payout) == ("unknown", ["unknown"])
    assert available_fen("standin") == 300
    for one in sending.to_ask():
        tasks.ask(one)
    assert states(payout) == ("succeeded", ["succeeded"])
    arrived_once(bank, payout)


@pytest.mark.parametrize("fault", SILENT)
def test_the_statement_alone_settles_what_nobody_confirmed(bank: BankClient, fault: str) -> None:
    payout = approved(bank)
    bank.fault("transfer", fault)
    tasks.send_payout(payout.pk)
    bank.fault("transfer_query", "error_500_before", times=None)
    tasks.sweep()
    assert states(payout) == ("succeeded", ["succeeded"])
    arrived_once(bank, payout)


def test_a_bank_that_takes_a_request_twice_makes_one_transfer(bank: BankClient) -> None:
    payout = approved(bank)
    bank.fault("transfer", "duplicate")
    tasks.send_payout(payout.pk)
    arrived_once(bank, payout)


def test_a_payout_sent_by_many_at_once_is_sent_once(bank: BankClient) -> None:
    payout = approved(bank)
    assert at_once(*[lambda: tasks.send_payout(payout.pk)] * 7, tasks.sweep) == [None] * 8
    assert states(payout) == ("succeeded", ["succeeded"])
    arrived_once(bank, payout)


def test_a_refused_payout_is_owed_again_and_paid_under_a_new_number(bank: BankClient, settings: Any) -> None:
    refused = approved(bank)
    ours, settings.STANDIN_BANK_ESCROW_ACCOUNT = settings.STANDIN_BANK_ESCROW_ACCOUNT, "5200188000000000026"
    tasks.send_payout(refused.pk)  # The bank says: not your account.
    settings.STANDIN_BANK_ESCROW_ACCOUNT = ours
    assert states(refused) == ("failed", ["failed"])
    assert money.owed_fen(refused.household) == 300
    assert available_fen("standin") == 600
    tasks.send_payout(refused.pk)
    assert money.transfers(bank) == []
    tasks.run_payouts()
    again = Payout.objects.latest("pk")
    assert again.out_no != refused.out_no
    assert (again.fen, again.state) == (300, "approved")
    tasks.send_payout(again.pk)
    arrived_once(bank, again)
    assert states(refused) == ("failed", ["failed"])


def test_too_little_at_the_bank_is_a_refusal(bank: BankClient) -> None:
    (household,) = money.households(1)
    money.settle(1000)  # In our books only.
    money.owe({household: 300})
    run_payouts()
    payout = Payout.objects.get()
    tasks.send_payout(payout.pk)
    assert states(payout) == ("failed", ["failed"])
    assert [row.reason for row in payout.history()][-1] == "INSUFFICIENT_FUNDS"
    assert money.owed_fen(household) == 300
    assert money.transfers(bank) == []
    books.all_is_well()


@pytest.mark.parametrize("state", ["closed", "unknown"])
def test_an_account_the_bank_cannot_pay_fails_and_the_next_version_is_paid(
    bank: BankClient, state: str, later: Any
) -> None:
    payout = approved(bank)
    bank.control("POST", "accounts", {"account": payout.account.number, "state": state})
    tasks.send_payout(payout.pk)
    tasks.sweep()
    assert states(payout) == ("failed", ["failed"])
    assert money.owed_fen(payout.household) == 300
    assert bank.control("GET", "balance")["balance_fen"] == 600
    factories.account(payout.household)
    assert run_payouts().payouts == 0  # It cools first.
    later(hours=73)
    assert run_payouts().payouts == 1
    again = Payout.objects.latest("pk")
    tasks.send_payout(again.pk)
    assert states(again) == ("succeeded", ["succeeded"])
    assert again.account.version == 2
    assert [row["status"] for row in money.transfers(bank)] == ["failed", "succeeded"]
    tasks.sweep()
    assert books.balances() == {"escrow": 300, "sponsor": -300}


def test_what_never_reached_the_bank_is_sent_again_as_it_was(bank: BankClient, settings: Any, later: Any) -> None:
    payout = approved(bank)
    there, settings.STANDIN_BANK_URL = settings.STANDIN_BANK_URL, "http://127.0.0.1:9"
    tasks.send_payout(payout.pk)
    for seconds, attempts in ((0, 1), (39, 1), (2, 2), (41, 2), (40, 3)):
        later(seconds=seconds)
        for _ in range(2):
            tasks.sweep()
        assert states(payout) == ("sending", ["unsent"] * attempts)
    settings.STANDIN_BANK_URL = there
    later(seconds=121)
    tasks.sweep()
    assert states(payout) == ("succeeded", ["unsent", "unsent", "unsent", "succeeded"])
    assert len(set(payout.attempts.values_list("request_sha256", flat=True))) == 1
    arrived_once(bank, payout)


def test_a_request_the_bank_may_still_take_is_not_sent_again(bank: BankClient, later: Any) -> None:
    payout = approved(bank)
    bank.fault("transfer", "error_500_before")
    tasks.send_payout(payout.pk)
    for _ in range(3):
        tasks.sweep()
        assert states(payout) == ("unknown", ["unknown"])
    later(seconds=338)  # 300 s for the request, 40 s for its caller.
    tasks.sweep()
    assert states(payout) == ("unknown", ["unknown"])
    assert money.transfers(bank) == []
    later(seconds=10)
    tasks.sweep()
    assert states(payout) == ("succeeded", ["unsent", "succeeded"])
    assert len(set(payout.attempts.values_list("request_sha256", flat=True))) == 1
    arrived_once(bank, payout)


def test_a_bank_whose_requests_live_for_ever_is_never_sent_the_same_again(
    bank: BankClient, later: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    payout = approved(bank)
    bank.fault("transfer", "error_500_before")
    tasks.send_payout(payout.pk)
    monkeypatch.setattr(type(channel("standin")), "request_lives", None)
    later(days=30)
    tasks.sweep()
    assert states(payout) == ("unknown", ["unknown"])
    assert money.transfers(bank) == []


def test_a_sender_that_may_be_alive_is_left_alone(bank: BankClient, later: Any) -> None:
    payout = approved(bank)
    assert sending._begin(payout.pk) is not None  # Its sender dies here, before the call.
    tasks.sweep()
    assert states(payout) == ("sending", ["sending"])
    later(seconds=41)
    tasks.sweep()
    assert states(payout) == ("unknown", ["unknown"])  # The bank does not know it, yet.
    assert money.transfers(bank) == []
    later(seconds=300)
    tasks.sweep()
    assert states(payout) == ("succeeded", ["unsent", "succeeded"])
    arrived_once(bank, payout)


def test_an_account_that_changed_before_sending_cancels_the_payout(bank: BankClient, later: Any) -> None:
    payout = approved(bank)
    factories.account(payout.household)
    tasks.send_payout(payout.pk)
    assert states(payout) == ("cancelled", [])
    assert money.transfers(bank) == []
    assert money.owed_fen(payout.household) == 300
    assert available_fen("standin") == 600
    later(hours=73)
    tasks.run_payouts()
    again = Payout.objects.latest("pk")
    assert again.account.version == 2
    tasks.send_payout(again.pk)
    arrived_once(bank, again)


def test_an_account_that_changed_before_a_second_try_fails_the_payout(
    bank: BankClient, settings: Any, later: Any
) -> None:
    payout = approved(bank)
    there, settings.STANDIN_BANK_URL = settings.STANDIN_BANK_URL, "http://127.0.0.1:9"
    tasks.send_payout(payout.pk)
    settings.STANDIN_BANK_URL = there
    factories.account(payout.household)
    later(minutes=1)
    tasks.sweep()
    assert states(payout) == ("failed", ["unsent"])
    assert money.owed_fen(payout.household) == 300
    later(hours=73)
    tasks.run_payouts()
    tasks.sweep()
    arrived_once(bank, Payout.objects.latest("pk"))


def test_an_account_that_somebody_altered_is_not_paid(bank: BankClient) -> None:
    payout = approved(bank)
    (other,) = money.households(1)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE payouts_bankaccount SET number = (SELECT number FROM payouts_bankaccount WHERE household_id = %s)"
            " WHERE household_id = %s",
            [other.pk, payout.household_id],
        )
    tasks.sweep()
    assert states(payout) == ("approved", [])
    assert money.transfers(bank) == []
    sending.cancel(payout, by=factories.user("finance"), reason="tampered")
    assert money.owed_fen(household_of(payout)) == 300
    books.all_is_well()


def test_one_payout_that_cannot_be_sent_keeps_no_other_waiting(bank: BankClient) -> None:
    first, second = money.households(2)
    money.fund(bank, 600)
    money.owe({first: 300, second: 300})
    run_payouts()
    with connection.cursor() as cursor:  # A number nobody can decrypt any more.
        cursor.execute("UPDATE payouts_bankaccount SET number = 'lost' WHERE household_id = %s", [first.pk])
    tasks.sweep()
    assert {household: state for household, _, state in money.payouts()} == {
        first.pk: "approved", second.pk: "succeeded",
    }  # fmt: skip


def test_a_sweep_does_nothing_while_another_one_is_at_work(bank: BankClient) -> None:
    payout = approved(bank)
    with only_one("payouts.sweep") as mine:
        assert mine
        assert at_once(tasks.sweep) == [None]
        assert states(payout) == ("approved", [])
    tasks.sweep()
    arrived_once(bank, payout)


def test_sweeps_and_bells_at_once_send_everything_once(bank: BankClient) -> None:
    households = money.households(6)
    money.fund(bank, 1800)
    money.owe(dict.fromkeys(households, 300))
    run_payouts()
    bells = [lambda pk=pk: tasks.send_payout(pk) for pk in sending.to_send()]
    assert at_once(tasks.sweep, *bells, *bells, tasks.sweep, tasks.sweep) == [None] * 15
    tasks.sweep()
    assert [state for _, _, state in money.payouts()] == ["succeeded"] * 6
    assert len(money.transfers(bank)) == 6
    assert Attempt.objects.count() == 6
    assert books.balances() == {}
    assert bank.control("GET", "balance")["balance_fen"] == 0
    books.all_is_well()


@pytest.mark.parametrize(
    ("news", "state"),
    [("accepted", "succeeded"), ("failed", "succeeded"), ("succeeded", "succeeded"), ("returned", "succeeded")],
)
def test_old_news_of_a_payout_that_arrived_changes_nothing(bank: BankClient, news: Any, state: str) -> None:
    payout = approved(bank)
    tasks.send_payout(payout.pk)
    before = books.lines()
    sending.record(payout.pk, sending.TransferReport(payout.out_no, news, "other"))
    sending.mark_unknown(payout.pk, reason="late")
    assert states(payout) == (state, ["succeeded"])
    assert books.lines() == before
    arrived_once(bank, payout)
