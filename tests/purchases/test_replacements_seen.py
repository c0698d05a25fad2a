"""What buyers see when a tree of theirs is lost, before and after they have paid."""

import pytest
from django.test import Client

from purchases.models import Refund, SinkRelease
from tests import factories
from tests.purchases import books
from tests.purchases.losing import leave, state_of, sweep, trees_of
from trees.models import Tree

pytestmark = pytest.mark.django_db


def page(path: str) -> str:
    answer = Client(headers={"accept-language": "en"}).get(path)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_an_unpaid_order_of_an_area_gets_another_tree_unseen() -> None:
    (owner,) = factories.market(3)
    order = factories.order(2)
    lost, kept = trees_of(order)
    leave(lost)
    sweep()
    assert state_of(order) == "held"
    assert trees_of(order) == [kept, owner.trees.latest("ordinal")]
    assert not SinkRelease.objects.exists()
    assert books.stock() == (2, 2)
    factories.capture(order.payments.get())
    assert state_of(order) == "paid"
    books.all_is_well()


def test_an_unpaid_order_of_the_very_tree_expires_and_a_payment_for_it_goes_back() -> None:
    (owner,) = factories.market(2)
    tree = owner.trees.earliest("pk")
    order = factories.order(tree=tree)
    leave(tree)
    factories.capture(order.payments.get())  # Before any sweep.
    assert state_of(order) == "expired"
    assert trees_of(order) == []
    assert list(Refund.objects.values_list("fen", "reason")) == [(300, "late")]
    assert books.balances() == {"gateway": 300, "refunds": -300}
    assert books.stock() == (1, 0)
    books.all_is_well()


def test_an_unpaid_order_that_cannot_be_made_whole_expires_and_finds_trees_of_its_area_when_it_is_paid() -> None:
    (here,) = factories.market(2)
    order = factories.order(2)
    factories.market(3, village=factories.OTHER_VILLAGE)
    leave(here.trees.earliest("pk"))
    sweep()
    assert state_of(order) == "expired"
    factories.capture(order.payments.get())
    assert state_of(order) == "paid"
    assert here.trees.earliest("pk") not in trees_of(order)
    assert len(trees_of(order)) == 2
    books.all_is_well()


def test_order_and_certificates_say_which_tree_stands_in_for_which() -> None:
    (owner,) = factories.market(2)
    lost, other = owner.trees.order_by("ordinal")
    order = factories.paid_order(tree=lost)
    former = order.certificate
    assert former is not None
    leave(lost)
    sweep()
    new = order.certificate
    assert new is not None
    for path in (f"/orders/{order.token}/", f"/c/{new.token}/"):
        said = page(path)
        assert f"/trees/{lost.number}/" in said
        assert f"/trees/{other.number}/" in said
        assert "This tree was found felled on" in said
        assert "This tree of the same household stands in for it." in said
    old = page(f"/c/{former.token}/")
    assert "Genuine but replaced" in old
    assert f"/c/{new.token}/" in old
    assert new.serial in old


def test_the_order_says_that_the_price_went_back() -> None:
    (owner,) = factories.market(2)
    order = factories.paid_order(2)
    leave(trees_of(order)[0], Tree.State.DEAD)
    sweep()
    said = page(f"/orders/{order.token}/")
    assert "was found dead on" in said
    assert "No other tree of the village could stand in for it: its price goes back." in said
    assert "This order was refunded in part" in said
    assert owner.trees.count() == 2
