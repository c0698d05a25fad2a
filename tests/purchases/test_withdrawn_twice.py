"""A tree that is withdrawn twice over the years: what was sold between stands, and keeps it out no longer."""

from collections.abc import Callable

import pytest

from carbonsink.accounts import roles
from carbonsink.states import move
from purchases.vintages import open_vintage
from tests import factories
from tests.purchases import books
from tests.purchases.losing import leave, state_of, sweep
from trees import review
from trees.models import Tree


def come_back(tree: Tree) -> None:
    """Has a withdrawn tree approved again, as a correction and a review would."""
    move(tree, Tree.State.SUBMITTED)
    review.approve_tree(tree, reviewer=factories.user(roles.REVIEWER))


@pytest.mark.django_db
def test_a_year_sold_between_two_withdrawals_keeps_no_tree_out(later: Callable[..., None]) -> None:
    tree = factories.approved_tree()
    leave(tree, Tree.State.WITHDRAWN)
    come_back(tree)
    later(days=366)
    open_vintage(factories.tariff())
    order = factories.paid_order()  # Of a year in which the tree stood.
    later(days=366)
    leave(tree, Tree.State.WITHDRAWN)
    sweep()
    assert state_of(order) == "paid"
    come_back(tree)
    assert Tree.objects.get().state == "approved"
    books.all_is_well()
