"""Trees over the years: which get sinks, when their vintages end, how they come back, what is due, and their page."""

import hashlib
import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.states import move
from purchases.models import Sink, Tariff
from purchases.vintages import open_vintage
from tests import factories
from tests.purchases import books
from tests.purchases.losing import inspection, reviewer
from trees import growth, tasks
from trees.models import Enrolment, Household, Programme, Tree
from trees.review import approve_tree

pytestmark = pytest.mark.django_db


def next_tariff() -> Tariff:
    now = timezone.now()
    year = timezone.localdate().year
    return Tariff.objects.create(vintage=year, opens_at=now - timedelta(days=1), closes_at=now + timedelta(days=30))


@pytest.mark.parametrize("state", ["dead", "felled", "withdrawn", "suspended", "expired"])
def test_only_trees_in_the_scheme_get_sinks_of_the_next_vintage(later: Callable[..., None], state: str) -> None:
    (owner,) = factories.market(2)
    gone, stays = owner.trees.order_by("ordinal")
    move(gone, state)
    later(days=366)
    assert open_vintage(next_tariff()) == 1
    assert Sink.objects.latest("vintage").tree == stays
    assert Sink.objects.filter(tree=gone).count() == 1


def test_trees_expire_when_their_last_vintage_is_over_and_not_before(later: Callable[..., None]) -> None:
    programme = factories.programme(vintages=6)
    (owner,) = factories.market(3)
    suspended, first, _second = owner.trees.order_by("ordinal")
    move(suspended, Tree.State.SUSPENDED)
    order = factories.paid_order(tree=first)
    last = Enrolment.objects.filter(tree=first).get().last_vintage
    assert last == timezone.localdate().year + programme.vintages - 1
    assert growth.expire_trees() == 0
    later(days=365 * 5 - 30)
    assert growth.expire_trees() == 0
    later(days=30 + 366)
    tasks.expire_trees()
    assert sorted(owner.trees.values_list("state", flat=True)) == ["expired", "expired", "suspended"]
    assert growth.expire_trees() == 0
    assert first.history().last() is not None
    assert Sink.objects.filter(open=True).count() == 0
    order.refresh_from_db()
    assert order.state == "paid"  # What was sold stands: the tree stood in those years.
    assert open_vintage(next_tariff()) == 0
    assert "sinks on sale of trees that are not in the scheme" not in books.found()


def test_trees_expire_in_small_bites(later: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    factories.market(5)
    monkeypatch.setattr(growth, "EXPIRED_AT_ONCE", 2)
    later(days=366 * 6)
    assert growth.expire_trees() == 5
    assert Tree.objects.filter(state="expired").count() == 5


def test_an_expired_tree_measured_anew_is_enrolled_from_this_year_on(later: Callable[..., None]) -> None:
    (owner,) = factories.market(1)
    tree = owner.trees.get()
    old = tree.enrolments.get()
    later(days=366 * 6)
    growth.expire_trees()
    tree.refresh_from_db()
    today = timezone.localdate()
    move(tree, Tree.State.SUBMITTED, dbh_cm=Decimal("12.5"), measured_on=today)
    approve_tree(tree, reviewer=reviewer())
    new = tree.enrolments.exclude(pk=old.pk).get()
    assert (new.first_vintage, new.last_vintage) == (today.year, today.year + 5)
    assert (new.dbh_cm, new.measured_on) == (Decimal("12.5"), today)
    assert new.first_vintage > old.last_vintage
    assert open_vintage(next_tariff()) == 1
    assert growth.expire_trees() == 0


def test_a_tree_not_seen_for_a_year_is_due_until_it_is_inspected(later: Callable[..., None]) -> None:
    owner = factories.household()
    tree, other = factories.approved_tree(owner), factories.approved_tree(owner)
    officer = owner.registered_by
    later(days=364)
    inspection(other, dbh_cm="8.0")
    assert list(growth.due_for_inspection(officer)) == []
    later(days=3)
    assert list(growth.due_for_inspection(officer)) == [tree]
    inspection(tree, dbh_cm="8.3")
    assert list(growth.due_for_inspection(officer)) == []


def test_the_sample_of_a_year_can_be_repeated_by_everybody(later: Callable[..., None]) -> None:
    factories.programme(inspection_percent=Decimal("40.0"))
    owner = factories.household()
    trees = [factories.approved_tree(owner) for _ in range(20)]
    assert list(growth.due_for_inspection(owner.registered_by)) == []  # Measured this year.
    to_new_year = timezone.localdate().replace(month=12, day=31) - timezone.localdate()
    later(days=to_new_year.days + 2)
    year = timezone.localdate().year

    def drawn(number: str) -> bool:
        return int(hashlib.sha256(f"{year}:{number}".encode()).hexdigest()[:8], 16) / 2**32 * 100 < 40

    expected = {tree.number for tree in trees if drawn(tree.number)}
    due = list(growth.due_for_inspection(owner.registered_by))
    assert {tree.number for tree in due} == expected
    assert 0 < len(expected) < 20
    inspection(due[0])
    assert {tree.number for tree in growth.due_for_inspection(owner.registered_by)} == expected - {due[0].number}
    Programme.objects.update(inspection_percent=100)
    assert growth.due_for_inspection(owner.registered_by).count() == 19


def test_an_officer_is_told_of_the_own_villages_trees_alone(later: Callable[..., None]) -> None:
    owner = factories.household()
    tree = factories.approved_tree(owner)
    stranger = factories.user(roles.OFFICER, "522631")
    later(days=400)

    def told(user: User) -> tuple[str, list[str]]:
        client = Client(headers={"accept-language": "en"})
        client.force_login(user)
        page = client.get("/officer/inspections/").content.decode()
        return page, [row["number"] for row in client.get("/officer/inspections/due.json").json()["trees"]]

    page, numbers = told(owner.registered_by)
    assert numbers == [tree.number]
    assert "1 tree was not looked at for a year" in page
    page, numbers = told(stranger)
    assert numbers == []
    assert "No tree needs an inspection now." in page
    client = Client()
    client.force_login(factories.user(roles.REVIEWER))
    assert client.get("/officer/inspections/due.json").status_code == 404


def grown_tree(later: Callable[..., None], owner: Household | None = None) -> Tree:
    tree = factories.approved_tree(owner, dbh_cm=Decimal("5.0"))
    later(days=365)
    inspection(tree, dbh_cm=Decimal("5.8"))
    later(days=365)
    inspection(tree, "damaged", cause="frost", dbh_cm=Decimal("6.9"))
    return tree


def page_of(tree: Tree) -> str:
    return " ".join(Client(headers={"accept-language": "en"}).get(f"/trees/{tree.number}/").content.decode().split())


def test_the_trees_page_shows_its_growth_as_a_chart_and_in_words(later: Callable[..., None]) -> None:
    tree = grown_tree(later)
    page = page_of(tree)
    chart = re.search(r"<svg class=\"growth-chart\".*?</svg>", page)
    assert chart is not None
    assert chart.group().count('class="chart-measured"') == 2
    assert chart.group().count('class="chart-damaged"') == 1
    assert "style=" not in page
    days = [sight.day for sight in growth.history(tree)]
    assert f"{days[0]}: 5.0 cm; {days[1]}: 5.8 cm; {days[2]}: 6.9 cm" in chart.group()
    line = re.search(r'points="([^"]*)"', chart.group())
    assert line is not None
    points = [tuple(map(float, pair.split(","))) for pair in line.group(1).split()]
    assert len(points) == 3
    assert points == sorted(points)  # To the right as time goes …
    assert [y for _x, y in points] == sorted((y for _x, y in points), reverse=True)  # … and upwards.
    assert "frost or snow" in page


def test_a_tree_seen_once_has_no_chart() -> None:
    assert "growth-chart" not in page_of(factories.approved_tree())


def test_a_reported_end_is_on_the_page_and_what_became_of_it(later: Callable[..., None]) -> None:
    tree = factories.approved_tree()
    later(days=100)
    report = inspection(tree, "felled", cause="unpermitted")
    assert "being checked" in page_of(tree)
    assert 'class="chart-doubted"' in page_of(tree)
    growth.decide_inspection(report, reviewer=reviewer(), confirm=True)
    assert 'class="chart-ended"' in page_of(tree)
    assert "An estimate of what it takes up" not in page_of(tree)


def test_the_estimate_is_labelled_with_its_range_and_sources_and_apart_from_the_tariff(
    later: Callable[..., None],
) -> None:
    tree = factories.approved_tree(dbh_cm=Decimal("5.0"))
    open_vintage(factories.tariff())
    page = page_of(tree)
    assert "An estimate of what it takes up" in page
    assert "about 2.1 to 6.6 kg CO₂ in a year" in page
    assert "if it grows 0.5 to 1.3 cm a year" in page
    assert "This is not what is sold: the tariff counts 10 kg for every tree and year, whatever its size." in page
    assert "汲玉河等 2016" in page
    assert "Zeng 2018" in page


def test_a_tree_measured_again_is_estimated_by_its_own_growth(later: Callable[..., None]) -> None:
    assert "growing 1.0 cm a year as it did so far" in page_of(grown_tree(later))  # 1.9 cm in two years.


def test_bamboo_says_why_it_has_no_estimate() -> None:
    from trees.models import Species

    moso = Species.objects.create(scientific_name="Phyllostachys edulis", name_zh="毛竹", form="bamboo")
    page = page_of(factories.approved_tree(species=moso, dbh_cm=Decimal("9.0")))
    assert "There is no estimate for bamboo" in page
    assert "An estimate of what it takes up" not in page


def test_a_confirmed_report_about_a_tree_that_waits_for_a_review_is_refused_first() -> None:
    (owner,) = factories.market(1)
    tree = owner.trees.get()
    report = inspection(tree, "dead")
    move(tree, Tree.State.WITHDRAWN)
    move(tree, Tree.State.SUBMITTED)
    with pytest.raises(DomainError) as refused:
        growth.decide_inspection(report, reviewer=reviewer(), confirm=True)
    assert refused.value.code == "wrong_state"
    report.refresh_from_db()
    assert report.state == "reported"
