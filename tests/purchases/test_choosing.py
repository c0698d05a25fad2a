"""What a visitor sees before the order form: places, households, species, trees, and how few queries it takes."""

import json
import re
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from purchases import areas, survey, tasks
from purchases.models import Order, Stock
from tests import factories
from tests.payouts import broker
from trees.models import Boundary, Species, Tree

pytestmark = pytest.mark.django_db
COUNTY, VILLAGE = "522633000000", factories.VILLAGE
MOST_QUERIES = 13
SQUARE = {"type": "Polygon", "coordinates": [[[108.8, 25.8], [109.1, 25.8], [109.1, 26.0], [108.8, 25.8]]]}


@pytest.fixture(autouse=True)
def in_english(client: Client) -> None:
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "en"


def text(client: Client, address: str, status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", answer.content.decode()))


def cards(client: Client, address: str) -> list[str]:
    """The numbers of the trees that a page shows as cards, in their order."""
    return re.findall(r'class="tree-card">\s*<a href="/trees/(\d{19})/"', client.get(address).content.decode())


def order_form(client: Client, address: str, **fields: Any) -> Any:
    page = client.get(address).content.decode()
    token = re.search(r'name="form_token" value="([^"]+)"', page)
    assert token
    sent = {"form_token": token.group(1), "contact": "buyer@example.org", "quantity": 1, **fields}
    return client.post(address, sent)


def test_front_page_counts_from_the_stock_and_leads_to_a_purchase_anywhere(client: Client) -> None:
    factories.market(3, 2)
    factories.paid_order(2)
    seen = text(client, "/")
    assert "3 trees can be bought" in re.sub(r"(trees can be bought) (\d+)", r"\2 \1", seen)
    assert "¥3 one tree, one year counts as 10 kg CO₂ *" in seen
    page = text(client, "/anywhere/?trees=2")
    assert "3 trees can be bought" in page
    assert 'value="2"' in client.get("/anywhere/?trees=2").content.decode()
    answer = order_form(client, "/anywhere/?trees=2", quantity=2)
    order = Order.objects.latest("pk")
    assert answer.headers["Location"] == f"/orders/{order.token}/"
    assert (order.quantity, order.area, order.household, order.species, order.tree) == (2, None, None, None, None)


@pytest.mark.parametrize("asked", ["-1", "0", "x", "1e3", "99999999999", "½", ""])
def test_a_senseless_number_in_the_address_is_one_tree(client: Client, asked: str) -> None:
    factories.market(1)
    assert 'name="quantity" value="1"' in client.get("/anywhere/", {"trees": asked}).content.decode()


def test_every_page_of_the_market_takes_few_queries_warm_and_cold(client: Client) -> None:
    owner, other = factories.market(4, 3)
    factories.paid_order(2)
    Boundary.objects.create(division_id=COUNTY, geometry=SQUARE, source="test")
    number, kind = owner.trees.first().number, Species.objects.get().pk
    addresses = [
        *("/", "/anywhere/", f"/areas/{COUNTY}/", "/areas/520000000000/", f"/areas/{VILLAGE}/", "/species/"),
        *(f"/species/{kind}/", f"/species/{kind}/?area={COUNTY}", f"/households/{other.public_id}/"),
        *("/calculator/", "/campaigns/", "/map/outlines.json"),
    ]
    for address in addresses:
        cache.clear()
        for _warm in range(2):
            with CaptureQueriesContext(connection) as queries:
                assert client.get(address).status_code == 200
            assert len(queries) <= MOST_QUERIES, (address, [query["sql"][:120] for query in queries])
            skipping = [query["sql"] for query in queries if "OFFSET" in query["sql"]]
            assert skipping == []
    with CaptureQueriesContext(connection) as queries:
        assert client.get(f"/trees/{number}/").status_code == 200
    assert len(queries) <= 16


def test_no_page_looks_at_all_sinks_once_the_survey_is_taken(client: Client) -> None:
    (owner,) = factories.market(3)
    tasks.take_survey()
    with CaptureQueriesContext(connection) as queries:
        for address in ("/", "/species/", f"/areas/{VILLAGE}/", f"/households/{owner.public_id}/"):
            client.get(address)
    counting = [q["sql"] for q in queries if "count(" in q["sql"].lower() and "purchases_sink" in q["sql"]]
    assert counting == []


def test_village_lists_its_households_masked_with_what_they_have_sold(client: Client) -> None:
    first, second = factories.market(3, 2)
    factories.paid_order(tree=first.trees.order_by("ordinal")[0])
    page = client.get(f"/areas/{VILLAGE}/").content.decode()
    found = re.findall(r'href="/households/([0-9a-f]{20})/"', page)
    assert found == [second.public_id, first.public_id]
    seen = text(client, f"/areas/{VILLAGE}/")
    assert f"{first.masked_name} 2 trees for sale" in seen and "1 of 3 trees sold" in seen
    assert first.head_name not in page and first.phone not in page
    assert "Between 0 and 1 trees of each household are sold." in seen


def test_spread_is_least_middle_and_most(client: Client) -> None:
    factories.market(5, 5, 5, 5)
    for stock, sold in zip(Stock.objects.order_by("pk"), (1, 2, 2, 4), strict=True):
        Stock.objects.filter(pk=stock.pk).update(sold=sold)
    found = areas.spread(Stock.objects.first().vintage, "522633")
    assert found == areas.Spread(households=4, least=1, median=2, most=4, offered=5)
    assert found.bar == {"x": 20.0, "width": 60.0, "median": 40.0}


def test_no_spread_of_a_single_household() -> None:
    factories.market(2)
    assert areas.spread(Stock.objects.get().vintage, "5226") is None


def test_household_page_shows_its_trees_for_sale_and_orders_of_it_alone(client: Client) -> None:
    owner, other = factories.market(3, 3)
    sold = owner.trees.order_by("ordinal")[0]
    factories.paid_order(tree=sold)
    address = f"/households/{owner.public_id}/"
    assert cards(client, address) == list(owner.trees.order_by("ordinal").values_list("number", flat=True)[1:])
    page = client.get(address).content.decode()
    for secret in (owner.head_name, owner.phone, owner.id_number, other.masked_name):
        assert secret not in page
    order_form(client, address, quantity=2)
    order = Order.objects.latest("pk")
    assert (order.household, order.quantity, order.area, order.tree) == (owner, 2, None, None)


def test_household_without_anything_on_sale_is_not_public(client: Client) -> None:
    factories.market(1)
    hidden = factories.household()
    factories.tree(hidden)
    assert client.get(f"/households/{hidden.public_id}/").status_code == 404
    assert client.get("/households/0/").status_code == 404


def test_species_page_counts_about_and_orders_of_the_species(client: Client) -> None:
    (owner,) = factories.market(2)
    pine = Species.objects.create(scientific_name="Pinus massoniana", name_zh="马尾松", name_en="Masson pine")
    factories.approved_tree(owner, species=pine)
    listed = text(client, "/species/")
    assert "Chinese fir about 2 trees for sale" in listed and "Masson pine about 1 tree for sale" in listed
    address = f"/species/{pine.pk}/"
    assert cards(client, address) == [Tree.objects.get(species=pine).number]
    order_form(client, f"{address}?area={COUNTY}")
    order = Order.objects.latest("pk")
    assert (order.species, order.area_id) == (pine, COUNTY)
    assert client.get(f"{address}?area=1").status_code == 404
    assert client.get("/species/999999/").status_code == 404


def test_counts_by_species_stay_as_they_were_until_the_next_survey(client: Client) -> None:
    factories.market(3)
    assert "about 3 trees" in text(client, "/species/")
    factories.paid_order(1)
    assert "about 3 trees" in text(client, "/species/")
    tasks.take_survey()
    assert "about 2 trees" in text(client, "/species/")


def test_only_one_visitor_takes_a_missing_survey_and_the_others_do_without() -> None:
    factories.market(1)
    vintage = Stock.objects.get().vintage
    cache.add(f"survey-1:{vintage}:being-taken", 1, 60)
    assert survey.latest(vintage) is None
    cache.delete(f"survey-1:{vintage}:being-taken")
    assert survey.latest(vintage) is not None


@pytest.mark.django_db(transaction=True)
def test_no_visitor_waits_for_a_long_count(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    factories.market(1)
    monkeypatch.setattr(survey, "TAKEN_AT_ONCE_SINKS", 0)
    before = len(broker.messages())
    for _ in range(3):
        assert "being counted" in text(client, "/species/")
    assert [one["task"] for one in broker.messages()[before:]] == ["purchases.tasks.take_survey"]
    tasks.take_survey()
    assert "being counted" not in text(client, "/species/")


def test_sold_tree_leads_to_its_neighbours(client: Client) -> None:
    first, second = factories.market(2, 1)
    sold, left = first.trees.order_by("ordinal")
    factories.paid_order(tree=sold)
    address = f"/trees/{sold.number}/"
    assert cards(client, address) == [left.number]
    factories.paid_order(tree=left)
    assert cards(client, address) == [second.trees.get().number]
    assert cards(client, f"/trees/{second.trees.get().number}/") == []


def test_tree_tells_its_story_and_never_the_name(client: Client) -> None:
    (owner,) = factories.market(1)
    tree = owner.trees.get()
    seen = text(client, f"/trees/{tree.number}/")
    assert "cares for this tree" in seen and "go to this household, all of them" in seen
    assert owner.head_name not in seen and owner.masked_name in seen


def map_data(client: Client, address: str) -> Any:
    found = re.search(
        r'id="places-map-data" type="application/json">(.*?)</script>', client.get(address).content.decode()
    )
    return json.loads(found.group(1)) if found else None


def test_no_outlines_and_no_positions_no_map(client: Client) -> None:
    factories.market(1)
    factories.market(1, village=factories.OTHER_COUNTY)
    assert map_data(client, "/areas/522600000000/") is None
    assert "从江县" in text(client, "/areas/522600000000/")


def test_villages_stand_on_the_county_map_where_their_trees_are_on_average_rounded(client: Client) -> None:
    (owner,) = factories.market(0)
    for lon, lat in (("108.9211", "25.9111"), ("108.9399", "25.9333")):
        factories.approved_tree(owner, lon=Decimal(lon), lat=Decimal(lat))
    data = map_data(client, f"/areas/{COUNTY}/")
    assert data["places"] == [
        {
            "code": VILLAGE,
            "name": "登岜村",
            "url": f"/areas/{VILLAGE}/",
            "unsold": 2,
            "total": 2,
            "position": [108.93, 25.92],
        }
    ]


def test_outlines_come_once_and_anew_when_they_change(client: Client) -> None:
    factories.market(1)
    Boundary.objects.create(division_id=COUNTY, geometry=SQUARE, source="test")
    assert map_data(client, "/areas/520000000000/")["outlines"] == "/map/outlines.json?within=52"
    first = client.get("/map/outlines.json?within=52")
    assert first.json()["features"][0] == {"type": "Feature", "properties": {"code": COUNTY}, "geometry": SQUARE}
    known = {"HTTP_IF_NONE_MATCH": first.headers["ETag"]}
    assert client.get("/map/outlines.json?within=52", **known).status_code == 304
    wider = {"type": "Polygon", "coordinates": [[[108.0, 25.8], [109.1, 25.8], [109.1, 26.0], [108.0, 25.8]]]}
    Boundary.objects.update(geometry=wider)
    again = client.get("/map/outlines.json?within=52", **known)
    assert again.status_code == 200 and again.json()["features"][0]["geometry"] == wider
    assert client.get("/map/outlines.json?within=53").json()["features"] == []


@pytest.mark.parametrize("within", ["x", "5226331", "-1", "５２"])
def test_outlines_of_nowhere_are_404(client: Client, within: str) -> None:
    assert client.get("/map/outlines.json", {"within": within}).status_code == 404


def test_front_page_offers_the_widest_places_among_which_there_is_a_choice(client: Client) -> None:
    def offered() -> list[str]:
        page = client.get("/").content.decode()
        return re.findall(r'href="/areas/(\d{12})/">\s*<span class="place-name"', page)

    assert offered() == []
    factories.market(1)
    assert offered() == [VILLAGE]
    factories.market(2, village=factories.OTHER_VILLAGE)
    assert offered() == ["522633101000", "522633102000"]
    factories.market(3, village=factories.OTHER_COUNTY)
    assert offered() == ["522631000000", COUNTY]
