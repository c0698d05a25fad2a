"""Registering a tree, through the API as devices do and through the page with its photo."""

import errno
import json
import uuid
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.storage import storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from carbonsink.celery import app
from tests import factories
from tests.ground.threads import at_once
from tests.trees.conftest import signed_in
from tests.trees.registry import Page, post, stored, tree_body, tree_form
from trees.models import Household, Photo, Tree
from trees.numbers import is_tree_number
from trees.registration import withdraw_consent

TODAY = timezone.localdate()
YEAR = TODAY.year
TOO_SMALL = "The tree is too young and too thin: it needs a DBH of 5.0 cm or an age of 3 years."
DBH = "The DBH must be more than 0 and less than 500 cm. Measure it again."
POSITION = "The position is not complete. Take it again or leave it empty."
BAD = {
    "too thin, age unknown": ({"dbh_cm": "4.9"}, "not_eligible", TOO_SMALL),
    "too thin and too young": ({"dbh_cm": "4.9", "planted_year": YEAR - 2}, "not_eligible", TOO_SMALL),
    "too young, not measured": ({"dbh_cm": None, "planted_year": YEAR - 2}, "not_eligible", TOO_SMALL),
    "neither": ({"dbh_cm": None}, "not_eligible", TOO_SMALL),
    "old, of no thickness": ({"dbh_cm": "0", "planted_year": YEAR - 9}, "not_eligible", DBH),
    "thicker than any tree": ({"dbh_cm": "500", "planted_year": YEAR - 9}, "not_eligible", DBH),
    "planted after it was measured": (
        {"planted_year": YEAR + 1}, "not_eligible",
        "The tree was measured before it was planted. Correct one of the years.",
    ),
    "measured tomorrow": (
        {"measured_on": str(TODAY + timedelta(days=1))}, "invalid",
        "The day of measuring is in the future. Correct the date.",
    ),
    "half a position": ({"lat": None}, "bad_position", POSITION),
    "the other half": ({"lon": None}, "bad_position", POSITION),
    "position 0, 0": ({"lon": "0", "lat": "0.0"}, "bad_position", POSITION),
}  # fmt: skip
MALFORMED = {
    "client_uuid": "1", "household": "x" * 37, "dbh_cm": "7.55", "planted_year": "MMXX", "lon": "180.000001",
    "lat": "-90.5", "accuracy_m": -1, "measured_on": "2026-13-01",
}  # fmt: skip


@pytest.fixture
def owner(officer: User) -> Household:
    return factories.household(officer)


def test_a_tree_gets_its_number_and_waits_for_review(field: Client, officer: User, owner: Household) -> None:
    body = tree_body(owner, planted_year=2015)
    answer = post(field, "trees", body)
    tree = Tree.objects.get()
    assert (answer.status_code, answer.json()) == (201, {
        "number": tree.number, "client_uuid": body["client_uuid"], "household": owner.public_id,
        "species": "Cunninghamia lanceolata", "dbh_cm": "7.5", "planted_year": 2015, "lon": "108.921000",
        "lat": "25.912000", "accuracy_m": 8, "measured_on": str(TODAY), "state": "submitted",
        "state_text": "waiting for review", "revision": 1, "photos": [], "picture": None, "review": None,
        "registered_at": timezone.localtime(tree.registered_at).isoformat(),
    })  # fmt: skip
    assert tree.number[:-1] == f"{factories.VILLAGE}001001"
    assert is_tree_number(tree.number)
    assert (tree.lon, tree.lat, tree.accuracy_m, tree.registered_by) == (
        Decimal("108.921000"), Decimal("25.912000"), 8, officer,
    )  # fmt: skip
    assert field.get(f"/api/v1/trees/{tree.number}").json() == answer.json()


def test_trees_of_a_household_are_numbered_one_after_another(field: Client, owner: Household, officer: User) -> None:
    other = factories.household(officer)
    numbers = [post(field, "trees", tree_body(of)).json()["number"] for of in (owner, owner, other, owner)]
    assert [number[12:18] for number in numbers] == ["001001", "001002", "002001", "001003"]


def test_a_household_has_numbers_for_999_trees(field: Client, owner: Household) -> None:
    body = tree_body(owner)
    Household.objects.update(trees_numbered=998)
    assert post(field, "trees", body).json()["number"][15:18] == "999"
    before = stored()
    answer = post(field, "trees", tree_body(owner))
    assert (answer.status_code, answer.json()["code"]) == (400, "no_ordinal_left")
    assert stored() == before


@pytest.mark.parametrize(
    "measure",
    [
        {"dbh_cm": "5.0"}, {"dbh_cm": "4.9", "planted_year": YEAR - 3}, {"dbh_cm": None, "planted_year": YEAR - 3},
        {"dbh_cm": "0.1", "planted_year": 1900}, {"dbh_cm": "499.9"}, {"lon": None, "lat": None, "accuracy_m": None},
        {"lon": "0", "lat": "25.9"}, {"measured_on": "2020-02-29"},
    ],
    ids=str,
)  # fmt: skip
def test_thick_or_old_enough_is_enough_and_a_position_is_not_needed(
    field: Client, owner: Household, measure: dict[str, Any]
) -> None:
    assert post(field, "trees", tree_body(owner, **measure)).status_code == 201


def test_a_programme_may_have_an_upper_bound(field: Client, owner: Household) -> None:
    factories.programme(max_dbh_cm=Decimal("8.0"))
    assert post(field, "trees", tree_body(owner, dbh_cm="8.0")).status_code == 201
    answer = post(field, "trees", tree_body(owner, dbh_cm="8.1", planted_year=2000))
    assert (answer.status_code, answer.json()["message"]) == (
        400, "The tree is too thick for this programme: its DBH may be at most 8.0 cm.",
    )  # fmt: skip


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_tree_is_a_sentence_and_nothing_is_stored(field: Client, owner: Household, fault: str) -> None:
    changes, code, sentence = BAD[fault]
    body = tree_body(owner, **changes)
    before = stored()
    answer = post(field, "trees", body)
    assert (answer.status_code, answer.json()) == (400, {"code": code, "message": sentence})
    assert stored() == before


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_field_is_named(field: Client, owner: Household, name: str) -> None:
    body = tree_body(owner, **{name: MALFORMED[name]})
    before = stored()
    answer = post(field, "trees", body)
    assert answer.status_code == 400
    assert (answer.json()["code"], list(answer.json()["fields"])) == ("invalid", [name])
    assert stored() == before


@pytest.mark.parametrize("species", ["Picea sitchensis", "杉木", "cunninghamia lanceolata", ""])
def test_an_unknown_species_is_refused(field: Client, owner: Household, species: str) -> None:
    body = tree_body(owner, species=species)
    before = stored()
    answer = post(field, "trees", body)
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["species"])
    assert stored() == before


@pytest.mark.parametrize("name", ["species", "household", "client_uuid"])
def test_a_nul_in_a_text_is_a_400(field: Client, owner: Household, name: str) -> None:
    body = tree_body(owner, **{name: "a\0b"})
    answer = field.post("/api/v1/trees", json.dumps(body), content_type="application/json")
    assert (answer.status_code, list(answer.json()["fields"])) == (400, [name])


def test_another_officer_s_household_is_not_found(field: Client, owner: Household) -> None:
    stranger = factories.household(village_code=factories.OTHER_COUNTY)
    for public_id in (stranger.public_id, "0" * 20):
        body = tree_body(owner, household=public_id)
        before = stored()
        answer = post(field, "trees", body)
        assert (answer.status_code, answer.json()) == (404, {
            "code": "unknown_household", "message": "This household is not among yours. Register it first.",
        })  # fmt: skip
        assert stored() == before


def test_after_a_withdrawn_consent_no_tree_is_taken(field: Client, officer: User, owner: Household) -> None:
    withdraw_consent(owner, by=officer)
    body = tree_body(owner)
    before = stored()
    answer = post(field, "trees", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "no_consent")
    assert stored() == before


def test_the_same_record_again_gets_the_same_answer_and_another_under_its_uuid_409(
    field: Client, officer: User, owner: Household
) -> None:
    other = factories.household(officer)
    body = tree_body(owner)
    first = post(field, "trees", body)
    before = stored()
    again = post(field, "trees", body)
    assert (again.status_code, again.json()) == (201, first.json())
    for changes in ({"dbh_cm": "7.6"}, {"planted_year": 2010}, {"household": other.public_id}, {"lon": "108.921001"}):
        answer = post(field, "trees", {**body, **changes})
        assert (answer.status_code, answer.json()["code"]) == (409, "different_content"), changes
    assert stored() == before


@pytest.mark.django_db(transaction=True)
def test_the_same_tree_ten_times_at_once_is_one_tree_and_ten_trees_have_ten_numbers() -> None:
    owner = factories.household(factories.user(roles.OFFICER))
    clients = [signed_in(owner.registered_by) for _ in range(10)]
    body = tree_body(owner)
    answers = at_once(*(lambda client=client: post(client, "trees", body) for client in clients))
    assert [answer.status_code for answer in answers] == [201] * 10
    assert len({answer.json()["number"] for answer in answers}) == 1
    assert stored()["tree ordinals"] == 1

    bodies = [{**body, "client_uuid": str(uuid.uuid4())} for _ in clients]
    answers = at_once(
        *(lambda pair=pair: post(pair[0], "trees", pair[1]) for pair in zip(clients, bodies, strict=True))
    )
    assert sorted(answer.json()["number"][15:18] for answer in answers) == [f"{n:03d}" for n in range(2, 12)]


def photo(content: bytes | None = None, name: str = "tree.jpg") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content or factories.picture(), "image/jpeg")


class TestPage:
    @pytest.fixture
    def path(self, owner: Household) -> str:
        return f"/officer/households/{owner.public_id}/trees/new/"

    def test_a_tree_and_its_photo_are_stored_and_the_form_for_the_next_one_follows(
        self, field: Client, owner: Household, path: str
    ) -> None:
        answer = field.post(path, {**tree_form(planted_year=2016, dbh_cm=None), "photo": photo()})
        assert (answer.status_code, answer["Location"]) == (302, path)
        tree = Tree.objects.get()
        assert (tree.household, tree.state, tree.photos.count()) == (owner, "submitted", 1)
        page = Page(field.get(path))
        assert f"Tree {tree.number} is registered." in page.text
        assert (page.values["planted_year"], page.values["species"]) == ("2016", str(tree.species_id))
        assert page.values["measured_on"] == str(TODAY)
        assert page.values["client_uuid"] != str(tree.client_uuid)

    def test_sent_twice_it_is_one_tree_with_one_photo(self, field: Client, path: str) -> None:
        form, content = tree_form(), factories.picture()
        for _ in range(2):
            assert field.post(path, {**form, "photo": photo(content)}).status_code == 302
        assert (Tree.objects.count(), Photo.objects.count()) == (1, 1)

    @pytest.fixture
    def worker(self) -> Iterator[None]:
        """Tasks run where they are called, as a worker would run them."""
        app.conf.task_always_eager = True
        yield
        app.conf.task_always_eager = False

    def test_the_photo_is_processed_after_the_commit(
        self, field: Client, path: str, worker: None, django_capture_on_commit_callbacks: Any
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True) as rung:
            field.post(path, {**tree_form(), "photo": photo()})
            assert Photo.objects.get().state == "received"
        assert len(rung) == 1
        assert Photo.objects.get().state == "accepted"

    @pytest.mark.parametrize("fault", BAD)
    def test_a_bad_tree_is_said_on_the_page_which_keeps_what_was_typed(
        self, field: Client, path: str, fault: str
    ) -> None:
        changes, _code, sentence = BAD[fault]
        form = tree_form(**changes)
        before = stored()
        answer = field.post(path, {**form, "photo": photo()})
        assert answer.status_code == 400
        assert stored() == before
        page = Page(answer)
        assert sentence in page.said
        assert "Take the photo again: browsers do not keep it." in page.text
        assert {name: page.values.get(name) for name in form} == form

    @pytest.mark.parametrize(
        ("content", "status", "sentence"),
        [
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 400, "This file is not a photo (JPEG, PNG, WebP or HEIC)."),
            (b"", 400, "The submitted file is empty."),
            (b"\xff\xd8\xff" + b"x" * (15 * 2**20), 413, "The photo has more than 15 MB."),
        ],
        ids=["svg", "empty", "too large"],
    )
    def test_with_a_bad_photo_neither_tree_nor_photo_is_stored(
        self, field: Client, path: str, content: bytes, status: int, sentence: str
    ) -> None:
        form = tree_form()
        before = stored()
        answer = field.post(path, {**form, "photo": SimpleUploadedFile("tree.jpg", content, "image/jpeg")})
        page = Page(answer)
        assert answer.status_code == status
        assert any(said.startswith(sentence) for said in page.said)
        assert stored() == before
        assert page.values["dbh_cm"] == form["dbh_cm"]

    def test_when_the_photo_cannot_be_kept_the_tree_is_not_stored_either(
        self, field: Client, path: str, monkeypatch: Any
    ) -> None:
        def full(*_: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        form = tree_form()
        before = stored()
        monkeypatch.setattr(storages["evidence"], "save", full)
        field.raise_request_exception = False
        assert field.post(path, {**form, "photo": photo()}).status_code == 500
        assert stored() == before

    def test_without_a_photo_nothing_is_stored(self, field: Client, path: str) -> None:
        form = tree_form()
        before = stored()
        answer = field.post(path, form)
        assert answer.status_code == 400
        assert "This field is required." in Page(answer).said
        assert stored() == before

    def test_another_record_under_the_same_uuid_is_a_409_and_its_photo_is_not_kept(
        self, field: Client, path: str
    ) -> None:
        form = tree_form()
        field.post(path, {**form, "photo": photo()})
        before = stored()
        answer = field.post(path, {**form, "dbh_cm": "9.9", "photo": photo()})
        assert answer.status_code == 409
        assert any(said.startswith("This record was sent before with other content.") for said in Page(answer).said)
        assert stored() == before

    def test_a_position_of_a_phone_with_many_decimals_is_kept_to_six(self, field: Client, path: str) -> None:
        form = tree_form(lon="108.92100049999", lat="25.9120009")
        assert field.post(path, {**form, "photo": photo()}).status_code == 302
        assert (Tree.objects.get().lon, Tree.objects.get().lat) == (Decimal("108.921000"), Decimal("25.912001"))
        answer = field.post(path, {**tree_form(lon="0.0000001", lat="-0.0000002"), "photo": photo()})
        assert answer.status_code == 400
        assert POSITION in Page(answer).said


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("dbh_cm = NULL", "tree_measured"), ("dbh_cm = 0", "tree_dbh"), ("lon = NULL", "tree_position"),
        ("lon = 0, lat = 0", "tree_position"), ("lon = 181", "tree_position"),
        ("client_uuid = '00000000-0000-0000-0000-000000000000'", "client_uuid"),
    ],
)  # fmt: skip
def test_trees_keep_their_rules_by_plain_sql(change: str, rule: str) -> None:
    owner = factories.household()
    factories.tree(owner, photo=False, client_uuid=uuid.UUID(int=0))
    second = factories.tree(owner, photo=False)
    with pytest.raises(IntegrityError, match=rule), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE trees_tree SET {change} WHERE id = %s", [second.pk])


def test_the_public_position_is_rounded_to_a_kilometre() -> None:
    tree = Tree(lon=Decimal("108.921499"), lat=Decimal("25.916001"), measured_on=date(2026, 1, 1))
    assert tree.public_position == (108.92, 25.92)
    assert Tree(lon=None, lat=None).public_position is None
