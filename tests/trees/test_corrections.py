"""Trees that are corrected: what was there is kept, the reviewers see the tree again, and nobody overwrites anybody."""

import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from tests import factories
from tests.ground.threads import at_once
from tests.trees.conftest import signed_in
from tests.trees.registry import post, stored, tree_body
from trees import review
from trees.corrections import correct_tree
from trees.models import Consent, Correction, Species, Tree
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
    sent = tree_body(tree.household, revision=1, **changes)
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
