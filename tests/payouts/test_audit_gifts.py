"""The audit sees gifts that promise or gave what their order did not have."""

import pytest

from purchases import gifts
from purchases.models import Buyer
from tests import factories
from tests.payouts.test_audit import by_hand
from tests.purchases import books

pytestmark = pytest.mark.django_db

# {sentence of the audit: SQL that makes it true}
BROKEN: dict[str, str] = {
    "orders whose gifts are more trees than they had": "UPDATE purchases_gift SET trees = 3 WHERE state = 'waiting'",
    "taken gifts whose certificate is another order's or another size": "UPDATE purchases_gift SET trees = 2"
    " WHERE state = 'taken'; UPDATE purchases_gift SET trees = 1 WHERE state = 'waiting'",
}


@pytest.mark.parametrize("sentence", BROKEN)
def test_the_audit_sees(sentence: str) -> None:
    factories.market(3)
    order = factories.paid_order(3)
    taken, _waiting = gifts.give(order, [gifts.Wish(1), gifts.Wish(2)], giver="")
    gifts.take(taken, holder="", receiver=Buyer(contact=""))
    books.all_is_well()
    by_hand(BROKEN[sentence])
    assert set(books.found()) == {sentence}
