"""Answers of the bank that are no proof of anything: nothing is owed or sent a second time."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from payouts import audit, runs, sending, statements
from payouts.banks.standin.bank import StandinBank
from payouts.models import Payout
from tests import factories
from tests.standins.clients import BankClient


def one_payout(bank: BankClient, settings: Any) -> Payout:
    owner = factories.market(1)[0]
    factories.account(owner)
    factories.paid_order()
    name = settings.SPONSOR_NAMES[0]
    bank.control("POST", "credits", {"fen": 900, "counterparty_name": name, "remittance": "top up", "reference": "s"})
    statements.import_statement()
    runs.run_payouts()
    return Payout.objects.get()


def received(bank: BankClient, payout: Payout) -> list[int]:
    """Fen of each transfer that reached the household's account, in the bank's own book."""
    book = bank.http.get(f"{bank.url}/control/book", params={"account": payout.account.number}).json()
    return [row["fen"] for row in book["movements"]]


@pytest.mark.django_db(transaction=True)
def test_a_replayed_request_is_asked_about_and_not_owed_again(
    settings: Any, bank: BankClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    payout, send = one_payout(bank, settings), httpx.Client.request

    def twice(self: httpx.Client, *args: Any, **kwargs: Any) -> httpx.Response:
        """As a proxy between us and the bank does that repeats what was not answered fast enough."""
        send(self, *args, **kwargs)
        return send(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(httpx.Client, "request", twice)
        sending.send_payout(payout.pk)
    payout.refresh_from_db()
    assert payout.state == Payout.State.UNKNOWN
    assert runs.run_payouts() == runs.Run(0, 0, 0)
    sending.ask_bank(payout)
    payout.refresh_from_db()
    assert payout.state == Payout.State.SUCCEEDED
    assert received(bank, payout) == [300]
    statements.import_statement()
    assert list(audit.findings()) == []


@pytest.mark.django_db(transaction=True)
def test_a_payout_the_bank_once_accepted_is_never_sent_again(
    settings: Any, bank: BankClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    payout, sent = one_payout(bank, settings), []
    submit = StandinBank.submit

    def accepts(self: StandinBank, instruction: Any) -> Any:
        sent.append(instruction.number)
        (report,) = submit(self, instruction)
        return [type(report)(report.out_no, "accepted", report.bank_reference)]

    monkeypatch.setattr(StandinBank, "submit", accepts)
    monkeypatch.setattr(StandinBank, "query", lambda self, out_no: None)
    sending.send_payout(payout.pk)
    # As old as can be: its request cannot be taken any more.
    monkeypatch.setattr(StandinBank, "request_lives", -timedelta(days=1))
    for _ in range(3):
        sending.ask_bank(Payout.objects.get())
    payout.refresh_from_db()
    assert payout.state == Payout.State.UNKNOWN
    assert sent == [payout.out_no]
    assert payout.attempts.count() == 1
    assert runs.run_payouts() == runs.Run(0, 0, 0)

    statements.import_statement()  # The statement knows better, and is believed.
    payout.refresh_from_db()
    assert payout.state == Payout.State.SUCCEEDED
    assert received(bank, payout) == [300]
    assert list(audit.findings()) == []
