"""Who has corrected a tree does not judge it, also when somebody else corrected it after them."""

from decimal import Decimal

import pytest

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from tests import factories
from trees import review
from trees.corrections import correct_tree, recorded


@pytest.mark.django_db
def test_a_reviewer_does_not_approve_figures_they_wrote_before_the_last_correction(
    officer: User, reviewer: User
) -> None:
    tree = factories.tree(factories.household(officer))
    correct_tree(tree, officer=reviewer, **{**recorded(tree), "dbh_cm": Decimal(40)})
    correct_tree(tree, officer=officer, **{**recorded(tree), "accuracy_m": 3})
    assert (tree.measured_by, tree.dbh_cm) == (officer, Decimal(40))
    with pytest.raises(DomainError) as refused:
        review.approve_tree(tree, reviewer=reviewer)
    assert refused.value.code == "same_person"
    assert review.is_whose(tree, reviewer)
    review.approve_tree(tree, reviewer=factories.user(roles.REVIEWER))
