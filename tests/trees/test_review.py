"""Approving and rejecting trees, on the page and through the API."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone, translation

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.states import move
from purchases.models import Sink, Stock
from purchases.vintages import open_vintage
from tests import factories
from tests.ground.threads import at_once
from tests.trees.conftest import signed_in
from tests.trees.registry import Page, post, stored
from trees.models import Enrolment, Photo, Review, Tree
from trees.registration import withdraw_consent
from trees.review import approve_tree

YEAR = timezone.localdate().year


@pytest.fixture
def tree(officer: User) -> Tree:
    return factories.tree(factories.household(officer))


def refused(county: Client, tree: Tree, status: int, code: str, verb: str = "approve", body: Any = None) -> str:
    """The API refuses a decision, nothing is stored, and the page says the same sentence."""
    before = stored()
    answer = post(county, f"trees/{tree.number}/{verb}", body or {})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    if verb == "approve":
        page = county.post(f"/review/{tree.number}/", {"decision": "approved"})
        assert page.status_code == status
        assert answer.json()["message"] in Page(page).said
    assert stored() == before
    assert Tree.objects.get(pk=tree.pk).state == tree.state
    return str(answer.json()["message"])


def test_an_approved_tree_is_enrolled_for_six_vintages_from_this_year(
    county: Client, reviewer: User, officer: User, tree: Tree
) -> None:
    answer = post(county, f"trees/{tree.number}/approve", {})
    assert (answer.status_code, answer.json()["state"]) == (200, "approved")
    enrolment, review = Enrolment.objects.get(), Review.objects.get()
    assert (enrolment.tree, enrolment.first_vintage, enrolment.last_vintage) == (tree, YEAR, YEAR + 5)
    assert (enrolment.approved_by, enrolment.registered_by) == (reviewer, officer)
    assert (enrolment.dbh_cm, enrolment.measured_on) == (tree.dbh_cm, tree.measured_on)
    assert (review.tree, review.reviewer, review.decision, review.reason) == (tree, reviewer, "approved", "")
    assert [(c.from_state, c.to_state, c.by) for c in tree.history()] == [("submitted", "approved", reviewer)]


def test_the_page_approves_too_and_goes_on_with_the_queue(county: Client, tree: Tree) -> None:
    other = factories.tree(tree.household)
    assert county.get("/review/next/")["Location"] == f"/review/{tree.number}/"
    answer = county.post(f"/review/{tree.number}/", {"decision": "approved"})
    assert (answer.status_code, answer["Location"]) == (302, f"/review/{other.number}/")
    assert f"Tree {tree.number} is approved." in county.get(answer["Location"]).content.decode()
    assert county.post(f"/review/{other.number}/", {"decision": "approved"})["Location"] == "/review/"
    page = county.get("/review/").content.decode()
    assert f"Tree {other.number} is approved." in page
    assert "No tree waits for a review." in page
    assert set(Tree.objects.values_list("state", flat=True)) == {"approved"}
    assert 'value="approved"' not in county.get(f"/review/{tree.number}/").content.decode()


def test_approving_wants_a_press_of_the_button(county: Client, tree: Tree) -> None:
    assert county.get(f"/review/{tree.number}/?decision=approved").status_code == 200
    assert county.post(f"/review/{tree.number}/").status_code == 400
    assert Tree.objects.get().state == "submitted"


def test_the_first_vintage_is_the_local_year(reviewer: User, tree: Tree, monkeypatch: Any) -> None:
    # 00:30 on New Year's Day in Guizhou is still December in UTC.
    now = datetime(YEAR + 1, 1, 1, 0, 30, tzinfo=ZoneInfo("Asia/Shanghai"))
    monkeypatch.setattr(timezone, "now", lambda: now)
    post(signed_in(reviewer), f"trees/{tree.number}/approve", {})
    assert (Enrolment.objects.get().first_vintage, Enrolment.objects.get().last_vintage) == (YEAR + 1, YEAR + 6)


def test_the_programme_says_how_many_vintages(county: Client, tree: Tree) -> None:
    factories.programme(vintages=5)
    post(county, f"trees/{tree.number}/approve", {})
    assert Enrolment.objects.get().last_vintage == YEAR + 4


def test_without_an_accepted_photo_there_is_no_approval(county: Client, officer: User) -> None:
    tree = factories.tree(factories.household(officer), photo=False)
    sentence = "The tree has no accepted photo yet. Wait for it, or ask for another one."
    assert refused(county, tree, 400, "no_photo") == sentence
    for state in ("received", "refused"):
        Photo.objects.create(
            tree=tree, sha256=state, original="x", state=state, refusal="broken", uploaded_by=officer
        )  # fmt: skip
        refused(county, tree, 400, "no_photo")


def test_whoever_registered_a_tree_does_not_approve_it(reviewer: User, county: Client) -> None:
    both = factories.user(roles.OFFICER)
    both.groups.add(*reviewer.groups.all())
    tree = factories.tree(factories.household(both))
    sentence = refused(signed_in(both), tree, 403, "same_person")
    assert sentence == "You registered this tree: somebody else must review it."
    assert post(county, f"trees/{tree.number}/approve", {}).status_code == 200


def test_a_tree_is_decided_once(county: Client, tree: Tree) -> None:
    post(county, f"trees/{tree.number}/approve", {})
    tree.refresh_from_db()
    assert "not waiting for review" in refused(county, tree, 409, "wrong_state")
    refused(county, tree, 409, "wrong_state", "reject", {"reason": "bad_photo"})


def test_who_looked_at_the_page_before_it_was_approved_hears_that_not_that_the_household_is_full(
    reviewer: User, tree: Tree
) -> None:
    factories.programme(max_trees_per_household=1)
    stale = Tree.objects.get(pk=tree.pk)
    approve_tree(tree, reviewer=reviewer)
    with pytest.raises(DomainError) as refused:
        approve_tree(stale, reviewer=factories.user(roles.REVIEWER))
    assert (refused.value.code, refused.value.status) == ("wrong_state", 409)
    assert Enrolment.objects.count() == Review.objects.count() == 1


def test_a_rejected_tree_is_not_approved(county: Client, tree: Tree) -> None:
    post(county, f"trees/{tree.number}/reject", {"reason": "bad_photo"})
    tree.refresh_from_db()
    refused(county, tree, 409, "wrong_state")


def test_after_a_withdrawn_consent_nothing_is_approved(county: Client, officer: User, tree: Tree) -> None:
    withdraw_consent(tree.household, by=officer)
    tree.refresh_from_db()
    refused(county, tree, 400, "no_consent")


def test_a_household_has_its_limit_and_suspended_trees_count(county: Client, officer: User) -> None:
    factories.programme(max_trees_per_household=2)
    owner = factories.household(officer)
    first, second, third = (factories.tree(owner) for _ in range(3))
    for tree in (first, second):
        assert post(county, f"trees/{tree.number}/approve", {}).status_code == 200
    assert refused(county, third, 400, "household_full") == "The household has its 2 trees already."
    move(first, "suspended")
    refused(county, third, 400, "household_full")
    move(first, "dead")
    assert post(county, f"trees/{third.number}/approve", {}).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_of_two_approvals_of_the_last_place_at_once_one_wins() -> None:
    reviewers = [factories.user(roles.REVIEWER) for _ in range(4)]
    factories.programme(max_trees_per_household=1)
    owner = factories.household()
    made = [factories.tree(owner) for _ in reviewers]
    clients = [signed_in(reviewer) for reviewer in reviewers]
    answers = at_once(*(
        lambda pair=pair: post(pair[0], f"trees/{pair[1].number}/approve", {})
        for pair in zip(clients, made, strict=True)
    ))  # fmt: skip
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]
    assert Tree.objects.filter(state="approved").count() == Enrolment.objects.count() == Review.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_decisions_about_one_tree_at_once_one_counts_and_the_others_are_told() -> None:
    clients = [signed_in(factories.user(roles.REVIEWER)) for _ in range(6)]
    for _ in range(3):
        tree = factories.tree()
        answers = at_once(*(
            lambda c=client, n=n: post(c, f"trees/{tree.number}/{'reject' if n % 2 else 'approve'}", {"reason": "tenure"})
            for n, client in enumerate(clients)
        ))  # fmt: skip
        assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5
        assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"wrong_state"}
        assert tree.history().count() == tree.reviews.count() == 1
        assert tree.enrolments.count() == Tree.objects.filter(pk=tree.pk, state="approved").count()


def test_approval_opens_the_sink_of_an_open_vintage(county: Client, tree: Tree) -> None:
    tariff = factories.tariff()
    assert open_vintage(tariff) == 0
    post(county, f"trees/{tree.number}/approve", {})
    sink, stock = Sink.objects.get(), Stock.objects.get()
    assert (sink.tree, sink.vintage, sink.household, sink.rank) == (tree, YEAR, tree.household, tree.ordinal)
    assert (sink.price_fen, sink.kg, sink.open, sink.order) == (300, 10, True, None)
    assert (stock.household, stock.vintage, stock.total, stock.sold) == (tree.household, YEAR, 1, 0)


def test_approval_opens_nothing_while_no_vintage_is_open_and_rejection_never_does(
    county: Client, officer: User, tree: Tree
) -> None:
    tariff = factories.tariff()  # There, but not opened.
    post(county, f"trees/{tree.number}/approve", {})
    assert Sink.objects.count() == Stock.objects.count() == 0
    assert open_vintage(tariff) == 1
    other = factories.tree(tree.household)
    post(county, f"trees/{other.number}/reject", {"reason": "bad_photo"})
    assert list(Sink.objects.values_list("tree", flat=True)) == [tree.pk]


def test_a_tree_that_comes_back_within_its_vintages_keeps_its_enrolment(county: Client, tree: Tree) -> None:
    open_vintage(factories.tariff())
    post(county, f"trees/{tree.number}/approve", {})
    tree.refresh_from_db()
    move(tree, "submitted", reason="measured again")
    assert (Sink.objects.get().open, Stock.objects.get().total) == (False, 0)
    assert post(county, f"trees/{tree.number}/approve", {}).status_code == 200
    assert Enrolment.objects.count() == 1
    assert Review.objects.count() == 2
    assert (Sink.objects.get().open, Stock.objects.get().total) == (True, 1)


class TestRejection:
    def test_it_needs_a_reason_from_the_list(self, county: Client, tree: Tree) -> None:
        before = stored()
        for body in ({}, {"reason": ""}, {"reason": "because"}, {"note": "only a note"}):
            answer = post(county, f"trees/{tree.number}/reject", body)
            assert (answer.status_code, list(answer.json()["fields"])) == (400, ["reason"])
            assert county.post(f"/review/{tree.number}/", {"decision": "rejected", **body}).status_code == 400
        assert stored() == before
        assert Tree.objects.get().state == "submitted"

    def test_another_reason_needs_a_note(self, county: Client, tree: Tree) -> None:
        sentence = "Write in the note what the officer should correct."
        for note in ("", "   "):
            body = {"reason": "other", "note": note}
            assert refused(county, tree, 400, "no_reason", "reject", body) == sentence
            page = county.post(f"/review/{tree.number}/", {"decision": "rejected", **body})
            assert page.status_code == 400
            assert sentence in Page(page).said
        assert Page(page).values["reason"] == "other"
        assert (
            post(county, f"trees/{tree.number}/reject", {"reason": "other", "note": " Which one? "}).status_code == 200
        )
        assert Review.objects.get().note == "Which one?"

    @pytest.mark.parametrize("reason", Review.Reason.values)
    def test_the_officer_reads_on_the_page_why(
        self, county: Client, field: Client, reviewer: User, tree: Tree, reason: str
    ) -> None:
        answer = county.post(
            f"/review/{tree.number}/", {"decision": "rejected", "reason": reason, "note": "Look <again>."}
        )
        assert (answer.status_code, answer["Location"]) == (302, "/review/")
        review = Review.objects.get()
        assert (review.decision, review.reason, review.reviewer) == ("rejected", reason, reviewer)
        page = field.get(f"/officer/households/{tree.household.public_id}/").content.decode()
        with translation.override("en"):
            assert f"{Review.Reason(reason).label} · Look &lt;again&gt;." in page
        assert "1 came back" in field.get("/officer/").content.decode()
        assert [(c.to_state, c.reason) for c in tree.history()] == [("rejected", reason)]
        assert Enrolment.objects.count() == 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ("{y}, {y} + 5", "no_overlap"), ("{y} + 5, {y} + 9", "no_overlap"), ("{y} - 9, {y}", "no_overlap"),
        ("{y} + 7, {y} + 6", "vintages_ordered|lower bound"), ("{y} + 6, {y} + 11", None),
        ("{y} - 6, {y} - 1", None),
    ],
)  # fmt: skip
def test_vintages_of_a_tree_never_overlap_by_plain_sql(values: str, rule: str | None) -> None:
    tree = factories.approved_tree()
    sql = f"""INSERT INTO trees_enrolment (tree_id, first_vintage, last_vintage, measured_on, registered_by_id,
                                           measured_by_id, approved_by_id, approved_at)
              SELECT tree_id, {values.format(y=YEAR)}, measured_on, registered_by_id, measured_by_id, approved_by_id,
                     now()
                FROM trees_enrolment WHERE tree_id = {tree.pk}"""
    with connection.cursor() as cursor:
        if rule is None:
            cursor.execute(sql)
            assert Enrolment.objects.count() == 2
        else:
            with pytest.raises(Exception, match=rule), transaction.atomic():
                cursor.execute(sql)
            assert Enrolment.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("registered_by", "measured_by", "approved_by", "photo", "rule"),
    [
        ("officer", "officer", "officer", True, "two_people"),
        ("reviewer", "officer", "officer", True, "by somebody else"),
        ("officer", "reviewer", "finance", True, "by somebody else"),
        ("officer", "officer", "reviewer", False, "no accepted photo"),
        ("officer", "officer", "reviewer", True, None),
    ],
)  # fmt: skip
def test_an_enrolment_by_plain_sql_needs_its_grounds(
    officer: User,
    reviewer: User,
    registered_by: str,
    measured_by: str,
    approved_by: str,
    photo: bool,
    rule: str | None,
) -> None:
    people = {"officer": officer.pk, "reviewer": reviewer.pk, "finance": factories.user(roles.FINANCE).pk}
    tree = factories.tree(factories.household(officer), photo=photo)
    sql = f"""INSERT INTO trees_enrolment (tree_id, first_vintage, last_vintage, measured_on, registered_by_id,
                                           measured_by_id, approved_by_id, approved_at)
              VALUES ({tree.pk}, 2026, 2031, now(), {people[registered_by]}, {people[measured_by]},
                      {people[approved_by]}, now())"""
    with connection.cursor() as cursor:
        if rule is None:
            cursor.execute(sql)
        else:
            with pytest.raises(IntegrityError, match=rule), transaction.atomic():
                cursor.execute(sql)
    assert Enrolment.objects.count() == (1 if rule is None else 0)


def test_a_withdrawn_consent_takes_approved_trees_out_and_their_unsold_sinks_off_sale(
    officer: User, county: Client, tree: Tree
) -> None:
    open_vintage(factories.tariff())
    waiting = factories.tree(tree.household)
    post(county, f"trees/{tree.number}/approve", {})
    withdraw_consent(tree.household, by=officer)
    assert {t.pk: t.state for t in Tree.objects.all()} == {tree.pk: "withdrawn", waiting.pk: "submitted"}
    assert (Sink.objects.get().open, Stock.objects.get().total) == (False, 0)
    assert tree.household.consents.get().withdrawn_at is not None
