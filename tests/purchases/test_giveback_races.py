"""Trees that are given back while money is paid out, other trees die and the buyer is impatient."""

import pytest

from carbonsink.errors import DomainError
from carbonsink.ledger.models import Account, Line
from payouts import runs
from payouts.models import Payout
from purchases import givebacks, losses, replacements
from purchases.models import Order, Refund
from tests import factories
from tests.ground.threads import at_once
from tests.payouts import money
from tests.purchases import books
from tests.purchases.losing import leave, state_of, trees_of

pytestmark = pytest.mark.django_db(transaction=True)


def give(order: Order, sinks: object) -> Refund:
    return givebacks.give_back(order, sinks, by=None, reason="x")  # type: ignore[arg-type]


def test_a_fen_is_paid_out_or_given_back_never_both() -> None:
    (owner,) = factories.market(8)
    factories.account(owner)
    money.settle(100_000)
    for _turn in range(4):
        order = factories.paid_order(2)
        given, _run = at_once(lambda order=order: give(order, 2), runs.run_payouts)
        if isinstance(given, Refund):
            assert state_of(order) == "refunded"
        else:
            assert isinstance(given, DomainError), given
            assert (given.code, state_of(order)) == ("paid_out", "paid")
        books.all_is_well()
    owed = -sum(Line.objects.filter(account=Account.objects.get(owner=owner.pk)).values_list("fen", flat=True))
    paid = sum(Payout.objects.values_list("fen", flat=True))
    assert owed + paid == 300 * Order.objects.filter(state="paid").count() * 2


def test_the_same_trees_are_given_back_once() -> None:
    factories.market(3)
    order = factories.paid_order(2)
    ids = list(order.sinks.values_list("pk", flat=True))
    outcomes = at_once(*[lambda: give(order, ids)] * 4)
    assert [type(one).__name__ for one in outcomes].count("Refund") == 1, outcomes
    assert {one.code for one in outcomes if isinstance(one, DomainError)} == {"not_paid"}
    assert Refund.objects.get().fen == 600
    books.all_is_well()


def test_giving_back_while_a_tree_dies_loses_and_refunds_nothing_twice() -> None:
    for _turn in range(4):
        factories.market(4)
        order = factories.paid_order(2)
        lost = trees_of(order)[0]
        outcomes = at_once(
            lambda order=order: give(order, 1),
            lambda lost=lost: leave(lost),
            lambda order=order: replacements.settle_losses(order.pk),
        )
        assert not [one for one in outcomes if isinstance(one, Exception)], outcomes
        for pk in losses.orders_with_losses():
            replacements.settle_losses(pk)
        assert len(trees_of(order)) == 1
        assert sum(Refund.objects.filter(payment__order=order).values_list("fen", flat=True)) == 300
        books.all_is_well()


def test_orders_that_share_households_are_given_back_at_once() -> None:
    factories.market(6, 6, 6)
    orders = [factories.paid_order(6) for _ in range(3)]
    outcomes = at_once(*[lambda one=one: give(one, 6) for one in orders], runs.run_payouts)
    assert not [one for one in outcomes if isinstance(one, Exception)], outcomes
    assert books.stock() == (18, 0)
    assert books.balances() == {"gateway": 5400, "refunds": -5400}
    books.all_is_well()
