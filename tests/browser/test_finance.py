"""Finance at work in a real browser: a statement is taken in, odd transfers are answered, money goes back by two
people's hands. On the desktop, and looked at on a phone."""

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from carbonsink.accounts.roles import FINANCE
from carbonsink.states import move
from purchases import givebacks, tasks
from purchases.models import Order, Refund, Transfer
from tests import factories
from tests.browser.test_journeys import sign_in
from tests.purchases import banking, books
from tests.standins.clients import BankClient

pytestmark = pytest.mark.django_db(transaction=True)
SHOTS = os.environ.get("SHOTS", "")


def look(page: Page, name: str) -> None:
    """Takes the picture of a page at both sizes where one wants to look; nothing may be wider than a phone."""
    size = page.viewport_size
    for width, height in ((390, 844), (1280, 900)):
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        if SHOTS:
            page.screenshot(path=f"{SHOTS}/{name}-{width}.png", full_page=True)
    assert size is not None
    page.set_viewport_size(size)


def pay_in(bank: BankClient, fen: int, remittance: str, reference: str, payer: str = "贵州青山科技有限公司") -> None:
    data = {"fen": fen, "payer_name": payer, "remittance": remittance, "reference": reference}
    bank.control("POST", "transfers-in", data)


def take_in(page: Page, base: str, bank: BankClient, folder: Path, form: str) -> None:
    file = folder / f"statement.{form}"
    file.write_bytes(bank.http.get(f"{bank.url}/control/collection.{form}").content)
    page.goto(f"{base}/finance/transfers/")
    page.set_input_files("[name=file]", file)
    page.click("main form button")
    expect(page.locator(".messages, main .notice").first).to_be_visible()


def test_from_a_statement_to_money_that_went_back(
    live_server: Any, page: Page, browser: Browser, bank: BankClient, tmp_path: Path
) -> None:
    base, people = live_server.url, [factories.user(FINANCE), factories.user(FINANCE)]
    factories.market(9, 9)
    exact, parts = banking.order(9), banking.order(2)
    wrong = parts.number[:-1] + ("2" if parts.number[-1] != "2" else "3")
    pay_in(bank, 2700, f"单株碳汇 {exact.number}", "C1")
    pay_in(bank, 250, f"碳汇 {wrong}", "C2")
    pay_in(bank, 350, "余款", "C3")
    pay_in(bank, 8800, "谢谢", "C4", "陌生人")
    sign_in(page, base, people[0].email or "")
    take_in(page, base, bank, tmp_path, "xml")
    look(page, "transfers")
    assert Order.objects.get(pk=exact.pk).state == "paid"
    assert Transfer.objects.filter(state="waiting").count() == 3

    page.goto(f"{base}/finance/transfers/{Transfer.objects.get(fen=250).pk}/")
    look(page, "transfer")
    page.fill(".suggestion [name=reason]", "电话确认")
    page.click(".suggestion button")
    page.wait_for_url("**/finance/transfers/")
    assert Order.objects.get(pk=parts.pk).state == "paid"

    stranger = Transfer.objects.get(fen=8800)
    page.goto(f"{base}/finance/transfers/{stranger.pk}/")
    look(page, "stranger")
    page.fill("[name=back-reason]", "无人认领")
    page.click("text=It goes back" if page.locator("text=It goes back").count() else ".button-danger")
    page.wait_for_url("**/finance/returns/")
    tasks.send_refund(givebacks.give_back(exact, 2, by=None, reason="x").pk)
    page.goto(f"{base}/finance/returns/")
    look(page, "returns")
    for serial in ("OUT1", "OUT2"):
        page.locator("[name=bank_serial]").first.fill(serial)
        page.locator(".tasks form button").first.click()
        page.wait_for_load_state()
    look(page, "returns-noted")
    with browser.new_context(locale="zh-CN") as other:
        second = other.new_page()
        sign_in(second, base, people[1].email or "")
        for left in (1, 0):
            second.goto(f"{base}/finance/returns/")
            second.locator(".tasks form button").first.click()
            expect(second.locator(".tasks > li")).to_have_count(left)
    assert set(Transfer.objects.values_list("state", flat=True)) == {"matched", "sent_back"}
    assert Refund.objects.get().state == "succeeded"

    take_in(page, base, bank, tmp_path, "csv")
    look(page, "transfers-done")
    page.goto(f"{base}/finance/differences/")
    look(page, "differences")
    page.goto(f"{base}/orders/{exact.token}/receipt/")
    expect(page.locator(".words")).to_have_text("人民币贰拾柒元整")
    look(page, "receipt")
    with page.expect_download() as download:
        page.click("a[href$='receipt.pdf']")
    if SHOTS:
        download.value.save_as(f"{SHOTS}/receipt.pdf")
    page.goto(f"{base}/orders/{exact.token}/")
    look(page, "order")
    assert books.balances() == {"gateway": 2700, "household": -2700}
    books.all_is_well()


def test_a_refund_that_the_gateway_refuses_is_taken_over(live_server: Any, page: Page) -> None:
    factories.market(3)
    for _turn in range(2):
        refund = givebacks.give_back(factories.paid_order(1), 1, by=None, reason="x")
        move(refund, "sending")
        move(refund, "failed", reason="NOT_ENOUGH")
    sign_in(page, live_server.url, factories.user(FINANCE).email)
    page.goto(f"{live_server.url}/finance/returns/")
    take = page.locator("form[action$='/take-over'] button:not([name])")
    expect(take).to_have_count(2)
    take.first.click()
    expect(page.locator("form[action$='/note'] button")).to_have_count(1)
    expect(take).to_have_count(1)
    look(page, "returns-taken-over")
    page.click("form[action$='/take-over'] button[name=leave]")
    expect(take).to_have_count(2)
    books.all_is_well()
