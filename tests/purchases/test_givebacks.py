"""A buyer gives trees back while nobody has been paid for them: the price goes back, the sinks are for sale again."""

from collections.abc import Callable

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client

from carbonsink.accounts import roles
from carbonsink.errors import DomainError
from payouts.runs import run_payouts
from purchases import checkout, givebacks, holding, proceeds, tasks
from purchases.models import Buyer, Certificate, Gift, Order, Refund, Sink, SinkRelease
from tests import factories
from tests.payouts import money
from tests.purchases import books
from tests.purchases.losing import leave, sink_of, state_of, sweep, trees_of
from tests.standins.clients import WechatClient
from trees.models import Tree

pytestmark = pytest.mark.django_db


def give(order: Order, sinks: object, **how: object) -> Refund:
    return givebacks.give_back(order, sinks, **{"by": None, "reason": "changed my mind", **how})  # type: ignore[arg-type]


def refusal(order: Order, sinks: object = 1, **how: object) -> str:
    before = books.lines()
    with pytest.raises(DomainError) as refused:
        give(order, sinks, **how)
    assert books.lines() == before
    return refused.value.code


def test_some_trees_go_back_and_the_rest_is_certified_anew() -> None:
    factories.market(3)
    order = factories.paid_order(3)
    former = order.certificate
    assert former is not None
    refund = give(order, 2)
    assert (refund.reason, refund.fen, refund.state) == ("asked", 600, "requested")
    assert state_of(order) == "partly_refunded"
    (kept,) = trees_of(order)
    new = order.certificate
    former.refresh_from_db()
    assert new is not None
    assert (former.state, new.state, new.parent, new.trees, new.kg) == ("replaced", "valid", former, 1, 10)
    assert books.stock() == (3, 1)
    assert books.balances() == {"gateway": 900, "household": -300, "refunds": -600}
    assert proceeds.proceeds(order).waiting_fen == 300
    assert set(SinkRelease.objects.values_list("kind", "refund", "order")) == {("given", refund.pk, order.pk)}
    assert kept not in [one.sink.tree for one in SinkRelease.objects.all()]
    books.all_is_well()


def test_all_trees_of_two_households_go_back() -> None:
    factories.market(2, 2)
    order = factories.paid_order(4)
    refund = give(order, 4)
    assert (refund.fen, state_of(order), trees_of(order)) == (1200, "refunded", [])
    assert Certificate.objects.get().state == "revoked"
    assert books.balances() == {"gateway": 1200, "refunds": -1200}
    assert books.stock() == (4, 0)
    assert refusal(order) == "not_paid"
    books.all_is_well()


def test_a_sink_is_sold_again_and_given_back_again() -> None:
    (owner,) = factories.market(1)
    for turn in range(3):
        order = factories.paid_order(tree=owner.trees.get())
        assert Order.objects.filter(state="refunded").count() == turn
        give(order, [sink_of(owner.trees.get()).pk])
    assert SinkRelease.objects.count() == 3
    assert sink_of(owner.trees.get()).open
    books.all_is_well()


def test_a_lost_tree_is_not_for_sale_again_but_one_given_back_before_it_was_lost_can_be() -> None:
    (owner,) = factories.market(2)
    tree = owner.trees.earliest("pk")
    order = factories.paid_order(tree=tree)
    give(order, 1)
    leave(tree, Tree.State.WITHDRAWN)
    assert not sink_of(tree).open
    books.all_is_well()
    again = factories.paid_order(1)
    lost = trees_of(again)[0]
    leave(lost)
    sweep()
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE purchases_sink SET open = true WHERE tree_id = %s", [lost.pk])
    books.all_is_well()


def test_one_that_stood_in_may_stand_in_again_after_it_was_given_back() -> None:
    (owner,) = factories.market(3)
    one, two, stand_in = owner.trees.order_by("ordinal")
    orders = [factories.paid_order(tree=tree) for tree in (one, two)]
    for lost, order in zip((one, two), orders, strict=True):
        leave(lost)
        sweep()
        assert trees_of(order) == [stand_in]
        books.all_is_well()
        if order == orders[0]:
            give(order, 1)
            assert state_of(order) == "refunded"
            books.all_is_well()
    assert sink_of(stand_in).stands_in is not None


def test_a_price_that_a_household_received_stays_there() -> None:
    first, second = factories.market(1, 1)
    factories.account(first)
    order = factories.paid_order(2)
    money.settle(10_000)
    assert run_payouts().fen == 300
    assert refusal(order, 2) == "paid_out"
    paid = Sink.objects.get(household=first)
    assert refusal(order, [paid.pk]) == "paid_out"
    assert givebacks.returnable(order) == 1
    asked = Client(headers={"accept-language": "en"}).get(f"/orders/{order.token}/give-back/").content.decode()
    assert 'name="trees" value="1"' in asked  # Not both.
    give(order, 1)  # The other one's.
    asked = Client(headers={"accept-language": "en"}).get(f"/orders/{order.token}/give-back/").content.decode()
    assert ("cannot be given back any more" in asked, 'name="trees"' in asked) == (True, False)
    assert trees_of(order) == [paid.tree]
    assert state_of(order) == "partly_refunded"
    assert second.pk != first.pk
    books.all_is_well()


def test_finance_may_have_the_sponsor_pay() -> None:
    (owner,) = factories.market(2)
    factories.account(owner)
    order = factories.paid_order(2)
    money.settle(10_000)
    run_payouts()
    assert refusal(order, 1, sponsored=True) == "finance_only"
    assert refusal(order, 1, sponsored=True, by=factories.user(roles.OFFICER)) == "finance_only"
    give(order, 1, sponsored=True, by=factories.user(roles.FINANCE))
    assert books.balances() == {
        "escrow": 10_000, "gateway": 600, "refunds": -300, "sponsor": 300 - 10_000, "transit": -600,
    }  # fmt: skip
    books.all_is_well()


def test_the_buyer_has_seven_days_and_finance_has_more(later: Callable[..., None]) -> None:
    factories.market(3)
    order = factories.paid_order(2)
    later(days=6, hours=23)
    give(order, 1)
    later(days=1)
    assert refusal(order) == "too_late"
    assert refusal(order, by=factories.user(roles.REVIEWER)) == "too_late"
    give(order, 1, by=factories.user(roles.FINANCE))
    assert state_of(order) == "refunded"


def test_what_cannot_be_given_back() -> None:
    factories.market(4)
    held, order, others = factories.order(1), factories.paid_order(1), factories.paid_order(1)
    assert refusal(held) == "not_paid"
    for sinks, code in (
        (0, "bad_quantity"),
        (-1, "bad_quantity"),
        (2, "not_yours_any_more"),
        ([], "not_yours_any_more"),
        ([others.sinks.get().pk], "not_yours_any_more"),
        ([10**9], "not_yours_any_more"),
    ):
        assert refusal(order, sinks) == code
    books.all_is_well()


@pytest.mark.parametrize("state", ["retired", "transferred"])
def test_retired_and_handed_on_trees_stay(state: str) -> None:
    factories.market(2)
    order = factories.paid_order(2)
    certificate = order.certificate
    assert certificate is not None
    if state == "retired":
        holding.retire(certificate, beneficiary="x", purpose="y")
    else:
        holding.hand_on(certificate, to=Buyer.objects.create(contact="b@example.org"), holder="", reason="a gift")
    assert refusal(order) == "not_yours_any_more"


def test_gifts_that_nobody_took_are_cancelled_as_far_as_their_trees_are_gone() -> None:
    factories.market(5)
    order = factories.paid_order(5)
    for trees in (2, 1, 1):
        Gift.objects.create(order=order, trees=trees)
    give(order, 2)
    assert list(Gift.objects.order_by("pk").values_list("state", flat=True)) == ["waiting", "waiting", "cancelled"]
    give(order, 2)
    assert list(Gift.objects.order_by("pk").values_list("state", flat=True)) == ["cancelled"] * 3


def test_the_money_arrives_at_the_gateway(wechat: WechatClient) -> None:
    factories.market(3)
    order = factories.order(3)
    checkout.start_payment(order)
    wechat.pay(order.payments.get().reference)
    checkout.ask_gateway(order.payments.get())
    for _turn in range(2):
        give(Order.objects.get(pk=order.pk), 1)
        tasks.sweep()
        tasks.sweep()
    assert list(Refund.objects.values_list("state", "fen")) == [("succeeded", 300), ("succeeded", 300)]
    assert books.balances() == {"gateway": 300, "household": -300}
    books.all_is_well()


def test_plain_sql_cannot_take_a_sink_with_an_old_release() -> None:
    (owner,) = factories.market(1)
    tree = owner.trees.get()
    give(factories.paid_order(tree=tree), 1)
    order = factories.paid_order(tree=tree)
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE purchases_sink SET order_id = NULL, certificate_id = NULL")
    with pytest.raises(IntegrityError), transaction.atomic():
        SinkRelease.objects.create(sink=sink_of(tree), order=order, kind="given", reason="x", left_on="2026-01-01")
    books.all_is_well()
