"""Paying inside WeChat and from a phone's browser, and how a page inside WeChat learns who pays."""

import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from django.test import Client

from carbonsink.errors import DomainError
from purchases import tasks
from purchases.checkout import start_payment
from purchases.gateways import offered
from purchases.gateways.wechatpay.gateway import WechatPay
from purchases.models import Order, Payment
from purchases.views import wechat as views
from tests import factories
from tests.purchases import books
from tests.standins.clients import WechatClient

OPENID = "/wechat/openid"
ENGLISH = {"accept-language": "en"}
RETURN = "http://127.0.0.1:8000/orders/a b/?back=1&x=1"


def order() -> Order:
    factories.market(2)
    return factories.order(2)


@pytest.mark.django_db
def test_inside_wechat_the_bridge_pays_with_what_we_signed(wechat: WechatClient) -> None:
    payment = start_payment(order(), product="jsapi", payer="oBuyer")
    assert (payment.pay_url, payment.prepay_id[:2]) == ("", "wx")
    assert start_payment(payment.order, product="jsapi", payer="oBuyer").prepay_id == payment.prepay_id
    signed = WechatPay().bridge(payment.prepay_id)
    assert wechat.bridge(signed | {"nonceStr": "x"}).status_code == 403
    assert wechat.bridge(signed).json() == {"err_msg": "get_brand_wcpay_request:ok"}
    assert Order.objects.get().state == "held"  # What the browser says pays nothing.
    tasks.ask_about_payment(payment.pk)
    assert (Order.objects.get().state, Payment.objects.get(pk=payment.pk).state) == ("paid", "captured")
    (one,) = [one for one in wechat.control("GET", "orders") if one["out_trade_no"] == payment.reference]
    assert (one["trade_type"], one["openid"]) == ("JSAPI", "oBuyer")
    books.all_is_well()


@pytest.mark.django_db
def test_a_phone_pays_at_the_cashier_and_comes_back(wechat: WechatClient) -> None:
    payment = start_payment(order(), product="h5", payer_address="203.0.113.9", return_url=RETURN)
    assert parse_qs(urlsplit(payment.pay_url).query)["redirect_url"] == [RETURN]
    with httpx.Client(trust_env=False, follow_redirects=True) as phone:
        cashier = phone.get(payment.pay_url)
        paid = phone.post(cashier.url, data={"action": "pay"}, follow_redirects=False)
    assert paid.headers["location"].replace("%20", " ") == RETURN
    tasks.ask_about_payment(payment.pk)
    assert Order.objects.get().state == "paid"
    books.all_is_well()


@pytest.mark.django_db
@pytest.mark.parametrize("product", ["jsapi", "h5"])
@pytest.mark.parametrize(
    "fault", ["error_500_before", "error_500_after", "accept_then_silence", "garbage", "bad_signature", "duplicate"]
)
def test_a_payment_that_is_opened_badly_is_opened_again_and_paid_once(
    wechat: WechatClient, product: str, fault: str
) -> None:
    held = order()
    ask = {"product": product, "payer": "oBuyer", "payer_address": "203.0.113.9"}
    wechat.fault(product, fault)
    if fault != "duplicate":
        with pytest.raises(DomainError) as silent:
            start_payment(held, **ask)
        assert silent.value.code == "gateway_silent"
        opened = Payment.objects.get(product=product)
        assert (opened.state, opened.pay_url, opened.prepay_id) == ("created", "", "")
        assert Order.objects.get().state == "held"
    payment = start_payment(held, **ask)
    wechat.pay(payment.reference)
    tasks.ask_about_payment(payment.pk)
    assert (Order.objects.get().state, Payment.objects.get(pk=payment.pk).state) == ("paid", "captured")
    assert Payment.objects.filter(state="captured").count() == 1
    assert books.balances() == {"gateway": 600, "household": -600}
    books.all_is_well()


def come_back(client: Client, answer: Any, **changes: str) -> Any:
    """Follows WeChat's page, as a browser does, and comes back with what it gives."""
    gone = httpx.get(answer.headers["location"].partition("#")[0], trust_env=False)
    query = {name: one[0] for name, one in parse_qs(urlsplit(gone.headers["location"]).query).items()}
    return client.get(f"{OPENID}/back", query | changes)


@pytest.mark.django_db
def test_the_openid_comes_by_oauth_and_stays_in_the_session(wechat: WechatClient, settings: Any) -> None:
    client = Client(headers=ENGLISH)
    asked = client.get(OPENID, {"next": "/orders/abc/?x=1"})
    address, _, fragment = asked.headers["location"].partition("#")
    query = parse_qs(urlsplit(address).query)
    assert fragment == "wechat_redirect"
    assert query["appid"] == [settings.WECHATPAY_APPID]
    assert query["redirect_uri"] == [settings.PUBLIC_BASE_URL + f"{OPENID}/back"]
    assert (query["response_type"], query["scope"]) == (["code"], ["snsapi_base"])
    back = come_back(client, asked)
    assert (back.status_code, back.headers["location"]) == (302, "/orders/abc/?x=1")
    assert len(client.session["wechat_openid"]) == 28
    assert "wechat_state" not in client.session
    assert "no-store" in back.headers["cache-control"]


def refused(client: Client, answer: Any) -> None:
    assert answer.status_code == 400
    assert "Open your order again in WeChat." in answer.content.decode()
    assert "wechat_openid" not in client.session


@pytest.mark.django_db
def test_a_state_is_for_its_session_once_and_for_ten_minutes(
    wechat: WechatClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = Client(headers=ENGLISH), Client(headers=ENGLISH)
    asked = mine.get(OPENID)
    refused(other, come_back(other, asked))  # Somebody else's link makes nobody pay by another's name.
    other_asked = other.get(OPENID)
    refused(mine, come_back(mine, other_asked))
    refused(mine, come_back(mine, asked))  # That one try used it up.

    for wrong in ("", "x", "é"):
        refused(mine, come_back(mine, mine.get(OPENID), state=wrong))

    asked, real = mine.get(OPENID), time.time()
    monkeypatch.setattr(views.time, "time", lambda: real + 601)
    refused(mine, come_back(mine, asked))
    monkeypatch.undo()
    assert come_back(mine, mine.get(OPENID)).status_code == 302


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path", ["", "https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "orders/x/"]
)
def test_the_way_back_is_one_of_our_own_pages(wechat: WechatClient, path: str) -> None:
    client = Client(headers=ENGLISH)
    assert come_back(client, client.get(OPENID, {"next": path})).headers["location"] == "/"


@pytest.mark.django_db
@pytest.mark.parametrize("fault", ["error_500_before", "error_500_after", "accept_then_silence", "garbage"])
def test_wechat_that_does_not_say_who_it_is_can_be_asked_again(wechat: WechatClient, fault: str) -> None:
    client = Client(headers=ENGLISH)
    wechat.fault("access_token", fault)
    silent = come_back(client, client.get(OPENID))
    assert silent.status_code == 503
    assert "choose another way of paying" in silent.content.decode()
    assert "wechat_openid" not in client.session
    assert come_back(client, client.get(OPENID)).status_code == 302


@pytest.mark.django_db
@pytest.mark.parametrize("code", ["", "invented"])
def test_an_invented_code_is_nobody(wechat: WechatClient, code: str) -> None:
    client = Client(headers=ENGLISH)
    assert come_back(client, client.get(OPENID), code=code).status_code == 503
    assert "wechat_openid" not in client.session


@pytest.mark.django_db
def test_the_app_secret_never_reaches_a_log_or_an_error(
    wechat: WechatClient, settings: Any, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = Path(settings.WECHAT_APP_SECRET_FILE).read_text()
    client = Client(headers=ENGLISH)
    asked = client.get(OPENID)
    settings.WECHAT_API_BASE_URL = "http://127.0.0.1:9"
    answer = come_back(client, asked)
    assert answer.status_code == 503
    assert secret not in caplog.text + "".join(capsys.readouterr()) + answer.content.decode()


@pytest.mark.django_db
def test_without_jsapi_there_is_no_oauth(settings: Any, wechat_keys: dict[str, str]) -> None:
    settings.PAYMENT_PRODUCTS = ["wechatpay.native", "wechatpay.h5", "nobody.knows"]
    assert offered() == [("wechatpay", "native"), ("wechatpay", "h5")]
    assert Client().get(OPENID).status_code == 404
    assert Client().get(f"{OPENID}/back").status_code == 404
