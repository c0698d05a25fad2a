"""What leads to an order or a payout besides their own numbers: what stands on papers, statements and in the ledger."""

import pytest
from django.db import connection

from carbonsink.accounts import roles
from payouts import finding, follow
from payouts.models import Payout, StatementRow
from purchases import givebacks, tasks
from purchases.models import Transfer
from purchases.transfers import sent_by_hand
from tests import factories
from tests.payouts import money
from tests.payouts.test_follow import arrive, sold
from tests.purchases import banking, books
from tests.standins.clients import BankClient

pytestmark = pytest.mark.django_db


def meant(text: str) -> list[tuple[str, str]]:
    return [(one.kind, one.name) for one in finding.find(text)]


def test_the_ledger_s_entries_lead_to_their_order_and_their_payout(bank: BankClient) -> None:
    order = sold(2)
    arrive(bank)
    payout = Payout.objects.get()
    (branch,) = follow.of_order(order).branches
    assert meant(branch.line.reference) == [("order", order.number)]
    for name in ("payout", "arrived"):
        assert meant(f"{name}:{payout.out_no}") == [("payout", payout.out_no)]
    paid_in = StatementRow.objects.get(kind="sponsor")
    assert paid_in.entry is not None
    assert meant(paid_in.entry.reference) == [("row", paid_in.serial)]
    for text in (f"capture:{payout.out_no}", "capture:", f"reversed:{payout.out_no}"):
        assert meant(text) == [], text
    books.all_is_well()


def test_what_was_given_back_is_found_by_its_entries() -> None:
    order = sold(2)
    sink = order.sinks.order_by("pk").first()
    assert sink is not None
    refund = givebacks.give_back(order, [sink.pk], by=None, reason="asked")
    assert meant(refund.number) == meant(f"giveback:{refund.number}") == [("order", order.number)]


def test_a_transfer_s_serial_and_that_of_what_was_sent_back_lead_to_the_order() -> None:
    factories.market(3)
    order = banking.order(2)
    banking.send(banking.row(600, order.number, serial="T1"), banking.row(5, "nobody's", serial="T2"))
    assert [one.state for one in Transfer.objects.order_by("serial")] == ["matched", "waiting"]
    assert meant("T1") == meant("bank:T1") == [("order", order.number)]
    assert meant("T2") == []
    sink = order.sinks.order_by("pk").first()
    assert sink is not None
    refund = givebacks.give_back(order, [sink.pk], by=None, reason="asked")
    tasks.send_refund(refund.pk)
    noted = sent_by_hand.note_sent(refund, bank_serial="OUT1", by=factories.user(roles.FINANCE))
    assert meant("OUT1") == [("order", order.number)]
    sent_by_hand.withdraw(noted, by=factories.user(roles.FINANCE))
    assert meant("OUT1") == []


def test_a_voucher_s_number_leads_to_its_order() -> None:
    order = sold(1)
    by = factories.user(roles.FINANCE)
    for kind in ("donation", "invoice"):
        order.vouchers.create(kind=kind, number=f"黔财 {kind}", issued_on="2026-11-20", attached_by=by)
        assert meant(f"黔财 {kind}") == [("order", order.number)]
    assert meant("黔财") == []


def test_a_household_is_found_by_its_public_id() -> None:
    (household,) = money.households(1)
    assert meant(household.public_id.upper()) == [("household", household.public_id)]


def test_no_part_of_the_search_reads_a_table_through() -> None:
    """Where reading through is dear, there is an index for each part."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {finding.QUERY}", finding.values_for("123456"))
        plan = "\n".join(row for (row,) in cursor.fetchall())
    assert "Seq Scan" not in plan, plan
