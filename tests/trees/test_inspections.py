"""How trees do over the years: measured again, damaged, or reported as gone and suspended until somebody decides."""

import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone

from carbonsink.accounts.models import User
from purchases.models import Sink
from purchases.vintages import open_vintage
from tests import factories
from tests.ground.threads import at_once
from tests.trees.conftest import signed_in
from tests.trees.registry import post, stored
from trees.models import Inspection, Tree

TODAY = timezone.localdate()


@pytest.fixture
def tree(officer: User, reviewer: User) -> Tree:
    """An approved tree that was measured a year ago."""
    return factories.approved_tree(factories.household(officer), reviewer, measured_on=TODAY - timedelta(days=365))


def body(tree: Tree, condition: str = "alive", **changes: Any) -> dict[str, Any]:
    return {
        "client_uuid": str(uuid.uuid4()), "tree": tree.number, "condition": condition,
        "cause": "" if condition == "alive" else "storm", "dbh_cm": None, "lon": None, "lat": None, "accuracy_m": None,
        "inspected_on": str(TODAY), "note": "", **changes,
    }  # fmt: skip


def counts() -> dict[str, Any]:
    return {**stored(), "inspections": Inspection.objects.count()}


def test_a_living_tree_is_measured_again_and_its_enrolment_stays(field: Client, officer: User, tree: Tree) -> None:
    sent = body(tree, dbh_cm="8.9", lon="108.921", lat="25.912", accuracy_m=6, note=" grows well ")
    answer = post(field, "inspections", sent)
    assert (answer.status_code, answer.json()) == (201, {
        "client_uuid": sent["client_uuid"], "tree": tree.number, "condition": "alive", "cause": "", "dbh_cm": "8.9",
        "inspected_on": str(TODAY), "note": "grows well", "state": "recorded", "state_text": "recorded",
        "tree_state": "approved",
    })  # fmt: skip
    found = Inspection.objects.get()
    assert (found.inspected_by, found.lon, found.accuracy_m) == (officer, Decimal("108.921"), 6)
    tree.refresh_from_db()
    assert (tree.dbh_cm, tree.state, tree.revision) == (Decimal("7.5"), "approved", 1)
    assert tree.enrolments.get().dbh_cm == Decimal("7.5")


@pytest.mark.parametrize("condition", ["dead", "felled"])
def test_a_tree_reported_as_gone_is_suspended_and_no_longer_for_sale(
    field: Client, officer: User, tree: Tree, condition: str
) -> None:
    open_vintage(factories.tariff())
    assert Sink.objects.get().open is True
    answer = post(field, "inspections", body(tree, condition))
    assert (answer.status_code, answer.json()["state"], answer.json()["tree_state"]) == (201, "reported", "suspended")
    assert Sink.objects.get().open is False
    change = tree.history().last()
    assert change is not None
    assert (change.from_state, change.to_state, change.by, change.reason) == (
        "approved", "suspended", officer, f"reported {condition}",
    )  # fmt: skip


def test_a_damaged_tree_stays_in_the_scheme(field: Client, tree: Tree) -> None:
    answer = post(field, "inspections", body(tree, "damaged", cause="pests"))
    assert (answer.status_code, answer.json()["state"], answer.json()["tree_state"]) == (201, "recorded", "approved")


def test_while_a_report_is_open_there_is_no_second_one(field: Client, tree: Tree) -> None:
    first = body(tree, "dead")
    post(field, "inspections", first)
    before = counts()
    for condition in ("dead", "felled"):
        answer = post(field, "inspections", body(tree, condition))
        assert (answer.status_code, answer.json()) == (409, {
            "code": "reported_already",
            "message": "This tree is reported as dead or felled already. Somebody else at the county decides about it.",
        })  # fmt: skip
    assert post(field, "inspections", first).status_code == 201
    assert counts() == before
    assert post(field, "inspections", body(tree, "damaged")).status_code == 201


def test_sent_again_it_is_the_same_inspection_and_another_under_its_uuid_a_409_with_both(
    field: Client, tree: Tree
) -> None:
    sent = body(tree, "felled")
    first = post(field, "inspections", sent)
    before = counts()
    again = post(field, "inspections", sent)
    assert (again.status_code, again.json()) == (201, first.json())
    answer = post(field, "inspections", {**sent, "condition": "dead"})
    assert (answer.status_code, answer.json()["code"], answer.json()["record"]) == (
        409, "different_content", first.json(),
    )  # fmt: skip
    assert counts() == before


WRONG = {
    "felled for no reason": ({"condition": "felled", "cause": ""}, 400, "no_cause"),
    "alive, of drought": ({"cause": "drought"}, 400, "invalid"),
    "of an unknown cause": ({"condition": "dead", "cause": "boredom"}, 400, "invalid"),
    "of an unknown condition": ({"condition": "well"}, 400, "invalid"),
    "DBH 0": ({"dbh_cm": "0"}, 400, "not_eligible"),
    "DBH 500": ({"dbh_cm": "500"}, 400, "not_eligible"),
    "half a position": ({"lon": "108.9"}, 400, "bad_position"),
    "position 0, 0": ({"lon": "0", "lat": "0"}, 400, "bad_position"),
    "tomorrow": ({"inspected_on": str(TODAY + timedelta(days=1))}, 400, "invalid"),
    "before it was measured": ({"inspected_on": str(TODAY - timedelta(days=366))}, 400, "invalid"),
    "a tree that is not there": ({"tree": "5226331022020010990"}, 404, "unknown_tree"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_what_makes_no_sense_is_refused_and_nothing_is_stored(field: Client, tree: Tree, fault: str) -> None:
    changes, status, code = WRONG[fault]
    before = counts()
    answer = post(field, "inspections", {**body(tree), **changes})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert counts() == before


@pytest.mark.parametrize("condition", ["alive", "dead"])
def test_only_trees_in_the_scheme_are_inspected(field: Client, officer: User, condition: str) -> None:
    waiting = factories.tree(factories.household(officer))
    before = counts()
    answer = post(field, "inspections", body(waiting, condition))
    assert (answer.status_code, answer.json()) == (409, {
        "code": "wrong_state", "message": "Only trees in the scheme are inspected; this one is “waiting for review”.",
    })  # fmt: skip
    assert counts() == before


@pytest.mark.django_db(transaction=True)
def test_the_same_report_twenty_times_at_once_is_one_and_of_twenty_reports_one_counts() -> None:
    tree = factories.approved_tree()
    clients = [signed_in(tree.registered_by) for _ in range(20)]
    sent = body(tree, "damaged")
    answers = at_once(*(lambda client=client: post(client, "inspections", sent) for client in clients))
    assert [answer.status_code for answer in answers] == [201] * 20
    assert Inspection.objects.count() == 1
    answers = at_once(*(lambda client=client: post(client, "inspections", body(tree, "dead")) for client in clients))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"reported_already"}
    assert Inspection.objects.filter(state="reported").count() == 1
    assert tree.history().filter(to_state="suspended").count() == 1


def test_a_second_open_report_is_refused_by_the_table_too(field: Client, tree: Tree) -> None:
    post(field, "inspections", body(tree, "dead"))
    second = Inspection.objects.get()
    second.pk, second.client_uuid = None, uuid.uuid4()
    with pytest.raises(IntegrityError, match="one_open_report"), transaction.atomic():
        second.save()


def test_what_was_seen_never_changes(field: Client, tree: Tree) -> None:
    post(field, "inspections", body(tree, "dead"))
    for change in ("condition = 'felled'", "inspected_by_id = inspected_by_id", "dbh_cm = 9"):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE trees_inspection SET {change}")
