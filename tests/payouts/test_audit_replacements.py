"""The audit sees each thing that should never be when sold trees leave; each is made by plain SQL, with the guards off."""

import pytest

from payouts import audit
from purchases.models import Refund, Replacement
from tests import factories
from tests.payouts.test_after_a_file import UNAPPROVED
from tests.payouts.test_alerts import UNTOLD
from tests.payouts.test_audit import BROKEN as ELSEWHERE
from tests.payouts.test_audit import by_hand
from tests.payouts.test_audit_clarifications import SAID as CLARIFIED
from tests.payouts.test_audit_finance import BROKEN as OF_FINANCE
from tests.payouts.test_audit_gifts import BROKEN as GIFTS
from tests.payouts.test_audit_proof import BROKEN as PROOF
from tests.payouts.test_audit_strays import BROKEN as STRAYS
from tests.payouts.test_audit_whole_files import NAMED as WHOLE_FILES
from tests.purchases import books
from tests.purchases.losing import leave, sweep, trees_of

pytestmark = pytest.mark.django_db

SAME, OTHER = ("(SELECT min(id) FROM purchases_replacement)", "(SELECT max(id) FROM purchases_replacement)")

# {sentence of the audit: SQL that makes it true}, in a world where a tree of the household, one of the village and a
# refund have made up for one lost tree each.
BROKEN: dict[str, str] = {
    "sold sinks of trees that have left, neither replaced nor refunded": "UPDATE carbonsink_statechange SET at ="
    " at - interval '11 minutes'; UPDATE purchases_order SET paid_at = paid_at - interval '11 minutes';"
    " UPDATE trees_tree SET state = 'dead' WHERE id = (SELECT s.tree_id FROM purchases_replacement r JOIN purchases_sink s"
    f" ON s.id = r.new_sink_id WHERE r.id = {SAME}); INSERT INTO carbonsink_statechange (thing, object_id, from_state,"
    " to_state, reason, at) SELECT 'trees.tree', s.tree_id, 'approved', 'dead', '', now() - interval '11 minutes' FROM"
    f" purchases_replacement r JOIN purchases_sink s ON s.id = r.new_sink_id WHERE r.id = {SAME}",
    "released sinks that were neither replaced nor refunded, or both": "UPDATE purchases_sinkrelease SET refund_id ="
    f" (SELECT max(id) FROM purchases_refund) WHERE sink_id = (SELECT old_sink_id FROM purchases_replacement WHERE id = {SAME})",
    "released sinks that are sold or for sale again": "UPDATE purchases_sink SET open = true WHERE id ="
    " (SELECT min(old_sink_id) FROM purchases_replacement)",
    "replacements of another order, vintage or price": "UPDATE purchases_replacement SET order_id ="
    f" (SELECT order_id FROM purchases_replacement WHERE id = {OTHER}) WHERE id = {SAME}",
    "replacements by another household that the sponsor has not paid": "UPDATE ledger_line SET account_id ="
    " (SELECT id FROM ledger_account WHERE code = 'fees') WHERE fen > 0 AND entry_id IN"
    " (SELECT id FROM ledger_entry WHERE kind = 'replacement')",
    "replacement entries without a replacement": "INSERT INTO ledger_entry (reference, kind, at)"
    " VALUES ('replacement:0', 'replacement', now())",
    "refunds for trees that are not the price of their sinks": "UPDATE purchases_sinkrelease SET order_id ="
    f" (SELECT order_id FROM purchases_replacement WHERE id = {SAME}) WHERE refund_id IS NOT NULL",
    "payments refunded with more than was captured": "UPDATE purchases_payment SET captured_fen = 299"
    " WHERE id IN (SELECT payment_id FROM purchases_refund)",
}
ALSO: dict[str, list[str]] = {
    "sold sinks of trees that have left, neither replaced nor refunded": [],
    "released sinks that were neither replaced nor refunded, or both": [
        "orders whose sinks are not as many as ordered",
    ],
    "released sinks that are sold or for sale again": [
        "stock rows that do not count their sinks",
        "sinks on sale of trees that are not in the scheme",
    ],
    "refunds for trees that are not the price of their sinks": ["orders whose sinks are not as many as ordered"],
    "payments refunded with more than was captured": ["captures that are not in the ledger with their amount"],
}


def losses_of_every_kind() -> None:
    """A world in which sold trees were lost in every way, and all is well."""
    first, _second = factories.market(2, 1)
    orders = [factories.paid_order(tree=first.trees.earliest("pk"))]
    leave(trees_of(orders[0])[0])
    sweep()
    (alone,) = factories.market(1, village=factories.OTHER_VILLAGE)
    order = factories.paid_order(tree=alone.trees.get())
    (near,) = factories.market(1, village=factories.OTHER_VILLAGE)
    leave(alone.trees.get())
    sweep()
    assert trees_of(order) == [near.trees.get()]
    (far,) = factories.market(1, village=factories.OTHER_COUNTY)
    factories.paid_order(tree=far.trees.get())
    leave(far.trees.get())
    sweep()
    by_hand("INSERT INTO ledger_account (code, kind) VALUES ('fees', 'fees') ON CONFLICT DO NOTHING")


def test_a_world_with_every_loss_is_well() -> None:
    losses_of_every_kind()
    assert [one.same_household for one in Replacement.objects.order_by("pk")] == [True, False]
    assert Refund.objects.get().reason == "gone"
    books.all_is_well()


def test_every_check_is_tried_here_or_elsewhere() -> None:
    # The last one in tests/purchases/test_uncovered_years.py, those of each day in tests/payouts/test_daily_statement.py.
    elsewhere = {
        *ELSEWHERE,
        *PROOF,
        *OF_FINANCE,
        *GIFTS,
        *STRAYS,
        CLARIFIED,
        UNAPPROVED,
        *WHOLE_FILES,
        "sinks on sale of years that no enrolment covers",
    }
    elsewhere |= {
        UNTOLD,
        "daily statements in which a fen is missing",
        "daily statements that do not continue the one before",
        "daily statements that are not what the ledger says",
        "published entries without their entry or their statement",
        "entries that neither their day's statement nor the next one has",
    }
    assert set(audit.CHECKS) <= set(BROKEN) | elsewhere


@pytest.mark.parametrize("sentence", BROKEN)
def test_the_audit_sees(sentence: str) -> None:
    losses_of_every_kind()
    books.all_is_well()
    by_hand(BROKEN[sentence])
    assert set(books.found()) == {sentence, *ALSO.get(sentence, ())}


@pytest.mark.parametrize(
    "guard",
    ["purchases_replacement_fits ON purchases_replacement", "purchases_refund_within_capture ON purchases_refund"],
)
def test_the_audit_sees_a_guard_that_is_off(guard: str) -> None:
    name, _on, table = guard.split()
    by_hand(f"ALTER TABLE {table} DISABLE TRIGGER {name}")
    assert books.found() == {"guards that are missing or switched off": [name]}
