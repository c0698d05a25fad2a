"""Trees that are corrected: what was there is kept, the reviewers see the tree again, and nobody overwrites anybody."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from tests import factories
from tests.ground.threads import at_once
from tests.trees.conftest import signed_in
from tests.trees.registry import Page, post, stored, tree_body
from trees import review
from trees.models import Consent, Correction, Enrolment, Species, Tree
from trees.registration import withdraw_consent

TODAY = timezone.localdate()


@pytest.fixture
def tree(officer: User) -> Tree:
    """A tree that waits for its review."""
    return factories.tree(factories.household(officer))


@pytest.fixture
def rejected(tree: Tree, reviewer: User) -> Tree:
    review.reject_tree(tree, reviewer=reviewer, reason="wrong_size", note="7.5?")
    return tree


def body(tree: Tree, **changes: Any) -> dict[str, Any]:
    """What a device sends: the whole tree as it should be, and the revision it saw."""
    sent = tree_body(tree.household, **{"revision": 1, **changes})
    return {key: value for key, value in sent.items() if key not in ("client_uuid", "household")}


def put(client: Client, tree: Tree, sent: dict[str, Any], reference: object = None) -> Any:
    return client.put(f"/api/v1/trees/{reference or tree.number}", sent, content_type="application/json")


def test_a_rejected_tree_is_corrected_and_goes_to_the_reviewers_again(
    field: Client, officer: User, rejected: Tree
) -> None:
    Species.objects.create(scientific_name="Pinus massoniana", name_zh="马尾松")
    shown = field.get(f"/api/v1/trees/{rejected.number}").json()
    assert (shown["state"], shown["revision"]) == ("rejected", 1)
    assert {key: shown["review"][key] for key in ("decision", "reason", "reason_text", "note")} == {
        "decision": "rejected", "reason": "wrong_size", "reason_text": "The size does not fit the photo",
        "note": "7.5?",
    }  # fmt: skip
    sent = body(rejected, species="Pinus massoniana", dbh_cm="9.5", planted_year=2014, lat="25.9125")
    answer = put(field, rejected, sent)
    assert answer.status_code == 200
    assert {key: answer.json()[key] for key in ("species", "dbh_cm", "planted_year", "lat", "state", "revision")} == {
        "species": "Pinus massoniana", "dbh_cm": "9.5", "planted_year": 2014, "lat": "25.912500",
        "state": "submitted", "revision": 2,
    }  # fmt: skip
    correction = Correction.objects.get()
    assert (correction.tree, correction.revision, correction.by) == (rejected, 2, officer)
    assert correction.before == {
        "species": "Cunninghamia lanceolata", "dbh_cm": "7.5", "planted_year": None, "lon": "108.921000",
        "lat": "25.912000", "accuracy_m": 8, "measured_on": str(TODAY), "captured_at": None,
        "measured_by_id": officer.pk, "state": "rejected",
    }  # fmt: skip
    change = rejected.history().last()
    assert change is not None
    assert (change.from_state, change.to_state, change.by, change.reason) == (
        "rejected", "submitted", officer, "corrected",
    )  # fmt: skip


def test_before_the_review_a_correction_leaves_the_tree_where_it_waits(field: Client, tree: Tree) -> None:
    answer = put(field, tree, body(tree, dbh_cm="8.1"))
    assert (answer.status_code, answer.json()["state"], answer.json()["revision"]) == (200, "submitted", 2)
    assert answer.json() == field.get(f"/api/v1/trees/{tree.client_uuid}").json()
    assert [change.to_state for change in tree.history()] == []
    assert put(field, tree, body(tree, dbh_cm="8.2", revision=2), tree.client_uuid).json()["revision"] == 3
    assert list(Correction.objects.order_by("revision").values_list("revision", "before__dbh_cm")) == [
        (2, "7.5"), (3, "8.1"),
    ]  # fmt: skip


def test_sent_again_a_correction_is_the_same_one_even_after_the_next(field: Client, rejected: Tree) -> None:
    first, second = body(rejected, dbh_cm="8.1"), body(rejected, dbh_cm="8.2", revision=2)
    for _ in range(3):
        assert put(field, rejected, first).json()["dbh_cm"] == "8.1"
    assert put(field, rejected, second).json()["revision"] == 3
    before = stored()
    again = put(field, rejected, first)
    assert (again.status_code, again.json()["dbh_cm"], again.json()["revision"]) == (200, "8.2", 3)
    assert stored() == before
    assert Correction.objects.count() == 2


def test_the_registration_sent_again_after_a_correction_gets_the_record_of_today(field: Client, officer: User) -> None:
    registration = tree_body(factories.household(officer))
    number = post(field, "trees", registration).json()["number"]
    tree = Tree.objects.get(number=number)
    put(field, tree, body(tree, dbh_cm="8.1"))
    before = stored()
    answer = post(field, "trees", registration)
    assert (answer.status_code, answer.json()["dbh_cm"], answer.json()["revision"]) == (201, "8.1", 2)
    assert stored() == before
    answer = post(field, "trees", {**registration, "dbh_cm": "8.1"})
    assert (answer.status_code, answer.json()["code"], answer.json()["record"]["number"]) == (
        409, "different_content", number,
    )  # fmt: skip


def test_who_corrects_an_old_revision_sees_both_and_overwrites_nothing(field: Client, rejected: Tree) -> None:
    colleague = signed_in(factories.user(roles.OFFICER))
    assert put(colleague, rejected, body(rejected, dbh_cm="8.1")).status_code == 200
    before = stored()
    answer = put(field, rejected, body(rejected, dbh_cm="9.9"))
    assert (answer.status_code, answer.json()["code"], answer.json()["message"]) == (
        409, "changed_meanwhile",
        "Somebody else has corrected this tree meanwhile. Compare both, and correct it again if need be.",
    )  # fmt: skip
    assert answer.json()["record"] == field.get(f"/api/v1/trees/{rejected.number}").json()
    assert answer.json()["record"]["dbh_cm"] == "8.1"
    # The same words from somebody who had not seen the other's: nothing is in dispute.
    assert put(field, rejected, body(rejected, dbh_cm="8.1", captured_at="2026-01-01T00:00:00Z")).status_code == 200
    # A revision that does not exist yet.
    assert put(field, rejected, body(rejected, dbh_cm="9.9", revision=3)).status_code == 409
    assert stored() == before
    assert Correction.objects.count() == 1


def test_a_tree_that_was_approved_meanwhile_stays_as_it_was_approved(field: Client, tree: Tree, reviewer: User) -> None:
    review.approve_tree(tree, reviewer=reviewer)
    before = stored()
    answer = put(field, tree, body(tree, dbh_cm="9.9"))
    assert (answer.status_code, answer.json()["code"], answer.json()["record"]["state"]) == (
        409, "wrong_state", "approved",
    )  # fmt: skip
    assert answer.json()["message"] == (
        "This tree is “approved”: what is recorded about it stays. Record an inspection instead."
    )
    assert stored() == before
    tree.refresh_from_db()
    assert (tree.dbh_cm, tree.revision) == (Decimal("7.5"), 1)


def test_a_correction_sent_again_after_the_approval_is_still_known(field: Client, tree: Tree, reviewer: User) -> None:
    sent = body(tree, dbh_cm="8.1")
    put(field, tree, sent)
    review.approve_tree(Tree.objects.get(pk=tree.pk), reviewer=reviewer)
    answer = put(field, tree, sent)
    assert (answer.status_code, answer.json()["state"], answer.json()["dbh_cm"]) == (200, "approved", "8.1")


def test_who_corrected_a_tree_cannot_approve_it(field: Client, rejected: Tree, reviewer: User) -> None:
    both = factories.user(roles.OFFICER)
    both.groups.add(reviewer.groups.get())
    assert put(signed_in(both), rejected, body(rejected, dbh_cm="8.1")).status_code == 200
    corrected = Tree.objects.get(pk=rejected.pk)
    assert (corrected.measured_by, corrected.registered_by) == (both, rejected.registered_by)
    answer = post(signed_in(both), f"trees/{rejected.number}/approve", {})
    assert (answer.status_code, answer.json()["code"]) == (403, "same_person")
    assert post(signed_in(reviewer), f"trees/{rejected.number}/approve", {}).status_code == 200
    assert (Enrolment.objects.get().measured_by, Enrolment.objects.get().dbh_cm) == (both, Decimal("8.1"))


@pytest.mark.parametrize(
    ("clock", "kept"),
    [
        ("2026-01-02T03:04:05+08:00", "2026-01-01T19:04:05+00:00"), ("1970-01-01T00:00:00Z", None),
        ("2999-12-31T23:59:59Z", None), (None, None),
    ],
)  # fmt: skip
def test_a_device_s_clock_that_cannot_be_right_says_nothing(
    field: Client, tree: Tree, clock: str | None, kept: str | None
) -> None:
    sent = tree_body(tree.household, captured_at=clock)
    number = post(field, "trees", sent).json()["number"]
    assert post(field, "trees", sent).json()["number"] == number
    assert put(field, tree, body(tree, dbh_cm="8.0", captured_at=clock)).json()["revision"] == 2
    for found in Tree.objects.all():
        assert found.captured_at == (datetime.fromisoformat(kept) if kept else None)


WRONG = {
    "too thin": ({"dbh_cm": "4.9"}, "not_eligible"),
    "half a position": ({"lat": None}, "bad_position"),
    "position 0, 0": ({"lon": "0", "lat": "0"}, "bad_position"),
    "measured tomorrow": ({"measured_on": str(TODAY + timedelta(days=1))}, "invalid"),
    "no revision": ({"revision": None}, "invalid"),
    "unknown species": ({"species": "Picea sitchensis"}, "invalid"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_correction_is_checked_like_a_registration(field: Client, rejected: Tree, fault: str) -> None:
    changes, code = WRONG[fault]
    before = stored()
    answer = put(field, rejected, {**body(rejected), **changes})
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert stored() == before
    rejected.refresh_from_db()
    assert (rejected.state, rejected.revision) == ("rejected", 1)


def test_without_a_consent_a_withdrawn_tree_stays_withdrawn(field: Client, officer: User, reviewer: User) -> None:
    tree = factories.approved_tree(factories.household(officer), reviewer)
    withdraw_consent(tree.household, by=officer)
    answer = put(field, tree, body(tree))
    assert (answer.status_code, answer.json()["code"]) == (400, "no_consent")
    assert Tree.objects.get().state == "withdrawn"
    signed = Consent.objects.get()
    Consent.objects.create(household=tree.household, text=signed.text, signed_at=timezone.now())
    assert put(field, tree, body(tree)).json()["state"] == "submitted"


def test_a_tree_whose_years_are_over_is_measured_anew(field: Client, officer: User, reviewer: User) -> None:
    measured = TODAY - timedelta(days=2000)
    tree = factories.approved_tree(factories.household(officer), reviewer, measured_on=measured)
    review.move(tree, Tree.State.EXPIRED)
    answer = put(field, tree, body(tree, measured_on=str(measured)))
    assert (answer.status_code, answer.json()["code"]) == (400, "not_measured_anew")
    answer = put(field, tree, body(tree, dbh_cm="12.5"))
    assert (answer.json()["state"], answer.json()["dbh_cm"], answer.json()["revision"]) == ("submitted", "12.5", 2)
    assert (Enrolment.objects.count(), Enrolment.objects.get().dbh_cm) == (1, Decimal("7.5"))


@pytest.mark.django_db(transaction=True)
def test_of_twenty_corrections_at_once_one_counts() -> None:
    tree = factories.tree()
    clients = [signed_in(tree.registered_by) for _ in range(20)]
    same = body(tree, dbh_cm="8.1")
    answers = at_once(*(lambda client=client: put(client, tree, same) for client in clients))
    assert [answer.status_code for answer in answers] == [200] * 20
    assert Correction.objects.count() == 1
    others = [body(tree, dbh_cm=f"{9 + n}.1", revision=2) for n in range(20)]
    answers = at_once(*(lambda pair=pair: put(pair[0], tree, pair[1]) for pair in zip(clients, others, strict=True)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 19
    winner = next(answer.json() for answer in answers if answer.status_code == 200)
    assert {answer.json()["record"]["dbh_cm"] for answer in answers if answer.status_code == 409} == {winner["dbh_cm"]}
    assert (Correction.objects.count(), Tree.objects.get().revision) == (2, 3)


@pytest.mark.parametrize(
    "statement",
    ["UPDATE trees_correction SET before = '{}'", "UPDATE trees_correction SET by_id = by_id",
     "DELETE FROM trees_correction"],
)  # fmt: skip
def test_what_was_corrected_stays_on_record(field: Client, tree: Tree, statement: str) -> None:
    put(field, tree, body(tree, dbh_cm="8.1"))
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


class TestPage:
    """The same without the field app."""

    def form(self, tree: Tree, **changes: Any) -> dict[str, str]:
        sent = body(tree, **changes)
        sent["species"] = Species.objects.get(scientific_name=sent["species"]).pk
        return {key: str(value) for key, value in sent.items() if value is not None}

    def path(self, tree: Tree) -> str:
        return f"/officer/trees/{tree.number}/correct/"

    def test_the_page_says_why_the_tree_came_back_and_holds_what_is_recorded(
        self, field: Client, rejected: Tree
    ) -> None:
        listed = field.get(f"/officer/households/{rejected.household.public_id}/").content.decode()
        assert f'href="{self.path(rejected)}"' in listed
        assert "The size does not fit the photo · 7.5?" in listed
        page = Page(field.get(self.path(rejected)))
        assert "The size does not fit the photo · 7.5?" in page.text
        assert {key: page.values[key] for key in ("dbh_cm", "revision", "lon", "measured_on", "species")} == {
            "dbh_cm": "7.5", "revision": "1", "lon": "108.921000", "measured_on": str(TODAY),
            "species": str(rejected.species_id),
        }  # fmt: skip

    def test_tree_and_photo_are_corrected_together_or_not_at_all(self, field: Client, rejected: Tree) -> None:
        before = stored()
        bad = SimpleUploadedFile("x.svg", b"<svg/>", "image/svg+xml")
        answer = field.post(self.path(rejected), {**self.form(rejected, dbh_cm="8.1"), "photo": bad})
        assert answer.status_code == 400
        assert "This file is not a photo (JPEG, PNG, WebP or HEIC). Choose another one." in Page(answer).said
        assert (stored(), Correction.objects.count()) == (before, 0)
        good = SimpleUploadedFile("x.jpg", factories.picture(), "image/jpeg")
        answer = field.post(self.path(rejected), {**self.form(rejected, dbh_cm="8.1"), "photo": good})
        assert (answer.status_code, answer["Location"]) == (302, f"/officer/households/{rejected.household.public_id}/")
        rejected.refresh_from_db()
        assert (rejected.state, rejected.dbh_cm, rejected.photos.count()) == ("submitted", Decimal("8.1"), 2)

    def test_an_old_page_overwrites_nothing_and_says_so(self, field: Client, rejected: Tree) -> None:
        put(field, rejected, body(rejected, dbh_cm="8.1"))
        answer = field.post(self.path(rejected), self.form(rejected, dbh_cm="9.9"))
        assert answer.status_code == 409
        assert any(said.startswith("Somebody else has corrected this tree meanwhile.") for said in Page(answer).said)
        assert Tree.objects.get().dbh_cm == Decimal("8.1")

    def test_an_approved_tree_has_no_link_to_correct_it(self, field: Client, tree: Tree, reviewer: User) -> None:
        review.approve_tree(tree, reviewer=reviewer)
        assert "/correct/" not in field.get(f"/officer/households/{tree.household.public_id}/").content.decode()
        assert field.post(self.path(tree), self.form(tree, dbh_cm="9.9")).status_code == 409
        assert Tree.objects.get().dbh_cm == Decimal("7.5")
