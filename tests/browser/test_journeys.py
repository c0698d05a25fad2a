"""The main job as people do it, on a phone, in a real browser."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from carbonsink.accounts.roles import OFFICER, REVIEWER
from payouts import access, audit, runs, sending, statements
from payouts.demo.people import BANK_CODE, villager
from payouts.demo.pictures import tree_picture
from payouts.models import BankAccount
from purchases.models import Certificate, Order
from purchases.vintages import open_vintage
from tests import factories
from tests.processes import wait_for
from tests.standins.clients import BankClient, WechatClient
from trees import photos
from trees.models import Household, Photo, Tree

pytestmark = pytest.mark.django_db(transaction=True)


def sign_in(page: Page, base: str, email: str) -> None:
    page.goto(f"{base}/sign-in/")
    page.fill("[name=username]", email)
    page.fill("[name=password]", factories.PASSWORD)
    page.click("main form button:not([type=button])")
    page.wait_for_url(lambda url: "sign-in" not in url)


def test_an_officer_registers_a_household_with_its_account_and_a_tree(
    live_server: Any, page: Page, tmp_path: Path
) -> None:
    data = factories.household_data()
    factories.tree_data()
    officer = factories.user(OFFICER)
    sign_in(page, live_server.url, officer.email or "")

    page.goto(f"{live_server.url}/officer/households/new/")
    page.select_option("[name=village]", factories.VILLAGE)
    for name in ("head_name", "id_number", "phone"):
        page.fill(f"[name={name}]", data[name])
    page.fill("[name=area_mu]", "1.5")
    page.check("[name=category][value=poor]")
    page.check("[name=tenure][value=returned_farmland]")
    page.click("main form button:not([type=button])")
    expect(page.locator("[role=alert]")).to_be_visible()
    assert not Household.objects.exists()
    expect(page.locator("[name=id_number]")).to_have_value(data["id_number"])

    page.check("[name=consent_signed]")
    page.click("main form button:not([type=button])")
    page.wait_for_url("**/officer/households/*/")
    household = Household.objects.get()

    page.goto(f"{live_server.url}/officer/households/{household.public_id}/account/")
    page.fill("[name=holder]", data["head_name"])
    page.fill("[name=bank_name]", "中国邮政储蓄银行从江县支行")
    page.fill("[name=bank_code]", BANK_CODE)
    page.fill("[name=number]", villager(99).card)
    page.click("main form button:not([type=button])")
    page.wait_for_url("**/officer/households/*/")
    assert BankAccount.objects.get().number == villager(99).card

    picture = tmp_path / "tree.jpg"
    picture.write_bytes(tree_picture(1))
    page.goto(f"{live_server.url}/officer/households/{household.public_id}/trees/new/")
    page.set_input_files("[name=photo]", picture)
    expect(page.locator("[name=lat]")).to_have_value("25.912000")
    page.select_option("[name=species]", label="杉木")
    page.fill("[name=dbh_cm]", "8.2")
    with page.expect_navigation():
        page.click("main form button:not([type=button])")
    tree = Tree.objects.get()
    assert (str(tree.dbh_cm), str(tree.lat), str(tree.lon), tree.accuracy_m) == ("8.2", "25.912000", "108.921000", 7)

    photos.process(Photo.objects.get())
    page.context.clear_cookies()
    sign_in(page, live_server.url, factories.user(REVIEWER).email or "")
    page.goto(f"{live_server.url}/review/{tree.number}/")
    assert page.locator("img[src*='/media/trees/']").first.evaluate("image => image.naturalWidth") == 1200
    page.click("[data-key=a]")
    page.wait_for_url("**/review/")
    tree.refresh_from_db()
    assert tree.state == Tree.State.APPROVED


def test_a_buyer_pays_on_the_phone_and_the_household_sees_the_money(
    live_server: Any, settings: Any, page: Page, gateway: WechatClient, bank: BankClient
) -> None:
    settings.PUBLIC_BASE_URL = live_server.url
    household = factories.household()
    tree = factories.approved_tree(household)
    account = factories.account(household)
    open_vintage(factories.tariff())

    page.goto(live_server.url)
    page.click(f"a[href='/areas/{household.village_id}/']")
    page.click(f"a[href='/trees/{tree.number}/']")
    page.fill("[name=contact]", "13912345678")
    page.fill("[name=holder]", "山里人")
    page.click("main form button:not([type=button])")
    page.wait_for_url("**/orders/*/")
    expect(page.locator("img.qr")).to_be_visible()

    with (
        page.context.expect_page() if page.locator("a[target=_blank].button-buy").count() else page.expect_navigation()
    ):
        page.click(".pay-open a")
    page.click("button[value=pay]")
    wait_for(lambda: Order.objects.get().state == Order.State.PAID)
    certificate = Certificate.objects.get()
    page.goto(f"{live_server.url}/orders/{Order.objects.get().token}/")
    page.click(f"a[href='/c/{certificate.token}/']")
    expect(page.get_by_text(certificate.serial).first).to_be_visible()
    expect(page.get_by_text("山里人").first).to_be_visible()

    bank.control(
        "POST",
        "credits",
        {"fen": 100, "counterparty_name": settings.SPONSOR_NAMES[0], "remittance": "fees", "reference": "s"},
    )
    gateway.control("POST", "settle")
    statements.import_statement()
    runs.run_payouts()
    for pk in sending.to_send():
        sending.send_payout(pk)
    access.set_pin(household, "846203", by=household.registered_by, reason="test")
    page.goto(f"{live_server.url}/h/{household.page_key}/")
    page.fill("[name=pin]", "846203")
    page.click(".pin-form button")
    expect(page.get_by_text("3.00").first).to_be_visible()
    expect(page.get_by_text(account.last_four).first).to_be_visible()
    text = page.inner_text("body")
    assert household.head_name not in text
    assert household.phone not in text
    assert account.number not in text
    assert list(audit.findings()) == []


def test_the_order_page_follows_the_payment_by_itself(
    live_server: Any, settings: Any, page: Page, gateway: WechatClient
) -> None:
    settings.PUBLIC_BASE_URL = live_server.url
    factories.market(1)
    order = factories.order()
    page.goto(f"{live_server.url}/orders/{order.token}/")
    page.click("button[name=way]")
    expect(page.locator("img.qr")).to_be_visible()
    gateway.control("POST", "pay", {"out_trade_no": order.payments.get().reference, "action": "pay"})
    expect(page.locator("a[href^='/c/']")).to_be_visible()


def test_a_wish_for_more_than_there_is_says_how_many_are_left(live_server: Any, page: Page) -> None:
    factories.market(2)
    page.goto(f"{live_server.url}/areas/522633000000/")
    page.fill("[name=quantity]", "3")
    page.fill("[name=contact]", "13912345678")
    page.locator("main form.order-form").evaluate("form => form.noValidate = true")
    page.click("main form.order-form button:not([type=button])")
    expect(page.locator("[role=alert]")).to_contain_text("2")
    expect(page.locator("[name=contact]")).to_have_value("13912345678")
    assert not Order.objects.exists()
