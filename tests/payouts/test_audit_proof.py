"""The audit sees each thing that should never be of certificates that were divided, handed on and retired; each is made
by plain SQL, with the guards off."""

import pytest

from purchases import holding
from purchases.models import Buyer, Certificate
from tests import factories
from tests.payouts.test_audit import by_hand
from tests.purchases import books

pytestmark = pytest.mark.django_db

RETIRED = "(SELECT certificate_id FROM purchases_retirement)"

# {sentence of the audit: SQL that makes it true}, in a world where certificates were divided in every way.
BROKEN: dict[str, str] = {
    "valid certificates that do not cover their trees": "UPDATE purchases_sink SET certificate_id = (SELECT min(id)"
    f" FROM purchases_certificate) WHERE certificate_id = {RETIRED}",
    "orders whose certificates cover more or fewer trees than they have": "UPDATE purchases_certificate SET state ="
    " 'revoked' WHERE state = 'valid'; INSERT INTO carbonsink_statechange (thing, object_id, from_state, to_state,"
    " reason, at) SELECT 'purchases.certificate', id, 'valid', 'revoked', '', now() FROM purchases_certificate"
    " WHERE state = 'revoked'",
    "retired certificates without a retirement, or retirements of others": "DELETE FROM purchases_retirement",
    "sinks that serve again after they were retired": "UPDATE purchases_certificate SET parent_id = (SELECT id FROM"
    " purchases_certificate WHERE state = 'retired') WHERE state = 'valid'",
}


def holdings_of_every_kind() -> None:
    """A world in which a certificate was divided, handed on and retired, and all is well."""
    factories.market(4)
    order = factories.paid_order(4)
    assert order.certificate is not None
    holding.hand_on(
        order.certificate, to=Buyer.objects.create(contact="friend@example.org"), holder="", trees=1, reason="gift"
    )
    holding.retire(
        Certificate.objects.get(state="valid", owner=order.buyer), beneficiary="从江县", purpose="会议", trees=2
    )


def test_a_world_with_every_holding_is_well() -> None:
    holdings_of_every_kind()
    assert sorted(Certificate.objects.values_list("state", "trees")) == [
        ("replaced", 3), ("retired", 2), ("transferred", 4), ("valid", 1), ("valid", 1),
    ]  # fmt: skip
    books.all_is_well()


@pytest.mark.parametrize("sentence", BROKEN)
def test_the_audit_sees(sentence: str) -> None:
    holdings_of_every_kind()
    books.all_is_well()
    by_hand(BROKEN[sentence])
    assert set(books.found()) == {sentence}


@pytest.mark.parametrize(
    "guard",
    [
        "purchases_sink_succession ON purchases_sink",
        "purchases_certificate_stays_ended ON purchases_certificate",
        "purchases_retirement_of_retired ON purchases_retirement",
        "purchases_certificate_retired_says_why ON purchases_certificate",
    ],
)
def test_the_audit_sees_a_guard_that_is_off(guard: str) -> None:
    name, _on, table = guard.split()
    by_hand(f"ALTER TABLE {table} DISABLE TRIGGER {name}")
    assert books.found() == {"guards that are missing or switched off": [name]}
