"""Lists of trees for sale go on after what was seen last: nothing twice, nothing left out, nothing that is sold."""

import pytest
from django.http import Http404
from django.utils import timezone

from purchases import catalogue
from purchases.models import Sink, Stock
from tests import factories
from trees.models import Division, Household, Species, Tree

pytestmark = pytest.mark.django_db


@pytest.fixture
def village() -> Division:
    factories.divisions()
    return Division.objects.get(code=factories.VILLAGE)


@pytest.fixture
def vintage() -> int:
    return timezone.localdate().year


def crowd(count: int, trees_each: int) -> list[Household]:
    """Households with trees on sale, made without photos and reviews: lists do not look at those."""
    owners = factories.market(*[0] * count)
    species = Species.objects.get_or_create(scientific_name="Pinus massoniana", defaults={"name_zh": "马尾松"})[0]
    year = timezone.localdate().year
    for number, owner in enumerate(owners):
        data = factories.tree_data(species=species)
        data.pop("client_uuid")
        trees = [
            Tree(
                **data,
                client_uuid=factories.uuid.uuid4(),
                household=owner,
                ordinal=ordinal,
                number=f"{owner.village_id}{owner.ordinal:03d}{ordinal:03d}0",
                registered_by=owner.registered_by,
                measured_by=owner.registered_by,
                state=Tree.State.APPROVED,
            )
            for ordinal in range(1, trees_each + 1)
        ]
        Tree.objects.bulk_create(trees)
        Sink.objects.bulk_create(
            Sink(tree=tree, vintage=year, household=owner, rank=tree.ordinal, price_fen=300, kg=10) for tree in trees
        )
        Stock.objects.create(
            household=owner,
            vintage=year,
            village_code=owner.village_id,
            total=trees_each,
            species=[species.pk],
            shuffle=-number,
        )
    return owners


def numbers(page: catalogue.Page) -> list[str]:
    return [tree.number for tree in page.trees]


def test_pages_of_least_sold_show_one_tree_of_every_household_once(vintage: int, village: Division) -> None:
    owners = crowd(30, 2)
    Stock.objects.filter(household=owners[0]).update(sold=1)
    Sink.objects.filter(household=owners[0], rank=1).update(open=False)
    seen, after = [], ""
    for _page in range(3):
        page = catalogue.least_sold(vintage, area=village, after=after)
        seen += page.trees
        after = page.next
    assert after == ""
    assert [tree.household_id for tree in seen] == [owner.pk for owner in reversed(owners[1:])] + [owners[0].pk]
    assert [tree.ordinal for tree in seen] == [1] * 29 + [2]


def test_few_households_show_several_trees_in_turns(vintage: int, village: Division) -> None:
    first, second = crowd(2, 9)
    page = catalogue.least_sold(vintage, area=village)
    assert [tree.household_id for tree in page.trees] == [second.pk, first.pk] * 6
    assert [tree.ordinal for tree in page.trees] == [n for n in range(1, 7) for _both in range(2)]
    assert page.next == ""


def test_all_trees_for_sale_come_once_and_sold_ones_not_at_all(vintage: int, village: Division) -> None:
    owners = crowd(5, 7)
    sold = Sink.objects.filter(household=owners[2], rank__lte=3)
    sold.update(open=False)
    Stock.objects.filter(household=owners[2]).update(sold=3)
    wanted = list(
        Tree.objects.filter(sinks__open=True).order_by("household_id", "ordinal").values_list("number", flat=True)
    )
    assert len(wanted) == 32
    for size in (1, 4, 12, 100):
        seen: list[str] = []
        after, pages = "", 0
        while pages == 0 or after:
            page = catalogue.for_sale(vintage, area=village, after=after, size=size)
            seen += numbers(page)
            after, pages = page.next, pages + 1
        assert seen == wanted


def test_species_that_few_households_have_is_found_behind_the_others(vintage: int, village: Division) -> None:
    owners = crowd(14, 1)
    rare = Species.objects.create(scientific_name="Ginkgo biloba", name_zh="银杏")
    last = Tree.objects.get(household=owners[0])
    Tree.objects.filter(pk=last.pk).update(species=rare)
    Stock.objects.update(species=[rare.pk])  # All had one once, and have sold it.
    assert numbers(catalogue.least_sold(vintage, species=rare)) == [last.number]
    seen: list[str] = []
    after, pages = "", 0
    while pages == 0 or after:
        page = catalogue.for_sale(vintage, species=rare, after=after, size=3)
        seen += numbers(page)
        after, pages = page.next, pages + 1
        assert pages < 10
    assert seen == [last.number]


def test_a_place_without_trees_has_an_empty_page(vintage: int, village: Division) -> None:
    assert catalogue.least_sold(vintage, area=village) == catalogue.Page([], "")
    assert catalogue.for_sale(vintage, area=village) == catalogue.Page([], "")


def test_households_of_a_village_go_on_after_the_last_one_seen(vintage: int, village: Division) -> None:
    owners = crowd(catalogue.HOUSEHOLDS + 3, 1)
    first, after = catalogue.holdings(vintage, village)
    second, end = catalogue.holdings(vintage, village, after)
    assert [row.household.pk for row in first + second] == [owner.pk for owner in reversed(owners)]
    assert end == ""


@pytest.mark.parametrize("after", ["x", "1", "1.2.3.4", "1.2.x", "1.2." + "9" * 19, "١.2.3", "1.2.3\n"])
def test_a_place_in_no_list_is_404(vintage: int, after: str) -> None:
    with pytest.raises(Http404):
        catalogue.least_sold(vintage, after=after)
