"""The audit sees what should never be of captures without an order; each is made by plain SQL, with the guards off."""

import pytest

from tests.payouts.test_audit import by_hand
from tests.purchases import books
from tests.purchases.test_strays import agreed_back, stray

pytestmark = pytest.mark.django_db

BOOKED = "captures without an order that are not in the ledger once, or were used without two people"
ANSWERED = "ledger entries of captures without an order that nobody can answer"
OWED = "money owed back to buyers that is not that of open refunds and returning transfers"

# {sentence of the audit: SQL that makes it true}, in a world where one goes back and another waits.
BROKEN: dict[str, str] = {
    BOOKED: "UPDATE purchases_stray SET fen = 1 WHERE state = 'waiting'",
    ANSWERED: "DELETE FROM purchases_stray WHERE state = 'waiting'",
}


def a_world() -> None:
    agreed_back(stray())
    stray("4200000000000000002", 100)


@pytest.mark.parametrize("sentence", BROKEN)
def test_the_audit_sees(sentence: str) -> None:
    a_world()
    assert set(books.found()) == {"money that nobody has explained"}
    by_hand(BROKEN[sentence])
    assert set(books.found()) == {"money that nobody has explained", sentence}


@pytest.mark.parametrize(
    ("broken", "also"),
    [
        ("UPDATE purchases_stray SET fen = 1 WHERE state = 'going_back'", {OWED}),
        (
            "UPDATE purchases_stray SET state = 'waiting', agreed_by_id = NULL, back_number = NULL"
            " WHERE state = 'going_back'",
            {OWED},
        ),
        ("UPDATE purchases_stray SET state = 'sent_back' WHERE state = 'going_back'", {OWED}),
    ],
)
def test_the_audit_sees_other_ways_too(broken: str, also: set[str]) -> None:
    a_world()
    by_hand(broken)
    states = "states of purchases.stray changed outside its table"
    assert set(books.found()) - {states} == {"money that nobody has explained", BOOKED, *also}
