"""The audit sees each thing that should never be: here each is made by plain SQL, with the guards off."""

from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from payouts import audit, sending
from payouts.banks.base import Movement
from payouts.models import Attempt, Payout, StatementRow
from payouts.runs import run_payouts
from payouts.statements import _book
from purchases.models import Order, Refund
from purchases.orders import expire_order
from tests import factories
from tests.payouts import money
from tests.purchases import books

pytestmark = pytest.mark.django_db

PAID = "(SELECT min(id) FROM purchases_order WHERE state = 'paid')"
UNHELD = "constraints and unique indexes that are missing"
OWED_BACK = "money owed back to buyers that is not that of open refunds and returning transfers"
FIRST_PAYOUT = "(SELECT min(id) FROM payouts_payout)"

# {sentence of the audit: SQL that makes it true}, in a world where everything has happened once.
BROKEN: dict[str, str] = {
    "orders whose sinks are not as many as ordered": "UPDATE purchases_order SET quantity = 3, total_fen = 900"
    " WHERE state = 'held'",
    "sinks held by orders that have ended": "UPDATE purchases_sink SET order_id ="
    " (SELECT id FROM purchases_order WHERE state = 'expired') WHERE id = (SELECT min(id) FROM purchases_sink"
    " WHERE order_id IS NULL)",
    "sinks without their tree, or of another household than their tree": "UPDATE purchases_sink SET tree_id = 999999"
    " WHERE id = (SELECT min(id) FROM purchases_sink WHERE order_id IS NULL)",
    "stock rows that do not count their sinks": "UPDATE purchases_stock SET total = total + 1",
    "captures that are not in the ledger with their amount": "UPDATE purchases_payment SET captured_fen = 1"
    " WHERE order_id = " + PAID,
    "capture entries without a captured payment": "INSERT INTO ledger_entry (reference, kind, at)"
    " VALUES ('capture:nobody', 'capture', now())",
    "paid orders whose households are not owed their price": "UPDATE ledger_line SET account_id ="
    " (SELECT id FROM ledger_account WHERE code = 'sponsor') WHERE fen < 0 AND entry_id = (SELECT e.id FROM ledger_entry"
    " e JOIN purchases_payment p ON e.reference = 'capture:' || p.reference WHERE p.order_id = " + PAID + " LIMIT 1)",
    "captures owed back to buyers that are not their refunds": "UPDATE purchases_refund SET fen = 299",
    "refunds that are not in the ledger once they have arrived": "UPDATE purchases_refund SET state = 'succeeded'",
    "valid certificates that do not cover their trees": "UPDATE purchases_certificate SET trees = trees + 1",
    "certificates of orders that were never paid": "UPDATE purchases_certificate SET order_id ="
    " (SELECT id FROM purchases_order WHERE state = 'expired') WHERE order_id = " + PAID,
    "paid orders without a certificate": "UPDATE purchases_certificate SET order_id ="
    " (SELECT max(id) FROM purchases_order WHERE state = 'paid')",
    "payouts whose settled lines are not their amount": "UPDATE payouts_payout SET fen = fen + 1 WHERE id = "
    + FIRST_PAYOUT,
    "runs that are not the sum of their payouts": "UPDATE payouts_run SET payouts = payouts + 1",
    "payouts that went with fewer approvals than they need": "UPDATE payouts_payout"
    " SET held_for = 'over_limit', approvals_needed = 1 WHERE id = " + FIRST_PAYOUT,
    "approvals of a payout by whoever entered its account": "INSERT INTO payouts_approval (payout_id, by_id, at)"
    " SELECT p.id, b.entered_by_id, now() FROM payouts_payout p JOIN payouts_bankaccount b ON b.id = p.account_id"
    " WHERE p.id = " + FIRST_PAYOUT,
    "arrived payouts that are not in the ledger once": "UPDATE ledger_entry SET reference = reference || '-lost'"
    " WHERE kind = 'arrived'",
    "ended payouts whose money is not owed again": "UPDATE ledger_entry SET reference = reference || '-lost' WHERE kind = 'reversed'",
    "payouts to an account that was not approved, or by whoever entered it": "UPDATE payouts_bankaccount"
    " SET usable_from = now() + interval '1 hour'",
    "payouts sent while their account was not approved": "UPDATE carbonsink_statechange SET id = id + 1000000"
    " WHERE thing = 'payouts.bankaccount'",
    "payouts sent before their account could be used": "UPDATE payouts_attempt"
    " SET created_at = created_at - interval '1 day' WHERE state = 'succeeded'",
    "numbers sent to the bank with more than one content": "INSERT INTO payouts_attempt (payout_id, request_sha256,"
    " state, created_at) SELECT payout_id, 'other', 'unsent', created_at FROM payouts_attempt WHERE state = 'succeeded'",
    "bank debits that are not the payout they name": "UPDATE payouts_statementrow SET fen = fen - 1"
    " WHERE kind = 'payout'",
    "statement rows that are not in the ledger": "UPDATE payouts_statementrow SET entry_id = NULL",
    "supervised accounts whose balance is not the bank's statement": "DELETE FROM payouts_statementrow"
    " WHERE kind = 'sponsor'",
    "payouts that succeeded more than a day ago and are on no statement": "UPDATE payouts_payout"
    " SET completed_at = now() - interval '25 hours' WHERE state = 'succeeded' AND id NOT IN"
    " (SELECT payout_id FROM payouts_statementrow WHERE payout_id IS NOT NULL)",
    "money that nobody has explained": "UPDATE ledger_account SET kind = 'suspense' WHERE code = 'sponsor'",
    "sinks on sale of trees that are not in the scheme": "UPDATE trees_tree SET state = 'dead' WHERE id ="
    " (SELECT min(tree_id) FROM purchases_sink WHERE order_id IS NULL)",
    "guards that are missing or switched off": "ALTER TABLE payouts_payout DISABLE TRIGGER payouts_payout_fixed",
    "late captures without sinks and without a refund": "DELETE FROM purchases_refund;"
    " UPDATE purchases_payment SET captured_at = now() - interval '11 minutes' WHERE order_id ="
    " (SELECT id FROM purchases_order WHERE state = 'expired')",
    UNHELD: "DROP INDEX payouts_attempt_one_live",
    # States, by what they belong to.
    "states of payouts.payout changed outside its table": "INSERT INTO carbonsink_statechange (thing, object_id,"
    " from_state, to_state, reason, at) SELECT 'payouts.payout', id, 'returned', state, '', now() FROM payouts_payout",
    "states of purchases.order changed outside its table": "UPDATE purchases_order SET state = 'cancelled'"
    " WHERE state = 'held'",
    "states of payouts.bankaccount changed outside its table": "UPDATE payouts_bankaccount SET state = 'rejected'"
    " WHERE state = 'entered'",
    "states of trees.tree changed outside its table": "DELETE FROM carbonsink_statechange WHERE thing = 'trees.tree'",
}

# What cannot be so without something else being wrong too.
ALSO: dict[str, list[str]] = {
    "sinks held by orders that have ended": ["stock rows that do not count their sinks"],
    "valid certificates that do not cover their trees": [
        "orders whose certificates cover more or fewer trees than they have"
    ],
    "certificates of orders that were never paid": [
        "orders whose certificates cover more or fewer trees than they have",
        "valid certificates that do not cover their trees",
        "paid orders without a certificate",
    ],
    "paid orders without a certificate": [
        "orders whose certificates cover more or fewer trees than they have",
        "valid certificates that do not cover their trees",
    ],
    "captures owed back to buyers that are not their refunds": [OWED_BACK],
    "refunds that are not in the ledger once they have arrived": [
        OWED_BACK,
        "states of purchases.refund changed outside its table",
    ],
    "payouts whose settled lines are not their amount": [
        "bank debits that are not the payout they name",
        "runs that are not the sum of their payouts",
    ],
    "bank debits that are not the payout they name": ["supervised accounts whose balance is not the bank's statement"],
    "payouts to an account that was not approved, or by whoever entered it": [
        "payouts sent before their account could be used"
    ],
    "numbers sent to the bank with more than one content": ["states of payouts.attempt changed outside its table"],
    "sinks on sale of trees that are not in the scheme": ["states of trees.tree changed outside its table"],
    "late captures without sinks and without a refund": [
        OWED_BACK,
        "captures owed back to buyers that are not their refunds",
    ],
    "states of purchases.order changed outside its table": ["sinks held by orders that have ended"],
}


def everything() -> None:
    """A world in which everything has happened once, and all is well."""
    first, second = factories.market(4, 3)
    third = factories.household()
    for owner in (first, second):
        factories.account(owner)
    factories.account(third, approved=False)
    for tree in first.trees.order_by("pk")[:2]:
        factories.paid_order(tree=tree)
    factories.paid_order(tree=second.trees.earliest("pk"))
    late = factories.order(tree=second.trees.order_by("pk")[1])
    expire_order(late)
    factories.paid_order(tree=second.trees.order_by("pk")[1])
    factories.capture(late.payments.get())
    factories.order(2)
    money.settle(5000)
    run_payouts()
    arrived, failed = Payout.objects.order_by("pk")
    for payout, state in ((arrived, "succeeded"), (failed, "failed")):
        sending._begin(payout.pk)
        sending.record(payout.pk, sending.TransferReport(payout.out_no, state))  # type: ignore[arg-type]
    run_payouts()
    last = Payout.objects.latest("pk")
    sending._begin(last.pk)
    sending.record(last.pk, sending.TransferReport(last.out_no, "succeeded"))
    arrived.refresh_from_db()
    assert arrived.completed_at is not None
    _book("standin", Movement("1000000", arrived.completed_at, -arrived.fen, "x", "x", arrived.out_no, "B1"))


def by_hand(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET LOCAL session_replication_role = replica")  # No trigger, no reference is looked at.
        cursor.execute(sql)
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")


def test_a_world_where_everything_has_happened_is_well() -> None:
    everything()
    assert set(Order.objects.values_list("state", flat=True)) == {"paid", "expired", "held"}
    assert list(Payout.objects.order_by("pk").values_list("state", flat=True)) == ["succeeded", "failed", "succeeded"]
    assert Refund.objects.count() == 1
    assert set(StatementRow.objects.values_list("kind", flat=True)) == {"sponsor", "payout"}
    assert set(Attempt.objects.values_list("state", flat=True)) == {"succeeded", "failed"}
    books.all_is_well()


@pytest.mark.parametrize("sentence", BROKEN)
def test_the_audit_sees(sentence: str, capsys: Any) -> None:
    everything()
    books.all_is_well()
    by_hand(BROKEN[sentence])
    found = books.found()
    assert set(found) == {sentence, *ALSO.get(sentence, ())}, found
    with pytest.raises(CommandError, match=r"do not hold|does not hold"):
        call_command("audit")


def test_the_command_says_that_all_is_well(capsys: Any) -> None:
    everything()
    call_command("audit")
    assert f"All {len(audit.CHECKS)} statements hold" in capsys.readouterr().out


def test_the_command_names_the_offenders(capsys: Any) -> None:
    everything()
    by_hand(BROKEN["arrived payouts that are not in the ledger once"])
    with pytest.raises(CommandError):
        call_command("audit")
    said = capsys.readouterr().err
    for payout in Payout.objects.filter(state="succeeded"):
        assert payout.out_no in said


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("ledger_entry", "ledger_entry_reference_key"),
        ("ledger_settlement", "ledger_settlement_line_id_key"),
        ("ledger_line", "ledger_line_not_zero"),
        ("payouts_payout", "payouts_payout_out_no_key"),
        ("payouts_payout", "payouts_payout_positive"),
        ("payouts_statementrow", "payouts_statementrow_once"),
        ("payouts_batch", "payouts_batch_number_key"),
        ("payouts_bankaccount", "payouts_bankaccount_two_people"),
        ("payouts_approval", "payouts_approval_once_each"),
        ("purchases_sink", "purchases_sink_once"),
        ("purchases_stock", "purchases_stock_not_oversold"),
        ("purchases_payment", "purchases_payment_transaction_once"),
    ],
)
def test_the_audit_sees_a_constraint_that_is_gone(table: str, name: str) -> None:
    books.all_is_well()
    by_hand(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    assert books.found() == {UNHELD: [name]}


def test_the_audit_sees_a_constraint_that_not_all_rows_were_held_against() -> None:
    name = "payouts_payout_positive"
    by_hand(f"ALTER TABLE payouts_payout DROP CONSTRAINT {name}")
    by_hand(f"ALTER TABLE payouts_payout ADD CONSTRAINT {name} CHECK (fen > 0) NOT VALID")
    assert books.found() == {UNHELD: [name]}
