"""Who registered a tree does not decide what becomes of a report about it."""

import pytest

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from tests import factories
from tests.purchases.losing import inspection
from trees.growth import decide_inspection


@pytest.mark.django_db
@pytest.mark.parametrize("confirm", [True, False])
def test_who_registered_a_tree_does_not_decide_about_it(officer: User, reviewer: User, confirm: bool) -> None:
    tree = factories.approved_tree(factories.household(officer), reviewer)
    report = inspection(tree, "felled", inspected_by=factories.user(roles.OFFICER))
    with pytest.raises(DomainError) as refused:
        decide_inspection(report, reviewer=officer, confirm=confirm, remark="it stands")
    assert refused.value.code == "same_person"
    tree.refresh_from_db()
    assert (tree.state, report.state) == ("suspended", "reported")
    decide_inspection(report, reviewer=reviewer, confirm=confirm, remark="it stands")
