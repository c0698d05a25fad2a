"""Money that nobody has explained stops the way out, until a person explains it."""

import io
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from carbonsink.accounts.roles import FINANCE, REVIEWER
from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account
from carbonsink.states import StateChange
from payouts import audit, runs, sending, statements, tasks
from payouts.models import Payout, StatementRow
from purchases.models import Payment, Refund
from tests import factories
from tests.standins.clients import BankClient

STRANGER = {"fen": 1, "counterparty_name": "路人甲\x00", "remittance": "?\ud800" + "长" * 300, "reference": "x" * 20}


def paid_in(bank: BankClient, fen: int, settings: Any, reference: str = "sponsor") -> None:
    content = {
        "fen": fen,
        "counterparty_name": settings.SPONSOR_NAMES[0],
        "remittance": "top up",
        "reference": reference,
    }
    bank.control("POST", "credits", content)


def owed_household() -> Any:
    owner = factories.market(1)[0]
    factories.account(owner)
    factories.paid_order()
    return owner


@pytest.mark.django_db(transaction=True)
def test_a_strangers_deposit_stops_the_payouts_until_finance_explains_it(settings: Any, bank: BankClient) -> None:
    owed_household()
    paid_in(bank, 1000, settings)
    bank.control("POST", "credits", {**STRANGER, "counterparty_name": "路人甲", "remittance": "?"})
    tasks.run_payouts()
    assert not Payout.objects.exists()
    assert [finding.sentence for finding in audit.findings()] == ["money that nobody has explained"]
    with pytest.raises(CommandError, match="1 statements do not hold"):
        call_command("audit", stdout=io.StringIO(), stderr=io.StringIO())

    row = StatementRow.objects.get(kind=StatementRow.Kind.SUSPENSE)
    client, clerk = Client(), factories.user(FINANCE)
    client.force_login(clerk, backend="carbonsink.accounts.backends.PhoneOrEmailBackend")
    page, said = reverse("payouts:finance-row-sponsor", args=[row.pk]), {"reason": "a gift"}
    assert [client.post(page, said).status_code for _ in range(2)] == [302, 409]

    assert ledger.balance(ledger.account(Account.Kind.SUSPENSE)) == 0
    assert ledger.balance(ledger.account(Account.Kind.SPONSOR)) == -1001
    told = StateChange.objects.get(thing="payouts.statementrow")
    assert (told.object_id, told.by, told.to_state) == (row.pk, clerk, "explained")
    assert runs.run_payouts() == runs.Run(payouts=1, fen=300, held=0)
    assert list(audit.findings()) == []


@pytest.mark.django_db(transaction=True)
def test_a_reviewer_cannot_explain_money(bank: BankClient) -> None:
    bank.control("POST", "credits", {**STRANGER, "counterparty_name": "路人甲", "remittance": "?"})
    statements.import_statement()
    reviewer = factories.user(REVIEWER)
    reviewer.is_staff = True
    reviewer.save()
    client = Client()
    client.force_login(reviewer, backend="carbonsink.accounts.backends.PhoneOrEmailBackend")
    row = StatementRow.objects.get()
    answer = client.post(reverse("payouts:finance-row-sponsor", args=[row.pk]), {"reason": "mine"})
    assert answer.status_code == 404
    assert ledger.balance(ledger.account(Account.Kind.SUSPENSE)) == -1


@pytest.mark.django_db(transaction=True)
def test_texts_of_strangers_and_rows_without_amount_do_not_stop_the_statement(
    settings: Any, bank: BankClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from payouts.banks.standin.bank import StandinBank

    call = StandinBank._call

    def odd(self: StandinBank, method: str, path: str, body: bytes = b"") -> Any:
        status, answer = call(self, method, path, body)
        for row in answer.get("rows", []):
            row |= {"remittance": STRANGER["remittance"], "counterparty_name": "路\x00人", "bank_reference": "9" * 200}
        if answer.get("rows"):
            answer["rows"].append({**answer["rows"][-1], "fen": 0, "serial": answer["rows"][-1]["serial"] + 1000})
        return status, answer

    monkeypatch.setattr(StandinBank, "_call", odd)
    paid_in(bank, 5, settings)
    assert statements.import_statement() == 2
    assert statements.import_statement() == 0
    assert list(StatementRow.objects.order_by("pk").values_list("fen", "kind")) == [
        (5, "suspense"),
        (0, "information"),
    ]
    assert StatementRow.objects.filter(counterparty__isnull=False, remittance__startswith="? 长").count() == 2


@pytest.mark.django_db(transaction=True)
def test_sending_goes_on_when_the_statement_cannot_be_read(
    settings: Any, bank: BankClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    owed_household()
    paid_in(bank, 1000, settings)
    statements.import_statement()
    runs.run_payouts()
    monkeypatch.setattr(statements, "import_statement", lambda code: 1 / 0)
    tasks.sweep()
    assert Payout.objects.get().state == Payout.State.SUCCEEDED


@pytest.mark.django_db(transaction=True)
def test_a_success_that_the_bank_never_shows_is_found(settings: Any, bank: BankClient) -> None:
    owed_household()
    paid_in(bank, 1000, settings)
    statements.import_statement()
    runs.run_payouts()
    sending.send_payout(Payout.objects.get().pk)
    assert list(audit.findings()) == []
    Payout.objects.update(completed_at=timezone.now() - timedelta(days=2))
    assert [f.sentence for f in audit.findings()] == [
        "payouts that succeeded more than a day ago and are on no statement"
    ]
    statements.import_statement()
    assert list(audit.findings()) == []


@pytest.mark.django_db
def test_a_payment_of_a_wrong_amount_is_sent_back_by_finance() -> None:
    factories.market(1)
    payment, clerk = factories.order().payments.get(), factories.user(FINANCE)
    factories.capture(payment, fen=299)
    assert not Refund.objects.exists()
    assert ledger.balance(ledger.account(Account.Kind.SUSPENSE)) == -299

    client = Client()
    client.force_login(clerk, backend="carbonsink.accounts.backends.PhoneOrEmailBackend")
    action = {"action": "send_back", "_selected_action": [payment.pk]}
    assert client.post("/admin/purchases/payment/", action).status_code == 302
    assert client.post("/admin/purchases/payment/", action).status_code == 302

    refund = Refund.objects.get()
    assert (refund.fen, refund.reason, refund.state) == (299, "amount", "requested")
    assert ledger.balance(ledger.account(Account.Kind.SUSPENSE)) == 0
    assert ledger.balance(ledger.account(Account.Kind.REFUNDS)) == -299
    assert Payment.objects.get(pk=payment.pk).state == Payment.State.CAPTURED
    assert list(audit.findings()) == []
