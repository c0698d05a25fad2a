"""What lists, the admin and the household's page show of an area, in a database with nothing else in it."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from carbonsink.accounts import roles
from tests import factories
from tests.trees.conftest import signed_in
from tests.trees.registry import household_body, household_form, post, stored, tree_form
from trees.models import Household, Tree

pytestmark = pytest.mark.django_db


@pytest.fixture
def tree() -> Tree:
    """A tree of 从江县, waiting for review."""
    return factories.tree()


def test_an_officer_without_an_area_sees_and_registers_nothing(tree: Tree) -> None:
    officer = factories.user(roles.OFFICER)
    officer.area = ""
    officer.save()
    client = signed_in(officer)
    page = client.get("/officer/").content.decode()
    assert tree.household.public_id not in page
    assert "No household is registered in your villages yet." in page
    assert '<option value="5226' not in client.get("/officer/households/new/").content.decode()
    before = stored()
    assert post(client, "households", household_body()).json()["code"] == "unknown_village"
    assert client.post("/officer/households/new/", household_form()).status_code == 400
    assert stored() == before


def test_lists_show_what_is_in_the_area_only(tree: Tree) -> None:
    other = factories.tree(factories.household(village_code=factories.OTHER_COUNTY))
    for role, path in ((roles.OFFICER, "/officer/"), (roles.REVIEWER, "/review/")):
        page = signed_in(factories.user(role)).get(path).content.decode()
        shown = [tree.household.public_id, other.household.public_id] if role == roles.OFFICER else [
            f"/review/villages/{factories.VILLAGE}/", f"/review/villages/{factories.OTHER_COUNTY}/",
        ]  # fmt: skip
        assert [text in page for text in shown] == [True, False]


def test_the_next_tree_is_one_of_the_area(tree: Tree) -> None:
    there = signed_in(factories.user(roles.REVIEWER)).get("/review/next/")
    elsewhere = signed_in(factories.user(roles.REVIEWER, "522631")).get("/review/next/")
    assert tree.number in there["Location"]
    assert tree.number not in elsewhere["Location"]


def test_finance_and_administrators_see_all_households_in_the_admin_others_none(tree: Tree) -> None:
    for role, expected in ((roles.FINANCE, 1), (roles.ADMINISTRATOR, 1), (roles.BUYER, 0)):
        assert Household.objects.visible_to(factories.user(role)).count() == expected


def test_the_page_of_the_household_s_paper_shows_nobody_s_data(tree: Tree) -> None:
    household = tree.household
    answer = Client().get(f"/h/{household.page_key}/")
    assert answer.status_code == 200
    for secret in (household.head_name, household.id_number, household.phone, household.phone[-4:]):
        assert secret not in answer.content.decode()
    for name in (household.pk, household.public_id):
        assert Client().get(f"/h/{name}/").status_code == 404


def test_a_tree_is_not_registered_through_another_area_s_page(tree: Tree) -> None:
    officer = factories.user(roles.OFFICER, "522631")
    before = stored()
    form = {**tree_form(), "photo": SimpleUploadedFile("x.jpg", factories.picture())}
    path = f"/officer/households/{tree.household.public_id}/trees/new/"
    assert signed_in(officer).post(path, form).status_code == 404
    assert stored() == before
