"""Vintages: what is opened, what is closed, and that a tree that left is not sold."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.errors import DomainError
from carbonsink.states import move, move_many
from purchases import orders, vintages
from purchases.models import Order, Payment, Refund, Sink, Stock, Tariff
from tests import factories
from tests.ground.threads import at_once
from tests.purchases import books
from trees.models import Tree
from trees.review import approve_tree

LEAVING = [Tree.State.SUBMITTED, Tree.State.SUSPENDED, Tree.State.DEAD, Tree.State.FELLED, Tree.State.WITHDRAWN,
           Tree.State.EXPIRED]  # fmt: skip


@pytest.mark.django_db
def test_opening_twice_is_opening_once() -> None:
    factories.market(2, 1)
    tariff = Tariff.objects.get()
    opened_at = tariff.opened_at
    sinks = list(Sink.objects.order_by("pk").values())
    assert vintages.open_vintage(tariff) == 0
    tariff.refresh_from_db()
    assert tariff.opened_at == opened_at
    assert list(Sink.objects.order_by("pk").values()) == sinks
    assert books.stock() == (3, 0)


@pytest.mark.django_db(transaction=True)
def test_opened_by_many_at_once_is_opened_once() -> None:
    reviewer, owner = factories.user(roles.REVIEWER), factories.household()
    for _ in range(3):
        factories.approved_tree(owner, reviewer)
    tariff = factories.tariff()
    assert sorted(at_once(*[lambda: vintages.open_vintage(tariff)] * 6)) == [0, 0, 0, 0, 0, 3]
    assert books.stock() == (3, 0)
    books.all_is_well()


@pytest.mark.django_db
def test_sinks_carry_tariff_household_and_rank() -> None:
    reviewer, owner = factories.user(roles.REVIEWER), factories.household()
    trees = [factories.approved_tree(owner, reviewer) for _ in range(2)]
    waiting, gone = factories.tree(owner), factories.approved_tree(owner, reviewer)
    move(gone, Tree.State.WITHDRAWN)
    vintages.open_vintage(factories.tariff(price_fen=450, sink_kg=7))
    rows = Sink.objects.order_by("rank").values_list("tree", "household", "rank", "price_fen", "kg", "open", "order")
    assert list(rows) == [(tree.pk, owner.pk, tree.ordinal, 450, 7, True, None) for tree in trees]
    assert not Sink.objects.filter(tree__in=[waiting, gone]).exists()
    order = factories.paid_order(2)
    assert (order.total_fen, order.kg_total) == (900, 14)
    assert books.balances() == {"gateway": 900, "household": -900}
    books.all_is_well()


@pytest.mark.django_db
def test_only_vintages_of_the_enrolment_are_opened() -> None:
    factories.approved_tree()
    year, now = timezone.localdate().year, timezone.now()
    made = {}
    for vintage in (year - 1, year, year + 5, year + 6):
        tariff = Tariff.objects.create(vintage=vintage, opens_at=now, closes_at=now + timedelta(days=9))
        made[vintage] = vintages.open_vintage(tariff)
    assert made == {year - 1: 0, year: 1, year + 5: 1, year + 6: 0}


@pytest.mark.django_db
def test_a_tree_approved_later_is_on_sale_at_once_in_every_open_vintage() -> None:
    factories.market(1)
    year, now = timezone.localdate().year, timezone.now()
    for vintage, closes_at in ((year + 1, now + timedelta(days=9)), (year + 2, now - timedelta(seconds=1))):
        tariff = Tariff.objects.create(vintage=vintage, opens_at=now - timedelta(days=9), closes_at=closes_at)
        vintages.open_vintage(tariff)
    Tariff.objects.create(vintage=year + 3, opens_at=now, closes_at=now + timedelta(days=9))  # Not opened.
    tree = factories.approved_tree()
    assert sorted(tree.sinks.values_list("vintage", "open")) == [(year, True), (year + 1, True)]
    assert books.stock() == (5, 0)  # The first one's three, and these two.
    books.all_is_well()


@pytest.mark.django_db
@pytest.mark.parametrize("state", LEAVING)
def test_a_tree_that_leaves_is_not_sold(state: str) -> None:
    (owner,) = factories.market(2)
    leaving, staying = owner.trees.order_by("pk")
    move(leaving, state)
    assert dict(Sink.objects.values_list("tree", "open")) == {leaving.pk: False, staying.pk: True}
    assert books.stock() == (1, 0)
    with pytest.raises(DomainError) as gone:
        factories.order(tree=leaving)
    assert gone.value.code == "sold_out"
    assert factories.order(1).sinks.get().tree == staying
    with pytest.raises(DomainError) as refused:
        factories.order(1)
    assert refused.value.details == {"left": 0}
    books.all_is_well()


@pytest.mark.django_db
def test_what_is_sold_stays_sold_when_its_tree_leaves() -> None:
    (owner,) = factories.market(2)
    sold = owner.trees.earliest("pk")
    order = factories.paid_order(tree=sold)
    move(sold, Tree.State.FELLED)
    assert order.sinks.get().tree == sold
    assert books.stock() == (2, 1)
    assert books.balances() == {"gateway": 300, "household": -300}
    books.all_is_well()


@pytest.mark.django_db
def test_a_tree_that_comes_back_is_on_sale_once() -> None:
    (owner,) = factories.market(1)
    tree, reviewer = owner.trees.get(), factories.user(roles.REVIEWER)
    for _ in range(2):
        move(tree, Tree.State.SUSPENDED)
        assert books.stock() == (0, 0)
        move(tree, Tree.State.APPROVED)
        assert books.stock() == (1, 0)
    move(tree, Tree.State.WITHDRAWN)
    move(tree, Tree.State.SUBMITTED)
    approve_tree(tree, reviewer=reviewer)
    assert books.stock() == (1, 0)
    assert Sink.objects.get().open is True
    books.all_is_well()


@pytest.mark.django_db
def test_a_tree_that_left_and_came_back_while_held_comes_back_on_sale_when_the_order_expires() -> None:
    (owner,) = factories.market(1)
    order = factories.order(1)
    tree = owner.trees.get()
    move(tree, Tree.State.SUSPENDED)
    move(tree, Tree.State.APPROVED)
    orders.expire_order(order)
    assert books.stock() == (1, 0)
    assert factories.order(1).state == "held"
    books.all_is_well()


@pytest.mark.django_db
def test_many_trees_leave_at_once() -> None:
    factories.market(3, 2)
    held = factories.order(2)
    gone = move_many(Tree.objects.all(), Tree.State.WITHDRAWN, reason="the village has left")
    assert len(gone) == 5
    assert books.stock() == (2, 2)
    orders.expire_order(held)
    assert books.stock() == (0, 0)
    books.all_is_well()


@pytest.mark.django_db
def test_an_opened_tariff_keeps_its_price_and_another_may_be_made() -> None:
    factories.market(1)
    tariff = Tariff.objects.get()
    tariff.price_fen = 1
    with pytest.raises(IntegrityError, match="append-only"):
        tariff.save()


@pytest.mark.django_db
def test_an_administrator_opens_a_vintage_in_the_admin_and_cannot_change_its_price() -> None:
    factories.approved_tree()
    tariff = factories.tariff()
    client = Client(headers={"accept-language": "en"})
    client.force_login(factories.user(roles.ADMINISTRATOR))
    listing = reverse("admin:purchases_tariff_changelist")
    answer = client.post(listing, {"action": "open_vintages", "_selected_action": [tariff.pk]}, follow=True)
    assert f"{tariff.vintage}: 1 sinks made." in answer.content.decode()
    assert books.stock() == (1, 0)
    change = reverse("admin:purchases_tariff_change", args=[tariff.pk])
    form = {"vintage": 2000, "price_fen": 1, "sink_kg": 1, "opens_at_0": "2020-01-01", "opens_at_1": "00:00:00",
            "closes_at_0": "2099-01-01", "closes_at_1": "00:00:00"}  # fmt: skip
    assert client.post(change, form).status_code == 302
    tariff.refresh_from_db()
    assert (tariff.vintage, tariff.price_fen, tariff.sink_kg) == (timezone.localdate().year, 300, 10)
    assert tariff.closes_at.year in (2098, 2099)
    assert client.post(reverse("admin:purchases_tariff_delete", args=[tariff.pk])).status_code == 403


@pytest.mark.django_db
@pytest.mark.parametrize("role", [roles.OFFICER, roles.REVIEWER, roles.BUYER])
def test_others_do_not_enter_the_admin(role: str) -> None:
    client = Client()
    client.force_login(factories.user(role))
    for page in ("admin:index", "admin:purchases_tariff_changelist", "admin:purchases_order_changelist"):
        assert client.get(reverse(page)).status_code == 302


@pytest.mark.django_db
@pytest.mark.parametrize("model", [Order, Payment, Refund])
def test_finance_reads_the_market_and_changes_nothing(model: Any) -> None:
    factories.market(2)
    order = factories.paid_order(1, contact="13912345678")
    factories.capture(order.payments.get(), transaction_id="T-second")
    client = Client()
    client.force_login(factories.user(roles.FINANCE))
    name, thing = model._meta.model_name, model.objects.latest("pk")
    listing = client.get(reverse(f"admin:purchases_{name}_changelist"))
    page = client.get(reverse(f"admin:purchases_{name}_change", args=[thing.pk]))
    assert (listing.status_code, page.status_code) == (200, 200)
    for secret in ("13912345678", order.token, order.idempotency_key):
        assert secret not in page.content.decode() + listing.content.decode()
    assert client.get(reverse(f"admin:purchases_{name}_add")).status_code == 403
    assert client.post(reverse(f"admin:purchases_{name}_change", args=[thing.pk]), {}).status_code == 403
    assert client.post(reverse(f"admin:purchases_{name}_delete", args=[thing.pk])).status_code == 403
    assert Stock.objects.get().sold == 1
