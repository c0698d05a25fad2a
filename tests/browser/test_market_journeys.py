"""The market's journeys in a real browser, from choosing to the proof, against stand-ins of gateway and bank."""

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from playwright.sync_api import Page, expect

from carbonsink.accounts.roles import FINANCE
from purchases import tasks
from purchases.models import Certificate, Gift, Order, Organisation, Refund, Stock, Transfer
from tests import factories
from tests.browser import forest
from tests.browser.test_finance import pay_in, take_in
from tests.browser.test_journeys import sign_in
from tests.processes import wait_for
from tests.purchases import banking, books
from tests.purchases.test_organisations import CODE
from tests.standins.clients import BankClient, WechatClient

pytestmark = pytest.mark.django_db(transaction=True)
SEND = "form.order-form .button-buy"
ORDER = re.compile(r"/orders/[^/]+/$")
NAME = "贵州青山科技有限公司"
Visit = Callable[..., Page]


@pytest.fixture(autouse=True)
def addresses(settings: Any, live_server: Any) -> None:
    settings.PUBLIC_BASE_URL = live_server.url
    settings.PAYMENT_GATEWAYS = ["wechatpay", "transfer"]


def fits(page: Page) -> None:
    """Nothing on the page is wider than its screen."""
    size = page.viewport_size
    assert size is not None
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], page.url


def pay_by_h5(phone: Page) -> Order:
    """Pays the order of the page on WeChat's own page, which leads back; gives the order."""
    phone.click("button[value='wechatpay.h5']")
    phone.wait_for_url("**/cashier/**")
    phone.click("button[value=pay]")
    phone.wait_for_url(re.compile(r"/orders/.+\?back=1"))
    expect(phone.locator("a[href^='/c/']")).to_be_visible()
    return Order.objects.get(state=Order.State.PAID)


def see_certificate(page: Page, *texts: str) -> Certificate:
    """Opens the certificate of the order's page; it is valid, says these texts, and its picture and paper load."""
    page.click("a[href^='/c/']")
    page.wait_for_url("**/c/*/")
    expect(page.locator(".standing-valid")).to_be_visible()
    for text in texts:
        expect(page.locator("article.certificate")).to_contain_text(text)
    fits(page)
    token = page.url.rstrip("/").rpartition("/")[2]
    for name, begins in (("png", b"\x89PNG"), ("pdf", b"%PDF")):
        answer = page.request.get(f"{page.url}certificate.{name}")
        assert answer.body().startswith(begins), name
    return Certificate.objects.get(token=token)


def order_as_enterprise(page: Page, base: str, trees: int, *, transfer: bool) -> None:
    """Fills in the order form of 从江县 for an enterprise and sends it."""
    page.goto(f"{base}/areas/522633000000/")
    page.select_option("[name=kind]", "enterprise")
    typed = {"quantity": str(trees), "organisation_name": NAME, "code": CODE, "contact_person": "王小明"}
    for name, value in {**typed, "contact": factories.FIRM_CONTACT}.items():
        page.fill(f"[name={name}]", value)
    page.check(f"[name=pays_by][value={'transfer' if transfer else 'online'}]")
    page.click(SEND)


def test_one_tree_is_bought_on_the_phone_from_its_page_to_its_certificate(
    live_server: Any, visit: Visit, gateway: WechatClient
) -> None:
    (owner,) = factories.market(2)
    tree, phone = owner.trees.order_by("pk")[0], visit(phone=True)
    phone.goto(f"{live_server.url}/trees/{tree.number}/")
    fits(phone)
    phone.fill("[name=contact]", "13912345678")
    phone.fill("[name=holder]", "山里人")
    phone.click(SEND)
    phone.wait_for_url(ORDER)
    fits(phone)
    order = pay_by_h5(phone)
    fits(phone)
    assert [sink.tree for sink in order.sinks.all()] == [tree]
    certificate = see_certificate(phone, "山里人", Certificate.objects.get().serial)
    assert (certificate.trees, order.payments.get().product) == (1, "h5")
    assert books.balances() == {"gateway": 300, "household": -300}
    books.all_is_well()


def test_an_enterprise_orders_a_thousand_trees_and_pays_by_bank_transfer(
    live_server: Any, visit: Visit, bank: BankClient, tmp_path: Path
) -> None:
    forest.grow(homes=4, each=300)
    base, buyer, office = live_server.url, visit(), visit()
    order_as_enterprise(buyer, base, 1000, transfer=True)
    expect(buyer.locator("form.order-form .notice-warning")).to_be_visible()
    assert (Organisation.objects.get().is_checked, Order.objects.count()) == (False, 0)

    sign_in(office, base, factories.user(FINANCE).email or "")
    office.goto(f"{base}/admin/purchases/organisation/")
    office.check("input.action-select")
    office.select_option("select[name=action]", "confirm")
    office.click("button[name=index]")
    wait_for(lambda: Organisation.objects.get().is_checked)

    # The form has kept everything, and is only to be sent again.
    buyer.clock.install()
    buyer.click(SEND)
    buyer.wait_for_url(ORDER)
    order = Order.objects.get()
    assert (order.state, order.quantity, order.pays_by) == ("held", 1000, "transfer")
    code = buyer.inner_text(".remittance-code")
    assert code.replace(" ", "") == order.number
    pay_in(bank, 300_000, f"碳汇款 {code.lower()}", "FIRST", NAME)
    take_in(office, base, bank, tmp_path, "csv")
    assert Order.objects.get().state == "paid"
    # The page looks by itself every half minute.
    buyer.clock.fast_forward(31_000)
    expect(buyer.locator("#order-status[data-state=paid]")).to_be_visible()
    page = buyer.url
    buyer.click("a[href$='/receipt/']")
    expect(buyer.locator(".words")).to_have_text("人民币叁仟元整")
    expect(buyer.locator("main")).to_contain_text(CODE)
    assert buyer.request.get(f"{page}receipt.pdf").body().startswith(b"%PDF")
    buyer.goto(page)
    see_certificate(buyer, NAME, "1,000", "10,000")

    second = factories.order(10, organisation=Organisation.objects.get(), pays_by="transfer")
    pay_in(bank, 2500, f"碳汇款 {second.number}", "SECOND", NAME)
    take_in(office, base, bank, tmp_path, "xml")
    assert Order.objects.get(pk=second.pk).state == "held"
    office.click(".rows-transfers a")
    expect(office.locator(".suggestion")).to_contain_text(second.number)
    expect(office.locator(".suggestion")).to_contain_text("¥5.00")
    assert list(Transfer.objects.order_by("pk").values_list("fen", "state")) == [
        (300_000, "matched"),
        (2500, "waiting"),
    ]
    assert books.balances() == {"gateway": 302_500, "household": -300_000, "suspense": -2500}
    books.all_is_well()


def test_twenty_thousand_trees_are_put_together_before_the_buyers_eyes(
    live_server: Any, visit: Visit, gateway: WechatClient
) -> None:
    forest.grow(homes=25, each=820)
    banking.organisation(NAME, CODE)
    buyer = visit()
    order_as_enterprise(buyer, live_server.url, 20_000, transfer=False)
    buyer.wait_for_url(ORDER)
    bar = buyer.locator("#order-status progress")
    expect(bar).to_have_attribute("value", "0")
    expect(buyer.locator(".progress-text")).to_contain_text("20,000")
    fits(buyer)

    def allocate() -> None:
        try:
            tasks.allocate_orders()
        finally:
            connection.close()

    working = threading.Thread(target=allocate)
    with transaction.atomic():
        # Somebody else is buying from a household of the middle, so that the bar stands still there.
        list(Stock.objects.filter(pk=Stock.objects.order_by("pk")[12].pk).select_for_update())
        working.start()
        expect(bar).not_to_have_attribute("value", "0")
        assert 0 < int(bar.get_attribute("value") or 0) < 20_000
        assert Order.objects.get().state == "allocating"
    working.join(30)
    expect(buyer.locator("img.qr")).to_be_visible()
    order = Order.objects.get()
    assert (order.state, order.allocated, order.sinks.count()) == ("held", 20_000, 20_000)

    gateway.control("POST", "pay", {"out_trade_no": order.payments.get().reference, "action": "pay"})
    wait_for(lambda: order.payments.get().notifications.exists())
    assert Order.objects.get().state == "held"
    tasks.sweep()
    expect(buyer.locator("#order-status[data-state=paid]")).to_be_visible()
    assert see_certificate(buyer, NAME, "20,000", "200,000").trees == 20_000
    assert books.balances() == {"gateway": 6_000_000, "household": -6_000_000}
    assert books.stock()[1] == 20_000
    books.all_is_well()


def test_a_gift_is_bought_on_one_phone_and_taken_on_another(
    live_server: Any, visit: Visit, gateway: WechatClient
) -> None:
    factories.market(2)
    base, giver, friend = live_server.url, visit(phone=True), visit(phone=True)
    giver.goto(f"{base}/areas/522633000000/")
    giver.fill("[name=quantity]", "2")
    giver.fill("[name=contact]", "13912345678")
    giver.click("details.extras summary")
    giver.check("[name=is_gift]")
    giver.click(SEND)
    order = pay_by_h5(giver)
    giver.click("a.button-buy[href$='/gifts/new/']")
    for name, value in {"giver": "外婆", "recipient": "小明", "message": "和树一起长大"}.items():
        giver.fill(f"[name={name}]", value)
    giver.click("main form .button")
    giver.wait_for_url("**/gifts/")
    fits(giver)
    link = giver.locator("a[href^='/g/']").get_attribute("href")
    giver.context.grant_permissions(["clipboard-read", "clipboard-write"])
    giver.click("[data-copy]")
    expect(giver.locator("[data-copy]")).to_have_text("已复制")
    assert giver.evaluate("navigator.clipboard.readText()") == f"{base}{link}"

    friend.goto(f"{base}{link}")
    expect(friend.locator("blockquote")).to_have_text("和树一起长大")
    fits(friend)
    friend.fill("[name=holder]", "小明同学")
    friend.click("main form .button")
    friend.wait_for_url("**/c/*/")
    expect(friend.locator("article.certificate .holder")).to_have_text("小明同学")
    expect(friend.locator(".standing-valid")).to_be_visible()
    # Whoever is given a tree is not shown what its giver's order was.
    assert order.token not in friend.content()

    gift = Gift.objects.get()
    assert (gift.state, gift.certificate is not None and gift.certificate.holder) == ("taken", "小明同学")
    giver.goto(f"{base}/my/order/{order.token}/")
    expect(giver.locator(".rows").last).to_contain_text("已领取 1，待领取 0")
    fits(giver)
    giver.click("a[href$='/gifts/']")
    expect(giver.locator(".gift-rows .badge-good")).to_be_visible()
    friend.goto(f"{base}{link}")
    expect(friend.locator("main form")).to_have_count(0)
    trees = Certificate.objects.filter(state="valid").order_by("pk").values_list("trees", "holder")
    assert sorted(trees) == [(1, ""), (1, "小明同学")]
    books.all_is_well()


def test_one_of_three_trees_is_given_back_and_its_price_arrives(
    live_server: Any, visit: Visit, gateway: WechatClient
) -> None:
    factories.market(3)
    buyer = visit()
    buyer.goto(f"{live_server.url}/areas/522633000000/")
    buyer.fill("[name=quantity]", "3")
    buyer.fill("[name=contact]", "13912345678")
    buyer.click(SEND)
    expect(buyer.locator("img.qr")).to_be_visible()
    order = Order.objects.get()
    payment = order.payments.get()
    gateway.control("POST", "pay", {"out_trade_no": payment.reference, "action": "pay"})
    expect(buyer.locator("a[href^='/c/']")).to_be_visible()
    first = Certificate.objects.get()

    buyer.click("a[href$='/give-back/']")
    buyer.fill("[name=trees]", "1")
    buyer.check("[name=sure]")
    buyer.click("main form .button-danger")
    buyer.wait_for_url(ORDER)
    expect(buyer.locator("#order-status[data-state=partly_refunded]")).to_be_visible()
    assert Refund.objects.get().state == "requested"
    tasks.sweep()
    refund = Refund.objects.get()
    assert (refund.state, refund.fen) == ("succeeded", 300)
    arrived = gateway.call("GET", f"/v3/refund/domestic/refunds/{refund.number}").json()
    assert (arrived["status"], arrived["amount"]["refund"]) == ("SUCCESS", 300)
    buyer.reload()
    expect(buyer.locator("main")).to_contain_text("¥3.00")
    successor = see_certificate(buyer)
    assert (successor.pk != first.pk, successor.trees, successor.kg) == (True, 2, 20)
    buyer.goto(f"{live_server.url}/c/{first.token}/")
    expect(buyer.locator(".standing-valid")).to_have_count(0)
    expect(buyer.locator(".successors")).to_contain_text(successor.serial)
    assert books.stock() == (3, 2)
    assert books.balances() == {"gateway": 600, "household": -600}
    books.all_is_well()
