"""A sold tree that dies is replaced in sight of everybody, or its price goes back; each fen is accounted for."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from carbonsink.errors import DomainError
from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account, Line
from carbonsink.states import move
from payouts.runs import run_payouts
from purchases import certificates, checkout, losses, replacements, tasks
from purchases.models import Certificate, Refund, Replacement, SinkRelease
from purchases.proceeds import proceeds
from tests import factories
from tests.payouts import money
from tests.purchases import books
from tests.purchases.losing import inspection, leave, reviewer, sink_of, state_of, sweep, trees_of
from tests.standins.clients import WechatClient
from trees.growth import decide_inspection
from trees.models import Household, Tree
from trees.registration import withdraw_consent
from trees.review import approve_tree

pytestmark = pytest.mark.django_db


def owed(household: Household) -> int:
    return -ledger.balance(Account.objects.get(owner=household.pk))


def test_another_tree_of_the_household_stands_in_and_no_money_moves() -> None:
    (owner,) = factories.market(3)
    first, second, third = owner.trees.order_by("ordinal")
    order = factories.paid_order(tree=first)
    before, former = books.lines(), order.certificate
    assert former is not None
    leave(first)
    tasks.sweep()
    assert trees_of(order) == [second]
    assert state_of(order) == "paid"
    assert books.lines() == before
    replacement = Replacement.objects.get()
    assert (replacement.old_sink.tree, replacement.new_sink.tree) == (first, second)
    assert (replacement.order, replacement.reason) == (order, "felled")
    release = SinkRelease.objects.get()
    assert (release.sink.tree, release.order, release.refund) == (first, order, None)
    assert release.left_on == timezone.localdate()
    assert not Refund.objects.exists()
    former.refresh_from_db()
    new = order.certificate
    assert new is not None
    assert former.state == "replaced"
    assert (new.state, new.parent, new.holder, new.kg, new.trees) == ("valid", former, former.holder, 10, 1)
    assert new.serial > former.serial
    assert certificates.is_genuine(new)
    assert certificates.is_genuine(former)
    lost = sink_of(first)
    assert (lost.order, lost.certificate, lost.open) == (None, None, False)
    assert books.stock() == (2, 1)
    assert sink_of(third).open
    books.all_is_well()


def test_a_tree_of_the_village_stands_in_and_the_sponsor_pays_its_household() -> None:
    first, busy, idle = factories.market(1, 4, 3)
    tree = first.trees.get()
    factories.paid_order(tree=busy.trees.earliest("pk"))
    order = factories.paid_order(tree=tree)
    leave(tree, Tree.State.DEAD)
    sweep()
    (stand_in,) = trees_of(order)
    assert stand_in == idle.trees.earliest("ordinal")  # Of the household that has sold least, the first by rank.
    assert (owed(first), owed(idle), owed(busy)) == (300, 300, 300)
    assert books.balances() == {"gateway": 600, "household": -900, "sponsor": 300}
    assert list(Line.objects.filter(entry__kind="replacement").order_by("fen").values_list("fen", flat=True)) == [
        -300,
        300,
    ]
    assert state_of(order) == "paid"
    assert books.stock() == (7, 2)
    books.all_is_well()


def test_a_tree_of_another_village_never_stands_in() -> None:
    (here,) = factories.market(1)
    factories.market(3, village=factories.OTHER_VILLAGE)
    order = factories.paid_order(tree=here.trees.get())
    leave(here.trees.get())
    sweep()
    assert trees_of(order) == []
    assert state_of(order) == "refunded"
    books.all_is_well()


def test_without_a_stand_in_the_price_goes_back_out_of_what_no_payout_has_taken(wechat: WechatClient) -> None:
    (owner,) = factories.market(3)
    factories.account(owner)
    order = factories.paid_order(3)
    lost, *_others = trees_of(order)
    leave(lost)
    sweep()
    assert state_of(order) == "partly_refunded"
    assert owed(owner) == 600
    refund = Refund.objects.get()
    assert (refund.fen, refund.reason, refund.payment) == (300, "gone", order.payments.get())
    assert SinkRelease.objects.get().refund == refund
    assert not Replacement.objects.exists()
    assert books.balances() == {"gateway": 900, "household": -600, "refunds": -300}
    new = order.certificate
    assert new is not None
    assert (new.state, new.trees, new.kg) == ("valid", 2, 20)
    assert books.stock() == (2, 2)
    books.all_is_well()
    money.settle(1000)
    run_payouts()
    assert money.payouts() == [(owner.pk, 600, "approved")]
    books.all_is_well()


def test_after_the_payout_the_sponsor_gives_the_price_back_and_the_household_keeps_its_own() -> None:
    (owner,) = factories.market(2)
    factories.account(owner)
    order = factories.paid_order(2)
    money.settle(1000)
    run_payouts()
    lost, _other = trees_of(order)
    leave(lost)
    sweep()
    assert state_of(order) == "partly_refunded"
    assert owed(owner) == 0
    entry = {line.account.code: line.fen for line in Line.objects.filter(entry__kind="giveback")}
    assert entry == {"sponsor": 300, "refunds": -300}
    assert money.payouts() == [(owner.pk, 600, "approved")]
    books.all_is_well()


def test_when_all_trees_are_gone_the_order_is_refunded_and_its_certificate_revoked() -> None:
    (owner,) = factories.market(2)
    order = factories.paid_order(2)
    for tree in owner.trees.order_by("pk"):
        leave(tree)
        sweep()
    assert state_of(order) == "refunded"
    assert list(Refund.objects.values_list("fen", "reason")) == [(300, "gone"), (300, "gone")]
    assert set(Certificate.objects.values_list("state", flat=True)) == {"replaced", "revoked"}
    assert owed(owner) == 0
    assert books.stock() == (0, 0)
    books.all_is_well()


def test_a_whole_household_that_withdraws_is_made_up_for_as_far_as_the_village_goes() -> None:
    leaving, near = factories.market(4, 3)
    order = factories.paid_order(4, tree=None)
    for tree in leaving.trees.exclude(sinks__order=order):
        factories.paid_order(tree=tree)
    mine = leaving.trees.filter(sinks__order=order).count()
    assert mine == 2
    withdraw_consent(leaving, by=leaving.registered_by)
    sweep()
    # One tree of the neighbour was left: it goes to the order that comes first, the rest is given back.
    assert Replacement.objects.count() == 1
    assert SinkRelease.objects.count() == 4
    assert sum(Refund.objects.values_list("fen", flat=True)) == 900
    assert state_of(order) == "partly_refunded"
    assert len(trees_of(order)) == 3
    assert owed(leaving) == 300  # What was given back was not paid out yet; for the replaced one it keeps its money.
    assert owed(near) == 900
    books.all_is_well()


def test_a_stand_in_that_dies_too_is_replaced_or_refunded_in_its_turn() -> None:
    first, second = factories.market(1, 2)
    order = factories.paid_order(tree=first.trees.get())
    leave(first.trees.get())
    sweep()
    one, two = second.trees.order_by("ordinal")
    assert trees_of(order) == [one]
    leave(one)
    sweep()
    assert trees_of(order) == [two]
    assert (owed(first), owed(second)) == (300, 300)
    leave(two)
    sweep()
    # The second household was paid by the sponsor for a tree that is gone: its line goes back, the first one's stays.
    assert state_of(order) == "refunded"
    assert (owed(first), owed(second)) == (300, 0)
    assert books.balances() == {"gateway": 300, "household": -300, "refunds": -300, "sponsor": 300}
    assert Certificate.objects.filter(order=order).count() == 3
    books.all_is_well()


def test_what_a_paid_household_got_stays_when_the_stand_in_of_another_one_dies() -> None:
    first, second = factories.market(1, 1)
    factories.account(first)
    order = factories.paid_order(tree=first.trees.get())
    money.settle(1000)
    run_payouts()
    leave(first.trees.get())
    sweep()
    leave(second.trees.get())
    sweep()
    assert state_of(order) == "refunded"
    assert (owed(first), owed(second)) == (0, 0)
    assert money.payouts() == [(first.pk, 300, "approved")]
    # Of the buyer's money nothing waits: it went to the first household. The sponsor's went to the buyer.
    where = proceeds(order)
    assert (where.waiting_fen, where.on_the_way_fen, where.arrived_fen) == (0, 300, 0)
    assert {line.account.code: line.fen for line in Line.objects.filter(entry__kind="giveback")} == {
        f"household:{second.pk}": 300,
        "refunds": -300,
    }
    books.all_is_well()


def test_a_household_that_gave_everything_back_gets_no_empty_payout(settings: Any) -> None:
    settings.PAYOUT_MINIMUM_FEN = 0
    (owner,) = factories.market(1)
    factories.account(owner)
    money.settle(1000)
    factories.paid_order(1)
    leave(owner.trees.get())
    sweep()
    assert run_payouts().payouts == 0
    assert money.payouts() == []
    books.all_is_well()


def test_done_again_it_does_nothing() -> None:
    (owner,) = factories.market(2)
    order = factories.paid_order(tree=owner.trees.earliest("pk"))
    leave(owner.trees.earliest("pk"))
    sweep()
    lines, serials = books.lines(), list(Certificate.objects.values_list("serial", flat=True))
    assert losses.orders_with_losses() == []
    replacements.settle_losses(order.pk)
    tasks.sweep()
    assert (books.lines(), list(Certificate.objects.values_list("serial", flat=True))) == (lines, serials)
    assert Replacement.objects.count() == 1


@pytest.mark.parametrize("step", ["renew", "request_refund", "follow", "_renew_certificates"])
def test_a_crash_in_the_middle_leaves_everything_as_it_was(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    (owner,) = factories.market(3)
    order = factories.paid_order(3)
    leave(owner.trees.earliest("pk"))

    def crash(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    before = (books.lines(), books.stock())
    with monkeypatch.context() as broken:
        broken.setattr(replacements, step, crash)
        with pytest.raises(KeyboardInterrupt), transaction.atomic():
            sweep()
    assert (books.lines(), books.stock()) == before
    assert not SinkRelease.objects.exists()
    assert state_of(order) == "paid"
    sweep()
    assert state_of(order) == "partly_refunded"
    books.all_is_well()


def test_sinks_of_earlier_years_stand(later: Callable[..., None]) -> None:
    (owner,) = factories.market(2)
    order = factories.paid_order(tree=owner.trees.earliest("pk"))
    later(days=366)
    leave(owner.trees.earliest("pk"))
    sweep()
    assert trees_of(order) == [owner.trees.earliest("pk")]
    assert not SinkRelease.objects.exists()
    assert state_of(order) == "paid"


def test_what_counts_is_the_day_the_tree_was_found_not_that_of_the_decision(later: Callable[..., None]) -> None:
    (owner,) = factories.market(2)
    lost, other = owner.trees.order_by("ordinal")
    order = factories.paid_order(tree=lost)
    report = inspection(lost, "felled", cause="unpermitted")
    later(days=366)
    decide_inspection(report, reviewer=reviewer(), confirm=True)
    sweep()
    assert trees_of(order) == [other]
    assert SinkRelease.objects.get().left_on == report.inspected_on


@pytest.mark.parametrize("state", ["suspended", "expired"])
def test_a_tree_under_suspicion_or_at_the_end_of_its_years_keeps_what_was_sold(state: str) -> None:
    (owner,) = factories.market(2)
    tree = owner.trees.earliest("pk")
    order = factories.paid_order(tree=tree)
    leave(tree, state)
    sweep()
    assert trees_of(order) == [tree]
    books.all_is_well()


def test_a_tree_that_comes_back_is_not_sold_again_for_the_year_in_which_it_was_replaced() -> None:
    (owner,) = factories.market(2)
    lost, other = owner.trees.order_by("ordinal")
    order = factories.paid_order(tree=lost)
    leave(lost, Tree.State.WITHDRAWN)
    with pytest.raises(DomainError) as refused, transaction.atomic():
        move(lost, Tree.State.SUBMITTED)
    assert refused.value.code == "being_replaced"
    sweep()
    move(Tree.objects.get(pk=lost.pk), Tree.State.SUBMITTED)
    approve_tree(Tree.objects.get(pk=lost.pk), reviewer=reviewer())
    assert not sink_of(lost).open
    assert trees_of(order) == [other]
    with pytest.raises(DomainError):
        factories.order(tree=lost)
    assert books.stock() == (1, 1)
    books.all_is_well()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE purchases_replacement SET new_sink_id = old_sink_id",
        "DELETE FROM purchases_replacement",
        "UPDATE purchases_sink SET open = true WHERE id = (SELECT old_sink_id FROM purchases_replacement)",
        "UPDATE purchases_sink SET order_id = (SELECT max(id) FROM purchases_order)"
        " WHERE id = (SELECT old_sink_id FROM purchases_replacement)",
        "INSERT INTO purchases_replacement (old_sink_id, new_sink_id, order_id, reason, at)"
        " SELECT s.id, r.old_sink_id, r.order_id, '', now() FROM purchases_replacement r, purchases_sink s"
        " WHERE s.order_id IS NULL AND s.open",
        "UPDATE purchases_sinkrelease SET reason = ''",
        "DELETE FROM purchases_sinkrelease",
        "INSERT INTO purchases_sinkrelease (sink_id, kind, order_id, reason, left_on, at)"
        " SELECT sink_id, kind, order_id, reason, left_on, at FROM purchases_sinkrelease",
        "INSERT INTO purchases_refund (payment_id, number, fen, reason, state, created_at)"
        " SELECT id, 'x', 301, 'gone', 'requested', now() FROM purchases_payment",
        "INSERT INTO purchases_refund (payment_id, number, fen, reason, state, created_at)"
        " SELECT p.id, 'n' || n, 100, 'gone', 'requested', now() FROM purchases_payment p, generate_series(1, 4) n",
    ],
)
def test_plain_sql_cannot_change_what_was_replaced(change: str) -> None:
    (owner,) = factories.market(3)
    factories.paid_order(tree=owner.trees.earliest("pk"))
    leave(owner.trees.earliest("pk"))
    sweep()
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change)
    books.all_is_well()


def test_plain_sql_cannot_change_a_refund() -> None:
    (owner,) = factories.market(1)
    factories.paid_order(1)
    leave(owner.trees.get())
    sweep()
    for change in ("fen = 1", "reason = 'late'", "number = 'x'"):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE purchases_refund SET {change}")
    books.all_is_well()


def test_two_trees_lost_one_after_the_other_are_two_refunds_that_arrive(wechat: WechatClient) -> None:
    factories.market(3)
    order = factories.order(3)
    checkout.start_payment(order)
    wechat.pay(order.payments.get().reference)
    checkout.ask_gateway(order.payments.get())
    for tree in trees_of(order)[:2]:
        leave(tree)
        tasks.sweep()
        tasks.sweep()
    assert list(Refund.objects.values_list("state", "fen")) == [("succeeded", 300), ("succeeded", 300)]
    assert books.balances() == {"gateway": 300, "household": -300}
    assert state_of(order) == "partly_refunded"
    books.all_is_well()
