"""The audit sees what should never be of rows that people have given to a payout; each is made by plain SQL, with the
guards off."""

import pytest

from payouts import clarifications
from tests.payouts.clarifying import age, clarified, payout_in, row, two
from tests.payouts.test_audit import by_hand
from tests.purchases import books

pytestmark = pytest.mark.django_db

SAID = "rows that people have given to a payout, and are not booked as it or not by two"
KINDS = ("debit", "return", "never_left", "sponsor")
UNNAMED = "ALTER TABLE payouts_clarification DROP CONSTRAINT payouts_clarification_of_a_payout; "
UNCHECKED = "ALTER TABLE payouts_clarification DROP CONSTRAINT payouts_clarification_two_people; "


def a_world() -> None:
    """A payout that had gone although it had failed, one whose row had no number, one that came back, one that never
    left."""
    gone = payout_in("failed")
    clarified(gone, row(-300, named=gone.out_no))
    clarified(payout_in("sending"), row(-300))
    back = payout_in("succeeded")
    row(-300, named=back.out_no)
    clarified(back, row(300))
    said = clarifications.explain(row(300), by=two()[0], reason="a gift")
    assert said is not None
    clarifications.agree(said, by=two()[0])
    never = payout_in("succeeded")
    age(never)
    clarified(never, None)


def agreed(kind: str, what: str) -> str:
    """SQL that changes the first clarification of a kind."""
    first = f"(SELECT min(id) FROM payouts_clarification WHERE kind = '{kind}')"
    return f"UPDATE payouts_clarification SET {what} WHERE id = {first}"


@pytest.mark.parametrize(
    "broken",
    [
        *(UNCHECKED + agreed(kind, "agreed_by_id = NULL") for kind in KINDS),
        *(UNCHECKED + agreed(kind, "agreed_by_id = proposed_by_id") for kind in KINDS),
        agreed("debit", "follow_up_id = NULL"),
        agreed("debit", "payout_id = (SELECT max(id) FROM payouts_payout)"),
        UNNAMED + agreed("debit", "payout_id = NULL"),
        UNNAMED + agreed("sponsor", "payout_id = (SELECT max(id) FROM payouts_payout)"),
        agreed("return", "row_id = (SELECT id FROM payouts_statementrow WHERE kind = 'payout')"),
        agreed("never_left", "payout_id = (SELECT payout_id FROM payouts_clarification WHERE follow_up_id > 0)"),
        "UPDATE ledger_entry SET reference = 'explained:no' WHERE id = (SELECT max(e.id) FROM ledger_entry e"
        " JOIN payouts_statementrow r ON e.reference = 'explained:' || r.bank || ':' || r.serial)",
    ],
)
def test_the_audit_sees(broken: str) -> None:
    a_world()
    books.all_is_well()
    by_hand(broken)
    assert SAID in books.found()
