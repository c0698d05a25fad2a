"""The audit sees what should never be of bank transfers and what is sent by hand; each is made by plain SQL, with the
guards off."""

import pytest

from carbonsink.accounts import roles
from purchases import givebacks, tasks
from purchases.models import Order, Transfer
from purchases.transfers import answering, sent_by_hand
from tests import factories
from tests.payouts.test_audit import by_hand
from tests.purchases import banking, books

pytestmark = pytest.mark.django_db

WAITING = "(SELECT id FROM purchases_transfer WHERE state = 'waiting')"

# {sentence of the audit: SQL that makes it true}, in a world where transfers have ended in every way.
BROKEN: dict[str, str] = {
    "bank transfers that are not in the ledger once, or were used without an answer": "UPDATE ledger_entry SET reference"
    " = reference || 'x' WHERE kind = 'transfer-back'",
    "transfers' money in suspense that is not that of the waiting ones": f"UPDATE purchases_transfer SET fen = 8 WHERE id = {WAITING}",
    "paid transfers that are not together their payment and what went back of it": "UPDATE purchases_transfer"
    " SET refund_id = NULL",
    "captured bank transfers that no bank told of": "UPDATE purchases_transfer SET payment_id ="
    " (SELECT p.id FROM purchases_payment p JOIN purchases_refund r ON r.payment_id = p.id WHERE r.reason = 'over')"
    " WHERE refund_id IS NOT NULL",
    "money owed back to buyers that is not that of open refunds and returning transfers": "WITH e AS ("
    "INSERT INTO ledger_entry (reference, kind, at) VALUES ('twice', 'refund', now()) RETURNING id)"
    " INSERT INTO ledger_line (entry_id, account_id, fen) SELECT e.id, a.id, CASE a.code WHEN 'refunds' THEN 5 ELSE -5 END"
    " FROM e, ledger_account a WHERE a.code IN ('refunds', 'gateway:transfer')",
    "refunds by hand that nobody else has confirmed": "DELETE FROM purchases_byhand WHERE refund_id IS NOT NULL",
}
ALSO: dict[str, set[str]] = {
    "transfers' money in suspense that is not that of the waiting ones": {
        "bank transfers that are not in the ledger once, or were used without an answer"
    },
    "paid transfers that are not together their payment and what went back of it": {
        "captured bank transfers that no bank told of"
    },
    "captured bank transfers that no bank told of": {
        "paid transfers that are not together their payment and what went back of it"
    },
}


def transfers_of_every_kind() -> None:
    """A transfer that paid, one that was too much, one on its way back, one sent back, one that waits, and a refund
    that was sent by hand."""
    factories.market(9)
    one, other = factories.user(roles.FINANCE), factories.user(roles.FINANCE)
    first, second = banking.order(2), banking.order(1)
    banking.transfer(600, first.number)
    answering.belongs_to([banking.transfer(310, second.number)], second, by=one, reason="x")
    gone, going = (answering.send_back(banking.transfer(fen, "?"), by=one, reason="x") for fen in (5, 6))
    sent_by_hand.confirm(sent_by_hand.note_sent(gone, bank_serial="O1", by=one), by=other)
    refund = givebacks.give_back(Order.objects.get(pk=first.pk), 1, by=None, reason="x")
    tasks.send_refund(refund.pk)
    refund.refresh_from_db()
    sent_by_hand.confirm(sent_by_hand.note_sent(refund, bank_serial="O2", by=one), by=other)
    banking.transfer(7, "?")
    assert going.state == "going_back"
    assert sorted(Transfer.objects.values_list("state", flat=True)) == [
        "going_back", "matched", "matched", "sent_back", "waiting",
    ]  # fmt: skip


def test_a_world_with_every_transfer_is_well() -> None:
    transfers_of_every_kind()
    books.all_is_well()
    assert books.balances() == {"gateway": 623, "household": -600, "refunds": -16, "suspense": -7}


@pytest.mark.parametrize("sentence", BROKEN)
def test_the_audit_sees(sentence: str) -> None:
    transfers_of_every_kind()
    by_hand(BROKEN[sentence])
    assert set(books.found()) == {sentence} | ALSO.get(sentence, set())
