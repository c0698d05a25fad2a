"""What the officer's device takes along for the day, and what it asks before it sends its queue."""

import gzip
import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from tests import factories
from tests.trees import registry
from tests.trees.conftest import signed_in
from trees import day, review
from trees.models import Household, Photo, Programme, Species, Tree

pytestmark = pytest.mark.django_db


def get(client: Client, path: str) -> Any:
    answer = client.get(f"/api/v1/{path}")
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_the_day_has_all_that_is_needed_without_reception(field: Client, officer: User, tree: Tree) -> None:
    found = get(field, "field/day")
    household = tree.household
    assert found["officer"] == {"id": officer.pk, "name": "officer"}
    assert found["programme"] == {
        "min_dbh_cm": "5.0", "max_dbh_cm": None, "min_age_years": 3, "max_trees_per_household": 450,
    }  # fmt: skip
    assert found["consent"] == {"version": "1", "body": "…"}
    assert found["villages"] == [
        {"code": factories.OTHER_VILLAGE, "name": "八洛村", "path": "贵州省 黔东南苗族侗族自治州 从江县 贯洞镇"},
        {"code": factories.VILLAGE, "name": "登岜村", "path": "贵州省 黔东南苗族侗族自治州 从江县 洛香镇"},
    ]
    assert found["species"] == [
        {"scientific_name": "Cunninghamia lanceolata", "name_zh": "杉木", "name_en": "Chinese fir", "form": "tree"}
    ]
    assert found["households"] == [
        {
            "public_id": household.public_id, "client_uuid": str(household.client_uuid),
            "village_code": factories.VILLAGE, "ordinal": 1, "masked_name": household.masked_name, "trees": 1,
            "approved": 0, "rejected": 0,
        }
    ]  # fmt: skip
    assert [waiting["number"] for waiting in found["attention"]] == [tree.number]


def test_a_tree_reads_the_same_wherever_it_is_asked_for(field: Client, tree: Tree) -> None:
    household = tree.household
    expected = {
        "number": tree.number, "client_uuid": str(tree.client_uuid), "household": household.public_id,
        "species": "Cunninghamia lanceolata", "dbh_cm": "7.5", "planted_year": None, "lon": "108.921000",
        "lat": "25.912000", "accuracy_m": 8, "measured_on": str(tree.measured_on), "state": "submitted",
        "state_text": "waiting for review", "revision": 1, "photos": [], "picture": None, "review": None,
    }  # fmt: skip
    of_household = get(field, f"field/households/{household.client_uuid}/trees")
    assert of_household["household"] == get(field, "field/day")["households"][0]
    for found in (
        *get(field, "field/day")["attention"], *of_household["trees"],
        *get(field, f"field/households/{household.public_id}/trees")["trees"],
        get(field, f"trees/{tree.number}"), get(field, f"trees/{tree.client_uuid}"),
    ):  # fmt: skip
        found.pop("registered_at")
        assert found == expected


def test_a_tree_shows_its_picture_its_photos_and_its_newest_review(field: Client, tree: Tree, reviewer: User) -> None:
    shown = factories.tree(tree.household)
    review.reject_tree(shown, reviewer=reviewer, reason="bad_photo")
    review.move(shown, "submitted")
    review.reject_tree(shown, reviewer=reviewer, reason="other", note="Which tree is it?")
    found = get(field, f"trees/{shown.number}")
    shown.refresh_from_db()
    assert shown.picture is not None
    assert found["picture"] == shown.picture.small.url
    assert found["photos"] == [{"sha256": shown.picture.sha256, "state": "accepted", "refusal": "", "refusal_code": ""}]
    assert (found["review"]["reason"], found["review"]["reason_text"], found["review"]["note"]) == (
        "other", "Another reason, see the note", "Which tree is it?",
    )  # fmt: skip


def test_attention_is_for_what_the_officer_can_mend(field: Client, officer: User, reviewer: User) -> None:
    owner = factories.household(officer)
    fine, bare, processing, refused, rejected, approved = (
        factories.tree(owner, photo=name in ("fine", "rejected", "approved"))
        for name in ("fine", "bare", "processing", "refused", "rejected", "approved")
    )
    for tree, state, refusal in ((processing, "received", ""), (refused, "refused", "unreadable")):
        Photo.objects.create(
            tree=tree, sha256="0" * 64, original="x", state=state, refusal=refusal, uploaded_by=officer
        )
    review.reject_tree(rejected, reviewer=reviewer, reason="bad_photo")
    review.approve_tree(approved, reviewer=reviewer)
    found = get(field, "field/day")
    assert [tree["number"] for tree in found["attention"]] == [bare.number, refused.number, rejected.number]
    assert found["attention"][1]["photos"][0]["refusal"] == "The photo is damaged and cannot be read. Take it again."
    counts = {key: found["households"][0][key] for key in ("trees", "approved", "rejected")}
    assert counts == {"trees": 6, "approved": 1, "rejected": 1}
    assert fine.state == "submitted"


def test_at_most_so_many_trees_are_taken_along(field: Client, tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    factories.tree(tree.household, photo=False)
    monkeypatch.setattr(day, "MOST_TO_CORRECT", 1)
    assert [found["number"] for found in get(field, "field/day")["attention"]] == [tree.number]


def test_an_officer_takes_along_the_own_villages_only(tree: Tree) -> None:
    village = signed_in(factories.user(roles.OFFICER, factories.OTHER_VILLAGE))
    found = get(village, "field/day")
    assert [found["code"] for found in found["villages"]] == [factories.OTHER_VILLAGE]
    assert (found["households"], found["attention"]) == ([], [])
    answer = village.get(f"/api/v1/field/households/{tree.household.public_id}/trees")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_household")


def test_before_there_is_a_programme_the_day_is_empty_but_there(field: Client) -> None:
    Programme.objects.all().delete()
    Species.objects.all().delete()
    found = get(field, "field/day")
    assert (found["programme"], found["consent"], found["species"], found["households"]) == (None, None, [], [])


def statements(client: Client, path: str) -> int:
    get(client, path)
    with CaptureQueriesContext(connection) as asked:
        get(client, path)
    return len(asked)


def test_however_much_there_is_it_takes_the_same_few_statements(field: Client, officer: User, reviewer: User) -> None:
    def grow(trees: int) -> Household:
        owner = factories.household(officer)
        for number in range(trees):
            tree = factories.tree(owner, photo=bool(number % 2))
            review.reject_tree(tree, reviewer=reviewer, reason="bad_photo")
        return owner

    small = grow(2)
    few = statements(field, "field/day"), statements(field, f"field/households/{small.public_id}/trees")
    large = grow(12)
    assert (statements(field, "field/day"), statements(field, f"field/households/{large.public_id}/trees")) == few
    assert few[0] <= 14
    assert few[1] <= 10


def test_lists_are_packed_for_a_bad_line(field: Client, tree: Tree) -> None:
    for _ in range(5):
        factories.tree(tree.household, photo=False)
    for path in ("field/day", f"field/households/{tree.household.public_id}/trees"):
        plain = get(field, path)
        answer = field.get(f"/api/v1/{path}", headers={"Accept-Encoding": "gzip"})
        assert answer["Content-Encoding"] == "gzip"
        unpacked = json.loads(gzip.decompress(answer.content))
        assert unpacked.get("attention") == plain.get("attention")
        assert len(answer.content) * 2 < len(gzip.decompress(answer.content))


def test_the_session_gives_the_token_that_writing_needs(officer: User) -> None:
    client = Client(enforce_csrf_checks=True, headers={"accept-language": "en"})
    client.force_login(officer)
    found = get(client, "field/session")
    assert found["officer"] == {"id": officer.pk, "name": "officer"}
    body = {"tree": "1", "sha256": "0" * 64, "size": 1}
    path = "/api/v1/uploads"
    refused = client.post(path, body, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")
    let_in = client.post(path, body, content_type="application/json", headers={"X-CSRFToken": found["csrf"]})
    assert (let_in.status_code, let_in.json()["code"]) == (404, "unknown_tree")
    client.logout()
    answer = client.get("/api/v1/field/session")
    assert (answer.status_code, answer.json()["code"]) == (403, "not_authenticated")


ABUSE = [
    b"",
    b"[]",
    b"{",
    b"null",
    b"0",
    b'"x"',
    b"\xff\xfe",
    b'{"a":' * 2000,
    b'{"dbh_cm": NaN}',
    b'{"dbh_cm": Infinity}',
]
VALUES: list[Any] = [
    10**400, -(10**400), 1e308, "1e9999", "NaN", "sNaN", "-Infinity", True, [], [[]], {}, {"a": 1}, "", " ", "\U0001f333" * 500,
    "٣", "7,5", "0x10", "\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace"), "9" * 5000, "0001-01-01", "9999-12-31",
    "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2026-02-30",
]  # fmt: skip


@pytest.mark.parametrize("body", ABUSE, ids=lambda body: body[:20].decode(errors="replace"))
@pytest.mark.parametrize("path", ["households", "trees", "inspections", "uploads", "trees/{number}"])
def test_a_body_that_is_no_record_is_a_400_with_a_sentence(field: Client, tree: Tree, path: str, body: bytes) -> None:
    send = field.put if "{" in path else field.post
    answer = send(f"/api/v1/{path.format(number=tree.number)}", body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"] in ("invalid", "parse_error")) == (400, True)
    assert answer.json()["message"]
    assert (Tree.objects.count(), Household.objects.count()) == (1, 1)


BODIES = {
    "households": lambda tree: registry.household_body(consent_signed_at=None, signature=""),
    "trees": lambda tree: registry.tree_body(tree.household, captured_at=None),
    "trees/{number}": lambda tree: {**registry.tree_body(tree.household, captured_at=None), "revision": 1},
    "inspections": lambda tree: {
        "client_uuid": "6d6c4f52-2f3c-4b3c-8d3a-6c1c1c6f1c11", "tree": tree.number, "condition": "alive", "cause": "",
        "dbh_cm": None, "lon": None, "lat": None, "accuracy_m": None, "inspected_on": "2026-01-01", "note": "",
    },
    "uploads": lambda tree: {"tree": tree.number, "sha256": "0" * 64, "size": 1, "inspection": None},
}  # fmt: skip


@pytest.mark.parametrize("path", BODIES)
def test_no_value_of_any_field_is_a_500(field: Client, tree: Tree, path: str) -> None:
    body = BODIES[path](tree)
    send = field.put if "{" in path else field.post
    for name in body:
        for value in VALUES:
            text = json.dumps({**body, name: value})
            answer = send(f"/api/v1/{path.format(number=tree.number)}", text, content_type="application/json")
            assert answer.status_code in (200, 201, 400, 404, 409, 413), (name, value, answer.content)
            if answer.status_code >= 400:
                assert set(answer.json()) >= {"code", "message"}, (name, value)


def test_half_a_character_is_refused_in_a_sentence(field: Client, officer: User) -> None:
    owner = factories.household(officer)
    body = json.dumps(registry.household_body()).replace('"poor"', '"\\ud800"')
    answer = field.post("/api/v1/households", body, content_type="application/json")
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["category"])
    assert Household.objects.get() == owner
