"""What becomes of flags: corrections, decisions, looking again. A flag blocks nothing."""

import io
import uuid
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from tests import factories
from tests.trees.stand import LAT, LON, NOON, place, plant, square
from trees import boundaries, review
from trees.flags import explain, look_at_trees, open_flags, raise_flag, settle, settle_household
from trees.models import Boundary, Correction, Flag, Household, Review, Species, Tree

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(officer: User) -> Household:
    return factories.household(officer)


def correct(tree: Tree, by: User, **changes: Any) -> None:
    """What a correction writes."""
    Tree.objects.filter(pk=tree.pk).update(revision=tree.revision + 1, **changes)
    tree.refresh_from_db()
    Correction.objects.create(tree=tree, revision=tree.revision, body_hash="", before={}, by=by)


def decide(tree: Tree, reviewer: User, decision: str = "approved") -> Review:
    """A review, with the tree's flags settled by it."""
    made = Review.objects.create(
        tree=tree, reviewer=reviewer, decision=decision, reason="" if decision == "approved" else "wrong_place"
    )
    settle([made], by=reviewer)
    return made


class TestCorrections:
    def test_a_correction_settles_what_does_not_hold_any_more(self, owner: Household, officer: User) -> None:
        first, second = plant(owner), plant(owner)
        flag = Flag.objects.get()
        correct(second, officer, **place(north="0.001"))
        assert look_at_trees([second.pk], by=officer) == (0, 1)
        flag.refresh_from_db()
        assert (flag.settled_by, flag.note, flag.review, flag.tree) == (officer, "no longer so", None, second)
        assert not open_flags(second).exists()
        assert not open_flags(first).exists()

    def test_a_correction_of_the_other_tree_does_too(self, owner: Household, officer: User) -> None:
        first, second = plant(owner), plant(owner)
        correct(first, officer, **place(north="0.001"))
        assert look_at_trees([first.pk], by=officer) == (0, 1)
        assert not open_flags(second).exists()

    def test_what_holds_with_other_figures_is_told_anew(self, owner: Household, officer: User) -> None:
        plant(owner)
        second = plant(owner)
        correct(second, officer, **place(north="0.000005"))
        assert look_at_trees([second.pk], by=officer) == (1, 1)
        assert look_at_trees([second.pk], by=officer) == (0, 0)
        assert [flag.evidence["distance_m"] for flag in open_flags(second)] == [0.56]

    def test_without_a_person_nothing_is_settled(self, owner: Household, officer: User) -> None:
        plant(owner)
        second = plant(owner)
        correct(second, officer, **place(north="0.001"))
        assert look_at_trees([second.pk]) == (0, 0)
        assert open_flags(second).count() == 1

    def test_what_a_person_has_judged_is_not_told_again_until_the_tree_is_corrected(
        self, owner: Household, officer: User, reviewer: User
    ) -> None:
        plant(owner)
        second = plant(owner)
        decide(second, reviewer, "rejected")
        assert look_at_trees([second.pk], by=officer) == (0, 0)
        correct(second, officer, dbh_cm=9)
        assert look_at_trees([second.pk], by=officer) == (1, 0)

    def test_flags_of_other_kinds_are_left_alone(self, owner: Household, officer: User) -> None:
        tree = plant(owner)
        raise_flag(Flag.Kind.PHOTO_TIME, household=owner, tree=tree, difference_h=30)
        raise_flag(Flag.Kind.SHARED_PHONE, household=owner)
        assert look_at_trees([tree.pk], by=officer) == (0, 0)
        assert open_flags(tree).count() == 2


class TestSettling:
    def test_a_review_settles_the_flags_of_its_tree_and_no_others(self, owner: Household, reviewer: User) -> None:
        plant(owner)
        second, third = plant(owner), plant(owner)
        raise_flag(Flag.Kind.SHARED_PHONE, household=owner)
        made = decide(second, reviewer)
        flag = second.flags.get()
        assert (flag.review, flag.settled_by, flag.note) == (made, reviewer, "")
        assert [flag.kind for flag in open_flags(second)] == ["shared_phone"]
        assert [flag.kind for flag in open_flags(third)] == ["too_close", "shared_phone"]

    def test_a_household_s_flag_is_settled_by_somebody_else_with_a_note(self, owner: Household, reviewer: User) -> None:
        raise_flag(Flag.Kind.SHARED_PHONE, household=owner)
        for by, note, code in ((reviewer, " ", "no_note"), (owner.registered_by, "fine", "same_person")):
            with pytest.raises(DomainError) as refused:
                settle_household(owner, by=by, note=note)
            assert refused.value.code == code
        assert Flag.objects.get().settled_at is None
        assert settle_household(owner, by=reviewer, note=" Father and son. ") == 1
        flag = Flag.objects.get()
        assert (flag.settled_by, flag.note) == (reviewer, "Father and son.")
        assert settle_household(owner, by=reviewer, note="again") == 0

    def test_the_database_keeps_what_was_said(self, owner: Household, reviewer: User) -> None:
        raise_flag(Flag.Kind.SHARED_PHONE, household=owner)
        settle_household(owner, by=reviewer, note="fine")
        for change in ({"evidence": {}}, {"settled_at": None, "settled_by": None}, {"note": "other"}):
            with pytest.raises(DatabaseError), transaction.atomic():
                Flag.objects.update(**change)

    @pytest.mark.parametrize("kind", Flag.Kind.values)
    def test_no_flag_blocks_an_approval(self, county: Client, kind: str, owner: Household) -> None:
        tree = factories.tree(owner)
        raise_flag(kind, household=owner, tree=None if kind in Flag.ABOUT_HOUSEHOLDS else tree)
        assert county.post(f"/review/{tree.number}/", {"decision": "approved"}).status_code == 302
        tree.refresh_from_db()
        assert tree.state == "approved"

    def test_all_that_is_suspicious_at_once_is_still_a_person_s_decision(self, owner: Household) -> None:
        factories.programme(max_trees_per_hour=1, max_trees_per_household=1)
        Boundary.objects.create(division_id="522633000000", geometry=square(10, 10, 11, 11), source="test")
        plant(owner, captured_at=NOON, **place(east="0.01"))
        plant(factories.household(), captured_at=NOON)
        tree = factories.tree(owner, captured_at=NOON, dbh_cm=300, **place())
        kinds = {flag.kind for flag in open_flags(tree)}
        assert kinds == {"too_close", "outside_village", "pace", "oversize", "over_limit"}
        review.approve_tree(tree, reviewer=factories.user(roles.REVIEWER))
        assert tree.state == "approved"


def many(owner: Household, count: int) -> list[int]:
    """Trees at one place, each with something of every kind, as an import writes them but for the file."""
    trees = Tree.objects.bulk_create(
        Tree(
            number=f"9{owner.pk:09d}{number:09d}",
            client_uuid=uuid.uuid4(),
            household=owner,
            ordinal=number,
            species=Species.objects.get(scientific_name="Cunninghamia lanceolata"),
            dbh_cm=300,
            lon=LON + 1,
            lat=LAT,
            measured_on=timezone.localdate(),
            captured_at=NOON,
            registered_by=owner.registered_by,
            measured_by=owner.registered_by,
        )
        for number in range(2, 2 + count)
    )
    return [tree.pk for tree in trees]


def test_as_many_statements_for_300_trees_as_for_one(owner: Household) -> None:
    factories.programme(max_trees_per_hour=1, max_trees_per_household=1)
    Boundary.objects.create(division_id="522633000000", geometry=square(108, 25, 109, 26), source="test")
    plant(owner)
    counts = []
    for count in (2, 300):
        ids = many(factories.household(owner.registered_by), count)
        boundaries.outline.cache_clear()
        with CaptureQueriesContext(connection) as captured:
            look_at_trees(ids)
        counts.append(len([query for query in captured if "SAVEPOINT" not in query["sql"]]))
        kinds = Flag.objects.filter(tree__in=ids).values_list("kind", flat=True)
        assert set(kinds) == {"too_close", "outside_village", "pace", "oversize", "over_limit"}
    assert counts[0] == counts[1]
    assert counts[0] <= 12


class TestLookingAgain:
    def run(self, *args: str) -> str:
        out = io.StringIO()
        call_command("look_again", *args, stdout=out)
        return out.getvalue()

    def test_new_outlines_are_held_against_trees_that_wait(self, owner: Household, officer: User) -> None:
        waiting, done = plant(owner), plant(owner, **place(north="0.01"))
        Tree.objects.filter(pk=done.pk).update(state="approved")
        assert self.run() == "1 trees: 0 flags were raised, 0 were settled.\n"
        Boundary.objects.create(division_id="522633000000", geometry=square(10, 10, 11, 11), source="test")
        assert self.run("--dry-run") == "1 trees: 1 flags would be raised, 0 would be settled.\n"
        assert not Flag.objects.exists()
        assert self.run("--area", "5227") == "0 trees: 0 flags were raised, 0 were settled.\n"
        assert self.run() == "1 trees: 1 flags were raised, 0 were settled.\n"
        assert Flag.objects.get().tree == waiting
        assert self.run("--all") == "2 trees: 1 flags were raised, 0 were settled.\n"

    def test_somebody_answers_for_what_is_settled(self, owner: Household, reviewer: User, officer: User) -> None:
        plant(owner)
        Boundary.objects.create(division_id="522633000000", geometry=square(10, 10, 11, 11), source="test")
        self.run()
        Boundary.objects.all().delete()
        assert self.run() == "1 trees: 0 flags were raised, 0 were settled.\n"
        for nobody in ("nobody@example.org", officer.email):
            with pytest.raises(CommandError, match="names no reviewer"):
                self.run("--by", nobody)
        assert self.run("--by", reviewer.email) == "1 trees: 0 flags were raised, 1 were settled.\n"
        assert Flag.objects.get().settled_by == reviewer


class TestSentences:
    def say(self, kind: str, tree: Tree, other: Tree | None = None, **evidence: Any) -> str:
        raise_flag(kind, household=tree.household, tree=tree, other_tree=other, **evidence)
        return explain(open_flags(tree).get(kind=kind))

    @translation.override("en")
    def test_each_kind_is_a_sentence_with_its_figures(self, owner: Household) -> None:
        other, tree = plant(owner, accuracy_m=None), plant(owner, **place(north="0.000005"))
        assert explain(open_flags(tree).get()) == (
            f"0.56 m from tree {other.number} of household {owner}. Accuracy of the positions: here 8 m, there unknown."
        )
        assert self.say("outside_village", tree, distance_km=5.7) == (
            "5.7 km from the middle of the village's other trees."
        )
        assert self.say("outside_village", other, distance_km=2.1, boundary="522633000000") == "2.1 km outside 从江县."
        assert self.say("pace", tree, trees_in_hour=301, most_per_hour=240) == (
            "One of 301 trees that the officer recorded within an hour; 240 are thought possible."
        )
        assert self.say("pace", other, tree, distance_m=111, seconds=20) == (
            f"Recorded 20 seconds apart from tree {tree.number}, which stands 111 m away."
        )
        assert self.say("oversize", tree, dbh_cm=80.1, largest_cm=80.0, of_species=True) == (
            "DBH 80.1 cm. The thickest of this species that is known of has 80.0 cm."
        )
        assert self.say("oversize", other, dbh_cm=120.1, largest_cm=120, of_species=False) == (
            "DBH 120.1 cm. Hardly any tree or bamboo is thicker than 120 cm."
        )
        assert self.say("over_limit", tree, place=451, most_trees=450) == (
            "Tree number 451 of the household, which may have 450."
        )

    @pytest.mark.parametrize("kind", sorted(set(Flag.Kind.values) - {Flag.Kind.SAME_PHOTO}))
    def test_evidence_of_another_shape_is_shown_as_it_is(self, owner: Household, kind: str) -> None:
        assert self.say(kind, plant(owner), lag_h=30, likeness=0.9) == "lag 30 h · likeness 0.9"
