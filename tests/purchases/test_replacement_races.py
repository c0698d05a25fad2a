"""Trees that leave while buyers, payers, sweepers and payouts are at work: nothing is paid twice, nobody waits forever."""

import random
import threading
from typing import Any

import pytest
from django.db import connection

from carbonsink.accounts import roles
from carbonsink.errors import DomainError
from carbonsink.ledger.models import Account, Line
from carbonsink.states import move
from payouts import audit, runs
from purchases import losses, orders, replacements, tasks
from purchases.models import Certificate, Order, Payment, Refund, Replacement, Sink, SinkRelease
from tests import factories
from tests.ground.threads import at_once
from tests.payouts import money
from tests.processes import wait_for
from tests.purchases import books
from tests.purchases.losing import leave, state_of, sweep, trees_of
from tests.purchases.test_deadlocks import Hunter
from tests.purchases.test_selling_races import somebody_waits_for_a_lock
from trees.models import Tree

pytestmark = pytest.mark.django_db(transaction=True)


class Gravedigger(Hunter):
    """A hunter whose trees die, too, and who replaces them and runs payouts meanwhile."""

    def __init__(self, seed: str, reviewer: Any) -> None:
        super().__init__(seed, reviewer)
        self.deeds += [self.die, self.die, self.replace, self.replace, self.pay_out]

    def die(self) -> None:
        move(self.a_tree("approved", "suspended"), self.chance.choice([Tree.State.DEAD, Tree.State.FELLED]))

    def replace(self) -> None:
        for pk in losses.orders_with_losses()[:5]:
            replacements.settle_losses(pk)

    def pay_out(self) -> None:
        runs.run_payouts("standin")


def test_hunting_deadlocks_among_dying_trees(settings: Any) -> None:
    settings.HOLD_MINUTES = 0  # Each order is over at once: a capture and the sweeper may meet at any moment.
    seed = str(random.randrange(10**6))
    print(f"seed {seed}")  # noqa: T201 - pytest shows it when the hunt finds something.
    owners = factories.market(9, 8, 7) + factories.market(6, village=factories.OTHER_VILLAGE)
    for owner in owners:
        factories.account(owner)
    money.settle(10**6)
    reviewer = factories.user(roles.REVIEWER)
    diggers = [Gravedigger(f"{seed}-{number}", reviewer) for number in range(8)]
    assert at_once(*[lambda one=one: one.work(50) for one in diggers]) == [None] * 8, f"seed {seed}"

    for pk in orders.over():
        orders.release(pk)
    while losses.orders_with_losses():
        sweep()
    books.all_is_well()
    refunded = sum(Refund.objects.filter(reason="gone").values_list("fen", flat=True))
    bought = sum(Order.objects.filter(paid_at__isnull=False).values_list("quantity", flat=True))
    _total, sold = books.stock()
    assert sold == bought - refunded // 300
    assert SinkRelease.objects.count() == Replacement.objects.count() + refunded // 300
    # Each fen that came in, and each that the sponsor gave, is owed, paid out or given back.
    sponsor = Line.objects.filter(account__kind="sponsor", entry__kind__in=["replacement", "giveback"])
    captured = sum(Payment.objects.filter(state="captured").values_list("fen", flat=True))
    households = Line.objects.filter(account__kind="household").exclude(entry__kind="payout")
    back = sum(Refund.objects.values_list("fen", flat=True))
    assert captured + sum(sponsor.values_list("fen", flat=True)) == back - sum(households.values_list("fen", flat=True))


def test_the_last_sink_of_a_household_goes_to_a_buyer_or_stands_in_never_both() -> None:
    for _turn in range(4):
        (owner,) = factories.market(2)
        lost, last = owner.trees.order_by("ordinal")
        order = factories.paid_order(tree=lost)
        leave(lost)
        bought, replaced = at_once(lambda last=last: factories.order(tree=last), sweep)
        assert replaced is None, replaced
        sink = Sink.objects.get(tree=last)
        if isinstance(bought, Order):
            assert sink.order == bought
            assert last not in trees_of(order)
        else:
            assert isinstance(bought, DomainError), bought
            assert sink.order == order
        books.all_is_well()


def test_a_replacement_waits_for_the_buyer_who_holds_the_stock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The buyer has locked the household and takes its last sink; the replacement finds it gone and looks further."""
    owner, near = factories.market(2, 1)
    lost, last = owner.trees.order_by("ordinal")
    order = factories.paid_order(tree=lost)
    leave(lost)
    taken = threading.Event()
    take = orders.take_sinks

    def take_and_linger(order: Order) -> None:
        take(order)
        taken.set()
        wait_for(somebody_waits_for_a_lock)

    def replace() -> None:
        assert taken.wait(20)
        sweep()

    monkeypatch.setattr(orders, "take_sinks", take_and_linger)
    bought, replaced = at_once(lambda: factories.order(tree=last), replace)
    assert isinstance(bought, Order), bought
    assert replaced is None, replaced
    assert trees_of(order) == [near.trees.get()]
    assert not Refund.objects.exists()
    books.all_is_well()


def test_eight_sweepers_at_once_replace_once(monkeypatch: pytest.MonkeyPatch) -> None:
    (owner,) = factories.market(4)
    order = factories.paid_order(2)
    for tree in trees_of(order):
        leave(tree)
    assert at_once(*[lambda: replacements.settle_losses(order.pk)] * 8) == [None] * 8
    assert Replacement.objects.count() == 2
    assert list(Certificate.objects.order_by("pk").values_list("state", flat=True)) == ["replaced", "valid"]
    assert books.stock() == (2, 2)
    assert owner.trees.filter(sinks__order=order).count() == 2
    books.all_is_well()


def test_without_the_lock_on_the_order_two_sweepers_would_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the lock is for; the database still refuses the second replacement of a sink."""
    factories.market(6)
    order = factories.paid_order(1)
    leave(trees_of(order)[0])
    both = threading.Barrier(2, timeout=20)
    choose = losses.choose

    def choose_together(order: Order) -> losses.Choice:
        both.wait()
        return choose(order)

    monkeypatch.setattr(losses, "choose", choose_together)
    monkeypatch.setattr(type(Order.objects.all()), "select_for_update", lambda self, **how: self)
    outcomes = at_once(*[lambda: replacements.replace_lost(order.pk)] * 2)
    assert any(isinstance(one, Exception) for one in outcomes), outcomes
    assert Replacement.objects.count() == 1
    books.all_is_well()


def test_an_order_that_expires_while_its_tree_is_swapped_holds_nothing_afterwards(settings: Any) -> None:
    settings.HOLD_MINUTES = 0
    for _turn in range(4):
        factories.market(3)
        order = factories.order(2)
        leave(trees_of(order)[0])
        outcomes = at_once(lambda pk=order.pk: orders.release(pk), sweep, tasks.sweep)
        assert outcomes == [None] * 3, outcomes
        orders.release(order.pk)  # The sweeper that was skipped comes again.
        assert state_of(order) == "expired"
        assert trees_of(order) == []
        books.all_is_well()


def test_a_capture_while_the_tree_dies_and_is_swapped_is_booked_once_and_whole() -> None:
    for turn in range(6):
        factories.market(3)
        order = factories.order(1)
        (lost,) = trees_of(order)
        payment = order.payments.get()
        outcomes = at_once(
            lambda payment=payment, turn=turn: factories.capture(payment, transaction_id=f"once{turn}"),
            lambda lost=lost: leave(lost),
            sweep,
            lambda payment=payment, turn=turn: factories.capture(payment, transaction_id=f"once{turn}"),
        )
        assert outcomes == [None] * 4, outcomes
        sweep()
        assert state_of(order) == "paid"
        assert trees_of(order) != [lost]
        assert len(trees_of(order)) == 1
        assert Payment.objects.filter(order=order).count() == 1
        books.all_is_well()


def test_a_second_capture_while_its_order_is_refunded_goes_back_whole() -> None:
    (owner,) = factories.market(1)
    order = factories.paid_order(1)
    leave(owner.trees.get())
    outcomes = at_once(
        lambda: factories.capture(order.payments.earliest("pk"), transaction_id="second"),
        sweep,
    )
    assert outcomes == [None, None], outcomes
    assert sorted(Refund.objects.values_list("reason", "fen")) == [("gone", 300), ("second", 300)]
    assert books.balances() == {"gateway": 600, "refunds": -600}
    books.all_is_well()


@pytest.mark.parametrize("first", ["payout", "refund"])
def test_of_a_run_of_payouts_and_a_refund_the_second_sees_the_first(
    monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """Whoever comes second waits at the household's account; a fen is either paid out or given back, never both."""
    (owner,) = factories.market(2)
    factories.account(owner)
    money.settle(10_000)
    order = factories.paid_order(2)
    leave(trees_of(order)[0])
    begun = threading.Event()
    ask, write = replacements.request_refund, runs._write_payouts

    def ask_and_linger(*args: Any, **kwargs: Any) -> Refund:
        begun.set()
        wait_for(somebody_waits_for_a_lock)
        return ask(*args, **kwargs)

    def write_and_linger(*args: Any) -> list[int]:
        ids = write(*args)
        begun.set()
        wait_for(somebody_waits_for_a_lock)
        return ids

    if first == "refund":
        monkeypatch.setattr(replacements, "request_refund", ask_and_linger)
    else:
        monkeypatch.setattr(runs, "_write_payouts", write_and_linger)

    def after(act: Any) -> Any:
        assert begun.wait(20)
        return act()

    pay, give_back = (lambda: runs.run_payouts("standin")), sweep
    outcomes = at_once(pay, lambda: after(give_back)) if first == "payout" else at_once(lambda: after(pay), give_back)
    assert not [one for one in outcomes if isinstance(one, Exception)], outcomes
    paid = 600 if first == "payout" else 300
    assert money.payouts() == [(owner.pk, paid, "approved")]
    giveback = Line.objects.filter(entry__kind="giveback", fen__gt=0).get()
    assert giveback.account.kind == (Account.Kind.SPONSOR if first == "payout" else Account.Kind.HOUSEHOLD)
    assert money.owed_fen(owner) == 0
    books.all_is_well()


def test_a_tree_that_dies_while_it_is_chosen_to_stand_in_is_replaced_again(monkeypatch: pytest.MonkeyPatch) -> None:
    (owner,) = factories.market(3)
    lost, chosen, last = owner.trees.order_by("ordinal")
    order = factories.paid_order(tree=lost)
    leave(lost)
    locked = threading.Event()
    swap = losses.swap

    def swap_and_linger(*args: Any) -> None:
        locked.set()
        wait_for(somebody_waits_for_a_lock)
        swap(*args)

    def die() -> None:
        assert locked.wait(20)
        leave(chosen)

    monkeypatch.setattr(losses, "swap", swap_and_linger)
    assert at_once(sweep, die) == [None, None]
    monkeypatch.setattr(losses, "swap", swap)
    sweep()
    assert trees_of(order) == [last]
    assert Replacement.objects.count() == 2
    books.all_is_well()


def test_the_audit_looks_for_what_the_sweep_has_not_done_in_ten_minutes() -> None:
    (owner,) = factories.market(2)
    factories.paid_order(tree=owner.trees.earliest("pk"))
    leave(owner.trees.earliest("pk"))
    books.all_is_well()
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("UPDATE carbonsink_statechange SET at = at - interval '11 minutes'")
        cursor.execute("UPDATE purchases_order SET paid_at = paid_at - interval '11 minutes'")
        cursor.execute("SET session_replication_role = DEFAULT")
    assert [one.sentence for one in audit.findings()] == [
        "sold sinks of trees that have left, neither replaced nor refunded"
    ]
    sweep()
    books.all_is_well()
