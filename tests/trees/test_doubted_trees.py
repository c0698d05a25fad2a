"""A refuted report brings a tree back that it had suspended, not one that a second look keeps out."""

import pytest
from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from purchases.vintages import open_vintage
from tests import factories
from tests.purchases.losing import inspection
from trees.growth import decide_inspection
from trees.models import SecondLook
from trees.second_looks import draw_second_looks, take_second_look


@pytest.mark.django_db
def test_who_approved_a_tree_does_not_undo_a_second_look_by_refuting_a_report(officer: User, reviewer: User) -> None:
    factories.divisions()
    factories.programme(second_look_percent=100)
    tree = factories.approved_tree(factories.household(officer), reviewer)
    open_vintage(factories.tariff())
    factories.paid_order(tree=tree)
    draw_second_looks(timezone.now())
    second = factories.user(roles.REVIEWER)
    take_second_look(SecondLook.objects.get(), reviewer=second, verdict="disagrees", reason="wrong_species")
    tree.refresh_from_db()
    assert tree.state == "suspended"
    decide_inspection(inspection(tree, "dead"), reviewer=reviewer, confirm=False, remark="it stands")
    tree.refresh_from_db()
    assert tree.state == "suspended"
