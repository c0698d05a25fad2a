"""A year whose approval was taken back is not sold, whatever the tree is approved for later."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from carbonsink.accounts import roles
from purchases.models import Sink, Stock, Tariff
from purchases.vintages import open_vintage, unsold
from tests import factories
from tests.purchases import books
from trees import review
from trees.models import Enrolment

pytestmark = pytest.mark.django_db


@pytest.fixture
def year(later: Callable[..., None]) -> int:
    """The year, still on sale, of an approval that was taken back; the tree was approved again in the next one."""
    tree, reviewer, year = factories.approved_tree(), factories.user(roles.REVIEWER), timezone.localdate().year
    open_vintage(factories.tariff(closes_at=timezone.now() + timedelta(days=500)))
    review.take_back_approval(tree, reviewer=reviewer, reason="wrong_species")
    later(days=366)
    review.approve_tree(tree, reviewer=reviewer)
    return year


def test_the_sink_of_a_year_that_no_enrolment_covers_stays_closed(year: int) -> None:
    assert Enrolment.objects.get(revoked_at=None).first_vintage == year + 1
    assert Tariff.objects.get().closes_at > timezone.now()
    assert (Sink.objects.get().open, unsold(year)) == (False, 0)
    books.all_is_well()


def test_the_audit_sees_one_that_is_on_sale(year: int) -> None:
    Sink.objects.update(open=True)
    Stock.objects.update(total=1)
    assert list(books.found()) == ["sinks on sale of years that no enrolment covers"]
