"""What goes through the broker: numbers of rows, nothing that says anything about anybody."""

from typing import Any

import pytest
from django.db import connection

from payouts import runs, tasks
from payouts.models import Payout
from purchases.models import Refund
from purchases.orders import expire_order
from tests import factories
from tests.ground.threads import at_once
from tests.payouts import broker, money
from tests.purchases import books
from tests.standins.clients import BankClient

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_run_rings_once_for_each_payout_and_tells_the_broker_nothing_else(bank: BankClient) -> None:
    households = money.households(3)
    money.fund(bank, 1000)
    money.owe(dict.fromkeys(households, 300))
    tasks.run_payouts()
    payouts = list(Payout.objects.order_by("pk"))
    assert len(payouts) == 3
    rung = [one for one in broker.messages() if one["task"] == "payouts.tasks.send_payout"]
    assert [(one["args"], one["kwargs"]) for one in rung] == [([payout.pk], {}) for payout in payouts]
    everything = broker.raw()
    assert "payouts.tasks.send_payout" in everything
    for payout in payouts:
        account, household = payout.account, payout.household
        for secret in (account.number, account.holder, household.phone, household.id_number, household.head_name,
                       household.public_id, payout.out_no):  # fmt: skip
            assert secret not in everything


def test_refunds_ring_with_their_number_alone(bank: BankClient) -> None:
    (owner,) = factories.market(1)
    late = factories.order(tree=owner.trees.get(), contact="13912345678", holder="滚老山")
    expire_order(late)
    factories.paid_order(tree=owner.trees.get())
    factories.capture(late.payments.get())
    (rung,) = [one for one in broker.messages() if one["task"] == "purchases.tasks.send_refund"]
    assert (rung["args"], rung["kwargs"]) == ([Refund.objects.get().pk], {})
    for secret in ("13912345678", "滚老山", late.token, late.number, Refund.objects.get().number):
        assert secret not in broker.raw()


def test_the_broker_may_lose_everything(bank: BankClient, settings: Any) -> None:
    from django.core.cache import cache

    (household,) = money.households(1)
    money.fund(bank, 300)
    money.owe({household: 300})
    tasks.run_payouts()
    cache.clear()  # Empties the whole Redis database.
    assert broker.messages() == []
    tasks.sweep()
    assert money.payouts() == [(household.pk, 300, "succeeded")]
    books.all_is_well()


def test_a_run_with_a_silent_bank_pays_from_what_is_settled_already(bank: BankClient) -> None:
    (household,) = money.households(1)
    money.fund(bank, 300)
    money.owe({household: 300})
    bank.fault("statement", "error_500_before")
    tasks.run_payouts()
    assert money.payouts() == [(household.pk, 300, "approved")]


def test_runs_at_once_by_the_task_pay_once(bank: BankClient) -> None:
    households = money.households(4)
    money.fund(bank, 5000)
    money.owe(dict.fromkeys(households, 300))
    assert at_once(*[tasks.run_payouts] * 5) == [None] * 5
    assert sorted(fen for _, fen, _ in money.payouts()) == [300] * 4
    tasks.sweep()
    assert bank.control("GET", "balance")["balance_fen"] == 3800
    books.all_is_well()


def test_a_run_that_breaks_in_the_middle_leaves_nothing(bank: BankClient, monkeypatch: pytest.MonkeyPatch) -> None:
    (household,) = money.households(1)
    money.fund(bank, 1000)
    money.owe({household: 300})
    before = books.lines()

    def execute(run: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        if "INSERT INTO ledger_line" in sql:
            raise KeyboardInterrupt
        return run(sql, params, many, context)

    with connection.execute_wrapper(execute), pytest.raises(KeyboardInterrupt):
        tasks.run_payouts()
    assert (money.payouts(), books.lines()) == ([], before)
    assert money.owed_fen(household) == 300
    assert runs.run_payouts() == runs.Run(1, 300, 0)
    books.all_is_well()
