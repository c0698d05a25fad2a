"""Approving and rejecting many trees at once: what can go goes, what cannot is told, nothing is half done."""

import threading
import time
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.states import move_many
from payouts import audit
from purchases.models import Sink, Stock
from purchases.vintages import open_vintage
from tests import factories
from tests.ground.threads import at_once
from tests.processes import wait_for
from tests.purchases.test_selling_races import somebody_waits_for_a_lock
from tests.trees.conftest import signed_in
from tests.trees.registry import Page
from trees import review
from trees.flags import raise_flag
from trees.models import Enrolment, Flag, Household, Photo, Review, Tree
from trees.registration import withdraw_consent


def views_on(page: str) -> list[str]:
    """What a contact sheet says was seen: number and view of each tree."""
    return [part.split('"')[0] for part in page.split('name="shown" value="')[1:]]


def ids(*trees: Tree) -> list[int]:
    return [tree.pk for tree in trees]


def told(outcome: review.Told) -> dict[str, str]:
    """Number and code of each tree that was refused."""
    return {number: error.code for number, error in outcome.refused.items()}


def test_what_cannot_be_approved_is_told_and_the_others_are(reviewer: User, officer: User) -> None:
    owner, shared, left = (factories.household(officer) for _ in range(3))
    good, flagged, bare, rejected = (
        factories.tree(owner),
        factories.tree(owner),
        factories.tree(owner, photo=False),
        factories.tree(owner),
    )
    of_shared, of_left = factories.tree(shared), factories.tree(left)
    own = factories.tree(owner)
    Photo.objects.create(tree=own, sha256="0" * 64, original="x", uploaded_by=reviewer)
    raise_flag(Flag.Kind.TOO_CLOSE, household=owner, tree=flagged, other_tree=good, distance_m=0.5)
    raise_flag(Flag.Kind.SHARED_PHONE, household=shared, other_household=owner)
    review.reject_tree(rejected, reviewer=reviewer, reason="tenure")
    withdraw_consent(left, by=officer)
    outcome = review.approve_trees(ids(good, flagged, bare, rejected, of_shared, of_left, own), reviewer=reviewer)
    assert outcome.done == [good.number]
    assert told(outcome) == {
        flagged.number: "flagged", bare.number: "no_photo", rejected.number: "wrong_state",
        of_shared.number: "flagged", of_left.number: "no_consent", own.number: "same_person",
    }  # fmt: skip
    assert list(Tree.objects.filter(state="approved")) == [good]
    enrolment = Enrolment.objects.get()
    assert (enrolment.tree, enrolment.approved_by, enrolment.measured_by, enrolment.dbh_cm) == (
        good, reviewer, officer, good.dbh_cm,
    )  # fmt: skip
    assert [(r.tree, r.decision) for r in Review.objects.order_by("pk")] == [(rejected, "rejected"), (good, "approved")]
    assert Flag.objects.filter(settled_at__isnull=True).count() == 2


def test_a_flagged_tree_is_approved_alone_and_its_flag_settled_by_that_review(reviewer: User, officer: User) -> None:
    owner = factories.household(officer)
    tree, other = factories.tree(owner), factories.tree(owner)
    raise_flag(Flag.Kind.PACE, household=owner, tree=tree, trees_per_hour=300)
    raise_flag(Flag.Kind.PACE, household=owner, tree=other, trees_per_hour=300)
    raise_flag(Flag.Kind.SHARED_PHONE, household=owner)
    review.approve_tree(tree, reviewer=reviewer)
    settled = Flag.objects.get(settled_at__isnull=False)
    assert (settled.tree, settled.review, settled.settled_by) == (tree, tree.reviews.get(), reviewer)
    assert set(Flag.objects.filter(settled_at__isnull=True).values_list("tree", flat=True)) == {other.pk, None}


def test_what_changed_after_it_was_seen_is_not_approved(reviewer: User, officer: User) -> None:
    owner = factories.household(officer)
    trees = [factories.tree(owner) for _ in range(4)]
    views = {tree.number: review.sight(tree) for tree in review.with_sight(Tree.objects.all())}
    Tree.objects.filter(pk=trees[0].pk).update(revision=2)
    Tree.objects.filter(pk=trees[1].pk).update(picture=trees[2].photos.get())
    raise_flag(Flag.Kind.PACE, household=owner, tree=trees[2])
    outcome = review.approve_trees(ids(*trees), reviewer=reviewer, views=views)
    assert outcome.done == [trees[3].number]
    assert set(told(outcome).values()) == {"changed_meanwhile"}
    with pytest.raises(DomainError, match="changed since you opened it"):
        review.approve_tree(trees[2], reviewer=reviewer, seen=views[trees[2].number])
    with pytest.raises(DomainError, match="changed since you opened it"):
        review.reject_tree(trees[0], reviewer=reviewer, reason="tenure", seen=views[trees[0].number])
    assert Review.objects.count() == 1


def test_the_household_s_limit_holds_within_one_approval(reviewer: User, officer: User) -> None:
    first, second = factories.household(officer), factories.household(officer)
    trees = [factories.tree(first) for _ in range(5)] + [factories.tree(second)]
    factories.programme(max_trees_per_household=3)  # Lowered afterwards: else the last ones would have flags.
    outcome = review.approve_trees(ids(*trees), reviewer=reviewer)
    assert outcome.done == [tree.number for tree in [*trees[:3], trees[5]]]
    assert told(outcome) == {tree.number: "household_full" for tree in trees[3:5]}
    assert Enrolment.objects.count() == Review.objects.count() == 4


def test_many_go_back_with_one_reason(reviewer: User, officer: User) -> None:
    owner = factories.household(officer)
    trees = [factories.tree(owner) for _ in range(3)]
    review.approve_tree(trees[2], reviewer=reviewer)
    for reason, note in (("", ""), ("because", ""), ("other", " ")):
        with pytest.raises(DomainError) as error:
            review.reject_trees(ids(*trees), reviewer=reviewer, reason=reason, note=note)
        assert error.value.code == "no_reason"
    outcome = review.reject_trees(ids(*trees), reviewer=reviewer, reason="bad_photo", note=" too dark ")
    assert (outcome.done, told(outcome)) == ([t.number for t in trees[:2]], {trees[2].number: "wrong_state"})
    rejected = Review.objects.filter(decision="rejected")
    assert {(r.tree, r.reason, r.note) for r in rejected} == {(t, "bad_photo", "too dark") for t in trees[:2]}
    assert [c.reason for c in trees[0].history()] == ["bad_photo"]
    assert Enrolment.objects.count() == 1


def test_more_than_500_at_once_are_not_touched(reviewer: User, db: None) -> None:
    with pytest.raises(DomainError) as error:
        review.approve_trees(range(501), reviewer=reviewer)
    assert error.value.code == "too_many"


def a_hundred(officer: User) -> list[Tree]:
    """Clean trees of four households, with pictures, made quickly."""
    first = factories.tree(factories.household(officer))
    owners = [first.household, *(factories.household(officer) for _ in range(3))]
    trees = [first, *(factories.tree(owners[n % 4], photo=False) for n in range(99))]
    photo = first.photos.get()
    for tree in trees[1:]:
        copy = Photo.objects.create(
            tree=tree, sha256=photo.sha256, original=photo.original, uploaded_by=officer,
            large=photo.large, small=photo.small, dhash=0,
        )  # fmt: skip
        Tree.objects.filter(pk=tree.pk).update(picture=copy)
    move_many(Photo.objects.filter(state="received"), "accepted")
    return trees


def test_a_hundred_clean_trees_are_approved_by_one_press_within_two_seconds(
    county: Client, officer: User, capsys: Any
) -> None:
    trees = a_hundred(officer)
    open_vintage(factories.tariff())
    path = f"/review/villages/{factories.VILLAGE}/"
    begun = time.perf_counter()
    page = county.get(path).content.decode()
    sheet = time.perf_counter() - begun
    shown = views_on(page)
    assert len(shown) == 100
    with CaptureQueriesContext(connection) as queries:
        begun = time.perf_counter()
        answer = county.post(path, {"decision": "approved", "shown": shown})
        took = time.perf_counter() - begun
    with capsys.disabled():
        print(f"\n100 trees: sheet {1000 * sheet:.0f} ms, approval {1000 * took:.0f} ms, {len(queries)} statements")  # noqa: T201
    assert answer.status_code == 302
    assert took < 2
    assert len(queries) < 45
    assert Tree.objects.filter(state="approved").count() == Enrolment.objects.count() == Review.objects.count() == 100
    assert Sink.objects.filter(open=True).count() == 100
    assert "100 trees are decided." in county.get(answer["Location"]).content.decode()
    assert {tree.history().count() for tree in trees} == {1}
    assert list(audit.findings()) == []


class TestTheSheet:
    path = f"/review/villages/{factories.VILLAGE}/"

    def shown(self, county: Client) -> list[str]:
        return views_on(county.get(self.path).content.decode())

    def test_it_shows_clean_trees_only_and_approves_what_is_not_set_aside(self, county: Client, officer: User) -> None:
        owner = factories.household(officer)
        clean, aside, flagged, bare = (
            factories.tree(owner),
            factories.tree(owner),
            factories.tree(owner),
            factories.tree(owner, photo=False),
        )
        raise_flag(Flag.Kind.PACE, household=owner, tree=flagged)
        shown = self.shown(county)
        assert [one.split(":")[0] for one in shown] == [clean.number, aside.number]
        answer = county.post(self.path, {"decision": "approved", "shown": shown, "aside": [aside.number]})
        assert answer["Location"] == f"{self.path}?after={aside.number}"
        states = {
            number: Tree.objects.get(number=number).state
            for number in (t.number for t in (clean, aside, flagged, bare))
        }
        assert list(states.values()) == ["approved", "submitted", "submitted", "submitted"]
        assert "No more trees without a flag wait here." in county.get(answer["Location"]).content.decode()
        assert [one.split(":")[0] for one in self.shown(county)] == [aside.number]

    def test_it_sends_back_what_is_set_aside(self, county: Client, officer: User) -> None:
        owner = factories.household(officer)
        good, bad = factories.tree(owner), factories.tree(owner)
        body = {"decision": "rejected", "shown": self.shown(county), "aside": [bad.number]}
        assert county.post(self.path, body).status_code == 400
        assert county.post(self.path, body | {"reason": "wrong_size"}).status_code == 302
        assert [Tree.objects.get(pk=t.pk).state for t in (good, bad)] == ["submitted", "rejected"]

    def test_it_says_per_tree_what_could_not_be_approved(self, county: Client, officer: User) -> None:
        owner = factories.household(officer)
        first, second = factories.tree(owner), factories.tree(owner)
        factories.programme(max_trees_per_household=1)
        answer = county.post(self.path, {"decision": "approved", "shown": self.shown(county)}, follow=True)
        said = " ".join(Page(answer).said)
        assert "The household has its 1 trees already." in said
        assert second.number in said
        assert first.number not in said
        assert "1 tree is decided." in answer.content.decode()

    def test_a_flag_raised_after_the_sheet_was_shown_keeps_the_tree_out(self, county: Client, officer: User) -> None:
        tree = factories.tree(factories.household(officer))
        shown = self.shown(county)
        raise_flag(Flag.Kind.PACE, household=tree.household, tree=tree)
        county.post(self.path, {"decision": "approved", "shown": shown})
        assert Tree.objects.get().state == "submitted"

    def test_a_tree_of_another_county_smuggled_in_stops_it_all(self, county: Client, officer: User) -> None:
        mine = factories.tree(factories.household(officer))
        theirs = factories.tree(factories.household(village_code=factories.OTHER_COUNTY))
        shown = [*self.shown(county), f"{theirs.number}:1-{theirs.picture_id}-0"]
        assert county.post(self.path, {"decision": "approved", "shown": shown}).status_code == 404
        assert {Tree.objects.get(pk=t.pk).state for t in (mine, theirs)} == {"submitted"}

    def test_nothing_chosen_and_nonsense_are_said(self, county: Client, officer: User) -> None:
        factories.tree(factories.household(officer))
        for body in ({"decision": "approved"}, {"decision": "approved", "shown": ["x", "y:"]}, {"decision": "burnt"}):
            answer = county.post(self.path, body)
            assert answer.status_code in (400, 404)
            assert Page(answer).said
        assert Review.objects.count() == 0


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def test_two_reviewers_approve_the_same_hundred_at_once(self) -> None:
        trees = a_hundred(factories.user(roles.OFFICER))
        open_vintage(factories.tariff())
        reviewers = [factories.user(roles.REVIEWER) for _ in range(2)]
        outcomes = at_once(*(
            lambda r=r, turn=turn: review.approve_trees(ids(*trees)[::turn], reviewer=r) for r, turn in zip(reviewers, (1, -1), strict=True)
        ))  # fmt: skip
        assert sorted(len(outcome.done) for outcome in outcomes) == [0, 100]
        assert {code for outcome in outcomes for code in told(outcome).values()} == {"wrong_state"}
        assert Enrolment.objects.count() == Review.objects.count() == Sink.objects.count() == 100
        assert sum(Stock.objects.values_list("total", flat=True)) == 100
        assert {tree.history().count() for tree in trees} == {1}
        assert list(audit.findings()) == []

    def test_under_two_bulk_approvals_a_household_gets_exactly_its_limit(self) -> None:
        owner = factories.household()
        trees = [factories.tree(owner) for _ in range(12)]
        factories.programme(max_trees_per_household=7)
        reviewers = [factories.user(roles.REVIEWER) for _ in range(2)]
        at_once(
            lambda: review.approve_trees(ids(*trees[:6]), reviewer=reviewers[0]),
            lambda: review.approve_trees(ids(*trees[6:]), reviewer=reviewers[1]),
        )
        assert Tree.objects.filter(state="approved").count() == Enrolment.objects.count() == 7

    def test_who_withdraws_consent_meanwhile_leaves_no_tree_approved(self) -> None:
        owner = factories.household()
        trees = [factories.tree(owner) for _ in range(5)]
        reviewer, locked = factories.user(roles.REVIEWER), threading.Event()

        def withdraw() -> None:
            with transaction.atomic():
                withdraw_consent(owner, by=owner.registered_by)
                locked.set()
                wait_for(somebody_waits_for_a_lock)

        def approve() -> review.Told:
            assert locked.wait(20)
            return review.approve_trees(ids(*trees), reviewer=reviewer)

        withdrawn, outcome = at_once(withdraw, approve)
        assert withdrawn is None, withdrawn
        assert set(told(outcome).values()) == {"no_consent"}
        assert Enrolment.objects.count() == Review.objects.count() == 0

    def test_a_correction_meanwhile_is_either_seen_or_refused(self) -> None:
        """The enrolment never carries a measurement that the tree no longer has."""
        tree, reviewer, corrected = factories.tree(), factories.user(roles.REVIEWER), threading.Event()
        view = review.sight(review.with_sight(Tree.objects.all()).get())

        def correct() -> None:
            with transaction.atomic():
                Tree.objects.filter(pk=tree.pk).update(dbh_cm=20, revision=2)
                corrected.set()
                wait_for(somebody_waits_for_a_lock)

        def approve() -> Any:
            assert corrected.wait(20)
            return review.approve_tree(tree, reviewer=reviewer, seen=view)

        _corrected, answer = at_once(correct, approve)
        assert isinstance(answer, DomainError)
        assert answer.code == "changed_meanwhile"
        assert Enrolment.objects.count() == 0

    def test_households_in_any_order_do_not_deadlock(self) -> None:
        owners = [factories.household() for _ in range(4)]
        trees = [factories.tree(owner) for owner in owners for _ in range(3)]
        assert Household.objects.count() == 4
        reviewers = [factories.user(roles.REVIEWER) for _ in range(4)]
        orders = (trees, trees[::-1], trees[::3] + trees[1::3], trees[::2])
        outcomes = at_once(*(
            lambda r=r, some=some: review.approve_trees(ids(*some), reviewer=r) for r, some in zip(reviewers, orders, strict=True)
        ))  # fmt: skip
        assert sum(len(outcome.done) for outcome in outcomes) == 12
        assert Review.objects.count() == 12
        assert signed_in(reviewers[0]).get("/review/next/")["Location"] == "/review/"
