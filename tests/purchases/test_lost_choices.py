"""A tree leaves: what stands in for it is what the buyer chose."""

import pytest

from purchases.models import Stock
from tests import factories
from tests.purchases import books, losing
from tests.purchases.test_choices import mixed, pines, place, taken
from trees.models import Household, Tree

pytestmark = pytest.mark.django_db


def nth(owner: Household, rank: int) -> Tree:
    return owner.trees.get(ordinal=rank)


@pytest.mark.parametrize("paid", [False, True])
def test_the_same_species_stands_in(paid: bool) -> None:
    one, two = mixed("PFFP", "FFP")
    order = place(2, species=pines(), household=None)
    assert taken(order) == [(one.pk, 1), (two.pk, 3)]
    if paid:
        factories.capture(factories.payment(order))
    losing.leave(nth(one, 1))
    losing.sweep()
    assert taken(order) == [(one.pk, 4), (two.pk, 3)]
    # No pine is left: the price goes back, or an unpaid order ends. No fir is taken for it.
    losing.leave(nth(two, 3))
    losing.sweep()
    assert taken(order) == ([(one.pk, 4)] if paid else [])
    assert losing.state_of(order) == ("partly_refunded" if paid else "expired")
    assert sum(Stock.objects.values_list("sold", flat=True)) == (1 if paid else 0)
    books.all_is_well()


def test_an_unpaid_order_of_a_household_gets_no_tree_of_another_one() -> None:
    one, _two = factories.market(3, 3)
    order = place(2, household=one)
    losing.leave(nth(one, 1))
    losing.sweep()
    assert taken(order) == [(one.pk, 2), (one.pk, 3)]
    losing.leave(nth(one, 2))
    losing.sweep()
    assert (losing.state_of(order), taken(order)) == ("expired", [])
    assert books.stock() == (4, 0)
    books.all_is_well()
