"""The API of what can be bought."""

import pytest
from django.test import Client

from tests import factories
from trees.models import Species

pytestmark = pytest.mark.django_db


def test_species_and_trees_for_sale(client: Client) -> None:
    first, second = factories.market(2, 1)
    sold = first.trees.order_by("ordinal")[0]
    factories.paid_order(tree=sold)
    (kind,) = client.get("/api/v1/species").json()
    assert kind["scientific_name"] == "Cunninghamia lanceolata" and kind["about_unsold"] == 2
    found = client.get("/api/v1/trees-for-sale", {"area": "522633000000", "species": kind["id"]}).json()
    left = first.trees.order_by("ordinal")[1]
    assert [tree["number"] for tree in found["trees"]] == [left.number, second.trees.get().number]
    assert (found["price_fen"], found["next"]) == (300, None)
    seen = found["trees"][0]
    assert seen["household_name"] == first.masked_name and seen["position"] == [108.92, 25.91]
    assert first.head_name not in str(found)
    assert client.get("/api/v1/trees-for-sale", {"area": "522631000000"}).json()["trees"] == []


def test_pages_follow_each_other(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("purchases.api.catalogue.PAGE", 2)
    factories.market(2, 1)
    first = client.get("/api/v1/trees-for-sale").json()
    second = client.get("/api/v1/trees-for-sale", {"cursor": first["next"]}).json()
    assert [len(page["trees"]) for page in (first, second)] == [2, 1]
    assert second["next"] is None
    assert not {t["number"] for t in first["trees"]} & {t["number"] for t in second["trees"]}


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"area": "1"}, 404),
        ({"species": "x"}, 400),
        ({"species": "0"}, 404),
        ({"species": "9" * 30}, 400),
        ({"cursor": "x"}, 404),
        ({"cursor": "9999999999999999999.1"}, 404),
    ],
)
def test_bad_questions_are_answered_clearly(client: Client, asked: dict[str, str], status: int) -> None:
    factories.market(1)
    answer = client.get("/api/v1/trees-for-sale", asked)
    assert answer.status_code == status and answer.json()["message"]


def test_without_a_sale_there_is_nothing(client: Client) -> None:
    Species.objects.create(scientific_name="Ginkgo biloba", name_zh="银杏")
    assert client.get("/api/v1/species").json() == []
    assert client.get("/api/v1/trees-for-sale").json() == {
        "vintage": None,
        "price_fen": None,
        "trees": [],
        "next": None,
    }


def test_schema_describes_them(client: Client) -> None:
    schema = client.get("/api/schema/", headers={"Accept": "application/json"}).json()
    for path in ("/api/v1/species", "/api/v1/trees-for-sale", "/api/v1/campaigns/{slug}", "/api/v1/areas/{code}"):
        assert "get" in schema["paths"][path]
