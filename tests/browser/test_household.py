"""A household with its phone: it scans the code on its paper, enters its PIN, misses money, and reads the answer."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from carbonsink.accounts.roles import FINANCE
from payouts import access, sending, tasks
from payouts.models import Case, Payout
from payouts.runs import run_payouts
from tests import factories
from tests.browser.test_finance import SHOTS, look
from tests.browser.test_journeys import sign_in
from tests.payouts import money
from tests.purchases import books
from tests.standins.clients import BankClient

pytestmark = pytest.mark.django_db(transaction=True)
PIN = "846203"


def narrow(page: Page, name: str) -> None:
    """The cheapest phone there is: nothing is cut off, and no text of the page is smaller than 20 pixels."""
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360, name
    small = """[...document.querySelectorAll('main *')].filter(e => e.innerText && e.checkVisibility() && e.children.length
               === 0 && parseFloat(getComputedStyle(e).fontSize) < 20).map(e => e.outerHTML)"""
    assert page.evaluate(small) == [], name
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}-360.png", full_page=True)


def test_a_household_misses_its_money_and_reads_the_answer(
    live_server: Any, visit: Callable[..., Page], bank: BankClient
) -> None:
    (owner,) = factories.market(3)
    factories.account(owner)
    for tree in owner.trees.order_by("pk")[:2]:
        factories.paid_order(tree=tree)
    money.fund(bank, 2000)
    run_payouts()
    for pk in sending.to_send():
        sending.send_payout(pk)
    tasks.sweep()
    money.owe({owner: 90})
    access.set_pin(owner, PIN, by=owner.registered_by, reason="test")
    payout, finance = Payout.objects.get(), factories.user(FINANCE)

    phone = visit(phone=True)
    phone.goto(f"{live_server.url}/h/{owner.page_key}/")
    expect(phone.locator("body")).not_to_contain_text(owner.masked_name)
    narrow(phone, "pin")
    phone.fill("[name=pin]", "111111")
    phone.click(".pin-form button")
    expect(phone.get_by_role("alert")).to_be_visible()
    narrow(phone, "wrong-pin")
    phone.fill("[name=pin]", PIN)
    phone.click(".pin-form button")
    expect(phone.locator("main")).to_contain_text(owner.masked_name)
    expect(phone.locator(".payout")).to_contain_text(payout.account.last_four)
    narrow(phone, "household")
    phone.click(".payout [value=not_arrived]")
    expect(phone.locator(".payout [value=not_arrived]")).to_have_count(0)
    narrow(phone, "household-missed")
    case = Case.objects.get()

    desk = visit()
    sign_in(desk, live_server.url, finance.email or "")
    desk.goto(f"{live_server.url}/finance/cases/")
    look(desk, "cases")
    desk.click(f"a[href='/finance/cases/{case.pk}/']")
    expect(desk.locator("main")).to_contain_text(payout.bank_reference)
    look(desk, "case")
    desk.fill("[name=answer]", "银行说今天已经入账，请到信用社打印存折。")
    desk.click("form.form-large button")
    desk.wait_for_url("**/finance/cases/")

    phone.reload()
    expect(phone.locator(".payout .answer")).to_contain_text("请到信用社打印存折")
    narrow(phone, "household-answered")
    phone.click(".payout [value=arrived]")
    expect(phone.locator(".payout .taps")).to_be_visible()
    phone.locator("form[action$='/leave/'] button").click()
    expect(phone.locator("[name=pin]")).to_be_visible()
    expect(phone.locator("body")).not_to_contain_text(owner.masked_name)
    assert set(Case.objects.values_list("kind", "state")) == {("not_arrived", "closed"), ("arrived", "closed")}

    officer = visit(phone=True)
    sign_in(officer, live_server.url, owner.registered_by.email or "")
    for name, path in (("officer-pin", f"officer/households/{owner.public_id}/pin/"), ("papers", "officer/papers/")):
        officer.goto(f"{live_server.url}/{path}")
        look(officer, name)
    books.all_is_well()
