"""What the order's page says about money that came late, twice, or in another amount."""

import pytest
from django.test import Client

from purchases import payments
from purchases.models import Order, Payment, Voucher
from purchases.orders import expire_order
from tests import factories
from tests.purchases import books

pytestmark = pytest.mark.django_db


def page(order: Order) -> str:
    client = Client(headers={"accept-language": "en"})
    return client.get(f"/orders/{order.token}/").content.decode()


def test_a_late_payment_without_trees_goes_back_and_the_page_says_why() -> None:
    (owner,) = factories.market(1)
    late = factories.order(tree=owner.trees.get())
    expire_order(late)
    factories.paid_order(tree=owner.trees.get())
    factories.capture(late.payments.get())
    shown = page(late)
    assert "The payment came after the order had expired, and the trees were gone." in shown
    assert "is on its way back to you." in shown
    books.all_is_well()


def test_a_second_payment_goes_back_and_the_page_says_why() -> None:
    factories.market(2)
    order = factories.paid_order(1)
    factories.capture(order.payments.get(), transaction_id="again")
    assert "The order was paid twice." in page(order)
    books.all_is_well()


def test_another_amount_is_seen_on_the_page_until_it_goes_back(wechat_keys: dict[str, str]) -> None:
    factories.market(2)
    order = factories.order(1)
    factories.capture(order.payments.get(), fen=299)
    expire_order(order)
    words = "¥2.99 arrived, but the order costs ¥3.00. The order is not paid by it."
    assert words in page(order)
    payments.send_back(Payment.objects.get(captured_fen=299), by=factories.user("finance"))
    shown = page(order)
    assert words not in shown
    assert "The amount was not that of the order." in shown
    books.all_is_well()


def test_a_voucher_is_on_the_page() -> None:
    factories.market(1)
    order = factories.paid_order(1)
    finance = factories.user("finance")
    Voucher.objects.create(
        order=order, kind="invoice", number="2652200001", issued_on="2026-11-20", attached_by=finance
    )
    assert "2652200001" in page(order)
