"""Captures without an order: two people say what becomes of each; its money is booked once, whatever happens."""

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from purchases import payments, tasks
from purchases.gateways.base import BillLine, PaymentReport
from purchases.models import Order, Refund, Stray
from tests import factories
from tests.ground.threads import at_once
from tests.purchases import books
from tests.purchases.test_bills import compare, found
from tests.standins.clients import WechatClient

pytestmark = pytest.mark.django_db
PAGE = "/finance/strays/"


def stray(transaction_id: str = "4200000000000000001", fen: int = 300) -> Stray:
    """A capture that we know nothing of, booked again and again."""
    report = PaymentReport("elsewhere", "captured", transaction_id, fen, timezone.now())
    for _ in range(2):
        payments.book_stray("wechatpay", report)
    return Stray.objects.get(transaction_id=transaction_id)


def at_the_gateway(wechat: WechatClient, fen: int = 300) -> Stray:
    """A capture that the gateway really has."""
    return stray(wechat.pay(wechat.order(fen=fen))["transaction_id"], fen)


def person() -> Client:
    client = Client(headers={"accept-language": "en"})
    client.force_login(factories.user(roles.FINANCE))
    return client


def propose(one: Stray, by: Client, **form: str) -> Any:
    return by.post(f"{PAGE}{one.pk}/propose", {"reason": "the payer told us", **form})


def answer(one: Stray, by: Client, word: str = "agree") -> Any:
    one.refresh_from_db()
    return by.post(f"{PAGE}{one.pk}/answer", {"seen": f"{one.proposed_by_id}:{one.order_id}", word: "1"})


def send(one: Stray, by: Client, act: str, **more: str) -> Any:
    return by.post(f"{PAGE}{one.pk}/send", {"act": act, **more})


def state(one: Stray) -> str:
    one.refresh_from_db()
    return one.state


def agreed_back(one: Stray) -> Stray:
    """Two people say that it goes back."""
    assert propose(one, person(), back="1").status_code == 302
    assert answer(one, person()).status_code == 302
    one.refresh_from_db()
    return one


def test_a_capture_pays_the_order_that_two_people_name() -> None:
    factories.market(1)
    order = factories.order(1)
    one, first, second = stray(), person(), person()
    assert books.balances() == {"gateway": 300, "suspense": -300}
    page = first.get(PAGE).content.decode()
    assert "4200000000000000001" in page and "3.00" in page
    assert propose(one, first, order=order.number.lower()).status_code == 302
    assert (state(one), books.balances()) == ("proposed", {"gateway": 300, "suspense": -300})
    assert answer(one, first).status_code == 403
    assert (state(one), Order.objects.get().state) == ("proposed", "held")
    page = second.get(PAGE).content.decode()
    assert order.number in page and "the payer told us" in page
    assert answer(one, second).status_code == 302
    order.refresh_from_db()
    assert (state(one), order.state) == ("matched", "paid")
    assert one.payment is not None
    assert (one.payment.order_id, one.payment.transaction_id, one.payment.captured_fen) == (
        order.pk, "4200000000000000001", 300,
    )  # fmt: skip
    assert books.balances() == {"gateway": 300, "household": -300}
    assert order.certificates.count() == 1
    assert answer(one, second).status_code == 409
    stray()  # The gateway says it once more.
    assert books.balances() == {"gateway": 300, "household": -300}
    books.all_is_well()


def test_a_second_payment_of_a_paid_order_goes_back_like_any(wechat: WechatClient) -> None:
    factories.market(1)
    order = factories.paid_order(1)
    one = at_the_gateway(wechat)
    propose(one, person(), order=order.number)
    assert answer(one, person()).status_code == 302
    refund = Refund.objects.get()
    assert (refund.reason, refund.fen, refund.payment) == ("second", 300, one.payment or Stray.objects.get().payment)
    tasks.send_refund(refund.pk)
    refund.refresh_from_db()
    assert (state(one), refund.state) == ("matched", "succeeded")
    assert books.balances() == {"gateway": 300, "household": -300}
    books.all_is_well()


def test_a_capture_goes_back_through_its_gateway_once(wechat: WechatClient) -> None:
    one = agreed_back(at_the_gateway(wechat))
    assert (one.state, books.balances()) == ("going_back", {"gateway": 300, "refunds": -300})
    wechat.fault("refund", "accept_then_silence")
    tasks.send_stray(one.pk)
    assert state(one) == "unknown"
    for _ in range(2):
        tasks.send_stray(one.pk)
    assert (state(one), books.balances()) == ("sent_back", {})
    captures = [paid for row in wechat.control("GET", "orders") for paid in row["transactions"]]
    assert [row["refunded_fen"] for row in captures if row["transaction_id"] == one.transaction_id] == [300]
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_sweeps_and_bells_at_once_send_it_back_once(wechat: WechatClient) -> None:
    one = agreed_back(at_the_gateway(wechat))
    assert at_once(*[lambda: tasks.send_stray(one.pk)] * 4, tasks.sweep) == [None] * 5
    tasks.sweep()
    assert (state(one), books.balances()) == ("sent_back", {})
    books.all_is_well()


def test_what_the_gateway_refuses_is_sent_at_the_bank_by_two_people(wechat: WechatClient) -> None:
    one, first, second = agreed_back(stray("4200000000000000777")), person(), person()
    tasks.send_stray(one.pk)  # The gateway has never heard of it.
    assert state(one) == "failed"
    assert send(one, first, "note", bank_serial="OUT1").status_code == 409
    assert send(one, first, "take").status_code == 302
    tasks.send_stray(one.pk)
    assert state(one) == "by_hand"
    assert send(one, second, "confirm").status_code == 409
    assert send(one, first, "note", bank_serial=" ").status_code == 400
    assert send(one, first, "note", bank_serial=" OUT1 ").status_code == 302
    assert send(one, second, "note", bank_serial="OUT2").status_code == 409
    assert send(one, first, "confirm").status_code == 403
    assert books.balances() == {"gateway": 300, "refunds": -300}
    assert "OUT1" in second.get(PAGE).content.decode()
    assert send(one, second, "confirm").status_code == 302
    # The gateway keeps its money and settles it as any other: the sponsor has advanced this.
    assert (state(one), books.balances()) == ("sent_back", {"gateway": 300, "sponsor": -300})
    assert send(one, second, "confirm").status_code in (403, 409)
    books.all_is_well()


def test_what_was_taken_over_and_not_sent_is_left_to_the_gateway_again(wechat: WechatClient) -> None:
    one, first = agreed_back(stray("4200000000000000778")), person()
    tasks.send_stray(one.pk)
    send(one, first, "take")
    send(one, first, "note", bank_serial="OUT1")
    assert send(one, person(), "leave").status_code == 302
    assert (state(one), one.bank_serial, one.noted_by) == ("failed", "", None)
    books.all_is_well()


def test_another_person_may_say_no(wechat: WechatClient) -> None:
    one, first = stray(), person()
    propose(one, first, back="1")
    assert answer(one, person(), "withdraw").status_code == 302
    assert (state(one), one.proposed_by, one.order) == ("waiting", None, None)
    assert books.balances() == {"gateway": 300, "suspense": -300}
    assert propose(one, person(), back="1").status_code == 302


def test_nobody_agrees_to_what_they_have_not_seen() -> None:
    factories.market(1)
    one, order = stray(), factories.order(1)
    propose(one, person(), back="1")
    one.refresh_from_db()
    seen = f"{one.proposed_by_id}:{one.order_id}"
    answer(one, person(), "withdraw")
    propose(one, person(), order=order.number)
    assert person().post(f"{PAGE}{one.pk}/answer", {"seen": seen, "agree": "1"}).status_code == 409
    assert (state(one), books.balances()) == ("proposed", {"gateway": 300, "suspense": -300})


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"order": "nothing"}, 404),
        ({"order": ""}, 404),
        ({"back": "1", "reason": ""}, 400),
        ({"back": "1", "reason": " "}, 400),
    ],
)
def test_what_is_no_answer_is_said(form: dict[str, str], status: int) -> None:
    one = stray()
    answered = propose(one, person(), **form)
    assert answered.status_code == status
    assert 'role="alert"' in answered.content.decode()
    assert state(one) == "waiting"


def test_an_order_of_another_amount_is_not_paid_by_it() -> None:
    factories.market(2)
    order = factories.order(2)
    answered = propose(stray(), person(), order=order.number)
    assert answered.status_code == 409
    assert "¥3.00" in answered.content.decode() and "¥6.00" in answered.content.decode()


def test_only_finance_sees_and_answers() -> None:
    one = stray()
    client = Client()
    for who in (None, roles.OFFICER, roles.REVIEWER):
        if who:
            client.force_login(factories.user(who))
        assert client.get(PAGE).status_code in (302, 404)
        assert propose(one, client, back="1").status_code in (302, 404)
    assert state(one) == "waiting"
    assert person().post(f"{PAGE}999/propose", {}).status_code == 404
    assert person().get(f"{PAGE}{one.pk}/propose").status_code == 405


@pytest.mark.parametrize(
    "broken",
    [
        "UPDATE purchases_stray SET fen = 1",
        "UPDATE purchases_stray SET transaction_id = 'x'",
        "UPDATE purchases_stray SET back_number = 'other'",
        "UPDATE purchases_stray SET agreed_by_id = proposed_by_id",
        "UPDATE purchases_stray SET state = 'matched'",
        "DELETE FROM purchases_stray",
    ],
)
def test_the_database_keeps_what_was_said(broken: str) -> None:
    agreed_back(stray())
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(broken)


def test_two_people_who_agree_at_once_book_it_once(transactional_db: None) -> None:
    factories.market(1)
    one, order = stray(), factories.order(1)
    propose(one, person(), order=order.number)
    people = [person() for _ in range(4)]
    statuses = at_once(*[lambda client=client: answer(one, client).status_code for client in people])
    assert sorted(statuses) == [302, 409, 409, 409]
    assert books.balances() == {"gateway": 300, "household": -300}
    assert User.objects.filter(pk=Stray.objects.get().agreed_by_id).exists()
    books.all_is_well()


def test_what_two_people_sent_back_agrees_with_the_bill() -> None:
    taken = BillLine("capture", "nobody", "W7", 1234)
    compare(taken)
    assert found() == [("capture_here", "W7", 1234, None)]
    one = agreed_back(Stray.objects.get())
    compare(taken, BillLine("refund", "nobody", "W7", 1234, one.back_number or ""))
    assert found() == []
