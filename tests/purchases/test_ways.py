"""Which ways of paying a device is offered, and what choosing one does."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from purchases import ways
from purchases.models import Order, Payment
from tests import factories
from tests.purchases import books, paper
from tests.purchases.paper import ALIPAY, DESKTOP, PHONE, WECHAT, Paper

pytestmark = pytest.mark.django_db


@pytest.fixture
def gateways(monkeypatch: pytest.MonkeyPatch, settings: Any) -> type[Paper]:
    return paper.lay_out(monkeypatch, settings)


def held(quantity: int = 1) -> Order:
    factories.market(quantity)
    order = factories.order(quantity)
    order.payments.all().delete()  # Nothing was chosen yet.
    return order


def browser(agent: str = DESKTOP) -> Client:
    return Client(headers={"accept-language": "en", "user-agent": agent})


def address(order: Order, name: str = "order") -> str:
    return reverse(f"purchases:{name}", args=[order.token])


def choose(order: Order, way: str, by: Client | None = None) -> Any:
    return (by or browser()).post(address(order, "order-pay"), {"way": way})


@pytest.mark.parametrize(
    ("agent", "first", "others"),
    [
        (DESKTOP, ["wechatpay.native", "alipay.page"], ["wechatpay.h5", "alipay.wap"]),
        (PHONE, ["wechatpay.h5", "alipay.wap"], ["wechatpay.native", "alipay.page"]),
        (WECHAT, ["wechatpay.jsapi"], ["wechatpay.native", "alipay.page"]),
        (ALIPAY, ["alipay.wap"], ["wechatpay.native", "wechatpay.h5", "alipay.page"]),
    ],
)
def test_a_device_is_offered_what_works_on_it(
    gateways: type[Paper], agent: str, first: list[str], others: list[str]
) -> None:
    fit, more = ways.for_device(agent)
    assert ([way.code for way in fit], [way.code for way in more]) == (first, others)


def test_only_what_the_settings_and_the_adapter_have_is_offered(gateways: type[Paper], settings: Any) -> None:
    settings.PAYMENT_PRODUCTS = ["wechatpay.native", "alipay.wap", "alipay.unheard"]
    assert [way.code for way in ways.offered()] == ["wechatpay.native", "alipay.wap"]
    settings.PAYMENT_GATEWAYS = ["wechatpay", "transfer"]
    assert [way.code for way in ways.offered()] == ["wechatpay.native"]
    # What fits nowhere else is better than nothing.
    assert [way.code for way in ways.for_device(PHONE)[0]] == ["wechatpay.native"]


@pytest.mark.parametrize("agent", [DESKTOP, PHONE, WECHAT, ALIPAY])
def test_looking_at_an_order_asks_no_gateway(gateways: type[Paper], agent: str) -> None:
    order, client = held(), browser(agent)
    for more in ("", "?back=1", "?back=1&since=1", "?press=1"):
        assert client.get(address(order) + more).status_code == 200
        assert client.get(address(order) + more, headers={"hx-request": "true"}).status_code == 200
    assert (gateways.asked, gateways.queried, gateways.closed) == ([], [], [])
    assert not Payment.objects.exists()


@pytest.mark.parametrize(
    ("agent", "way", "goes_to"),
    [
        (DESKTOP, "wechatpay.native", "order"),
        (DESKTOP, "alipay.page", "order-leave"),
        (PHONE, "wechatpay.h5", "order-leave"),
        (PHONE, "alipay.wap", "order-leave"),
    ],
)
def test_choosing_a_way_opens_its_payment_once(gateways: type[Paper], agent: str, way: str, goes_to: str) -> None:
    order, client = held(), browser(agent)
    for _ in range(2):
        answer = choose(order, way, client)
        assert (answer.status_code, answer["Location"]) == (303, address(order, goes_to))
    (request,) = gateways.asked
    payment = Payment.objects.get()
    assert (f"{payment.gateway}.{payment.product}", payment.fen) == (way, 300)
    assert (request.reference, request.fen, request.payer) == (payment.reference, 300, "")
    assert request.return_url.endswith(f"{address(order)}?back=1")
    assert request.payer_address == "127.0.0.1"


@pytest.mark.parametrize("way", ["wechatpay.jsapi", "transfer.transfer", "shells", "", "wechatpay"])
def test_a_way_that_is_not_offered_here_opens_nothing(gateways: type[Paper], way: str) -> None:
    order, client = held(), browser()
    answer = client.post(address(order, "order-pay"), {"way": way}, follow=True)
    assert "This way of paying is not offered here. Choose another one." in answer.content.decode()
    assert gateways.asked == []
    assert not Payment.objects.exists()


def test_another_way_closes_the_first_one(gateways: type[Paper]) -> None:
    order = held()
    choose(order, "wechatpay.native")
    first = Payment.objects.get()
    choose(order, "alipay.page")
    second = Payment.objects.exclude(pk=first.pk).get()
    first.refresh_from_db()
    assert (first.state, second.state, gateways.closed) == ("closed", "created", [first.reference])
    page = browser().get(address(order)).content.decode()
    assert "Go to the payment page" in page
    assert "came to nothing" not in page
    assert browser().get(address(order, "order-qr")).status_code == 404
    factories.capture(second)
    books.all_is_well()


def test_the_page_that_leads_to_the_gateway_is_a_page_of_ours(gateways: type[Paper]) -> None:
    order, client = held(), browser(PHONE)
    assert client.get(address(order, "order-leave"))["Location"] == address(order)
    choose(order, "wechatpay.h5", client)
    answer = client.get(address(order, "order-leave"))
    page = answer.content.decode()
    escaped = gateways.address.replace("&", "&amp;")
    assert f'<meta http-equiv="refresh" content="0; url={escaped}">' in page
    assert f'href="{escaped}"' in page
    # WeChat wants to see where its visitor comes from; which order it is, nobody else learns.
    assert (answer.status_code, answer["Referrer-Policy"]) == (200, "strict-origin")
    assert len(gateways.asked) == 1


@pytest.mark.parametrize("bad", ["javascript:alert(1)", "data:text/html,x", "//evil.example/", ""])
def test_nobody_is_led_to_an_address_that_is_none(gateways: type[Paper], bad: str) -> None:
    order, client = held(), browser(PHONE)
    gateways.address = bad
    choose(order, "wechatpay.h5", client)
    assert client.get(address(order, "order-leave"))["Location"] == address(order)


def test_a_silent_gateway_is_said_by_the_answer_and_can_be_tried_again(gateways: type[Paper]) -> None:
    order, client = held(), browser()
    gateways.silent = True
    page = client.post(address(order, "order-pay"), {"way": "alipay.page"}, follow=True).content.decode()
    assert "The payment service does not answer. Your trees stay reserved; try again." in page
    assert 'value="alipay.page"' in page
    assert "data-press" not in page
    gateways.silent = False
    assert choose(order, "alipay.page", client)["Location"] == address(order, "order-leave")
    assert len({request.reference for request in gateways.asked}) == 1
    assert (Order.objects.get().state, Payment.objects.count()) == ("held", 1)


@pytest.mark.parametrize("state", ["expired", "cancelled", "paid"])
def test_an_order_that_is_over_opens_no_payment(gateways: type[Paper], later: Callable[..., None], state: str) -> None:
    order, client = held(), browser()
    if state == "expired":
        later(minutes=16)
    elif state == "cancelled":
        assert client.post(address(order, "order-cancel")).status_code == 303
    else:
        factories.capture(factories.payment(order))
    page = client.post(address(order, "order-pay"), {"way": "wechatpay.native"}, follow=True).content.decode()
    assert "This order cannot be paid any more. Place a new one." in page
    assert gateways.asked == []
    assert Order.objects.get().state == state
    books.all_is_well()


def test_inside_wechat_the_bridge_gets_what_was_signed_for_this_payer(gateways: type[Paper]) -> None:
    order, client = held(), browser(WECHAT)
    session = client.session
    session["wechat_openid"] = "o-buyer"
    session.save()
    assert client.get(address(order, "order-wechat"))["Location"] == address(order)
    assert choose(order, "wechatpay.jsapi", client)["Location"] == address(order, "order-wechat")
    assert gateways.asked[0].payer == "o-buyer"
    page = client.get(address(order, "order-wechat")).content.decode()
    assert "prepay_id=wx123" in page
    assert f'data-back="{address(order)}?back=1"' in page


def test_inside_wechat_nothing_is_opened_for_nobody(gateways: type[Paper]) -> None:
    order, client = held(), browser(WECHAT)
    page = client.post(address(order, "order-pay"), {"way": "wechatpay.jsapi"}, follow=True).content.decode()
    assert "WeChat has not said who pays yet." in page
    assert gateways.asked == []
    assert not Payment.objects.exists()


def test_where_one_code_is_all_there_is_the_page_presses_the_button_once(gateways: type[Paper], settings: Any) -> None:
    order, client = held(), browser()
    assert "data-press" not in client.get(address(order)).content.decode()
    settings.PAYMENT_PRODUCTS = ["wechatpay.native"]
    assert "data-press" in client.get(address(order)).content.decode()
    choose(order, "wechatpay.native", client)
    page = client.get(address(order)).content.decode()
    assert "data-press" not in page
    assert address(order, "order-qr") in page


def test_both_doors_want_a_form_of_ours(gateways: type[Paper]) -> None:
    order = held()
    strict = Client(enforce_csrf_checks=True)
    for name in ("order-pay", "order-ask", "order-cancel"):
        assert strict.post(address(order, name), {"way": "wechatpay.native"}).status_code == 403
        assert strict.get(address(order, name)).status_code == 405
    assert (Order.objects.get().state, gateways.asked) == ("held", [])
