"""An approval is taken back while nothing of the tree is sold, and never afterwards."""

import threading
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.states import move, move_many
from payouts import audit
from purchases import orders, tasks
from purchases.models import Order, Sink, Stock
from purchases.vintages import open_vintage
from tests import factories
from tests.ground.threads import at_once
from tests.processes import wait_for
from tests.purchases.test_selling_races import somebody_waits_for_a_lock
from tests.trees.registry import Page
from trees import review
from trees.models import Enrolment, Review, Tree

YEAR = timezone.localdate().year
SOLD = "A sink of this tree is sold or being paid: its approval stays. Have an officer report the tree."


@pytest.fixture
def tree(officer: User, reviewer: User) -> Tree:
    """An approved tree whose sink is on sale."""
    made = factories.approved_tree(factories.household(officer), reviewer)
    open_vintage(factories.tariff())
    return made


def take_back(county: Client, tree: Tree, **changes: Any) -> Any:
    body = {"decision": "taken_back", "reason": "wrong_species", "note": "A camphor tree.", **changes}
    return county.post(f"/review/{tree.number}/", body)


def test_the_tree_waits_again_and_its_sink_is_off_sale(county: Client, reviewer: User, tree: Tree) -> None:
    answer = take_back(county, tree)
    assert (answer.status_code, answer["Location"]) == (302, f"/review/{tree.number}/")
    assert "waits for a review again" in county.get(answer["Location"]).content.decode()
    tree.refresh_from_db()
    assert tree.state == "submitted"
    assert (Sink.objects.get().open, Stock.objects.get().total) == (False, 0)
    enrolment, taken = Enrolment.objects.get(), Review.objects.latest("pk")
    assert enrolment.revoked_at is not None
    assert (taken.decision, taken.reason, taken.note, taken.reviewer) == (
        "taken_back", "wrong_species", "A camphor tree.", reviewer,
    )  # fmt: skip
    assert [(c.from_state, c.to_state, c.reason) for c in tree.history()][1:] == [
        ("approved", "submitted", "wrong_species")
    ]
    assert county.get("/review/next/")["Location"] == f"/review/{tree.number}/"
    assert list(audit.findings()) == []


def test_approved_once_more_it_gets_a_new_enrolment_and_its_sink_back(county: Client, tree: Tree) -> None:
    take_back(county, tree)
    Tree.objects.filter(pk=tree.pk).update(dbh_cm="9.9")
    assert county.post(f"/review/{tree.number}/", {"decision": "approved"}).status_code == 302
    old, new = Enrolment.objects.order_by("pk")
    assert (old.revoked_at is None, new.revoked_at is None) == (False, True)
    assert (str(new.dbh_cm), new.first_vintage, new.last_vintage) == ("9.9", YEAR, YEAR + 5)
    assert (Sink.objects.get().open, Stock.objects.get().total) == (True, 1)
    assert list(audit.findings()) == []


@pytest.mark.parametrize("paid", [False, True])
def test_what_is_sold_or_held_stays_approved(county: Client, tree: Tree, paid: bool) -> None:
    (factories.paid_order if paid else factories.order)(tree=tree)
    answer = take_back(county, tree)
    assert answer.status_code == 409
    assert SOLD in Page(answer).said
    assert Tree.objects.get().state == "approved"
    assert Enrolment.objects.get().revoked_at is None
    assert Review.objects.count() == 1
    assert (Sink.objects.get().open, Stock.objects.get().sold) == (True, 1)


def test_once_an_unpaid_order_is_over_it_can_be_taken_back(county: Client, settings: Any, tree: Tree) -> None:
    settings.HOLD_MINUTES = 0
    order = factories.order(tree=tree)
    assert take_back(county, tree).status_code == 409
    orders.release(order.pk)
    assert take_back(county, tree).status_code == 302
    assert list(audit.findings()) == []


def test_it_needs_a_reason_and_an_approved_tree(county: Client, tree: Tree) -> None:
    for changes in ({"reason": ""}, {"reason": "because"}, {"reason": "other", "note": " "}):
        assert take_back(county, tree, **changes).status_code == 400
    assert Tree.objects.get().state == "approved"
    assert take_back(county, tree).status_code == 302
    answer = take_back(county, tree)
    assert answer.status_code == 409
    assert "This tree is not approved any more. Reload the page." in Page(answer).said
    assert Review.objects.filter(decision="taken_back").count() == 1


def test_a_sold_tree_may_still_leave_and_come_back(tree: Tree) -> None:
    """Only an approval is kept by a sale; trees that left are replaced or refunded, and may be registered anew."""
    factories.paid_order(tree=tree)
    with pytest.raises(DomainError, match="sold"):
        move_many(Tree.objects.all(), "submitted")
    move(tree, "withdrawn")
    with pytest.raises(DomainError, match="being replaced"):
        move(tree, "submitted")
    tasks.sweep()
    move(tree, "submitted")
    assert tree.state == "submitted"


def test_by_plain_sql_a_sold_enrolment_is_not_revoked(tree: Tree) -> None:
    factories.order(tree=tree)
    with pytest.raises(IntegrityError, match="is sold"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE trees_enrolment SET revoked_at = now()")
    assert Enrolment.objects.get().revoked_at is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("named", [True, False])
def test_a_buyer_and_the_taking_back_at_once_never_both_win(named: bool) -> None:
    """The order holds its sink before it commits; who takes back waits for the stock, then sees it."""
    reviewer = factories.user(roles.REVIEWER)
    tree = factories.approved_tree(reviewer=reviewer)
    open_vintage(factories.tariff())
    ordered, go_on = threading.Event(), threading.Event()

    def buy() -> Order:
        with transaction.atomic():
            held = factories.order(**({"tree": tree} if named else {}))
            ordered.set()
            wait_for(somebody_waits_for_a_lock)
            go_on.set()
            return held

    def give_up() -> Any:
        assert ordered.wait(20)
        return review.take_back_approval(tree, reviewer=reviewer, reason="tenure")

    held, refused = at_once(buy, give_up)
    assert isinstance(held, Order), held
    assert isinstance(refused, DomainError), refused
    assert (refused.code, refused.status) == ("sold", 409)
    assert Tree.objects.get().state == "approved"
    assert (Stock.objects.get().total, Stock.objects.get().sold) == (1, 1)
    assert list(audit.findings()) == []


@pytest.mark.django_db(transaction=True)
def test_who_comes_after_the_taking_back_cannot_buy() -> None:
    reviewer = factories.user(roles.REVIEWER)
    tree = factories.approved_tree(reviewer=reviewer)
    open_vintage(factories.tariff())
    taken = threading.Event()

    def give_up() -> None:
        with transaction.atomic():
            review.take_back_approval(tree, reviewer=reviewer, reason="tenure")
            taken.set()
            wait_for(somebody_waits_for_a_lock)

    def buy() -> Order:
        assert taken.wait(20)
        return factories.order(tree=tree)

    given_up, refused = at_once(give_up, buy)
    assert given_up is None, given_up
    assert isinstance(refused, DomainError), refused
    assert refused.code == "sold_out"
    assert not Sink.objects.filter(order__isnull=False).exists()
    assert list(audit.findings()) == []
