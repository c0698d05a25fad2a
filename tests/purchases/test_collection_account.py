"""The stand-in bank's account for customers' transfers, and its statement as files that the platform takes in."""

import pytest
from django.utils import timezone

from carbonsink.accounts import roles
from payouts import clarifications, statements
from payouts.banks.base import Movement
from purchases import givebacks, tasks
from purchases.models import Order, Refund, Transfer
from purchases.transfers import answering, sent_by_hand
from purchases.transfers.importing import import_bank_file
from tests import factories
from tests.purchases import banking, books
from tests.standins.clients import BankClient

pytestmark = pytest.mark.django_db


def statement(bank: BankClient, form: str) -> bytes:
    answer = bank.http.get(f"{bank.url}/control/collection.{form}")
    assert answer.status_code == 200
    return answer.content


def pay_in(bank: BankClient, fen: int, remittance: str, reference: str) -> None:
    data = {"fen": fen, "payer_name": "贵州青山科技有限公司", "remittance": remittance, "reference": reference}
    for _turn in range(2):
        bank.control("POST", "transfers-in", data)


def test_an_enterprise_transfers_and_either_file_pays_its_order_once(bank: BankClient) -> None:
    factories.market(3)
    order, finance = banking.order(2), factories.user(roles.FINANCE)
    pay_in(bank, 600, f"碳汇 {order.number}", "C1")
    pay_in(bank, 123_450, "<不知道> & 其他", "C2")
    by_camt = import_bank_file("statement.xml", statement(bank, "xml"), finance)
    by_csv = import_bank_file("statement.csv", statement(bank, "csv"), finance)
    assert (by_camt.new, by_camt.matched, by_csv.new) == (2, 1, 0)
    assert Order.objects.get().state == "paid"
    waiting = Transfer.objects.get(state="waiting")
    assert (waiting.fen, waiting.remittance, waiting.bank) == (123_450, "<不知道> & 其他", "standin")
    books.all_is_well()


def test_a_refund_goes_back_and_the_rest_is_swept_to_the_supervised_account(bank: BankClient) -> None:
    factories.market(3)
    order, finance = banking.order(3), factories.user(roles.FINANCE)
    pay_in(bank, 900, order.number, "C1")
    import_bank_file("statement.csv", statement(bank, "csv"), finance)
    tasks.send_refund(givebacks.give_back(Order.objects.get(), 1, by=None, reason="x").pk)
    refund = Refund.objects.get()
    back = {"fen": 300, "to_name": "青山", "to_account": "2402006009000012345", "remittance": f"退款 {refund.number}"}
    bank.control("POST", "transfers-out", back)
    bank.control("POST", "sweep", {})
    assert import_bank_file("statement.xml", statement(bank, "xml"), finance).confirmed == 1
    statements.import_statement()
    assert books.balances() == {"escrow": 600, "household": -600}
    books.all_is_well()


def test_where_both_accounts_are_one_the_transfer_is_not_taken_for_unexplained_money(bank: BankClient) -> None:
    """The supervised account's own statement has the row that finance took in, by its serial number."""
    factories.market(3)
    order = banking.order(2)
    credit = {"fen": 600, "counterparty_name": "青山", "remittance": order.number, "reference": "R1"}
    bank.control("POST", "credits", credit)
    banking.send(banking.row(600, order.number, serial="R1"))
    statements.import_statement()
    assert books.balances() == {"escrow": 600, "household": -600}
    books.all_is_well()


def test_where_the_statement_came_first_it_is_explained_as_the_transfer(bank: BankClient) -> None:
    factories.market(3)
    order = banking.order(2)
    credit = {"fen": 600, "counterparty_name": "青山", "remittance": order.number, "reference": "R1"}
    bank.control("POST", "credits", credit)
    statements.import_statement()
    assert books.found() == books.UNEXPLAINED
    banking.send(banking.row(600, order.number, serial="R1"))
    clarifications.explain(
        statements.StatementRow.objects.get(), by=factories.user(roles.FINANCE), reason="a customer's"
    )
    assert books.balances() == {"escrow": 600, "household": -600}
    books.all_is_well()


def test_where_both_accounts_are_one_what_was_sent_back_is_not_charged_to_the_sponsor(bank: BankClient) -> None:
    """Seen before it was noted, and afterwards; a debit of another amount stays to be explained."""
    factories.market(3)
    order, one, other = banking.order(2), factories.user(roles.FINANCE), factories.user(roles.FINANCE)
    for fen, remittance, serial in ((600, order.number, "R1"), (50, "?", "R2")):
        credit = {"fen": fen, "counterparty_name": "青山", "remittance": remittance, "reference": serial}
        bank.control("POST", "credits", credit)
        banking.send(banking.row(fen, remittance, serial=serial))
    statements.import_statement()
    tasks.send_refund(givebacks.give_back(Order.objects.get(), 1, by=None, reason="x").pk)
    going = answering.send_back(Transfer.objects.get(serial="R2"), by=one, reason="x")
    first = sent_by_hand.note_sent(Refund.objects.get(), bank_serial="D1", by=one)
    for number, fen, serial in ((10, -300, "D1"), (11, -50, "D2"), (12, -49, "D1")):
        statements._book("standin", Movement(str(10**6 + number), timezone.now(), fen, "青山", "退款", "", serial))
    assert [row.kind for row in statements.StatementRow.objects.order_by("pk")][-3:] == [
        "settlement", "suspense", "suspense",
    ]  # fmt: skip
    second = sent_by_hand.note_sent(going, bank_serial="D2", by=one)
    for noted in (first, second):
        sent_by_hand.confirm(noted, by=other)
    for row in statements.StatementRow.objects.filter(kind="suspense").order_by("pk"):
        clarifications.explain(row, by=one, reason="sent back")
    # The last one is the sponsor's: nobody knows it.
    assert books.balances() == {"escrow": 251, "household": -300, "sponsor": 49}
    books.all_is_well()
