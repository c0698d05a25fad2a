"""A return whose file comes before that of its debit, and one of a bank that does not pay any more."""

from typing import Any

import pytest
from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.states import StateChange
from payouts import accounts, batches, statements, tasks
from payouts.banks.base import Movement, Page, TransferReport
from payouts.models import Alert, Payout, StatementRow
from payouts.runs import run_payouts
from purchases.proceeds import Proceeds, proceeds
from tests import factories
from tests.payouts import money
from tests.payouts.filing import FileBank
from tests.payouts.test_statements import sent_payout
from tests.purchases import books
from tests.standins.clients import BankClient

pytestmark = pytest.mark.django_db(transaction=True)


def row(payout: Payout, fen: int, said: str = "退票") -> Page:
    """A page with a row of the statement."""
    return Page((Movement(f"S{fen}", timezone.now(), fen, "某人", said, payout.out_no, f"S{fen}"),), "")


@pytest.mark.parametrize("known", ["sending", "accepted", "succeeded"])
def test_a_return_read_before_its_debit_is_owed_again_once(file_bank: FileBank, known: Any) -> None:
    (payout,) = file_bank.approved(300)
    batches.send_approved("pain001")
    if known != "sending":
        statements.take_in("pain001", Page((), "", (TransferReport(payout.out_no, known),)))
    for fen in (300, -300):
        statements.take_in("pain001", row(payout, fen))
        payout.refresh_from_db()
        assert (payout.state, money.owed_fen(payout.household)) == ("returned", 300)
    assert sorted(payout.statement_rows.values_list("kind", "fen")) == [("payout", -300), ("return", 300)]
    assert books.balances() == {"escrow": 300, "household": -300}
    assert not Alert.objects.filter(state="open").exists()
    books.all_is_well()


@pytest.mark.parametrize("way", ["returned", "failed"])
def test_a_number_that_the_bank_names_is_kept_in_clear_nowhere(file_bank: FileBank, way: str) -> None:
    (payout,) = file_bank.approved(300)
    batches.send_approved("pain001")
    said = f"账号{payout.account.number}户名不符"
    if way == "failed":
        report = TransferReport(payout.out_no, "failed", reason=said, account_at_fault=True)
        statements.take_in("pain001", Page((), "", (report,)))
    else:
        for fen in (-300, 300):
            statements.take_in("pain001", row(payout, fen, said))
    payout.refresh_from_db()
    assert payout.state == way
    kept = [*StateChange.objects.values_list("reason", flat=True)]
    kept += StatementRow.objects.values_list("remittance", flat=True)
    assert any("户名不符" in text for text in kept)
    assert not any(payout.account.number in text for text in kept)


def test_what_a_former_bank_gives_back_is_still_read(bank: BankClient, settings: Any) -> None:
    payout = sent_payout(bank)
    tasks.sweep()
    settings.PAYOUT_BANK = "pain001"
    bank.control("POST", "return", {"out_no": payout.out_no, "reason": "户名不符"})
    tasks.sweep()
    payout.refresh_from_db()
    assert (payout.state, money.owed_fen(payout.household)) == ("returned", 300)


def test_an_order_s_money_is_followed_through_a_return_to_the_next_payout(bank: BankClient) -> None:
    (owner,) = factories.market(1)
    factories.account(owner)
    order = factories.paid_order()
    money.fund(bank, 300)
    run_payouts()
    payout = Payout.objects.get()
    tasks.sweep()
    assert proceeds(order) == Proceeds(0, 0, 300)
    bank.control("POST", "return", {"out_no": payout.out_no, "reason": "户名不符"})
    tasks.sweep()
    assert proceeds(order) == Proceeds(300, 0, 0)
    accounts.put_back_account(payout.account, by=factories.user(roles.FINANCE), reason="the bank was wrong")
    run_payouts()
    assert proceeds(order) == Proceeds(0, 300, 0)
    tasks.sweep()
    assert proceeds(order) == Proceeds(0, 0, 300)
