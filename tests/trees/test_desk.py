"""The queue and the pages of the desk: what waits where, what comes next, what stands beside a tree."""

from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from carbonsink.settings import tiles_origin
from tests import factories
from tests.plans import steps
from tests.trees import crowd
from tests.trees.conftest import signed_in
from tests.trees.registry import Page
from trees import review
from trees.desk import COUNTED_TO, Queue, villages
from trees.flags import raise_flag
from trees.models import Boundary, Flag, Tree


def numbers(trees: list[Any]) -> list[str]:
    return [tree.number for tree in trees]


class TestTheQueue:
    def test_it_goes_household_by_household_oldest_first_and_both_ways(self, reviewer: User, officer: User) -> None:
        first, second = factories.household(officer), factories.household(officer)
        trees = [factories.tree(owner) for owner in (first, second, first, second)]
        order = [trees[n] for n in (0, 2, 1, 3)]
        queue = Queue(reviewer)
        assert numbers(queue.trees(9)) == numbers(order)
        assert numbers(queue.trees(2)) == numbers(order[:2])
        assert numbers(queue.trees(9, after=order[1])) == numbers(order[2:])
        assert numbers(queue.trees(9, after=order[2], backwards=True)) == numbers(order[1::-1])
        assert queue.position(order[0])[0] is None
        assert queue.position(order[3])[1] is None
        # A tree that has been decided keeps its place as a mark.
        review.approve_tree(order[1], reviewer=reviewer)
        assert numbers(queue.trees(9, after=order[1])) == numbers(order[2:])

    def test_only_trees_with_an_accepted_picture_are_in_it(self, reviewer: User, officer: User) -> None:
        owner = factories.household(officer)
        factories.tree(owner, photo=False)
        good = factories.tree(owner)
        assert numbers(Queue(reviewer).trees(9)) == [good.number]

    def test_it_can_be_narrowed_to_flags_or_to_clean_trees(self, reviewer: User, officer: User) -> None:
        owner, shared, clean = (factories.household(officer) for _ in range(3))
        near, pace, plain, of_shared, of_clean = (
            factories.tree(one) for one in (owner, owner, owner, shared, clean)
        )  # fmt: skip
        raise_flag(Flag.Kind.NEAR_PHOTO, household=owner, tree=near, other_tree=plain)
        raise_flag(Flag.Kind.PACE, household=owner, tree=pace)
        raise_flag(Flag.Kind.SHARED_PHONE, household=shared, other_household=owner)
        expected = {
            "near_photo": [near], "pace": [pace], "shared_phone": [of_shared], "shared_id": [],
            "flagged": [near, pace, of_shared], "clean": [plain, of_clean], "": [near, pace, plain, of_shared, of_clean],
        }  # fmt: skip
        for only, trees in expected.items():
            assert numbers(Queue(reviewer, only=only).trees(9)) == numbers(trees), only
            assert numbers(Queue(reviewer, factories.OTHER_VILLAGE, only).trees(9)) == []
        review.approve_tree(near, reviewer=reviewer)
        assert numbers(Queue(reviewer, only="flagged").trees(9)) == numbers([pace, of_shared])

    def test_other_counties_and_other_roles_have_an_empty_one(self, officer: User) -> None:
        factories.tree(factories.household(officer))
        nowhere = factories.user(roles.REVIEWER)
        nowhere.area = ""
        for user in (factories.user(roles.REVIEWER, "522631"), nowhere, factories.user(roles.BUYER)):
            assert Queue(user).trees(9) == []
            assert villages(user) == ([], "")

    def test_its_cost_does_not_grow_with_what_waits(self, reviewer: User) -> None:
        """Whoever would sort or count all waiting trees reads thousands of rows here."""
        factories.divisions()
        owners = crowd.households([factories.VILLAGE, factories.OTHER_VILLAGE], 10)
        assert crowd.waiting_trees(owners, 200) == 4000
        first = Tree.objects.filter(household=owners[5]).order_by("registered_at").first()
        assert first is not None
        with CaptureQueriesContext(connection) as queries:
            assert len(Queue(reviewer).trees(1, after=first)) == 1
        (asked,) = (query["sql"] for query in queries if "LATERAL" in query["sql"])
        read = [step for step in steps(asked) if step.get("Relation Name") == "trees_tree"]
        assert {step["Index Name"] for step in read} == {"trees_tree_queue"}
        assert sum(step["Actual Rows"] * step["Actual Loops"] for step in read) < 50


def test_map_tiles_widen_the_security_policy_by_their_own_origin_alone() -> None:
    assert tiles_origin("https://{s}.tiles.example.org/{z}/{x}/{y}.png?key=1") == "https://*.tiles.example.org"
    for wrong in ("tiles.example.org/{z}", "javascript:alert(1)", "/tiles/{z}"):
        with pytest.raises(ImproperlyConfigured, match="MAP_TILES_URL"):
            tiles_origin(wrong)


class TestTheVillages:
    def test_they_say_what_waits_since_when_and_with_which_flags(self, reviewer: User, officer: User) -> None:
        owner = factories.household(officer)
        oldest, flagged = factories.tree(owner), factories.tree(owner)
        factories.tree(owner, photo=False)
        raise_flag(Flag.Kind.PACE, household=owner, tree=flagged)
        raise_flag(Flag.Kind.SHARED_PHONE, household=owner)
        approved = factories.approved_tree(factories.household(officer, village_code=factories.OTHER_VILLAGE), reviewer)
        raise_flag(Flag.Kind.PACE, household=approved.household, tree=approved)
        (village,), following = villages(reviewer)
        assert (village.division.code, following) == (factories.VILLAGE, "")
        assert (village.waiting, village.photoless, village.second_looks) == (2, 1, 0)
        assert village.oldest == Tree.objects.get(pk=oldest.pk).registered_at
        assert village.kinds == {"pace": 1, "shared_phone": 1}

    def test_a_village_where_trees_only_wait_for_photos_is_there_too(self, county: Client, officer: User) -> None:
        factories.tree(factories.household(officer), photo=False)
        page = county.get("/review/").content.decode()
        assert "waiting for a photo" in page
        assert "No tree waits for a review." in page
        assert "Many at once" not in page

    def test_they_are_paged_and_count_up_to_a_limit(self, reviewer: User, monkeypatch: Any) -> None:
        factories.divisions()
        crowd.waiting_trees(crowd.households([factories.VILLAGE, factories.OTHER_VILLAGE], 3), 350)
        monkeypatch.setattr("trees.desk.VILLAGES_A_PAGE", 1)
        (first,), following = villages(reviewer)
        assert (first.division.code, first.waiting, following) == (
            factories.OTHER_VILLAGE,
            COUNTED_TO,
            first.division.code,
        )
        (second,), following = villages(reviewer, after=following)
        assert (second.division.code, following) == (factories.VILLAGE, "")
        assert "1000+" in signed_in(reviewer).get("/review/").content.decode().replace(",", "")


class TestOneTree:
    def test_flags_stand_beside_the_tree_they_compare_it_with(self, county: Client, officer: User) -> None:
        owner, other = factories.household(officer), factories.household(village_code=factories.OTHER_COUNTY)
        tree = factories.tree(owner, lon=Decimal("108.921"), lat=Decimal("25.912"))
        near = factories.tree(other, lon=Decimal("108.921"), lat=Decimal("25.912004"))
        near.refresh_from_db()
        raise_flag(Flag.Kind.TOO_CLOSE, household=owner, tree=tree, other_tree=near, distance_m=0.4)
        raise_flag(Flag.Kind.SHARED_PHONE, household=owner, other_household=other)
        page = county.get(f"/review/{tree.number}/").content.decode()
        assert near.picture is not None
        for text in (
            "closer than 1 m to another tree", "distance 0.4 m", near.picture.large.url, "0.4 m away",
            other.masked_name, near.registered_by.name, "纪堂村", "another household has the same mobile number",
        ):  # fmt: skip
            assert text in page, text
        for secret in (owner.head_name, owner.id_number, owner.phone, other.head_name, other.phone):
            assert secret not in page
        # What lies in another county can be compared, not opened.
        assert county.get(f"/review/{near.number}/").status_code == 404

    def test_a_household_s_flag_is_settled_by_what_somebody_found_out(
        self, county: Client, officer: User, reviewer: User
    ) -> None:
        tree = factories.tree(factories.household(officer))
        raise_flag(Flag.Kind.SHARED_PHONE, household=tree.household)
        path = f"/review/households/{tree.household.public_id}/?only=shared_phone"
        answer = county.post(path, {"tree": tree.number, "note": " "})
        assert answer["Location"] == f"/review/{tree.number}/?only=shared_phone"
        assert "Write what you found out about the household." in Page(county.get(answer["Location"])).said
        assert Flag.objects.get().settled_at is None
        county.post(path, {"tree": tree.number, "note": "Father and son."})
        flag = Flag.objects.get()
        assert (flag.settled_by, flag.note, flag.review) == (reviewer, "Father and son.", None)
        assert numbers(Queue(reviewer, only="clean").trees(9)) == [tree.number]

    def test_who_did_what_is_listed(self, county: Client, reviewer: User, officer: User) -> None:
        tree = factories.tree(factories.household(officer))
        review.approve_tree(tree, reviewer=reviewer)
        review.take_back_approval(tree, reviewer=reviewer, reason="other", note="Look at the bark.")
        page = county.get(f"/review/{tree.number}/").content.decode()
        found = [
            page.index(text)
            for text in ("</b> registered", "photo: accepted", "</b> approved", "</b> approval taken back")
        ]
        assert found == sorted(found)
        assert "Another reason, see the note · Look at the bark." in page
        assert page.count("</b> approved") == 1

    def test_a_refused_approval_stays_at_the_address_and_in_the_queue(self, county: Client, officer: User) -> None:
        owner = factories.household(officer)
        tree, other = factories.tree(owner), factories.tree(owner)
        factories.programme(max_trees_per_household=1)
        query = f"?in={factories.VILLAGE}&only=clean"
        answer = county.post(f"/review/{tree.number}/{query}", {"decision": "approved"})
        assert answer["Location"] == f"/review/{other.number}/{query}"
        answer = county.post(answer["Location"], {"decision": "approved"})
        assert answer.status_code == 400
        assert "The household has its 1 trees already." in Page(answer).said
        assert answer.request["PATH_INFO"] == f"/review/{other.number}/"

    def test_a_tree_that_changed_since_it_was_seen_is_shown_again(self, county: Client, officer: User) -> None:
        tree = factories.tree(factories.household(officer))
        seen = Page(county.get(f"/review/{tree.number}/")).values["seen"]
        Tree.objects.update(revision=2, dbh_cm="6.1")
        answer = county.post(f"/review/{tree.number}/", {"decision": "approved", "seen": seen})
        assert answer.status_code == 409
        assert "This tree has changed since you opened it. Look at it again." in Page(answer).said
        assert "6.1" in answer.content.decode()
        assert Tree.objects.get().state == "submitted"
        again = Page(answer).values["seen"]
        assert county.post(f"/review/{tree.number}/", {"decision": "approved", "seen": again}).status_code == 302

    def test_the_map_has_the_tree_its_neighbours_and_its_village(self, county: Client, officer: User) -> None:
        owner = factories.household(officer)
        here = {"lon": Decimal("108.921000")}
        tree = factories.tree(owner, **here, lat=Decimal("25.912000"))
        near = factories.tree(owner, **here, lat=Decimal("25.912090"))
        factories.tree(owner, **here, lat=Decimal("25.922000"))
        factories.tree(owner, lon=None, lat=None, accuracy_m=None)
        factories.tree(factories.household(village_code=factories.OTHER_COUNTY))
        outline = {"type": "Polygon", "coordinates": [[[108, 25], [109, 25], [109, 26], [108, 25]]]}
        Boundary.objects.create(division_id="522633000000", geometry={"type": "Polygon", "coordinates": []}, source="x")
        Boundary.objects.create(division_id="522633102000", geometry=outline, source="x")
        found = county.get(f"/review/{tree.number}/map/").json()
        assert found["tree"] == {"number": tree.number, "position": [108.921, 25.912], "accuracy_m": 8}
        assert found["near"] == [
            {"number": near.number, "position": [108.921, 25.91209], "state": "waiting for review", "distance_m": 10.0}
        ]
        assert len(found["village"]) == 3
        assert (found["boundary"], found["tiles"]) == (outline, "")

    def test_the_demo_s_queue_of_nonsense_is_no_error(self, county: Client, officer: User) -> None:
        tree = factories.tree(factories.household(officer))
        for query in ("?in=%00", "?in=x&only=y", "?only=%27", "?in=" + "9" * 500):
            assert county.get(f"/review/{tree.number}/{query}").status_code in (200, 404)
            assert county.get(f"/review/next/{query}").status_code in (302, 404)
        assert county.get("/review/?after=%00").status_code in (200, 404)
        assert county.get(f"/review/villages/{factories.VILLAGE}/?after=%00").status_code in (200, 404)
        for path in (
            "/review/1/",
            "/review/villages/1/",
            "/review/villages/522600000000/",
            "/review/second-looks/999999999999999999999/",
        ):
            assert county.get(path).status_code == 404, path
