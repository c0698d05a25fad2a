"""A run pays every household what it is owed, once, and never more than there is."""

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from carbonsink.accounts import roles
from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account, Settlement
from carbonsink.locks import only_one
from payouts import runs, sending
from payouts.models import Payout
from payouts.runs import Run, available_fen, run_payouts
from tests import factories
from tests.ground.threads import at_once
from tests.payouts import money
from tests.purchases import books


@pytest.mark.django_db
def test_every_household_gets_what_its_trees_were_sold_for() -> None:
    first, second, third = factories.market(3, 2, 1)
    for owner in (first, second, third):
        factories.account(owner)
    factories.paid_order(4)
    factories.paid_order(tree=first.trees.order_by("pk").last())
    money.settle(2000)
    expected = {row.household_id: 300 * row.sold for row in first.stocks.model.objects.all()}
    assert sum(expected.values()) == 1500
    assert run_payouts() == Run(payouts=3, fen=1500, held=0)
    assert {household: fen for household, fen, _ in money.payouts()} == expected
    assert {state for _, _, state in money.payouts()} == {"approved"}
    for payout in Payout.objects.all():
        assert money.settled_fen(payout) == payout.fen
        assert len(payout.out_no) == 32
    assert books.balances() == {"gateway": 1500, "escrow": 2000, "transit": -1500, "sponsor": -2000}
    assert available_fen("standin") == 500
    assert run_payouts() == Run(0, 0, 0)
    books.all_is_well()


@pytest.mark.django_db
def test_households_below_the_minimum_wait_until_they_reach_it(settings: Any) -> None:
    settings.PAYOUT_MINIMUM_FEN = 500
    little, much = money.households(2)
    money.settle(10_000)
    money.owe({little: 499, much: 500})
    assert run_payouts() == Run(1, 500, 0)
    assert (money.owed_fen(little), money.owed_fen(much)) == (499, 0)
    money.owe({little: 1})
    assert run_payouts() == Run(1, 500, 0)
    assert money.payouts() == [(much.pk, 500, "approved"), (little.pk, 500, "approved")]
    books.all_is_well()


@pytest.mark.django_db
def test_households_without_a_usable_account_wait(later: Any) -> None:
    none, entered, rejected, changed = (factories.household() for _ in range(4))
    factories.account(entered, approved=False)
    from payouts.accounts import reject_account

    reject_account(factories.account(rejected, approved=False), by=factories.user(roles.FINANCE), reason="blurred")
    factories.account(changed)
    factories.account(changed)
    money.settle(10_000)
    money.owe(dict.fromkeys((none, entered, rejected, changed), 300))
    assert run_payouts() == Run(0, 0, 0)
    later(hours=71, minutes=59)
    assert run_payouts() == Run(0, 0, 0)
    later(minutes=2)
    assert run_payouts() == Run(1, 300, 0)
    (payout,) = Payout.objects.all()
    assert (payout.household, payout.account.version) == (changed, 2)
    factories.account(none)
    assert run_payouts() == Run(1, 300, 0)
    assert [money.owed_fen(one) for one in (none, entered, rejected, changed)] == [0, 300, 300, 0]


@pytest.mark.django_db
def test_who_has_waited_longest_comes_first_and_nobody_is_paid_in_part() -> None:
    first, second, third = money.households(3)
    money.owe({third: 300})
    money.owe({first: 500})
    money.owe({second: 100})
    money.owe({third: 100})
    money.settle(899)
    # The third is paid whole; the first does not fit any more, and the second does not overtake it.
    assert run_payouts() == Run(1, 400, 0)
    assert available_fen("standin") == 499
    assert run_payouts() == Run(0, 0, 0)
    money.settle(1)
    assert run_payouts() == Run(1, 500, 0)
    assert available_fen("standin") == 0
    money.settle(100)
    assert run_payouts() == Run(1, 100, 0)
    assert [household for household, _, _ in money.payouts()] == [third.pk, first.pk, second.pk]
    assert books.balances() == {"escrow": 1000, "transit": -1000}
    books.all_is_well()


@pytest.mark.django_db
def test_without_settled_money_nothing_leaves() -> None:
    (owner,) = factories.market(2)
    factories.account(owner)
    factories.paid_order(2)
    assert run_payouts() == Run(0, 0, 0)
    money.settle(599)
    assert run_payouts() == Run(0, 0, 0)
    assert money.owed_fen(owner) == 600
    books.all_is_well()


@pytest.mark.django_db
def test_while_money_is_unexplained_nothing_leaves() -> None:
    (household,) = money.households(1)
    money.settle(1000)
    money.owe({household: 300})
    suspense, escrow = ledger.account(Account.Kind.SUSPENSE), ledger.account(Account.Kind.ESCROW, "standin")
    ledger.post("odd", "odd", {escrow: 1, suspense: -1})
    assert run_payouts() == Run(0, 0, 0)
    ledger.post("explained", "odd", {suspense: 1, escrow: -1})
    assert run_payouts() == Run(1, 300, 0)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("with_lock", [True, False])
def test_runs_at_the_same_moment_pay_once_and_never_more_than_there_is(
    with_lock: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock lets one run in. Without it, the rows' own locks still keep the money together."""
    households = money.households(6)
    money.settle(1000)
    money.owe(dict.fromkeys(households, 300))
    if not with_lock:
        numbers = iter(range(100))
        monkeypatch.setattr(runs, "only_one", lambda name: only_one(f"{name}{next(numbers)}"))
    done = at_once(*[run_payouts] * 6)
    assert not [one for one in done if isinstance(one, Exception)], done
    assert sum(run.fen for run in done) == 900
    assert sum(run.payouts for run in done) == Payout.objects.count() == 3
    assert available_fen("standin") == 100
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_a_run_does_nothing_while_another_one_is_at_work() -> None:
    (household,) = money.households(1)
    money.settle(1000)
    money.owe({household: 300})
    with only_one("payouts.run") as mine:
        assert mine
        assert at_once(run_payouts) == [Run(0, 0, 0)]
    assert run_payouts() == Run(1, 300, 0)


@pytest.mark.django_db(transaction=True)
def test_sales_while_runs_are_written_are_paid_in_full() -> None:
    """A capture committed while a run is at work is taken by that run whole, or left for the next one whole."""
    owners = factories.market(12, 12, 12)
    for owner in owners:
        factories.account(owner)
    payments = [factories.order(1).payments.get() for _ in range(36)]
    money.settle(100_000)

    def sell(some: list[Any]) -> None:
        for payment in some:
            factories.capture(payment)

    def run() -> None:
        for _ in range(12):
            run_payouts()

    sellers = [lambda one=one: sell(payments[one::4]) for one in range(4)]
    assert at_once(*sellers, run, run) == [None] * 6
    run_payouts()
    assert sum(fen for _, fen, _ in money.payouts()) == 36 * 300
    assert [money.owed_fen(owner) for owner in owners] == [0, 0, 0]
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_what_is_committed_between_two_steps_of_a_run_is_left_for_the_next_one(monkeypatch: Any) -> None:
    """The household had nothing owed when the run locked, so nothing keeps its sales from being committed meanwhile."""
    busy, other = factories.market(2, 1)
    for owner in (busy, other):
        factories.account(owner)
    first, second = (factories.order(tree=tree).payments.get() for tree in busy.trees.order_by("pk"))
    factories.paid_order(tree=other.trees.get())
    money.settle(1000)
    count = runs.available_fen

    def sell_and_count(bank: str) -> int:  # Called between locking and writing.
        at_once(lambda: factories.capture(first))
        return count(bank)

    about_payouts: list[str] = []

    def execute(run: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        about_payouts.extend([sql] if "payouts_payout" in sql else [])
        if len(about_payouts) == 2 and sql == about_payouts[-1]:  # The payouts are written; what comes next?
            at_once(lambda: factories.capture(second))
        return run(sql, params, many, context)

    monkeypatch.setattr(runs, "available_fen", sell_and_count)
    with connection.execute_wrapper(execute):
        assert run_payouts() == Run(1, 300, 0)  # The other household's: only what was locked is paid.
    monkeypatch.undo()
    assert run_payouts() == Run(1, 600, 0)
    assert money.payouts() == [(other.pk, 300, "approved"), (busy.pk, 600, "approved")]
    assert (money.owed_fen(busy), money.owed_fen(other)) == (0, 0)
    for payout in Payout.objects.all():
        assert money.settled_fen(payout) == payout.fen
    books.all_is_well()


@pytest.mark.django_db
def test_large_payouts_wait_for_a_second_person(settings: Any) -> None:
    settings.PAYOUT_APPROVAL_ABOVE_FEN = 1000
    small, large = money.households(2)
    money.settle(10_000)
    money.owe({small: 1000, large: 1001})
    assert run_payouts() == Run(2, 2001, held=1)
    held = Payout.objects.get(household=large)
    assert (held.state, sending.to_send()) == ("held", [Payout.objects.get(household=small).pk])
    sending.send_payout(held.pk)  # Rung by mistake: nothing is sent.
    assert (Payout.objects.get(pk=held.pk).state, held.attempts.count()) == ("held", 0)

    client = Client(headers={"accept-language": "en"})
    enterer = held.account.entered_by
    enterer.groups.add(factories.user(roles.FINANCE).groups.get())
    enterer.is_staff = True
    enterer.save()
    first, second = factories.user(roles.FINANCE), factories.user(roles.FINANCE)
    for user, state in ((enterer, "held"), (first, "held"), (first, "held"), (second, "approved")):
        client.force_login(user)
        action = {"action": "approve_held", "_selected_action": [held.pk]}
        client.post(reverse("admin:payouts_payout_changelist"), action)
        assert Payout.objects.get(pk=held.pk).state == state
    moves = [(row.from_state, row.to_state, row.by_id) for row in held.history()]
    assert list(held.approvals.order_by("pk").values_list("by", flat=True)) == [first.pk, second.pk]
    assert moves == [("prepared", "held", None), ("held", "prepared", second.pk), ("prepared", "approved", second.pk)]
    assert held.pk in sending.to_send()
    books.all_is_well()


@pytest.mark.django_db
@pytest.mark.parametrize("state", ["held", "approved"])
def test_a_cancelled_payout_is_owed_again_and_paid_under_a_new_number(settings: Any, state: str) -> None:
    settings.PAYOUT_APPROVAL_ABOVE_FEN = 0 if state == "held" else 1000
    (household,) = money.households(1)
    money.settle(1000)
    money.owe({household: 300})
    run_payouts()
    cancelled = Payout.objects.get()
    assert cancelled.state == state
    client = Client()
    client.force_login(factories.user(roles.FINANCE))
    for _ in range(2):  # Pressed twice.
        action = {"action": "cancel", "_selected_action": [cancelled.pk]}
        client.post(reverse("admin:payouts_payout_changelist"), action)
    assert money.owed_fen(household) == 300
    assert available_fen("standin") == 1000
    assert run_payouts().payouts == 1
    again = Payout.objects.latest("pk")
    assert (again.fen, money.owed_fen(household)) == (300, 0)
    assert again.out_no != cancelled.out_no
    assert Payout.objects.get(pk=cancelled.pk).state == "cancelled"
    assert available_fen("standin") == 700
    books.all_is_well()


@pytest.mark.django_db
def test_a_line_is_settled_once() -> None:
    (household,) = money.households(1)
    money.settle(1000)
    money.owe({household: 300})
    run_payouts()
    line = Settlement.objects.exclude(line__fen__gt=0).get().line
    with pytest.raises(IntegrityError), transaction.atomic():
        ledger.settle([line.pk], "another")
    for sql in (
        "UPDATE ledger_settlement SET payout_reference = 'x'",
        "DELETE FROM ledger_settlement",
        "UPDATE payouts_payout SET fen = fen + 1",
        "UPDATE payouts_payout SET out_no = 'x'",
        "UPDATE payouts_payout SET account_id = account_id + 1",
        "DELETE FROM payouts_payout",
    ):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)
    books.all_is_well()


@pytest.mark.django_db
def test_300_households_take_as_many_statements_as_two() -> None:
    asked = []
    for count in (2, 300):
        households = money.households(count)
        money.settle(1_000_000)
        for _ in range(2):
            money.owe({household: 300 + household.pk % 7 for household in households})
        with CaptureQueriesContext(connection) as queries:
            done = run_payouts()
        assert done.payouts == count
        assert done.fen == sum(2 * (300 + household.pk % 7) for household in households)
        assert [money.owed_fen(household) for household in households[:5]] == [0] * min(count, 5)
        asked.append(len(queries))
    assert asked[1] <= asked[0]
    assert asked[0] < 30
    books.all_is_well()
