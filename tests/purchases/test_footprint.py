"""The calculator's sums: published factors, exact Decimals, whole trees rounded up, a source for everything."""

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from purchases import footprint
from purchases.airports import AIRPORTS
from purchases.footprint import CABINS, GRIDS, HOTEL, TRAIN, WAYS, Footprint, Part
from tests import factories

amounts = st.integers(0, 10**11).map(lambda cents: Decimal(cents) / 100)
FACTORS = [*CABINS.values(), *WAYS.values(), *GRIDS.values(), TRAIN, HOTEL]
factors = st.integers(0, len(FACTORS) - 1).map(FACTORS.__getitem__)
codes = st.sampled_from(sorted(AIRPORTS))


@given(st.lists(st.tuples(amounts, factors), max_size=6), st.integers(1, 100))
def test_trees_are_as_few_whole_ones_as_cover_the_kilograms(parts: list[Any], sink_kg: int) -> None:
    found = Footprint(tuple(Part(amount, factor) for amount, factor in parts))
    assert found.kg == sum((amount * factor.kg for amount, factor in parts), Decimal(0))
    assert found.trees(sink_kg) * sink_kg >= found.kg
    assert (found.trees(sink_kg) - 1) * sink_kg < found.kg or found.kg == 0 == found.trees(sink_kg)


@given(amounts, amounts, st.sampled_from(sorted(CABINS)), st.integers(1, 50))
def test_more_distance_or_people_never_count_for_less(km: Decimal, more: Decimal, cabin: str, people: int) -> None:
    once = footprint.of_flight(km, cabin, people).kg
    assert footprint.of_flight(km + more, cabin, people).kg >= once
    assert footprint.of_flight(km, cabin, people + 1).kg >= once
    assert footprint.of_flight(km, cabin, people, there_and_back=True).kg == 2 * once


@given(codes, codes, codes)
def test_distances_are_the_same_both_ways_and_no_detour_is_shorter(a: str, b: str, c: str) -> None:
    assert footprint.distance_km(a, b) == footprint.distance_km(b, a)
    assert footprint.distance_km(a, a) == 0
    assert footprint.distance_km(a, b) <= footprint.distance_km(a, c) + footprint.distance_km(c, b) + 2
    assert footprint.distance_km(a, b) <= 20_016


@pytest.mark.parametrize(
    ("start", "end", "km"), [("LHR", "JFK", 5540), ("PEK", "PVG", 1098), ("SIN", "SYD", 6291), ("KWE", "PEK", 1756)]
)
def test_distances_are_those_of_the_globe(start: str, end: str, km: int) -> None:
    assert abs(footprint.distance_km(start, end) - km) <= 12


def test_every_factor_has_a_source_with_a_year() -> None:
    for factor in FACTORS:
        assert factor.kg > 0 and factor.source.year >= 2022 and factor.source.address.startswith("https://")
    assert len(GRIDS) == 31


@pytest.fixture
def market(db: None, client: Client) -> None:
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "en"
    factories.tariff()


@pytest.mark.usefixtures("market")
class TestPage:
    def result(self, client: Client, **asked: Any) -> str:
        answer = client.get("/calculator/", {**asked, "go": "1"})
        assert answer.status_code == 200
        return " ".join(answer.content.decode().split())

    def test_flight_between_airports(self, client: Client) -> None:
        seen = self.result(client, of="flight", start="KWE", end="PEK", cabin="economy", people=2, there_and_back="on")
        assert "767 kg" in seen and 'href="/anywhere/?trees=77"' in seen
        assert "0.10916" in seen and "conversion factors 2026" in seen
        assert "does not undo emissions one for one" in seen

    def test_commute_by_metro(self, client: Client) -> None:
        seen = self.result(client, of="commute", way="metro", km_per_day="20", days="230")
        assert "71 kg" in seen and 'href="/anywhere/?trees=8"' in seen  # 4,600 km × 0.01549 = 71.25 kg

    def test_electric_bicycle_by_its_own_electricity(self, client: Client) -> None:
        seen = self.result(client, of="commute", way="electric", km_per_day="10", days="200", kwh_per_100_km="1.5")
        assert "16 kg" in seen and "0.5306" in seen  # 30 kWh

    def test_electricity_of_a_province(self, client: Client) -> None:
        seen = self.result(client, of="electricity", kwh="100000", grid="贵州")
        assert "49,890 kg" in seen and 'href="/anywhere/?trees=4989"' in seen and "2022年" in seen

    def test_conference(self, client: Client) -> None:
        asked = {"people_by_air": 10, "km_by_air": 3000, "people_by_train": 90, "km_by_train": 500}
        seen = self.result(client, of="event", **asked, rooms=60, nights=2, kwh=1000)
        # 3,274.8 + 1,391.4 + 6,420 + 530.6
        assert "11,617 kg" in seen and 'href="/anywhere/?trees=1162"' in seen

    @pytest.mark.parametrize(
        "asked",
        [
            {"of": "flight", "cabin": "economy", "people": "1"},
            {"of": "flight", "start": "KWE", "end": "KWE", "cabin": "economy", "people": "1"},
            {"of": "flight", "km": "-5", "cabin": "economy", "people": "1"},
            {"of": "flight", "km": "NaN", "cabin": "economy", "people": "1"},
            {"of": "flight", "km": "1e400", "cabin": "economy", "people": "1"},
            {"of": "flight", "km": "5", "cabin": "hold", "people": "1"},
            {"of": "flight", "start": "XXX", "end": "PEK", "cabin": "economy", "people": "1"},
            {"of": "commute", "way": "electric", "km_per_day": "5", "days": "200"},
            {"of": "commute", "way": "bus", "km_per_day": "5", "days": "367"},
            {"of": "electricity", "kwh": "", "grid": "贵州"},
            {"of": "electricity", "kwh": "5", "grid": "Atlantis"},
            {"of": "event", "people_by_air": "5"},
            {"of": "event"},
        ],
    )
    def test_what_cannot_be_calculated_is_said_at_the_field(self, client: Client, asked: dict[str, str]) -> None:
        answer = client.get("/calculator/", {**asked, "go": "1"})
        assert answer.status_code == 400
        seen = answer.content.decode()
        assert 'class="errorlist' in seen or "notice-error" in seen
        assert 'id="result"' not in seen

    def test_an_unknown_tab_is_the_first_one(self, client: Client) -> None:
        assert client.get("/calculator/", {"of": "rocket"}).status_code == 200
