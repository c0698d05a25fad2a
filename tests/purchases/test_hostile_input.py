"""What nobody types by accident: answered with a 4xx, never a 500."""

from typing import Any

import pytest
from django.test import Client

from tests import factories
from tests.purchases import banking

NUL = "%00"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path",
    [
        f"/orders/{NUL}/",
        f"/api/v1/orders/{NUL}",
        f"/c/{NUL}/",
        f"/trees/{NUL}/",
        f"/areas/{NUL}/",
        f"/households/{NUL}/",
        f"/my/order/{NUL}/",
        f"/my/enter/{NUL}/",
        f"/g/{NUL}/",
        f"/orders/{NUL}/receipt/",
        f"/orders/{NUL}/gifts/",
        "/?after=%00",
        "/areas/522633000000/?after=%00&households=%00",
        "/species/?area=%00&after=%00",
        "/map/outlines.json?within=%00",
        "/calculator/?of=%00",
        "/register/?serial=%00",
        "/register/?after=%00",
        "/api/v1/register?holder=%00%00",
        "/register/?vintage=99999999999999999999",
        "/species/99999999999999999999999/",
        "/finance/transfers/99999999999999999999999/",
    ],
)
def test_an_address_with_what_no_name_has_is_not_found(path: str) -> None:
    factories.market(1)
    answer = banking.client_of().get(path)
    assert 400 <= answer.status_code < 500 or answer.status_code == 200


@pytest.mark.django_db
def test_what_a_form_of_one_button_is_sent_is_checked() -> None:
    factories.market(2)
    order = factories.paid_order(2)
    token = order.certificates.get().token
    path = f"/my/order/{order.token}/certificates/{token}/split/"
    assert Client().post(path, {"tree": "\0"}).status_code == 404


@pytest.mark.django_db
def test_what_finance_sends_is_checked() -> None:
    factories.market(2)
    transfer = banking.transfer(7, "?")
    page = banking.client_of()
    answer: Any = {"order": "x", "reason": "x"}
    for others in ("9" * 5000, "9" * 30, "\0"):
        path = f"/finance/transfers/{transfer.pk}/answer"
        assert page.post(path, answer | {"with_others": others}).status_code in (400, 404)
    assert page.post(f"/finance/transfers/{transfer.pk}/return", {"back-reason": "x"}).status_code == 302
    noted = page.post(f"/finance/returns/transfer/{transfer.pk}/note", {"bank_serial": "\0"})
    assert noted.status_code == 400
