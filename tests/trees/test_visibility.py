"""Officers and reviewers see their area. What somebody may not see does not exist: 404, on every page and operation."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from payouts.models import BankAccount
from tests import factories
from tests.trees.conftest import signed_in, store_in
from tests.trees.registry import household_body, household_form, post, stored, tree_body, tree_form
from trees.models import Household, Tree

pytestmark = pytest.mark.django_db
OFFICER, REVIEWER, FINANCE = roles.OFFICER, roles.REVIEWER, roles.FINANCE
# Addresses of the registry that anyone may open, with why.
PUBLIC = {
    "trees:picture": "re-encoded pictures without metadata",
    **dict.fromkeys(
        ["payouts:money", "payouts:money-day", "payouts:money-json", "payouts:money-verifier"],
        "totals of the money, for everybody",
    ),
    "payouts:money-order": "by the order's own link; with tests/payouts/test_money_pages.py",
    "payouts:money-proof": "by the order's own link; with tests/payouts/test_money_pages.py",
    "payouts:household": "the page of the household's paper: nothing without the PIN",
    "payouts:household-say": "one tap on that page, for whoever entered the PIN",
    "payouts:household-stop": "one tap on that page, for whoever entered the PIN",
    "payouts:household-send-pin": "a new PIN, to the registered number alone",
    "payouts:household-leave": "has a device forget the PIN",
    "trees:field-worker": "the field app's service worker, also for a phone whose officer is signed out",
    "trees:field-manifest": "the field app's name and icon",
}
# Guarded ones whose object takes some making: with the tests of what they are for.
ELSEWHERE = {"trees:second-look": "tests/trees/test_second_looks.py", "trees:report": "tests/trees/test_reports.py"}
ELSEWHERE |= dict.fromkeys(
    (
        "payouts:finance-run", "payouts:finance-approve-run", "payouts:finance-release-run",
        "payouts:finance-release-payout",
    ),
    "tests/payouts/test_run_pages.py",
)  # fmt: skip
ELSEWHERE |= dict.fromkeys(
    ("payouts:finance-download-batch", "payouts:finance-batch-delivered"), "tests/payouts/test_file_pages.py"
)
ELSEWHERE |= {"payouts:answer-alert": "tests/payouts/test_alerts.py"}
ELSEWHERE |= dict.fromkeys(
    ["payouts:reconciliation-day", "payouts:answer-discrepancy"], "tests/payouts/test_differing_days.py"
)
_ROWS = ("finance-row-payout", "finance-row-sponsor", "finance-without-row", "finance-answer-clarification")
ELSEWHERE |= {f"payouts:{name}": "tests/payouts/test_row_pages.py" for name in _ROWS}
ELSEWHERE |= dict.fromkeys(("payouts:area-case", "payouts:finance-case"), "tests/payouts/test_household_page.py")
# Every operation on every guarded address: where it is asked for, by whom, and whether that is about one tree or
# household ("object"), about a village named in the body ("village"), or about whatever the asker has ("own"), which
# may be nothing ("drawn") or lead elsewhere ("next").
PAGES: dict[str, tuple[str, set[str], str]] = {
    "GET trees:officer": ("officer/", {OFFICER}, "own"),
    "GET trees:new-household": ("officer/households/new/", {OFFICER}, "own"),
    "POST trees:new-household": ("officer/households/new/", {OFFICER}, "village"),
    "GET trees:household": ("officer/households/{household}/", {OFFICER, REVIEWER}, "object"),
    "GET trees:new-tree": ("officer/households/{household}/trees/new/", {OFFICER}, "object"),
    "POST trees:new-tree": ("officer/households/{household}/trees/new/", {OFFICER}, "object"),
    "GET trees:correct-tree": ("officer/trees/{number}/correct/", {OFFICER}, "object"),
    "POST trees:correct-tree": ("officer/trees/{number}/correct/", {OFFICER}, "object"),
    "GET trees:tags": ("officer/households/{household}/tags.pdf", {OFFICER}, "object"),
    "GET trees:withdrawal": ("officer/households/{household}/withdrawal/", {OFFICER}, "object"),
    "POST trees:withdrawal": ("officer/households/{household}/withdrawal/", {OFFICER}, "object"),
    "GET trees:due": ("officer/inspections/", {OFFICER}, "drawn"),
    "GET trees:due-list": ("officer/inspections/due.json", {OFFICER}, "drawn"),
    "GET trees:field": ("field/", {OFFICER}, "drawn"),
    "GET trees:reports": ("review/reports/", {REVIEWER}, "drawn"),
    "GET trees:review": ("review/", {REVIEWER}, "own"),
    "GET trees:review-tree": ("review/{number}/", {REVIEWER}, "object"),
    "POST trees:review-tree": ("review/{number}/", {REVIEWER}, "object"),
    "GET trees:review-next": ("review/next/", {REVIEWER}, "next"),
    "GET trees:review-map": ("review/{number}/map/", {REVIEWER}, "object"),
    "GET trees:review-sheet": ("review/villages/{village}/", {REVIEWER}, "object"),
    "POST trees:review-sheet": ("review/villages/{village}/", {REVIEWER}, "object"),
    "POST trees:review-household": ("review/households/{household}/", {REVIEWER}, "object"),
    "GET trees:second-looks": ("review/second-looks/", {REVIEWER}, "drawn"),
    "GET payouts:new-account": ("officer/households/{household}/account/", {OFFICER}, "object"),
    "POST payouts:new-account": ("officer/households/{household}/account/", {OFFICER}, "object"),
    "GET payouts:accounts": ("officer/accounts/", {OFFICER}, "own"),
    "POST payouts:stop-account": ("officer/accounts/{account}/stop", {OFFICER}, "object"),
    "GET payouts:finance-accounts": ("finance/accounts/", {FINANCE}, "own"),
    "POST payouts:finance-account": ("finance/accounts/{account}/", {FINANCE}, "own"),
    "GET payouts:finance-runs": ("finance/runs/", {FINANCE}, "own"),
    "POST payouts:finance-runs": ("finance/runs/", {FINANCE}, "own"),
    "GET payouts:finance-waiting": ("finance/waiting/", {FINANCE}, "own"),
    "GET payouts:finance-files": ("finance/files/", {FINANCE}, "own"),
    "POST payouts:finance-files": ("finance/files/", {FINANCE}, "own"),
    "GET payouts:alerts": ("finance/alerts/", {FINANCE}, "own"),
    "GET payouts:reconciliation": ("finance/reconciliation/", {FINANCE}, "own"),
    "GET payouts:household-qr": ("officer/households/{household}/qr.png", {OFFICER}, "object"),
    "POST payouts:renew-page": ("officer/households/{household}/page/", {OFFICER}, "object"),
    "GET payouts:finance-rows": ("finance/rows/", {FINANCE}, "own"),
    "GET payouts:follow": ("finance/follow/", {FINANCE}, "drawn"),
    "GET payouts:pin": ("officer/households/{household}/pin/", {OFFICER}, "object"),
    "POST payouts:pin": ("officer/households/{household}/pin/", {OFFICER}, "object"),
    "POST payouts:draw-pin": ("officer/households/{household}/pin/draw/", {OFFICER}, "object"),
    "POST payouts:lift-lock": ("officer/households/{household}/pin/lift/", {OFFICER}, "object"),
    "GET payouts:papers": ("officer/papers/", {OFFICER, REVIEWER}, "drawn"),
    "GET payouts:statements": ("officer/villages/{village}/statements.pdf", {OFFICER, REVIEWER}, "object"),
    "GET payouts:notice": ("officer/villages/{village}/notice.pdf", {OFFICER, REVIEWER}, "object"),
    "GET payouts:area-cases": ("officer/cases/", {OFFICER, REVIEWER}, "drawn"),
    "GET payouts:finance-cases": ("finance/cases/", {FINANCE}, "drawn"),
}
API: dict[str, tuple[str, set[str], str]] = {
    "POST api-households": ("api/v1/households", {OFFICER}, "village"),
    "POST api-trees": ("api/v1/trees", {OFFICER}, "object"),
    "GET api-tree": ("api/v1/trees/{number}", {OFFICER, REVIEWER}, "object"),
    "PUT api-tree": ("api/v1/trees/{number}", {OFFICER}, "object"),
    "POST api-tree-photos": ("api/v1/trees/{number}/photos", {OFFICER}, "object"),
    "POST api-tree-approve": ("api/v1/trees/{number}/approve", {REVIEWER}, "object"),
    "POST api-tree-reject": ("api/v1/trees/{number}/reject", {REVIEWER}, "object"),
    "POST api-inspections": ("api/v1/inspections", {OFFICER}, "object"),
    "POST api-uploads": ("api/v1/uploads", {OFFICER}, "object"),
    "PUT api-upload-parts": ("api/v1/uploads/{sha256}?tree={number}&offset=0", {OFFICER}, "object"),
    "GET api-field-day": ("api/v1/field/day", {OFFICER}, "own"),
    "GET api-field-session": ("api/v1/field/session", {OFFICER}, "own"),
    "GET api-field-household-trees": ("api/v1/field/households/{household}/trees", {OFFICER}, "object"),
    "POST api-bank-accounts": ("api/v1/bank-accounts", {OFFICER}, "object"),
    "POST api-bank-account-approve": ("api/v1/bank-accounts/{account}/approve", {FINANCE}, "own"),
}
EVERY = PAGES | API
OF_AN_OBJECT = [name for name, (_path, _roles, about) in EVERY.items() if about == "object"]
CONTENT = factories.picture()
SHA = hashlib.sha256(CONTENT).hexdigest()
RESULT = f"备注,处理状态\n{'a' * 32},成功\n".encode()
UUID = "6d6c4f52-2f3c-4b3c-8d3a-6c1c1c6f1c11"


class World(NamedTuple):
    """A household of 从江县, a tree of it that waits for its review, an approved one, and a bank account."""

    household: Household
    tree: Tree
    approved: Tree
    account: BankAccount


@pytest.fixture(scope="module")
def made_once(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: Any) -> Iterator[tuple[World, Path]]:
    """One world for all tests here, for each of which it takes longer to make than to ask, and its files. It stands
    in a transaction around theirs: what a test does to it is taken back, and in the end it goes itself."""
    folder = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock(), transaction.atomic():
        store_in(folder, patch)
        tree = factories.tree()
        tree.refresh_from_db()  # With its picture.
        account = factories.account(tree.household, approved=False)
        made = World(tree.household, tree, factories.approved_tree(tree.household), account)
        patch.undo()
        yield made, folder
        transaction.set_rollback(True)


@pytest.fixture
def world(made_once: tuple[World, Path], media: Path) -> World:
    """Fresh copies of its rows and files."""
    made, folder = made_once
    shutil.copytree(folder, media, dirs_exist_ok=True)
    return World(*(type(one).objects.get(pk=one.pk) for one in made))


def body(name: str, world: World) -> dict[str, Any]:
    """What its users send to an address."""
    correction = {**tree_form(dbh_cm="8.0"), "revision": 1}
    account = {
        "client_uuid": UUID, "household": world.household.public_id, "holder": world.household.head_name,
        "bank_name": "x", "bank_code": factories.BANK_CODE, "number": factories.villager(77).card,
    }  # fmt: skip
    bodies: dict[str, Any] = {
        "POST trees:new-household": household_form, "POST api-households": household_body,
        "POST trees:new-tree": lambda: {**tree_form(), "photo": SimpleUploadedFile("x.jpg", CONTENT)},
        "POST trees:correct-tree": lambda: correction, "POST trees:review-tree": lambda: {"decision": "rejected", "reason": "bad_photo"},
        "POST trees:withdrawal": lambda: {"on": str(timezone.localdate()), "reason": "moved", "sure": "on"},
        "POST payouts:new-account": lambda: {**account, "is_card": "True"},
        "POST payouts:stop-account": lambda: {"reason": "x"},
        "POST payouts:finance-account": lambda: {"decision": "approve"},
        "POST payouts:finance-runs": lambda: {"kind": "by_hand", "sure": "on"},
        "POST payouts:finance-files": lambda: {"bank": "daifa", "file": SimpleUploadedFile("x.csv", RESULT)},
        "POST payouts:pin": lambda: {"pin": "846203", "again": "846203"},
        "POST api-trees": lambda: tree_body(world.household),
        "PUT api-tree": lambda: {**tree_body(world.household, dbh_cm="8.0"), "revision": 1},
        "POST api-tree-photos": lambda: {"file": SimpleUploadedFile("x.jpg", CONTENT)},
        "POST trees:review-sheet": lambda: {
            "decision": "approved", "shown": f"{world.tree.number}:1-{world.tree.picture_id}-0",
        },
        "POST api-tree-reject": lambda: {"reason": "bad_photo"},
        "POST api-inspections": lambda: {
            "client_uuid": UUID, "tree": world.approved.number, "condition": "dead", "cause": "frost",
            "inspected_on": str(world.approved.measured_on),
        },
        "POST api-uploads": lambda: {"tree": world.tree.number, "sha256": SHA, "size": len(CONTENT)},
        "POST api-bank-accounts": lambda: account,
    }  # fmt: skip
    return bodies.get(name, dict)()


def ask(client: Client, name: str, world: World) -> Any:
    """Asks for an address as its users do, about this world."""
    method, _, address = name.partition(" ")
    path = "/" + EVERY[name][0].format(
        household=world.household.public_id,
        number=world.tree.number,
        account=world.account.pk,
        sha256=SHA,
        village=world.household.village_id,
    )
    if address == "api-upload-parts":
        ask(client, "POST api-uploads", world)
        return client.put(path, CONTENT, content_type="application/octet-stream")
    sent, send = body(name, world), getattr(client, method.lower())
    if method == "GET" or name in PAGES or "file" in sent:
        return send(path, sent)
    return send(path, sent, content_type="application/json")


def everything(world: World) -> Any:
    """How much is stored, and what is recorded of the trees and the account."""
    return stored(), list(Tree.objects.order_by("pk").values()), list(BankAccount.objects.values())


def addresses(patterns: list[Any], namespace: str = "") -> Iterator[tuple[str, Any]]:
    """All addresses that the registry and the payouts have, by name, as the resolver knows them."""
    for pattern in patterns:
        if isinstance(pattern, URLResolver) and pattern.namespace != "admin":
            inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
            yield from addresses(pattern.url_patterns, inner)
        elif isinstance(pattern, URLPattern):
            view = getattr(pattern.callback, "view_class", pattern.callback)
            if view.__module__.startswith(("trees.", "payouts.")):
                yield f"{namespace}{pattern.name}", view


def test_every_operation_of_every_address_is_in_the_table() -> None:
    listed = dict(addresses(get_resolver().url_patterns))
    assert len(listed) > 20
    assert set(PUBLIC) <= set(listed)
    guarded = {name: view for name, view in listed.items() if name not in PUBLIC | ELSEWHERE}
    assert {name.partition(" ")[2] for name in EVERY} == set(guarded)
    operations = {
        f"{method.upper()} {name}"
        for name, view in guarded.items()
        for method in getattr(view, "http_method_names", ())
        if method != "options" and hasattr(view, method)
    }
    assert operations == set(API)


@pytest.mark.parametrize("name", EVERY)
def test_the_right_role_in_the_right_area_gets_an_answer(world: World, name: str) -> None:
    for role in sorted(EVERY[name][1]):
        answer = ask(signed_in(factories.user(role)), name, world)
        assert answer.status_code in (200, 201, 302), (role, answer.content)


@pytest.mark.parametrize("name", OF_AN_OBJECT)
@pytest.mark.parametrize("area", ["522631", "522633102203", "", "52263310220"])
def test_an_area_is_a_prefix_and_other_areas_objects_do_not_exist(world: World, name: str, area: str) -> None:
    before = everything(world)
    for role in sorted(EVERY[name][1]):
        user = factories.user(role)
        User.objects.filter(pk=user.pk).update(area=area)
        answer = ask(signed_in(user), name, world)
        inside = area != "" and factories.VILLAGE.startswith(area)
        assert (answer.status_code != 404) == inside, role
        if not inside:
            # A page that is not there repeats its own address, for who switches the language.
            said = answer.content.decode(errors="replace").replace(answer.request["PATH_INFO"], "")
            assert world.household.masked_name not in said
            assert not any(number in said for number in (world.tree.number, world.approved.number))
            assert everything(world) == before


@pytest.mark.parametrize("name", [name for name, row in EVERY.items() if row[2] == "village"])
def test_a_household_of_another_area_s_village_is_not_registered(world: World, name: str) -> None:
    before = everything(world)
    answer = ask(signed_in(factories.user(OFFICER, "522631")), name, world)
    assert answer.status_code == 400
    assert everything(world) == before


@pytest.mark.parametrize("name", [name for name, row in EVERY.items() if row[2] == "own" and FINANCE not in row[1]])
def test_lists_show_nothing_of_another_area(world: World, name: str) -> None:
    (role,) = EVERY[name][1]
    said = ask(signed_in(factories.user(role, "522631")), name, world).content.decode()
    mine = ask(signed_in(factories.user(role)), name, world).content.decode()
    for secret in (world.household.public_id, world.tree.number, world.household.masked_name, factories.VILLAGE):
        assert secret not in said
    assert (
        name == "GET api-field-session"
        or factories.VILLAGE in mine
        or world.tree.number in mine
        or (world.household.public_id in mine)
    )


@pytest.mark.parametrize("name", EVERY)
def test_a_user_without_the_role_finds_nothing(world: World, name: str) -> None:
    before = everything(world)
    wrong = {roles.BUYER, OFFICER, REVIEWER, FINANCE, roles.ADMINISTRATOR} - EVERY[name][1]
    nobody = User.objects.create_user("nobody@example.org", "x", name="no role", area="522633")
    for user in [nobody, *(factories.user(role) for role in sorted(wrong))]:
        assert ask(signed_in(user), name, world).status_code == 404, user.name
    assert everything(world) == before


@pytest.mark.parametrize("name", EVERY)
def test_strangers_are_sent_to_sign_in_by_pages_and_refused_by_the_api(world: World, name: str) -> None:
    before = everything(world)
    answer = ask(Client(), name, world)
    if name in PAGES:
        assert answer.status_code == 302
        assert answer["Location"].startswith("/sign-in/?next=/")
    else:
        assert (answer.status_code, answer.json()["code"]) == (403, "not_authenticated")
    assert everything(world) == before


@pytest.mark.parametrize("name", EVERY)
def test_a_closed_account_is_a_stranger(world: World, name: str) -> None:
    user = factories.user(min(EVERY[name][1]))
    client = signed_in(user)
    before = everything(world)
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert ask(client, name, world).status_code in (302, 403)
    assert everything(world) == before


def test_photos_and_inspections_of_a_colleague_s_tree_are_not_reached_by_their_uuids(world: World) -> None:
    """What a device knows of another area's records are their UUIDs at most."""
    elsewhere = signed_in(factories.user(OFFICER, "522631"))
    ask(signed_in(world.household.registered_by), "POST api-inspections", world)
    own = factories.tree(factories.household(village_code=factories.OTHER_COUNTY), photo=False)
    before = everything(world)
    for reference in (world.tree.client_uuid, world.tree.client_uuid.hex, world.household.client_uuid):
        assert elsewhere.get(f"/api/v1/trees/{reference}").status_code == 404
        assert elsewhere.get(f"/api/v1/field/households/{reference}/trees").status_code == 404
    inspection = {**body("POST api-inspections", world), "tree": own.number}
    answer = post(elsewhere, "inspections", inspection)
    assert answer.status_code == 409
    assert "record" not in answer.json()
    upload = {"tree": own.number, "inspection": UUID, "sha256": SHA, "size": len(CONTENT)}
    assert post(elsewhere, "uploads", upload).status_code == 404
    taken = tree_body(own.household, client_uuid=str(world.tree.client_uuid))
    answer = post(elsewhere, "trees", taken)
    assert (answer.status_code, set(answer.json())) == (409, {"code", "message"})
    assert everything(world) == before
