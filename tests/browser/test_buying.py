"""Ordering and paying as buyers do it, on the desktop and on the phone, in a real browser."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from purchases.models import Certificate, Order, Organisation, Payment
from tests import factories
from tests.processes import wait_for
from tests.purchases import books, order_world, paper
from tests.purchases.test_organisations import CODE
from tests.standins.clients import WechatClient

pytestmark = pytest.mark.django_db(transaction=True)
SEND = "form.order-form .button-buy"
ORDER = re.compile(r"/orders/[^/]+/$")

# What WeChat puts into its pages; it answers that the buyer first cancels, then pays.
BRIDGE = """window.answers = JSON.parse(sessionStorage.answers ?? '["cancel", "ok"]');
    window.WeixinJSBridge = { invoke(name, given, then) {
        window.given = { name, given };
        const answer = window.answers.shift();
        sessionStorage.answers = JSON.stringify(window.answers);
        setTimeout(() => then({ err_msg: `get_brand_wcpay_request:${answer}` }));
    } };"""


@pytest.fixture
def desktop(browser: Browser) -> Iterator[Page]:
    """A page on a desktop, which must break no rule of the content security policy."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="zh-CN", user_agent=paper.DESKTOP)
    page, wrong = context.new_page(), []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.set_default_timeout(15_000)
    yield page
    context.close()
    assert [text for text in wrong if not re.search(r"status of 4(00|09)", text)] == []


@pytest.fixture(autouse=True)
def addresses(settings: Any, live_server: Any) -> None:
    settings.PUBLIC_BASE_URL = live_server.url


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch, settings: Any) -> type[paper.Paper]:
    """Ways of paying to choose from, so that no page chooses by itself."""
    return paper.lay_out(monkeypatch, settings)


def area(base: str) -> str:
    return f"{base}/areas/522633000000/"


def test_a_tree_is_bought_at_the_desk_with_a_code(live_server: Any, desktop: Page, gateway: WechatClient) -> None:
    factories.market(2)
    desktop.goto(area(live_server.url))
    expect(desktop.locator("[name=code]")).to_be_hidden()
    desktop.fill("[name=quantity]", "2")
    expect(desktop.locator("form.order-form output")).to_contain_text("¥6.00")
    desktop.fill("[name=contact]", "13912345678")
    desktop.click(SEND)
    # One way fits, so nothing is to be chosen: its code is there at once.
    expect(desktop.locator("img.qr")).to_be_visible()
    expect(desktop).to_have_url(ORDER)
    payment = Payment.objects.get()
    gateway.control("POST", "pay", {"out_trade_no": payment.reference, "action": "pay"})
    expect(desktop.locator("a[href^='/c/']")).to_be_visible()
    order = Order.objects.get()
    assert (order.state, order.quantity, order.payments.count()) == ("paid", 2, 1)
    books.all_is_well()


def test_a_tree_is_bought_on_the_phone_and_the_page_comes_back(
    live_server: Any, browser: Browser, gateway: WechatClient
) -> None:
    factories.market(1)
    context = browser.new_context(viewport={"width": 390, "height": 844}, user_agent=paper.PHONE, has_touch=True)
    phone = context.new_page()
    phone.set_default_timeout(15_000)
    phone.goto(area(live_server.url))
    phone.fill("[name=contact]", "13912345678")
    phone.click(SEND)
    phone.click("button[value='wechatpay.h5']")
    phone.wait_for_url(lambda url: not url.startswith(live_server.url))
    phone.click("button[value=pay]")
    wait_for(lambda: Order.objects.get().state == Order.State.PAID)
    order = Order.objects.get()
    phone.goto(f"{live_server.url}/orders/{order.token}/?back=1")
    expect(phone.locator(f"a[href='/c/{Certificate.objects.get().token}/']")).to_be_visible()
    context.close()
    books.all_is_well()


@pytest.mark.parametrize("way", ["wechatpay.h5", "alipay.wap"])
def test_a_payment_page_elsewhere_opens_though_forms_go_nowhere_else(
    live_server: Any, browser: Browser, monkeypatch: pytest.MonkeyPatch, settings: Any, way: str
) -> None:
    factories.market(1)
    elsewhere = live_server.url.replace("localhost", "127.0.0.1") + "/healthz?of=the+gateway&x=1"
    assert not elsewhere.startswith(live_server.url)
    asked = paper.lay_out(monkeypatch, settings, address=elsewhere).asked
    context = browser.new_context(viewport={"width": 390, "height": 844}, user_agent=paper.PHONE)
    phone = context.new_page()
    order = order_world.fresh(1)
    page = f"{live_server.url}/orders/{order.token}/"
    phone.goto(page)
    phone.click(f"button[value='{way}']")
    phone.wait_for_url(elsewhere)
    assert asked[0].return_url == f"{page}?back=1"
    # Going back leads to the order, and pays nothing again.
    phone.go_back()
    expect(phone).to_have_url(page)
    expect(phone.locator(f"a[href='/orders/{order.token}/leave/']")).to_be_visible()
    assert len(asked) == 1
    context.close()


def test_an_enterprise_corrects_its_code_and_loses_nothing(live_server: Any, desktop: Page, offered: Any) -> None:
    factories.market(12)
    desktop.goto(area(live_server.url))
    typed = {"quantity": "12", "organisation_name": "贵州青山有限公司", "contact_person": "王小明"}
    desktop.select_option("[name=kind]", "enterprise")
    for name, value in typed.items():
        desktop.fill(f"[name={name}]", value)
    desktop.fill("[name=contact]", "office@example.org")
    desktop.fill("[name=code]", CODE[:-1] + "K")
    expect(desktop.locator("[name=holder]")).to_have_value("贵州青山有限公司")
    desktop.click(SEND)
    expect(desktop.locator("[role=alert]")).to_be_visible()
    expect(desktop.locator("[name=code]")).to_be_focused()
    for name, value in typed.items():
        expect(desktop.locator(f"[name={name}]")).to_have_value(value)
    assert not Order.objects.exists()
    assert not Organisation.objects.exists()

    desktop.fill("[name=code]", CODE.lower())
    desktop.click(SEND)
    desktop.wait_for_url(ORDER)
    order = Order.objects.select_related("buyer__organisation").get()
    assert order.buyer.organisation is not None
    assert (order.buyer.organisation.code, order.holder, order.quantity) == (CODE, "贵州青山有限公司", 12)


def test_what_an_organisation_typed_is_not_sent_when_a_person_buys_after_all(
    live_server: Any, page: Page, offered: Any
) -> None:
    factories.market(1)
    page.goto(area(live_server.url))
    page.select_option("[name=kind]", "social_group")
    page.fill("[name=organisation_name]", "某协会")
    page.select_option("[name=kind]", "individual")
    expect(page.locator("[name=organisation_name]")).to_be_hidden()
    page.fill("[name=contact]", "13912345678")
    page.click(SEND)
    page.wait_for_url(ORDER)
    assert (Order.objects.get().holder, Organisation.objects.count()) == ("", 0)


def test_a_refused_order_keeps_what_was_typed(live_server: Any, page: Page, offered: Any) -> None:
    factories.market(3)
    page.goto(area(live_server.url))
    page.fill("[name=contact]", "13912345678")
    page.fill("[name=holder]", "山里人")
    page.click("details.extras summary")
    page.fill("[name=dedication]", "给奶奶")
    page.check("[name=is_gift]")
    factories.order(2)  # Somebody else was quicker.
    page.fill("[name=quantity]", "2")
    page.click(SEND)
    expect(page.locator("form.order-form > [role=alert]")).to_be_focused()
    for name, value in {"quantity": "2", "contact": "13912345678", "holder": "山里人", "dedication": "给奶奶"}.items():
        expect(page.locator(f"[name={name}]")).to_have_value(value)
    expect(page.locator("[name=is_gift]")).to_be_checked()
    assert Order.objects.count() == 1
    page.fill("[name=quantity]", "1")
    page.click(SEND)
    page.wait_for_url(ORDER)
    assert Order.objects.latest("pk").dedication == "给奶奶"


def test_an_order_is_given_up(live_server: Any, page: Page) -> None:
    factories.market(2)
    order = order_world.opened()
    page.goto(f"{live_server.url}/orders/{order.token}/")
    page.click(".order-cancel summary")
    page.click(".order-cancel button")
    expect(page.locator("#order-status[data-state=cancelled]")).to_be_visible()
    assert books.stock() == (2, 0)
    books.all_is_well()


def test_who_comes_back_waits_asks_and_is_told(
    live_server: Any, page: Page, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    factories.market(1)
    gateways = paper.lay_out(monkeypatch, settings)
    order = order_world.opened("h5", quantity=1)
    real = timezone.now

    def later(seconds: int) -> None:
        monkeypatch.setattr(timezone, "now", lambda: real() + timedelta(seconds=seconds))

    page.goto(f"{live_server.url}/orders/{order.token}/?back=1")
    headline = page.locator("#order-status h1")
    first = headline.inner_text()
    later(15)  # The page looks again by itself, less and less often.
    expect(headline).not_to_have_text(first)
    second = headline.inner_text()
    later(75)
    expect(headline).not_to_have_text(second)
    assert gateways.queried == []
    gateways.said = "captured"
    page.click("#ask button")
    expect(page.locator("a[href^='/c/']")).to_be_visible()
    assert gateways.queried == [order.payments.get().reference]
    books.all_is_well()


def test_inside_wechat_its_window_opens_and_leads_back(live_server: Any, browser: Browser, offered: Any) -> None:
    factories.market(2)
    order = order_world.opened("jsapi")
    context = browser.new_context(viewport={"width": 390, "height": 844}, user_agent=paper.WECHAT)
    context.add_init_script(BRIDGE)
    phone = context.new_page()
    phone.goto(f"{live_server.url}/orders/{order.token}/wechat/")
    expect(phone.locator("#bridge-again")).to_be_visible()
    assert phone.evaluate("window.given") == {
        "name": "getBrandWCPayRequest",
        "given": {"appId": "wx-test", "package": "prepay_id=wx123", "paySign": "signed"},
    }
    phone.click("#bridge-again")
    phone.wait_for_url(re.compile(r"\?back=1$"))
    # What the window answers is not the server's word.
    order.refresh_from_db()
    assert order.state == "held"
    context.close()


def test_inside_wechat_one_press_asks_who_pays_and_opens_the_window(
    live_server: Any, browser: Browser, gateway: WechatClient
) -> None:
    factories.market(1)
    order = order_world.fresh(1)
    context = browser.new_context(viewport={"width": 390, "height": 844}, user_agent=paper.WECHAT)
    context.add_init_script(BRIDGE)
    phone = context.new_page()
    phone.set_default_timeout(15_000)
    phone.goto(f"{live_server.url}/orders/{order.token}/")
    phone.click(".ways a.button-buy")
    phone.wait_for_url("**/wechat/")
    payment = order.payments.get()
    given = phone.evaluate("window.given.given")
    assert (payment.product, given["package"]) == ("jsapi", f"prepay_id={payment.prepay_id}")
    phone.click("#bridge-again")
    gateway.control("POST", "pay", {"out_trade_no": payment.reference, "action": "pay"})
    expect(phone.locator("a[href^='/c/']")).to_be_visible()
    context.close()
    books.all_is_well()
