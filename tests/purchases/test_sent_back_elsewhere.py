"""Money that a gateway has sent back before we ever knew that it came: it never goes twice."""

import pytest
from django.urls import reverse
from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.errors import DomainError
from purchases import payments
from purchases.gateways.base import PaymentReport
from purchases.models import Order, Payment, Refund
from tests import factories
from tests.ground.threads import at_once
from tests.purchases import banking, books


def sent_back_elsewhere() -> Payment:
    """A payment of which its gateway says, when it is asked at last, that the money went back."""
    factories.market(2)
    payment = factories.payment(factories.order(2))
    payments.book_capture(payment, PaymentReport(payment.reference, "refunded", "T1", 600, timezone.now()))
    payment.refresh_from_db()
    return payment


@pytest.mark.django_db
def test_it_is_not_sent_back_again() -> None:
    payment, finance = sent_back_elsewhere(), factories.user(roles.FINANCE)
    assert books.found() == books.UNEXPLAINED
    with pytest.raises(DomainError) as refused:
        payments.send_back(payment, by=finance)
    assert refused.value.code == "went_back"
    assert not Refund.objects.exists()
    assert books.balances() == {"gateway": 600, "suspense": -600}
    assert Order.objects.get().state == "held"


@pytest.mark.django_db
def test_finance_notes_that_it_went_back_once() -> None:
    payment, finance = sent_back_elsewhere(), factories.user(roles.FINANCE)
    data = {"action": "note_went_back", "_selected_action": [payment.pk]}
    for _turn in range(2):
        banking.client_of(finance).post(reverse("admin:purchases_payment_changelist"), data)
    assert books.balances() == {}
    with pytest.raises(DomainError):
        payments.send_back(payment, by=finance)
    books.all_is_well()


@pytest.mark.django_db
def test_what_the_gateway_still_has_is_not_noted_as_gone() -> None:
    factories.market(2)
    payment, finance = factories.payment(factories.order(2)), factories.user(roles.FINANCE)
    factories.capture(payment, fen=599)
    with pytest.raises(DomainError):
        payments.note_went_back(payment, by=finance)
    assert books.balances() == {"gateway": 599, "suspense": -599}
    payments.send_back(payment, by=finance)
    with pytest.raises(DomainError):
        payments.note_went_back(payment, by=finance)
    assert Refund.objects.get().fen == 599
    assert books.balances() == {"gateway": 599, "refunds": -599}


@pytest.mark.django_db(transaction=True)
def test_two_people_note_it_at_once() -> None:
    payment, people = sent_back_elsewhere(), [factories.user(roles.FINANCE) for _ in range(4)]
    done: list[int] = []

    def note(person: int) -> None:
        try:
            payments.note_went_back(payment, by=people[person])
        except DomainError as error:
            assert error.code == "not_in_suspense"
        else:
            done.append(person)

    at_once(*(lambda person=person: note(person) for person in range(4)))
    assert (len(done), books.balances()) == (1, {})
    books.all_is_well()
