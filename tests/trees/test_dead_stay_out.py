"""A tree that was found dead does not come back, also when its household had left before that was decided."""

import pytest
from django.test import Client
from django.utils import timezone

from carbonsink.accounts.models import User
from tests import factories
from tests.purchases.losing import inspection
from tests.trees.test_corrections import body, put
from trees.growth import decide_inspection
from trees.models import Consent, Tree
from trees.registration import withdraw_consent


@pytest.mark.django_db
def test_a_tree_found_dead_after_its_household_left_does_not_come_back(
    field: Client, officer: User, reviewer: User
) -> None:
    tree = factories.approved_tree(factories.household(officer), reviewer)
    report = inspection(tree, "dead")
    withdraw_consent(tree.household, by=officer)
    decide_inspection(report, reviewer=reviewer, confirm=True)
    text = Consent.objects.get().text
    Consent.objects.create(household=tree.household, text=text, signed_at=timezone.now())
    answer = put(field, tree, body(tree, dbh_cm="8.1"))
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")
    assert (Tree.objects.get().state, Tree.objects.get().revision) == ("withdrawn", 1)
