"""A card's check digit is a hint: the officer compares the number and may confirm it, and whoever approves sees that."""

import html
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from carbonsink.accounts import roles
from payouts.accounts import approve_account
from payouts.models import BankAccount
from tests import factories
from tests.payouts.test_bank_accounts import CARD, body, send, signed_in, wrong_digit
from tests.purchases import books

MISFIT = wrong_digit(CARD)
OTHER_MISFIT = MISFIT[:-2] + str((int(MISFIT[-2]) + 5) % 10) + MISFIT[-1]
HINT = "This card number's check digit does not fit. Compare each digit with the card."
CONFIRM = "I have compared each digit: the number is right."
SAID = "the card number's check digit does not fit"

pytestmark = pytest.mark.django_db


def accounts_page() -> str:
    return html.unescape(signed_in(factories.user(roles.FINANCE)).get("/finance/accounts/").content.decode())


def test_the_api_says_what_to_confirm_and_takes_what_is_confirmed() -> None:
    household = factories.household()
    client, sent = signed_in(household.registered_by), body(household, number=MISFIT)
    answer = send(client, sent)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_account")
    assert answer.json()["confirm"] == "number_checked"
    assert HINT in answer.json()["message"]
    assert not BankAccount.objects.exists()
    answer = send(client, sent | {"number_checked": True})
    assert (answer.status_code, answer.json()["check_digit_fits"]) == (201, False)
    account = BankAccount.objects.get()
    assert (account.number, account.check_digit_fits) == (MISFIT, False)
    assert send(client, sent | {"number_checked": True}).json() == answer.json()
    assert SAID in accounts_page()
    approve_account(account, by=factories.user(roles.FINANCE))
    books.all_is_well()


@pytest.mark.parametrize(
    "changes", [{"number_checked": True}, {"number": MISFIT, "is_card": False, "number_checked": True}]
)
def test_nothing_is_said_of_a_card_that_fits_or_of_a_passbook(changes: dict[str, Any]) -> None:
    household = factories.household()
    answer = send(signed_in(household.registered_by), body(household, **changes))
    assert (answer.status_code, answer.json()["check_digit_fits"]) == (201, True)
    assert SAID not in accounts_page()


def form_of(client: Client, page: str, sent: dict[str, Any]) -> tuple[int, str]:
    answer = client.post(page, {name: value for name, value in sent.items() if value is not False})
    return answer.status_code, html.unescape(answer.content.decode())


def asked_about(shown: str) -> dict[str, str]:
    """What the page sends with the tick: of which number it asked."""
    found = re.search(r'name="asked_about" value="([^"]+)"', shown)
    assert found
    return {"asked_about": found[1], "number_checked": "on"}


def test_the_officers_page_asks_and_takes_what_is_confirmed() -> None:
    household = factories.household()
    client, page = signed_in(household.registered_by), reverse("payouts:new-account", args=[household.public_id])
    assert CONFIRM not in client.get(page).content.decode()
    sent = body(household, number=MISFIT)
    status, shown = form_of(client, page, sent)
    assert (status, HINT in shown, CONFIRM in shown) == (400, True, True)
    assert f'value="{MISFIT}"' in shown
    confirmed = asked_about(shown)
    status, shown = form_of(client, page, sent | confirmed | {"bank_code": "1"})
    assert (status, HINT in shown, CONFIRM in shown) == (400, False, True)
    assert not BankAccount.objects.exists()
    status, shown = form_of(client, page, sent | {"is_card": False, "number": "1"})
    assert (status, CONFIRM in shown) == (400, False)
    # A tick for the first number says nothing of another one, nor of one that nobody was asked about.
    for other in (confirmed | {"number": OTHER_MISFIT}, {"number_checked": "on"}):
        status, shown = form_of(client, page, sent | other)
        assert (status, HINT in shown, "checked>" in shown.partition('name="number_checked"')[2][:80]) == (
            400,
            True,
            False,
        )
    assert form_of(client, page, sent | confirmed)[0] == 302
    assert BankAccount.objects.get().check_digit_fits is False


def test_a_passbook_with_the_same_number_needs_nothing_confirmed() -> None:
    household = factories.household()
    client, page = signed_in(household.registered_by), reverse("payouts:new-account", args=[household.public_id])
    assert form_of(client, page, body(household, number=MISFIT, is_card=False))[0] == 302
    assert BankAccount.objects.get().check_digit_fits is True
