"""Sales, expiry and the registry at the same moment: nobody waits for each other in a circle, nothing is lost."""

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from carbonsink.accounts import roles
from carbonsink.errors import DomainError
from carbonsink.ledger.models import Line
from carbonsink.states import move
from payouts import runs
from purchases import orders, vintages
from purchases.models import Order, Payment, Sink, Stock, Tariff
from tests import factories
from tests.ground.threads import at_once
from tests.processes import wait_for
from tests.purchases import books
from tests.purchases.test_selling_races import somebody_waits_for_a_lock
from trees.models import Tree
from trees.review import approve_tree

pytestmark = pytest.mark.django_db(transaction=True)


class Hunter:
    """One thread's random deeds. A DomainError is an answer, anything else a fault."""

    def __init__(self, seed: str, reviewer: Any) -> None:
        self.chance, self.reviewer = random.Random(seed), reviewer
        self.places = [factories.area(code) for code in ("522600000000", "522633000000", factories.VILLAGE)]
        self.deeds: list[Callable[[], Any]] = [
            self.order_of_an_area, self.order_of_an_area, self.order_of_a_tree, self.order_of_a_tree, self.expire,
            self.capture, self.withdraw, self.suspend, self.come_back, self.open_again,
        ]  # fmt: skip

    def work(self, turns: int) -> None:
        for _ in range(turns):
            try:
                self.chance.choice(self.deeds)()
            except DomainError as error:
                assert error.code in {"sold_out", "wrong_state", "being_replaced"}, error

    def a_tree(self, *states: str) -> Tree:
        found = list(Tree.objects.filter(state__in=states or Tree.State.values).order_by("pk"))
        if not found:
            raise DomainError("wrong_state", "there is none")
        return self.chance.choice(found)

    def order_of_an_area(self) -> None:
        factories.order(self.chance.randint(1, 6), area=self.chance.choice(self.places))

    def order_of_a_tree(self) -> None:
        factories.order(tree=self.a_tree())

    def expire(self) -> None:
        for pk in orders.over()[:3]:
            orders.release(pk)

    def capture(self) -> None:
        waiting = list(Payment.objects.filter(state="created").order_by("pk"))
        if waiting:
            payment = self.chance.choice(waiting)
            factories.capture(payment, transaction_id=f"T{payment.pk}")

    def withdraw(self) -> None:
        move(self.a_tree("approved", "suspended"), Tree.State.WITHDRAWN)

    def suspend(self) -> None:
        move(self.a_tree("approved"), Tree.State.SUSPENDED)

    def come_back(self) -> None:
        tree = self.a_tree("suspended", "withdrawn", "submitted")
        if tree.state == Tree.State.SUSPENDED:
            move(tree, Tree.State.APPROVED)
            return
        if tree.state == Tree.State.WITHDRAWN:
            move(tree, Tree.State.SUBMITTED)
        approve_tree(tree, reviewer=self.reviewer)

    def open_again(self) -> None:
        vintages.open_vintage(Tariff.objects.get())


def test_hunting_deadlocks(settings: Any) -> None:
    settings.HOLD_MINUTES = 0  # Each order is over at once: a capture and the sweeper may meet at any moment.
    seed = str(random.randrange(10**6))
    print(f"seed {seed}")  # noqa: T201 - pytest shows it when the hunt finds something.
    owners = factories.market(6, 5, 4) + factories.market(5, village=factories.OTHER_VILLAGE)
    reviewer = factories.user(roles.REVIEWER)
    hunters = [Hunter(f"{seed}-{number}", reviewer) for number in range(8)]
    assert at_once(*[lambda hunter=hunter: hunter.work(60) for hunter in hunters]) == [None] * 8, f"seed {seed}"

    for pk in orders.over():
        orders.release(pk)
    assert not Order.objects.filter(state="held").exists()
    total, sold = books.stock()
    assert sold == sum(Order.objects.filter(state="paid").values_list("quantity", flat=True))
    assert (
        total == Sink.objects.filter(open=True).count() + Sink.objects.filter(open=False, order__isnull=False).count()
    )
    captured = sum(Payment.objects.filter(state="captured").values_list("fen", flat=True))
    owed = {kind: -fen for kind, fen in books.balances().items()}
    assert -owed.pop("gateway", 0) == captured == sum(owed.values())
    assert owed.get("household", 0) == 300 * sold
    assert set(owed) <= {"household", "refunds"}
    for owner in owners:
        sinks = Sink.objects.filter(household=owner, order__isnull=False).count()
        assert -sum(Line.objects.filter(account__owner=owner.pk).values_list("fen", flat=True)) == 300 * sinks
    books.all_is_well()


def test_a_buyer_of_a_tree_that_is_being_withdrawn_waits_and_does_not_deadlock(monkeypatch: Any) -> None:
    """The order refers to the tree, the withdrawal wants the stock: they must come in the same order."""
    (owner,) = factories.market(2)
    tree = owner.trees.earliest("pk")
    taken = threading.Event()
    take = orders.take_sinks

    def take_and_linger(order: Order) -> None:
        take(order)
        taken.set()
        wait_for(somebody_waits_for_a_lock)

    def withdraw() -> None:
        assert taken.wait(20)
        move(tree, Tree.State.WITHDRAWN)

    monkeypatch.setattr(orders, "take_sinks", take_and_linger)
    order, withdrawn = at_once(lambda: factories.order(tree=tree), withdraw)
    assert withdrawn is None, withdrawn
    assert isinstance(order, Order), order
    assert Sink.objects.get(tree=tree).open is False
    assert books.stock() == (2, 1)
    books.all_is_well()


@pytest.mark.parametrize("trees_before", [0, 1])
def test_a_vintage_opened_while_a_tree_is_approved_leaves_no_tree_without_its_sink(
    monkeypatch: Any, trees_before: int
) -> None:
    """The reviewer holds the household and wants the vintage; who opens it writes the household's first stock row."""
    reviewer = factories.user(roles.REVIEWER)
    tariff, owner = factories.tariff(), factories.household()
    for _ in range(trees_before):
        factories.approved_tree(owner, reviewer)
    tree = factories.tree(owner)
    written = threading.Event()
    write = vintages._open

    def write_and_linger(which: str, params: list[Any]) -> int:
        made = write(which, params)
        if which.startswith("f.vintage"):
            written.set()
            wait_for(somebody_waits_for_a_lock)
        return made

    def approve() -> Any:
        assert written.wait(20)
        return approve_tree(tree, reviewer=reviewer)

    monkeypatch.setattr(vintages, "_open", write_and_linger)
    made, enrolment = at_once(lambda: vintages.open_vintage(tariff), approve)
    assert made == trees_before, made
    assert not isinstance(enrolment, Exception), enrolment
    assert Sink.objects.filter(open=True).count() == Stock.objects.get().total == trees_before + 1
    books.all_is_well()


def test_a_tree_approved_before_the_vintage_opens_gets_its_sink_from_the_opening() -> None:
    """The other way round: the reviewer was first, and whoever opens the vintage waits for the commit."""
    reviewer, tariff, tree = factories.user(roles.REVIEWER), factories.tariff(), factories.tree()
    approved, go_on = threading.Event(), threading.Event()

    def approve() -> None:
        with transaction.atomic():
            approve_tree(tree, reviewer=reviewer)
            approved.set()
            assert go_on.wait(20)

    def open_vintage() -> int:
        assert approved.wait(20)
        return vintages.open_vintage(tariff)

    def watch() -> None:
        assert approved.wait(20)
        wait_for(somebody_waits_for_a_lock)
        go_on.set()

    assert at_once(approve, open_vintage, watch) == [None, 1, None]
    assert Sink.objects.get().tree == tree
    books.all_is_well()


def test_stock_that_is_written_again_is_locked_like_everywhere() -> None:
    """Opening a vintage again adds to stock rows in the order in which buyers wait for them: by primary key."""
    reviewer = factories.user(roles.REVIEWER)
    early, late = factories.household(), factories.household()
    tariff = factories.tariff()
    factories.approved_tree(late, reviewer)
    vintages.open_vintage(tariff)
    factories.approved_tree(early, reviewer)
    first, second = Stock.objects.order_by("pk")
    assert (first.household_id, second.household_id) == (late.pk, early.pk)
    # A tree of each that no opening has seen yet: as after an import by SQL.
    for owner in (early, late):
        tree = factories.tree(owner)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO trees_enrolment (tree_id, first_vintage, last_vintage, measured_on, registered_by_id,"
                " measured_by_id, approved_by_id, approved_at) VALUES (%s, %s, %s, now(), %s, %s, %s, now())",
                [tree.pk, *[tariff.vintage] * 2, *[tree.registered_by_id] * 2, reviewer.pk],
            )
            cursor.execute("UPDATE trees_tree SET state = 'approved' WHERE id = %s", [tree.pk])
    holding = threading.Event()

    def wait_for_both() -> None:
        with transaction.atomic():
            Stock.objects.select_for_update().get(pk=first.pk)
            holding.set()
            wait_for(somebody_waits_for_a_lock)
            Stock.objects.select_for_update().get(pk=second.pk)

    def open_again() -> int:
        assert holding.wait(20)
        return vintages.open_vintage(tariff)

    assert at_once(wait_for_both, open_again) == [None, 2]
    assert books.stock() == (4, 0)


def test_a_sale_does_not_wait_for_a_run_of_payouts() -> None:
    """Captures refer to household accounts, and a run locks them: the two must not meet."""
    factories.market(2)
    factories.paid_order(1)
    order = factories.order(1)

    def capture() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
        factories.capture(order.payments.get())

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(runs._LOCK)
        assert len(cursor.fetchone()[0]) == 1
        assert at_once(capture) == [None]
    assert Order.objects.get(pk=order.pk).state == "paid"
