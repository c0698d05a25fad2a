"""What is suspicious about a tree as it arrives: each rule at its threshold, with its figures."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from tests import factories
from tests.trees.registry import post, stored, tree_body
from tests.trees.stand import LAT, LON, NOON, flags, place, plant, square
from trees.flags import look_at_trees
from trees.models import Boundary, Flag, Household, Import, Species, Tree

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(officer: User) -> Household:
    return factories.household(officer)


class TestTooClose:
    def test_a_tree_within_a_metre_of_a_stranger_s_is_flagged_with_the_figures(self, owner: Household) -> None:
        stranger = factories.household(village_code=factories.OTHER_VILLAGE)
        first = plant(stranger, accuracy_m=None)
        second = plant(owner, **place(north="0.000005"))
        assert flags("too_close") == [(second, first, {"distance_m": 0.56, "accuracy_m": 8, "other_accuracy_m": None})]
        assert Flag.objects.get().household == owner

    @pytest.mark.parametrize(
        ("north", "east", "metres"),
        [
            ("0.000008", "0", 0.89),
            ("0.000009", "0", None),  # 1.0008 m
            ("-0.000008", "0", 0.89),
            ("0", "0.000009", 0.9),
            ("0", "-0.000009", 0.9),
            ("0", "0.000010", None),  # 1.0002 m: a degree of longitude is shorter here
            ("0.000007", "0.000007", None),  # 1.05 m
            ("0.000006", "0.000007", 0.97),
            ("0", "0", 0.0),
        ],
    )
    def test_the_metre_is_measured_on_the_ground(
        self, owner: Household, north: str, east: str, metres: float | None
    ) -> None:
        plant(owner)
        plant(owner, **place(north, east))
        assert [found[2]["distance_m"] for found in flags("too_close")] == ([] if metres is None else [metres])

    def test_of_several_the_nearest_is_shown(self, owner: Household) -> None:
        plant(owner)
        near = plant(owner, **place(north="0.000010"))
        last = plant(owner, **place(north="0.000007"))
        assert [found[:2] for found in flags("too_close")] == [(last, near)]

    @pytest.mark.parametrize("state", Tree.State.values)
    def test_what_has_left_the_scheme_stands_in_nobody_s_way(self, owner: Household, state: str) -> None:
        Tree.objects.filter(pk=plant(owner).pk).update(state=state)
        plant(owner)
        left = state in ("dead", "felled", "withdrawn", "expired")
        assert len(flags("too_close")) == (0 if left else 1)

    def test_trees_without_a_position_are_close_to_nothing(self, owner: Household) -> None:
        for _ in range(3):
            plant(owner, lon=None, lat=None)
        assert not Flag.objects.exists()

    def test_at_the_pole_nothing_breaks(self, owner: Household) -> None:
        for lon in (0, 180):
            plant(owner, lon=Decimal(lon), lat=Decimal(90))
        assert [found[2]["distance_m"] for found in flags("too_close")] == []

    def test_the_device_sends_it_twice_and_there_is_one_tree_and_one_flag(
        self, field: Client, owner: Household
    ) -> None:
        plant(owner)
        body = tree_body(owner, lon=str(LON), lat=str(LAT))
        before = stored()
        assert [post(field, "trees", body).status_code for _ in range(2)] == [201, 201]
        assert len(flags("too_close")) == 1
        assert stored()["Tree"] == before["Tree"] + 1


class TestOutsideVillage:
    def test_beyond_the_tolerance_of_the_county_s_outline(self, owner: Household) -> None:
        Boundary.objects.create(division_id="522633000000", geometry=square(108, 25, 109, 26), source="test")
        plant(owner, lat=Decimal("26.017"), accuracy_m=0)  # 1.9 km
        plant(owner, lat=Decimal("26.019"), accuracy_m=200)  # 2.1 km, but seen to 200 m only
        far = plant(owner, lat=Decimal("26.019"), lon=Decimal("108.5"), accuracy_m=None)
        assert flags("outside_village") == [(far, None, {"distance_km": 2.1, "boundary": "522633000000"})]

    def test_the_nearest_outline_counts(self, owner: Household) -> None:
        Boundary.objects.create(division_id="522633000000", geometry=square(108, 25, 109, 26), source="test")
        Boundary.objects.create(
            division_id=owner.village_id, geometry=square(108.9, 25.9, 108.95, 25.95), source="test"
        )
        Boundary.objects.create(
            division_id=factories.OTHER_VILLAGE, geometry=square(108.2, 25.2, 108.3, 25.3), source="test"
        )
        plant(owner)
        elsewhere = plant(owner, lon=Decimal("108.25"), lat=Decimal("25.25"))
        [(tree, _other, evidence)] = flags("outside_village")
        assert (tree, evidence["boundary"]) == (elsewhere, owner.village_id)
        assert evidence["distance_km"] == pytest.approx(97.45, abs=0.06)  # 65.4 km west and 72.3 km south

    def test_without_an_outline_the_village_s_other_trees_tell(self, owner: Household) -> None:
        factories.programme(village_radius_km=5)
        for number in range(5):
            plant(owner, **place(east=number / 1000))
        near = plant(owner, **place(north="0.044"))  # 4.9 km
        far = plant(owner, **place(north="0.051"))
        assert near not in [found[0] for found in flags("outside_village")]
        [(tree, other, evidence)] = flags("outside_village")
        assert (tree, other, evidence) == (far, None, {"distance_km": 5.7})

    def test_fewer_than_five_others_tell_nothing(self, owner: Household) -> None:
        for number in range(4):
            plant(owner, **place(east=number / 1000))
        for _ in range(6):
            plant(owner, lon=None, lat=None)
        far = plant(owner, **place(north=1))
        assert flags("outside_village") == []
        plant(owner, **place(east="0.005"))
        look_at_trees([far.pk])
        assert [found[0] for found in flags("outside_village")] == [far]

    def test_one_household_does_not_move_the_middle_of_its_village(self, owner: Household) -> None:
        for _ in range(4):
            one = factories.household(owner.registered_by)
            for number in range(10):
                plant(one, **place(east=number / 10000))
        moved = [plant(owner, **place(north=1, east=number / 10000)) for number in range(60)]
        assert {found[0] for found in flags("outside_village")} == set(moved)
        assert {found[2]["distance_km"] for found in flags("outside_village")} == {111.2}

    def test_other_villages_and_trees_that_left_do_not_count(self, owner: Household) -> None:
        stranger = factories.household(village_code=factories.OTHER_VILLAGE)
        for number in range(6):
            plant(stranger, **place(east=number / 1000))
            plant(owner, **place(east=number / 1000))
        owner.trees.update(state="felled")
        plant(owner, **place(north=1))
        assert flags("outside_village") == []


class TestPace:
    def run(self, owner: Household, *seconds: int, step: float = 0.0001, **changes: Any) -> list[Tree]:
        """Trees recorded so many seconds after noon, each 11 m farther north."""
        return [
            plant(owner, captured_at=NOON + timedelta(seconds=after), **place(north=step * number), **changes)
            for number, after in enumerate(seconds)
        ]

    def test_more_trees_in_an_hour_than_the_programme_allows(self, owner: Household) -> None:
        factories.programme(max_trees_per_hour=3)
        trees = self.run(owner, 0, 60, 120, 180, 3721)
        assert flags("pace") == [(trees[3], None, {"trees_in_hour": 4, "most_per_hour": 3})]

    def test_the_order_of_arrival_does_not_matter(self, owner: Household) -> None:
        factories.programme(max_trees_per_hour=3)
        last = self.run(owner, 180, 120, 60, 0)[-1]
        assert [found[0] for found in flags("pace")] == [last]

    def test_each_officer_has_their_own_pace(self, owner: Household) -> None:
        factories.programme(max_trees_per_hour=2)
        self.run(owner, 0, 60)
        self.run(factories.household(factories.user(roles.OFFICER)), 30, 90)
        assert flags("pace") == []

    def test_over_a_page_trees_are_recorded_as_they_arrive(self, owner: Household) -> None:
        factories.programme(max_trees_per_hour=2)
        trees = [plant(owner, **place(north=number / 1000)) for number in range(3)]
        assert flags("pace") == [(trees[2], None, {"trees_in_hour": 3, "most_per_hour": 2})]

    def test_imported_trees_have_no_pace(self, owner: Household) -> None:
        factories.programme(max_trees_per_hour=2)
        file = Import.objects.create(kind="trees", file_name="a.csv", sha256="0" * 64, imported_by=owner.registered_by)
        made = Tree.objects.bulk_create(
            Tree(
                number=f"{number:019d}",
                household=owner,
                ordinal=number,
                registered_by=owner.registered_by,
                measured_by=owner.registered_by,
                imported_from=file,
                **factories.tree_data(captured_at=NOON, **place(north=number / 100)),
            )
            for number in range(101, 105)
        )
        look_at_trees([tree.pk for tree in made])
        plant(owner, **place(north=2, east=2), captured_at=NOON)
        assert flags("pace") == []

    @pytest.mark.parametrize(
        ("step", "seconds", "accuracy_m", "flagged"),
        [
            (0.001, 20, 8, True),  # 111 m in 20 s, beyond twice 8 m: 4.8 m/s
            (0.001, 39, 8, False),  # 2.44 m/s
            (0.001, 20, 40, False),  # may have been 31 m
            (0.001, 0, 8, True),
            (0.001, 4, None, True),  # without accuracy: 50 m each, 2.8 m/s
            (0.001, 5, None, False),
            (0.1, 3600, 8, True),  # 11 km in an hour: 3.1 m/s
            (0.1, 3601, 8, False),  # longer ago: may have ridden
        ],
    )
    def test_faster_than_anybody_walks(
        self, owner: Household, step: float, seconds: int, accuracy_m: int | None, flagged: bool
    ) -> None:
        first, second = self.run(owner, 0, seconds, step=step, accuracy_m=accuracy_m)
        metres = round(step * 111195)
        expected = [(second, first, {"distance_m": metres, "seconds": seconds})]
        assert flags("pace") == (expected if flagged else [])

    def test_only_the_trees_before_and_after_are_compared(self, owner: Household) -> None:
        """There and back within ten minutes is a walk of 220 m, not a jump."""
        assert len(self.run(owner, 0, 300, 600, step=0.001)) == 3
        plant(owner, captured_at=NOON + timedelta(seconds=310), **place(north="0.00101"))
        assert flags("pace") == []

    def test_an_earlier_tree_that_arrives_later_is_compared_with_the_next(self, owner: Household) -> None:
        later = plant(owner, captured_at=NOON, **place(north="0.01"))
        earlier = plant(owner, captured_at=NOON - timedelta(seconds=10))
        assert [found[:2] for found in flags("pace")] == [(earlier, later)]

    def test_a_jump_needs_two_positions(self, owner: Household) -> None:
        plant(owner, captured_at=NOON, lon=None, lat=None)
        plant(owner, captured_at=NOON + timedelta(seconds=1), **place(north=1))
        assert flags("pace") == []


class TestSizeAndNumber:
    @pytest.mark.parametrize(
        ("form", "largest", "dbh_cm", "evidence"),
        [
            ("tree", "80", "80", None),
            ("tree", "80", "80.1", {"dbh_cm": 80.1, "largest_cm": 80.0, "of_species": True}),
            ("tree", None, "120", None),
            ("tree", None, "120.1", {"dbh_cm": 120.1, "largest_cm": 120, "of_species": False}),
            ("bamboo", None, "30", None),
            ("bamboo", None, "30.1", {"dbh_cm": 30.1, "largest_cm": 30, "of_species": False}),
            ("bamboo", "6", "6.5", {"dbh_cm": 6.5, "largest_cm": 6.0, "of_species": True}),
        ],
    )
    def test_thicker_than_its_species(
        self, owner: Household, form: str, largest: str | None, dbh_cm: str, evidence: dict[str, Any] | None
    ) -> None:
        species = Species.objects.create(scientific_name="Arbor ficta", name_zh="树", form=form, max_dbh_cm=largest)
        tree = plant(owner, species=species, dbh_cm=Decimal(dbh_cm))
        assert flags("oversize") == ([(tree, None, evidence)] if evidence else [])

    def test_a_tree_with_an_age_alone_has_no_size(self, owner: Household) -> None:
        plant(owner, dbh_cm=None, planted_year=2010)
        assert not Flag.objects.exists()

    def test_more_than_the_household_may_have(self, owner: Household) -> None:
        factories.programme(max_trees_per_household=2)
        trees = [plant(owner, **place(north=number / 1000)) for number in range(4)]
        assert flags("over_limit") == [
            (trees[2], None, {"place": 3, "most_trees": 2}),
            (trees[3], None, {"place": 4, "most_trees": 2}),
        ]

    @pytest.mark.parametrize("state", Tree.State.values)
    def test_only_trees_that_take_a_place_count(self, owner: Household, state: str) -> None:
        factories.programme(max_trees_per_household=1)
        Tree.objects.filter(pk=plant(owner).pk).update(state=state)
        plant(owner, **place(north="0.001"))
        assert len(flags("over_limit")) == (1 if state in ("submitted", "approved", "suspended") else 0)

    def test_each_household_has_its_own_limit(self, owner: Household) -> None:
        factories.programme(max_trees_per_household=1)
        plant(owner)
        plant(factories.household(), **place(north="0.001"))
        assert flags("over_limit") == []
