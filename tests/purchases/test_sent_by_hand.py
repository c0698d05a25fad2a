"""Money that people send back at the bank: noted by one, confirmed by another or by the bank's statement."""

import pytest
from django.db import IntegrityError, connection, transaction

from carbonsink.accounts import roles
from carbonsink.errors import DomainError
from carbonsink.states import move
from purchases import givebacks, refunds, tasks
from purchases.models import ByHand, Order, Refund, Transfer
from purchases.transfers import answering, sent_by_hand
from tests import factories
from tests.purchases import banking, books
from tests.standins.clients import WechatClient

pytestmark = pytest.mark.django_db


def going_back(fen: int = 500) -> Transfer:
    transfer = banking.transfer(fen, "?")
    return answering.send_back(transfer, by=factories.user(roles.FINANCE), reason="nobody knows the payer")


def refund_of_a_transfer() -> Refund:
    """An order that was paid by transfer and given back; its refund waits for a person."""
    factories.market(2)
    order = banking.order(2)
    banking.transfer(600, order.number)
    refund = givebacks.give_back(order, 2, by=None, reason="x")
    tasks.send_refund(refund.pk)
    refund.refresh_from_db()
    assert refund.state == "unknown"
    return refund


def refused_refund() -> Refund:
    """A refund that the gateway refuses for good."""
    factories.market(1)
    refund = givebacks.give_back(factories.paid_order(1), 1, by=None, reason="x")
    move(refund, "sending")
    move(refund, "failed", reason="ABNORMAL")
    return refund


def taken_over() -> Refund:
    """A refused refund that somebody of finance has taken over."""
    refund = refused_refund()
    sent_by_hand.take_over(refund, by=factories.user(roles.FINANCE))
    refund.refresh_from_db()
    return refund


def test_a_transfer_goes_back_once_two_people_say_so() -> None:
    transfer, one, other = going_back(), factories.user(roles.FINANCE), factories.user(roles.FINANCE)
    assert books.balances() == {"gateway": 500, "refunds": -500}
    assert sent_by_hand.to_send() == [transfer]
    noted = sent_by_hand.note_sent(transfer, bank_serial=" OUT1 ", by=one)
    assert (sent_by_hand.to_send(), sent_by_hand.to_confirm()) == ([], [noted])
    with pytest.raises(DomainError) as refused:
        sent_by_hand.confirm(noted, by=one)
    assert refused.value.code == "same_person"
    assert books.balances() == {"gateway": 500, "refunds": -500}
    sent_by_hand.confirm(noted, by=other)
    transfer.refresh_from_db()
    assert (transfer.state, noted.bank_serial, books.balances()) == ("sent_back", "OUT1", {})
    with pytest.raises(DomainError):
        sent_by_hand.confirm(noted, by=other)
    books.all_is_well()


def test_the_banks_statement_confirms_by_itself() -> None:
    transfer = going_back()
    line = banking.row(500, f"退款 {transfer.back_number}", serial="OUT1", out=True)
    for turn in range(3):
        outcome = banking.send(line, banking.row(7, "?", serial=f"in{turn}"))
        assert (outcome.debits, outcome.confirmed) == (1, 1 if turn == 0 else 0)
    assert Transfer.objects.get(pk=transfer.pk).state == "sent_back"
    assert ByHand.objects.get().confirmed_by is None
    assert books.balances() == {"gateway": 21, "suspense": -21}
    books.all_is_well()


def test_the_statement_confirms_what_one_person_noted() -> None:
    refund = refund_of_a_transfer()
    sent_by_hand.note_sent(refund, bank_serial="OUT9", by=factories.user(roles.FINANCE))
    assert refunds.open_refunds() == []
    banking.send(banking.row(600, refund.number, serial="OUT9", out=True))
    refund.refresh_from_db()
    assert (refund.state, ByHand.objects.get().state, books.balances()) == ("succeeded", "confirmed", {})
    books.all_is_well()


def test_a_debit_of_another_amount_confirms_nothing() -> None:
    refund = refund_of_a_transfer()
    assert banking.send(banking.row(599, refund.number, out=True)).confirmed == 0
    assert Refund.objects.get(pk=refund.pk).state == "unknown"
    books.all_is_well()


def test_a_refused_refund_is_advanced_by_the_sponsor_and_never_sent_again() -> None:
    refund = taken_over()
    assert sent_by_hand.to_send() == [refund]
    noted = sent_by_hand.note_sent(refund, bank_serial="OUT1", by=factories.user(roles.FINANCE))
    assert refund.pk not in refunds.open_refunds()
    refunds.send(Refund.objects.get(pk=refund.pk))  # A task that comes late does nothing.
    assert Refund.objects.get(pk=refund.pk).state == "by_hand"
    sent_by_hand.confirm(noted, by=factories.user(roles.FINANCE))
    assert Refund.objects.get(pk=refund.pk).state == "succeeded"
    assert books.balances() == {"gateway": 300, "sponsor": -300}
    books.all_is_well()


def test_a_note_is_taken_back() -> None:
    refund, finance = taken_over(), factories.user(roles.FINANCE)
    sent_by_hand.withdraw(sent_by_hand.note_sent(refund, bank_serial="OUT1", by=finance), by=finance)
    refund.refresh_from_db()
    assert (refund.state, sent_by_hand.to_send(), sent_by_hand.refused()) == ("failed", [], [refund])
    sent_by_hand.take_over(refund, by=finance)
    sent_by_hand.note_sent(refund, bank_serial="OUT1", by=finance)
    assert ByHand.objects.filter(state="noted").count() == 1


def test_what_is_not_to_be_sent_by_hand_is_refused() -> None:
    refund, finance = refund_of_a_transfer(), factories.user(roles.FINANCE)
    with pytest.raises(DomainError) as refused:
        sent_by_hand.note_sent(refund, bank_serial=" ", by=finance)
    assert refused.value.code == "invalid"
    waiting = banking.transfer(1, "?")
    with pytest.raises(DomainError):
        sent_by_hand.note_sent(waiting, bank_serial="OUT1", by=finance)
    sent_by_hand.note_sent(refund, bank_serial="OUT1", by=finance)
    with pytest.raises(DomainError):
        sent_by_hand.note_sent(refund, bank_serial="OUT2", by=finance)
    with pytest.raises(DomainError) as used:
        sent_by_hand.note_sent(going_back(), bank_serial="OUT1", by=finance)
    assert used.value.code == "used"


def test_a_gateway_that_may_still_send_is_not_overtaken(wechat: WechatClient) -> None:
    factories.market(1)
    refund = givebacks.give_back(factories.paid_order(1), 1, by=None, reason="x")
    for state in ("requested", "sending", "unknown"):
        if state != "requested":
            move(refund, state)
        if state == "unknown":
            continue  # Tried below, on the page.
        with pytest.raises(DomainError):
            sent_by_hand.note_sent(refund, bank_serial="OUT1", by=factories.user(roles.FINANCE))
    answer = banking.client_of().post(f"/finance/returns/refund/{refund.pk}/note", {"bank_serial": "OUT1"})
    assert answer.status_code == 409
    assert Refund.objects.get(pk=refund.pk).state == "unknown"
    assert not ByHand.objects.exists()


def test_plain_sql_cannot_change_what_was_noted_or_confirm_it_alone() -> None:
    finance = factories.user(roles.FINANCE)
    sent_by_hand.note_sent(going_back(), bank_serial="OUT1", by=finance)
    for change in ("bank_serial = 'x'", f"confirmed_by_id = {finance.pk}", "noted_by_id = NULL"):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE purchases_byhand SET {change}")


def test_the_pages_of_two_people() -> None:
    refund, one, other = refund_of_a_transfer(), factories.user(roles.FINANCE), factories.user(roles.FINANCE)
    page = banking.client_of(one).get("/finance/returns/").content.decode()
    assert refund.number in page
    assert "To 贵州青山科技有限公司, account 2402006009000012345" in page
    assert (
        banking.client_of(one).post(f"/finance/returns/refund/{refund.pk}/note", {"bank_serial": "O1"}).status_code
        == 302
    )
    noted = ByHand.objects.get()
    assert banking.client_of(one).post(f"/finance/returns/{noted.pk}/confirm").status_code == 403
    assert (
        "Somebody else confirms what you have noted."
        in banking.client_of(one).get("/finance/returns/").content.decode()
    )
    assert banking.client_of(other).post(f"/finance/returns/{noted.pk}/confirm").status_code == 302
    assert Refund.objects.get().state == "succeeded"
    assert Order.objects.get().state == "refunded"
    books.all_is_well()


def test_a_refused_refund_is_taken_over_before_it_is_sent_so_that_it_never_goes_twice(wechat: WechatClient) -> None:
    """The gateway refuses what exceeds the merchant's balance, and pays when it is asked again."""
    refund, finance = refused_refund(), factories.user(roles.FINANCE)
    assert (sent_by_hand.to_send(), sent_by_hand.refused()) == ([], [refund])
    with pytest.raises(DomainError):
        sent_by_hand.note_sent(refund, bank_serial="OUT1", by=finance)
    page = banking.client_of(finance)
    assert page.post(f"/finance/returns/refund/{refund.pk}/take-over").status_code == 302
    assert page.post(f"/finance/returns/refund/{refund.pk}/take-over").status_code == 409
    refunds.step(refund.pk)
    refund.refresh_from_db()
    assert (refund.state, sent_by_hand.to_send(), sent_by_hand.refused()) == ("by_hand", [refund], [])
    assert "leave it to the payment service again" in page.get("/finance/returns/").content.decode()
    assert page.post(f"/finance/returns/refund/{refund.pk}/note", {"bank_serial": "O1"}).status_code == 302
    # What was sent is not left to the gateway again.
    assert page.post(f"/finance/returns/refund/{refund.pk}/take-over", {"leave": 1}).status_code == 409
    assert (Refund.objects.get().state, sent_by_hand.to_send()) == ("by_hand", [])


def test_a_refund_that_was_taken_over_is_left_to_the_gateway_again() -> None:
    refund = taken_over()
    page = banking.client_of()
    assert page.post(f"/finance/returns/refund/{refund.pk}/take-over", {"leave": 1}).status_code == 302
    assert (Refund.objects.get().state, sent_by_hand.refused()) == ("failed", [refund])
    assert refund.pk in refunds.open_refunds()
    assert "may still pay" in page.get("/finance/returns/").content.decode()


def test_a_refund_of_a_transfer_is_not_left_to_a_gateway() -> None:
    refund, finance = refund_of_a_transfer(), factories.user(roles.FINANCE)
    for act in (sent_by_hand.take_over, sent_by_hand.hand_back):
        with pytest.raises(DomainError):
            act(refund, by=finance)
    assert Refund.objects.get().state == "unknown"


def test_the_banks_statement_closes_a_refused_refund_that_nobody_took_over() -> None:
    refund = refused_refund()
    assert banking.send(banking.row(300, refund.number, out=True)).confirmed == 1
    assert Refund.objects.get().state == "succeeded"
    books.all_is_well()


def test_a_debit_that_cannot_be_booked_keeps_no_other_waiting() -> None:
    """Somebody has noted the number of the one for the other."""
    first, second, third = going_back(1), going_back(2), going_back(3)
    sent_by_hand.note_sent(first, bank_serial="OUT2", by=factories.user(roles.FINANCE))
    outcome = banking.send(
        *(
            banking.row(one.fen, one.back_number or "", serial=serial, out=True)
            for one, serial in ((second, "OUT2"), (third, "OUT3"))
        )
    )
    assert (outcome.debits, outcome.confirmed) == (2, 1)
    assert Transfer.objects.filter(state="sent_back").get() == third
    books.all_is_well()
