"""The audit sees what should never be of files that were debited as a whole; each is made by plain SQL, with the guards
off."""

from datetime import timedelta

import pytest
from django.utils import timezone

from payouts import clarifications
from payouts.models import Payout
from tests.payouts.clarifying import WHY, two
from tests.payouts.test_audit import by_hand
from tests.payouts.whole import row, told, written
from tests.purchases import books

pytestmark = pytest.mark.django_db

DEBIT = "(SELECT min(id) FROM payouts_statementrow WHERE batch_id > 0 AND fen < 0)"
BACK = "(SELECT min(id) FROM payouts_statementrow WHERE batch_id > 0 AND fen > 0)"
ARRIVED = "(SELECT payout_id FROM payouts_attempt WHERE state = 'succeeded' AND batch_id > 0)"
MORE = "files of which more arrived or came back than the bank has debited as a whole"
OTHER = "rows of whole files that are another payout's money, or paid for already"
NAMED = (MORE, OTHER)
BALANCE = "supervised accounts whose balance is not the bank's statement"
SAID = "rows that people have given to a payout, and are not booked as it or not by two"


def a_world() -> None:
    """A file of four, of which one failed and was given back by name, one by the word of two people, and one had arrived
    all the same."""
    batch = written(300, 400, 500, 600)
    first, second, third, fourth = Payout.objects.order_by("pk")
    early = timezone.now() - timedelta(days=2)
    row("daifa", -1800, named=batch.number, at=early)
    for payout, word in ((first, "failed"), (second, "failed"), (third, "succeeded"), (fourth, "failed")):
        told("daifa", payout, word)
    row("daifa", 300, named=first.out_no)
    by, other = two()
    clarifications.agree(clarifications.propose(second, row("daifa", 400), why=WHY, by=by), by=other)
    Payout.objects.update(completed_at=early)
    clarifications.agree(clarifications.propose(fourth, None, why=WHY, by=by), by=other)


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (f"UPDATE payouts_statementrow SET fen = -1799 WHERE id = {DEBIT}", MORE),
        (f"UPDATE payouts_statementrow SET fen = 301 WHERE id = {BACK}", MORE),
        (f"UPDATE payouts_statementrow SET fen = 301 WHERE id = {BACK}", OTHER),
        ("UPDATE payouts_attempt SET state = 'succeeded' WHERE state = 'failed'", MORE),
        (f"UPDATE payouts_statementrow SET bank = 'pain001' WHERE id = {DEBIT}", MORE),
        (f"UPDATE payouts_statementrow SET kind = 'suspense', batch_id = NULL WHERE id = {DEBIT}", MORE),
        (f"UPDATE payouts_statementrow SET kind = 'suspense', batch_id = NULL WHERE id = {DEBIT}", BALANCE),
        (
            f"UPDATE payouts_statementrow SET payout_id = (SELECT max(id) FROM payouts_payout) WHERE id = {BACK}",
            OTHER,
        ),
        (
            f"UPDATE payouts_statementrow SET kind = 'payout', payout_id = {ARRIVED},"
            f" batch_id = NULL, fen = -500 WHERE id = {BACK}",
            OTHER,
        ),
        ("UPDATE payouts_clarification SET agreed_by_id = proposed_by_id", SAID),
        (
            "UPDATE payouts_clarification SET payout_id = (SELECT max(id) FROM payouts_payout) WHERE kind = 'file'",
            SAID,
        ),
        (
            "UPDATE payouts_clarification SET follow_up_id = NULL WHERE kind = 'arrived'",
            SAID,
        ),
        (
            "UPDATE payouts_payout SET fen = fen + 1 WHERE id = (SELECT max(id) FROM payouts_payout)",
            SAID,
        ),
        (
            f"UPDATE payouts_clarification SET kind = 'debit', row_id = {BACK}, batch_id = NULL, payout_id ="
            " (SELECT payout_id FROM payouts_attempt WHERE state = 'succeeded' AND batch_id > 0) WHERE kind = 'file'",
            OTHER,
        ),
        (
            "UPDATE ledger_entry SET reference = 'explained:no' WHERE reference LIKE 'explained:daifa:%'",
            SAID,
        ),
    ],
)
@pytest.mark.usefixtures("daifa")
def test_the_audit_sees(broken: str, sentence: str) -> None:
    a_world()
    books.all_is_well()
    by_hand(
        "ALTER TABLE payouts_statementrow DROP CONSTRAINT payouts_statementrow_of_a_file;"
        " ALTER TABLE payouts_clarification DROP CONSTRAINT payouts_clarification_two_people; " + broken
    )
    assert sentence in books.found()
