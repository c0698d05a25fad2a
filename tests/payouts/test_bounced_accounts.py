"""An account that the bank could not pay gets nothing more until a person says so, or another one is approved."""

from typing import Any

import pytest

from carbonsink.accounts import roles
from carbonsink.errors import DomainError
from carbonsink.messages.models import Message
from payouts import accounts, sending, tasks
from payouts.banks.base import BankError, TransferReport
from payouts.models import BankAccount, Payout
from payouts.runs import run_payouts
from tests import factories
from tests.ground.threads import at_once
from tests.payouts import money
from tests.purchases import books
from tests.standins.clients import BankClient

pytestmark = pytest.mark.django_db(transaction=True)


def sent(bank: BankClient, **listed: str) -> Payout:
    """A payout that was sent, to an account of which the bank says `listed`."""
    (household,) = money.households(1)
    if listed:
        bank.control("POST", "accounts", {"account": household.bank_accounts.get().number, "state": "open"} | listed)
    money.fund(bank, 900)
    money.owe({household: 300})
    run_payouts()
    payout = Payout.objects.get()
    tasks.send_payout(payout.pk)
    tasks.sweep()
    payout.refresh_from_db()
    return payout


def give_back(bank: BankClient, payout: Payout) -> None:
    """The bank gives the money back 退票, and the statement is read."""
    bank.control("POST", "return", {"out_no": payout.out_no, "reason": "户名不符"})
    tasks.sweep()


@pytest.mark.parametrize(
    ("listed", "code"),
    [
        ({"state": "closed"}, "ACCOUNT_CLOSED"),
        ({"state": "unknown"}, "ACCOUNT_UNKNOWN"),
        ({"name": "别人"}, "NAME_MISMATCH"),
    ],
)
def test_an_account_that_the_bank_cannot_pay_bounces(bank: BankClient, listed: Any, code: str) -> None:
    payout = sent(bank, **listed)
    payout.account.refresh_from_db()
    assert (payout.state, payout.account.state) == ("failed", "bounced")
    change = payout.account.history().last()
    assert change is not None
    assert change.reason.startswith(code)
    for _ in range(3):  # Each night.
        tasks.run_payouts()
        tasks.sweep()
    assert len(money.transfers(bank)) == 1
    assert money.owed_fen(payout.household) == 300
    (message,) = Message.objects.exclude(key__startswith="payout-arrived:")
    assert message.to == payout.household.phone
    assert payout.account.last_four in message.body
    books.all_is_well()


def test_what_comes_back_is_paid_to_the_new_account_under_a_new_number(bank: BankClient, later: Any) -> None:
    payout = sent(bank)
    assert payout.state == "succeeded"
    give_back(bank, payout)
    payout.refresh_from_db()
    payout.account.refresh_from_db()
    assert (payout.state, payout.account.state) == ("returned", "bounced")
    assert run_payouts().payouts == 0
    new = factories.account(payout.household)
    payout.account.refresh_from_db()
    assert payout.account.state == "superseded"
    assert run_payouts().payouts == 0  # It cools: it is a change.
    later(hours=72, seconds=1)
    tasks.run_payouts()
    tasks.sweep()
    again = Payout.objects.latest("pk")
    assert (again.state, again.fen, again.account) == ("succeeded", 300, new)
    assert again.out_no != payout.out_no
    book = {row["out_no"]: (row["status"], row["to_account"]) for row in money.transfers(bank)}
    assert book == {
        payout.out_no: ("returned", payout.account.number),
        again.out_no: ("succeeded", new.number),
    }
    assert money.owed_fen(payout.household) == 0
    assert books.balances() == {"escrow": 600, "sponsor": -600}
    books.all_is_well()


def test_a_return_of_an_account_before_leaves_the_one_in_force(bank: BankClient, later: Any) -> None:
    payout = sent(bank)
    new = factories.account(payout.household)
    give_back(bank, payout)
    new.refresh_from_db()
    assert new.state == "approved"
    assert not Message.objects.filter(key__contains=":bounced:").exists()


def test_a_refusal_that_is_not_the_accounts_fault_leaves_it_in_force(bank: BankClient) -> None:
    (household,) = money.households(1)
    money.settle(1000)  # In our books only: the bank says INSUFFICIENT_FUNDS.
    money.owe({household: 300})
    run_payouts()
    tasks.send_payout(Payout.objects.get().pk)
    assert Payout.objects.get().state == "failed"
    assert household.bank_accounts.get().state == "approved"
    assert not Message.objects.exists()
    assert run_payouts().payouts == 1


def test_a_refusal_for_the_accounts_sake_bounces_it(bank: BankClient) -> None:
    (household,) = money.households(1)
    money.fund(bank, 300)
    money.owe({household: 300})
    run_payouts()
    attempt = sending._begin(Payout.objects.get().pk)
    assert attempt is not None
    sending._record_error(attempt, BankError("refused", "PAYEE_CLOSED", account_at_fault=True))
    assert Payout.objects.get().state == "failed"
    assert household.bank_accounts.get().state == "bounced"
    books.all_is_well()


def test_the_same_bad_news_twice_or_at_once_is_one_bounce(bank: BankClient) -> None:
    (household,) = money.households(1)
    money.fund(bank, 300)
    money.owe({household: 300})
    run_payouts()
    payout = Payout.objects.get()
    sending._begin(payout.pk)
    news = TransferReport(payout.out_no, "failed", reason="ACCOUNT_CLOSED", account_at_fault=True)
    at_once(*[lambda: sending.record(payout.pk, news)] * 4)
    account = household.bank_accounts.get()
    assert [change.to_state for change in account.history()] == ["approved", "bounced"]
    assert Message.objects.exclude(key__startswith="payout-arrived:").count() == 1
    assert money.owed_fen(household) == 300
    books.all_is_well()


def test_a_bounce_and_a_new_account_approved_at_once_leave_the_new_one_in_force(bank: BankClient) -> None:
    (household,) = money.households(1)
    money.fund(bank, 300)
    money.owe({household: 300})
    run_payouts()
    payout, finance = Payout.objects.get(), factories.user(roles.FINANCE)
    sending._begin(payout.pk)
    new = factories.account(household, approved=False)
    news = TransferReport(payout.out_no, "failed", reason="ACCOUNT_CLOSED", account_at_fault=True)
    done = at_once(
        lambda: sending.record(payout.pk, news),
        lambda: accounts.approve_account(BankAccount.objects.get(pk=new.pk), by=finance),
    )
    assert done == [True, None]  # The failure was news; the approval returns nothing.
    assert sorted(household.bank_accounts.values_list("version", "state")) == [(1, "superseded"), (2, "approved")]
    books.all_is_well()


def test_finance_puts_back_what_bounced_for_a_reason_that_has_passed(bank: BankClient) -> None:
    payout = sent(bank, state="closed")
    account, other = BankAccount.objects.get(), factories.user(roles.FINANCE)
    with pytest.raises(DomainError) as error:
        accounts.put_back_account(account, by=account.entered_by, reason="the bank was wrong")
    assert error.value.code == "same_person"
    accounts.put_back_account(account, by=other, reason="the bank was wrong")
    bank.control("POST", "accounts", {"account": account.number, "state": "open"})
    tasks.run_payouts()
    tasks.sweep()
    assert [row["status"] for row in money.transfers(bank)] == ["failed", "succeeded"]
    assert Payout.objects.latest("pk").out_no != payout.out_no
    assert [
        message.key.split(":")[2] for message in Message.objects.filter(key__startswith="account:").order_by("pk")
    ] == ["bounced", "put_back"]
    books.all_is_well()
