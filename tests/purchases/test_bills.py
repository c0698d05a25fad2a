"""The gateways' bills against our books, line by line; what differs is a task, and closes by itself when it agrees."""

from datetime import date, timedelta
from typing import Any

import pytest
from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.errors import DomainError
from carbonsink.states import move
from purchases import bills, givebacks, payments, refunds, tasks
from purchases.gateways.base import BillLine, DayBill, PaymentReport, RefundReport
from purchases.models import Bill, Difference, Order, Payment, Refund
from purchases.transfers import sent_by_hand
from tests import factories
from tests.purchases import banking, books
from tests.purchases.losing import state_of

pytestmark = pytest.mark.django_db

DAY = timezone.localdate() - timedelta(days=2)
BEFORE, AFTER = DAY - timedelta(days=1), DAY + timedelta(days=1)


def captured(day: date = DAY, transaction_id: str = "W1", hour: int = 12) -> Payment:
    """An order of 3 yuan that was paid on a day."""
    payment = factories.order(1).payments.get()
    at = timezone.localtime().replace(year=day.year, month=day.month, day=day.day, hour=hour, minute=59)
    payments.book_capture(payment, PaymentReport(payment.reference, "captured", transaction_id, 300, at))
    return Payment.objects.get(pk=payment.pk)


def line(payment: Payment, fen: int = 300, **more: Any) -> BillLine:
    values = {
        "kind": "capture",
        "reference": payment.reference,
        "transaction_id": payment.transaction_id or "",
        "fen": fen,
    }
    return BillLine(**{**values, **more})


def compare(*of_day: BillLine, before: tuple[BillLine, ...] = (), after: tuple[BillLine, ...] | None = ()) -> None:
    days = {BEFORE: DayBill("b", [*before]), DAY: DayBill("d", [*of_day])}
    if after is not None:
        days[AFTER] = DayBill("a", [*after])
    bills.compare_days("wechatpay", days)


def found() -> list[tuple[str, str, int | None, int | None]]:
    rows = Difference.objects.filter(state="open", bill__day=DAY).order_by("pk")
    return list(rows.values_list("kind", "reference", "theirs_fen", "ours_fen"))


def test_a_bill_that_agrees_leaves_nothing_to_do() -> None:
    factories.market(2)
    payment = captured()
    compare(line(payment))
    bill = Bill.objects.get(day=DAY)
    assert (bill.sha256, bill.lines, bill.captured_fen, bill.refunded_fen) == ("d", 1, 300, 0)
    assert not Difference.objects.exists()


def test_another_amount_differs_until_it_agrees_and_again() -> None:
    factories.market(2)
    payment = captured()
    for _turn in range(2):
        compare(line(payment, 299))
        compare(line(payment, 299))
        assert found() == [("capture_fen", "W1", 299, 300)]
        compare(line(payment))
        assert found() == []
    difference = Difference.objects.get()
    assert [change.to_state for change in difference.history()] == ["agreed", "open", "agreed"]


def test_our_capture_that_no_bill_near_it_has_differs() -> None:
    factories.market(2)
    captured()
    compare()
    assert found() == [("capture_there", "W1", None, 300)]


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_capture_around_midnight_may_stand_on_a_neighbouring_bill(where: str) -> None:
    factories.market(2)
    payment = captured(hour=23)
    compare(**{where: (line(payment),)})  # type: ignore[arg-type]
    assert found() == []


def test_of_the_newest_day_nothing_is_missing_there_yet() -> None:
    factories.market(2)
    captured()
    compare(after=None)
    assert found() == []
    compare(after=())
    assert found() == [("capture_there", "W1", None, 300)]


def test_a_missed_capture_is_booked_from_the_bill() -> None:
    factories.market(2)
    payment = factories.order(1).payments.get()
    missed = BillLine("capture", payment.reference, "W9", 300)
    for _turn in range(2):
        compare(missed)
    assert state_of(payment.order) == "paid"
    assert Payment.objects.get(pk=payment.pk).transaction_id == "W9"
    assert found() == []
    assert books.balances() == {"gateway": 300, "household": -300}
    books.all_is_well()


def test_a_missed_second_capture_is_booked_and_goes_back() -> None:
    factories.market(2)
    payment = captured()
    compare(line(payment), line(payment, transaction_id="W2"))
    assert Refund.objects.get().reason == "second"
    assert found() == []
    books.all_is_well()


def test_a_capture_that_is_not_ours_is_money_to_be_explained_and_a_task() -> None:
    stranger = BillLine("capture", "f" * 32, "W7", 1234)
    for _turn in range(2):
        compare(stranger)
    assert found() == [("capture_here", "W7", 1234, None)]
    assert books.balances() == {"gateway": 1234, "suspense": -1234}


def test_refunds_are_compared_by_their_number() -> None:
    factories.market(3)
    payment = captured()
    refund = givebacks.give_back(Order.objects.get(), 1, by=None, reason="x")
    theirs = line(payment, kind="refund", number=refund.number)
    compare(line(payment), theirs)
    assert found() == []
    compare(line(payment), line(payment, 200, kind="refund", number=refund.number))
    assert found() == [("refund_fen", refund.number, 200, 300)]
    compare(line(payment), theirs, line(payment, kind="refund", number="n" * 32))
    assert found() == [("refund_here", "n" * 32, 300, None)]


def test_our_refund_that_no_bill_near_it_has_differs(later: Any) -> None:
    factories.market(3)
    payment = captured(timezone.localdate())
    refund = givebacks.give_back(Order.objects.get(), 1, by=None, reason="x")
    move(refund, "sending")
    refunds.book(refund, RefundReport(refund.number, "succeeded"))
    today = timezone.localdate()
    days = {today + timedelta(days=n): DayBill("x", [line(payment)] if n == 0 else []) for n in (-1, 0, 1)}
    bills.compare_days("wechatpay", days)
    assert list(Difference.objects.values_list("kind", "reference", "ours_fen")) == [
        ("refund_there", refund.number, 300)
    ]


def test_finance_answers_with_a_text() -> None:
    factories.market(2)
    captured()
    compare()
    difference, finance = Difference.objects.get(), factories.user(roles.FINANCE)
    with pytest.raises(DomainError) as refused:
        bills.answer(difference, text="  ", by=finance)
    assert refused.value.code == "no_answer"
    client = banking.client_of(finance)
    page = client.get("/finance/differences/").content.decode()
    assert "we booked a capture that the bill lacks" in page
    assert client.post(f"/finance/differences/{difference.pk}/answer", {"answer": "came a day late"}).status_code == 302
    compare()
    difference.refresh_from_db()
    assert (difference.state, difference.answer, difference.answered_by) == ("answered", "came a day late", finance)
    assert "came a day late" in client.get("/finance/differences/").content.decode()
    assert client.post(f"/finance/differences/{difference.pk}/answer", {"answer": "x"}).status_code == 409


def test_the_task_compares_what_can_be_fetched(settings: Any) -> None:
    settings.PAYMENT_GATEWAYS = ["transfer"]  # It has no bills: every day is empty.
    tasks.compare_bills()
    assert Bill.objects.filter(gateway="transfer", lines=0).count() == 7
    assert not Difference.objects.exists()


def test_a_refund_that_went_by_hand_and_by_the_gateway_is_told_of() -> None:
    """The gateway had refused it, and paid it all the same."""
    factories.market(2)
    payment = captured()
    refund = givebacks.give_back(payment.order, 1, by=None, reason="x")
    move(refund, "sending")
    move(refund, "failed", reason="NOT_ENOUGH")
    one, other = factories.user(roles.FINANCE), factories.user(roles.FINANCE)
    sent_by_hand.take_over(refund, by=one)
    sent_by_hand.confirm(sent_by_hand.note_sent(refund, bank_serial="O1", by=one), by=other)
    compare(line(payment))
    assert found() == []
    compare(line(payment), line(payment, kind="refund", number=refund.number))
    assert found() == [("refund_here", refund.number, 300, None)]
