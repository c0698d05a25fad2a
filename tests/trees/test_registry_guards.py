"""What the registry's tables refuse by plain SQL: evidence and decisions stay as they were written."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from carbonsink.accounts import roles
from tests import factories
from trees.flags import raise_flag
from trees.models import Correction, Flag, Import, Inspection, Review, SecondLook, SecondLookDraw, Tree

pytestmark = pytest.mark.django_db


def refused(sql: str, match: str) -> None:
    with pytest.raises(IntegrityError, match=match), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)


def inspection(tree: Tree, **changes: Any) -> Inspection:
    values = {
        "client_uuid": uuid.uuid4(), "body_hash": "x", "condition": "alive", "dbh_cm": 8, "state": "recorded",
        "inspected_on": timezone.localdate(), "inspected_by": tree.registered_by, **changes,
    }  # fmt: skip
    return Inspection.objects.create(tree=tree, **values)


def second_look(tree: Tree) -> SecondLook:
    now = timezone.now()
    draw = SecondLookDraw.objects.create(
        programme=tree.household.programme, since=now - timedelta(days=1), until=now, seed="00", percent=3,
        approvals=1, drawn=1,
    )  # fmt: skip
    review = tree.reviews.get()
    return SecondLook.objects.create(draw=draw, review=review, tree=tree, first_reviewer=review.reviewer)


@pytest.fixture
def tree() -> Tree:
    """An approved tree with one of everything that may be said of it."""
    made = factories.approved_tree()
    Correction.objects.create(tree=made, revision=2, body_hash="x", before={}, by=made.registered_by)
    raise_flag(Flag.Kind.PACE, household=made.household, tree=made, per_hour=500)
    inspection(made)
    second_look(made)
    return made


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE trees_tree SET registered_by_id = registered_by_id + 1",
        "UPDATE trees_tree SET imported_from_id = 1",
        "UPDATE trees_enrolment SET first_vintage = 2000",
        "UPDATE trees_enrolment SET dbh_cm = 99",
        "UPDATE trees_enrolment SET measured_on = '2020-01-01'",
        "UPDATE trees_enrolment SET approved_by_id = 1",
        "UPDATE trees_enrolment SET measured_by_id = 1",
        "UPDATE trees_photo SET tree_id = tree_id + 1",
        "UPDATE trees_photo SET sha256 = 'other'",
        "UPDATE trees_photo SET original = 'other'",
        "UPDATE trees_photo SET uploaded_by_id = 1",
        "DELETE FROM trees_photo",
        "UPDATE trees_correction SET before = '{}'",
        "DELETE FROM trees_correction",
        "UPDATE trees_review SET decision = 'rejected', reason = 'tenure'",
        "DELETE FROM trees_review",
        "UPDATE trees_flag SET kind = 'oversize'",
        "UPDATE trees_flag SET evidence = '{}'",
        "UPDATE trees_flag SET tree_id = NULL",
        "DELETE FROM trees_flag",
        "UPDATE trees_secondlookdraw SET seed = '11'",
        "DELETE FROM trees_secondlookdraw",
        "UPDATE trees_secondlook SET first_reviewer_id = 1",
        "DELETE FROM trees_secondlook",
        "UPDATE trees_inspection SET condition = 'damaged', cause = 'frost'",
        "UPDATE trees_inspection SET dbh_cm = 99",
        "UPDATE trees_inspection SET inspected_by_id = 1",
        "DELETE FROM trees_inspection",
    ],
)
def test_what_was_seen_and_decided_stays(tree: Tree, sql: str) -> None:
    refused(sql, "append-only")


def test_an_approval_is_taken_back_once_and_leaves_room_for_the_next(tree: Tree) -> None:
    enrolment = tree.enrolments.get()
    again = (
        "INSERT INTO trees_enrolment (tree_id, first_vintage, last_vintage, measured_on, registered_by_id,"
        " measured_by_id, approved_by_id, approved_at) SELECT tree_id, first_vintage, last_vintage, measured_on,"
        " registered_by_id, measured_by_id, approved_by_id, now() FROM trees_enrolment"
    )
    refused(again, "no_overlap")
    tree.enrolments.update(revoked_at=timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(again)
    refused(f"UPDATE trees_enrolment SET revoked_at = NULL WHERE id = {enrolment.pk}", "append-only")
    assert tree.enrolments.count() == 2


def test_a_flag_is_raised_once_while_open_and_settled_once_by_somebody(tree: Tree) -> None:
    raise_flag(Flag.Kind.PACE, household=tree.household, tree=tree, per_hour=700)
    flag = Flag.objects.get()
    assert flag.evidence == {"per_hour": 500}
    refused("UPDATE trees_flag SET settled_at = now()", "settled_by_somebody")
    Flag.objects.update(settled_at=timezone.now(), settled_by=factories.user(roles.REVIEWER), review=tree.reviews.get())
    refused("UPDATE trees_flag SET note = 'other'", "append-only")
    raise_flag(Flag.Kind.PACE, household=tree.household, tree=tree, per_hour=700)
    assert Flag.objects.count() == 2


def test_a_second_look_is_taken_once_by_another_person(tree: Tree) -> None:
    look, other = SecondLook.objects.get(), factories.user(roles.REVIEWER)
    taken = "UPDATE trees_secondlook SET reviewer_id = {}, verdict = '{}', at = now()"
    refused(taken.format(look.first_reviewer_id, "agrees"), "two_people")
    refused(taken.format(other.pk, ""), "whole")
    refused(taken.format(other.pk, "disagrees"), "disagreement_has_reason")
    with connection.cursor() as cursor:
        cursor.execute(taken.format(other.pk, "agrees"))
    refused("UPDATE trees_secondlook SET verdict = 'disagrees', reason = 'tenure'", "append-only")


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"cause": "frost"}, "inspection_cause"),
        ({"condition": "dead", "state": "reported"}, "inspection_cause"),
        ({"condition": "dead", "cause": "frost"}, "ends_are_reported"),
        ({"state": "reported"}, "ends_are_reported"),
        ({"dbh_cm": 0}, "inspection_dbh"),
        ({"lon": 108}, "position_whole"),
        ({"lon": 0, "lat": 0}, "position_whole"),
        ({"condition": "felled", "cause": "storm", "state": "confirmed"}, "inspection_two_people"),
    ],
)
def test_inspections_keep_their_rules(tree: Tree, changes: dict[str, Any], rule: str) -> None:
    with pytest.raises(IntegrityError, match=rule), transaction.atomic():
        inspection(tree, **changes)
    assert Inspection.objects.count() == 1


def test_a_death_is_decided_once_by_another_person(tree: Tree) -> None:
    made = inspection(tree, condition="dead", cause="drought", state="reported")
    decided = "UPDATE trees_inspection SET state = '{}', decided_by_id = {}, decided_at = now() WHERE id = {}"
    refused(decided.format("confirmed", tree.registered_by_id, made.pk), "two_people")
    with connection.cursor() as cursor:
        cursor.execute(decided.format("refuted", factories.user(roles.REVIEWER).pk, made.pk))
    refused(decided.format("confirmed", factories.user(roles.REVIEWER).pk, made.pk), "append-only")


def test_the_same_file_is_imported_once(tree: Tree) -> None:
    values = {"kind": "trees", "sha256": "00", "file_name": "a.csv", "imported_by": tree.registered_by}
    first = Import.objects.create(**values)
    with pytest.raises(IntegrityError, match="import_once"), transaction.atomic():
        Import.objects.create(**values)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE trees_import SET state = 'cancelled' WHERE id = {first.pk}")
    Import.objects.create(**values)


def test_a_rejection_taken_back_or_not_needs_its_reason(tree: Tree) -> None:
    values = {"tree": tree, "reviewer": factories.user(roles.REVIEWER)}
    for decision in ("rejected", "taken_back"):
        with pytest.raises(IntegrityError, match="rejection_has_reason"), transaction.atomic():
            Review.objects.create(decision=decision, **values)
        Review.objects.create(decision=decision, reason="tenure", **values)
