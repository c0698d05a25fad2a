"""A card whose check digit does not fit: asked about on the phone and on the page, and seen by whoever approves."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from carbonsink.accounts.models import User
from carbonsink.accounts.roles import FINANCE, OFFICER
from payouts.demo.people import BANK_CODE, BANK_NAME, villager
from payouts.models import BankAccount
from tests import factories
from tests.browser.phone import Phone
from tests.browser.test_finance import look
from tests.browser.test_journeys import sign_in
from tests.payouts.test_bank_accounts import wrong_digit
from tests.processes import wait_for

pytestmark = pytest.mark.django_db(transaction=True)
MISFIT = wrong_digit(villager(1).card)


@pytest.fixture
def officer() -> User:
    """An officer, and all that the office has prepared."""
    factories.household_data()
    factories.tree_data()
    return factories.user(OFFICER, factories.VILLAGE)


def test_the_phone_asks_once_for_each_number_and_sends_what_is_confirmed(phone: Phone, officer: User) -> None:
    household = factories.household(officer)
    phone.begin(officer)
    phone.open(f"#/household/{household.public_id}/account")
    page = phone.page
    confirm, wrong = page.locator("[name=number_checked]"), page.locator("[data-field=number] .wrong")
    for name, value in {"holder": household.head_name, "bank_name": BANK_NAME, "bank_code": BANK_CODE}.items():
        page.fill(f"[name={name}]", value)
    page.fill("[name=number]", MISFIT)
    expect(confirm).to_be_hidden()
    page.locator("form .button.huge").tap()
    expect(wrong).to_be_visible()
    expect(confirm).to_be_visible()
    look(page, "field-account")
    confirm.tap()
    page.fill("[name=number]", wrong_digit(villager(2).card))  # That was said of another number.
    expect(confirm).to_be_hidden()
    page.locator("form .button.huge").tap()
    expect(wrong).to_be_visible()
    assert phone.stored("queue") == []
    page.fill("[name=number]", MISFIT)
    page.locator("form .button.huge").tap()
    confirm.tap()
    page.locator("form .button.huge").tap()
    wait_for(BankAccount.objects.exists)
    account = BankAccount.objects.get()
    assert (account.number, account.check_digit_fits) == (MISFIT, False)


def test_the_officers_page_asks_and_finance_sees_it(live_server: Any, page: Page) -> None:
    officer = factories.user(OFFICER)
    household = factories.household(officer)
    sign_in(page, live_server.url, officer.email or "")
    page.goto(f"{live_server.url}/officer/households/{household.public_id}/account/")
    fields = {"holder": household.head_name, "bank_name": BANK_NAME, "bank_code": BANK_CODE, "number": MISFIT}
    for name, value in fields.items():
        page.fill(f"[name={name}]", value)
    page.click("main form button:not([type=button])")
    expect(page.locator("[name=number_checked]")).to_be_visible()
    look(page, "account")
    page.check("[name=number_checked]")
    page.click("main form button:not([type=button])")
    page.wait_for_url("**/officer/households/*/")
    assert BankAccount.objects.get().check_digit_fits is False
    page.context.clear_cookies()
    finance = factories.user(FINANCE)
    sign_in(page, live_server.url, finance.email or "")
    page.goto(f"{live_server.url}/finance/accounts/")
    expect(page.locator("main .badge-wait")).to_be_visible()
    look(page, "finance-accounts")
