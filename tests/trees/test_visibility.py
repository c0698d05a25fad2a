"""Officers and reviewers see their area. What somebody may not see does not exist: 404, on every page and operation."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

import payouts.api_urls
import payouts.urls
import trees.api_urls
import trees.urls
from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from tests import factories
from tests.trees.conftest import signed_in
from tests.trees.registry import household_body, household_form, post, stored, tree_body, tree_form
from trees.models import Household, Tree

pytestmark = pytest.mark.django_db
# Addresses of the registry that anyone may open, with why.
PUBLIC = {"picture": "re-encoded pictures without metadata", "household": "the page of the household's paper"}
# Guarded ones whose object takes some making: with the tests of what they are for.
ELSEWHERE = {"second-look": "tests/trees/test_second_looks.py"}
# What each guarded address is for, how it is asked, and who may ask.
PAGES = {
    "officer": ("get", "officer/", {roles.OFFICER}),
    "new-household": ("get", "officer/households/new/", {roles.OFFICER}),
    "household": ("get", "officer/households/{household}/", {roles.OFFICER, roles.REVIEWER}),
    "new-tree": ("get", "officer/households/{household}/trees/new/", {roles.OFFICER}),
    "review": ("get", "review/", {roles.REVIEWER}),
    "review-tree": ("get", "review/{number}/", {roles.REVIEWER}),
    "review-next": ("get", "review/next/", {roles.REVIEWER}),
    "review-map": ("get", "review/{number}/map/", {roles.REVIEWER}),
    "review-sheet": ("get", "review/villages/{village}/", {roles.REVIEWER}),
    "review-household": ("post", "review/households/{household}/", {roles.REVIEWER}),
    "second-looks": ("get", "review/second-looks/", {roles.REVIEWER}),
    "new-account": ("get", "officer/households/{household}/account/", {roles.OFFICER}),
    "household-qr": ("get", "h/{household}/qr.png", {roles.OFFICER}),
}
API = {
    "api-households": ("post", "api/v1/households", {roles.OFFICER}),
    "api-trees": ("post", "api/v1/trees", {roles.OFFICER}),
    "api-tree": ("get", "api/v1/trees/{number}", {roles.OFFICER, roles.REVIEWER}),
    "api-tree-photos": ("post", "api/v1/trees/{number}/photos", {roles.OFFICER}),
    "api-tree-approve": ("post", "api/v1/trees/{number}/approve", {roles.REVIEWER}),
    "api-tree-reject": ("post", "api/v1/trees/{number}/reject", {roles.REVIEWER}),
    "api-bank-accounts": ("post", "api/v1/bank-accounts", {roles.OFFICER}),
    "api-bank-account-approve": ("post", "api/v1/bank-accounts/{account}/approve", {roles.FINANCE}),
}
EVERY = PAGES | API
OF_AN_OBJECT = [name for name, (_, path, _roles) in EVERY.items() if "{" in path and "{account}" not in path]


@pytest.fixture
def tree() -> Tree:
    """A tree of 从江县, waiting for review."""
    return factories.tree()


def ask(client: Client, name: str, tree: Tree) -> Any:
    """Asks for an address as its users do, about this tree and its household."""
    method, path, _ = EVERY[name]
    account = tree.household.bank_accounts.first()
    path = "/" + path.format(
        household=tree.household.public_id,
        number=tree.number,
        village=tree.household.village_id,
        account=account.pk if account else 1,
    )
    body: dict[str, Any] = {
        "api-households": household_body(), "api-trees": tree_body(tree.household),
        "api-tree-reject": {"reason": "bad_photo"},
        "api-bank-accounts": {
            "client_uuid": "6d6c4f52-2f3c-4b3c-8d3a-6c1c1c6f1c11", "household": tree.household.public_id,
            "holder": tree.household.head_name, "bank_name": "x", "bank_code": factories.BANK_CODE,
            "number": factories.villager(77).card,
        },
    }.get(name, {})  # fmt: skip
    if name == "api-tree-photos":
        return client.post(path, {"file": SimpleUploadedFile("x.jpg", factories.picture())})
    return getattr(client, method)(path, body, **({"content_type": "application/json"} if method == "post" else {}))


def test_every_address_of_the_registry_is_in_the_table() -> None:
    listed = [*trees.urls.urlpatterns, *trees.api_urls.urlpatterns, *payouts.urls.urlpatterns,
              *payouts.api_urls.urlpatterns]  # fmt: skip
    assert {pattern.name for pattern in listed} - set(PUBLIC) - set(ELSEWHERE) == set(EVERY) - {"household"}


@pytest.mark.parametrize("name", EVERY)
def test_the_right_role_in_the_right_area_gets_an_answer(tree: Tree, name: str) -> None:
    factories.account(tree.household, approved=False)
    for role in EVERY[name][2]:
        answer = ask(signed_in(factories.user(role)), name, tree)
        assert answer.status_code in (200, 201, 302), (role, answer.content)


@pytest.mark.parametrize("name", OF_AN_OBJECT)
@pytest.mark.parametrize("area", ["522631", "5226331011", "52", "", "5", "522633102203", "52263310220"])
def test_an_area_is_a_prefix_and_other_areas_objects_do_not_exist(tree: Tree, name: str, area: str) -> None:
    before = stored()
    for role in EVERY[name][2]:
        user = factories.user(role)
        user.area = area
        user.save()
        answer = ask(signed_in(user), name, tree)
        inside = area != "" and factories.VILLAGE.startswith(area)
        assert (answer.status_code != 404) == inside, role
        if not inside:
            assert tree.household.masked_name not in answer.content.decode(errors="replace")
            assert stored() == before


@pytest.mark.parametrize("name", EVERY)
def test_a_user_without_the_role_finds_nothing(tree: Tree, name: str) -> None:
    factories.account(tree.household, approved=False)
    before = stored()
    wrong = {roles.BUYER, roles.OFFICER, roles.REVIEWER, roles.FINANCE, roles.ADMINISTRATOR} - EVERY[name][2]
    nobody = User.objects.create_user("nobody@example.org", "x", name="no role", area="522633")
    for user in [nobody, *(factories.user(role) for role in sorted(wrong))]:
        assert ask(signed_in(user), name, tree).status_code == 404, user.name
    assert stored() == before


@pytest.mark.parametrize("name", EVERY)
def test_strangers_are_sent_to_sign_in_by_pages_and_refused_by_the_api(tree: Tree, name: str) -> None:
    before = stored()
    answer = ask(Client(), name, tree)
    if name in PAGES:
        assert answer.status_code == 302
        assert answer["Location"].startswith("/sign-in/?next=/")
    else:
        assert (answer.status_code, answer.json()["code"]) == (403, "not_authenticated")
    assert stored() == before


@pytest.mark.parametrize("name", EVERY)
def test_a_closed_account_is_a_stranger(tree: Tree, name: str) -> None:
    user = factories.user(min(EVERY[name][2]))
    client = signed_in(user)
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert ask(client, name, tree).status_code in (302, 403)


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


def test_finance_and_administrators_see_all_households_in_the_admin_others_none(tree: Tree) -> None:
    for role, expected in ((roles.FINANCE, 1), (roles.ADMINISTRATOR, 1), (roles.BUYER, 0)):
        assert Household.objects.visible_to(factories.user(role)).count() == expected


def test_the_page_of_the_household_s_paper_shows_nobody_s_data(tree: Tree) -> None:
    household = tree.household
    answer = Client().get(f"/h/{household.public_id}/")
    assert answer.status_code == 200
    for secret in (household.head_name, household.id_number, household.phone, household.phone[-4:]):
        assert secret not in answer.content.decode()
    assert Client().get(f"/h/{household.pk}/").status_code == 404


def test_a_tree_is_not_registered_through_another_area_s_page(tree: Tree) -> None:
    officer = factories.user(roles.OFFICER, "522631")
    before = stored()
    form = {**tree_form(), "photo": SimpleUploadedFile("x.jpg", factories.picture())}
    path = f"/officer/households/{tree.household.public_id}/trees/new/"
    assert signed_in(officer).post(path, form).status_code == 404
    assert stored() == before
