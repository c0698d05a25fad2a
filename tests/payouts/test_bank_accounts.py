"""Households' accounts: what is refused, who may enter and approve, and what waits."""

import html
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from payouts.accounts import reject_account
from payouts.demo.people import BANK_CODE, villager
from payouts.models import BankAccount
from tests import factories
from tests.ground.threads import at_once
from tests.purchases import books
from trees.models import Household

CARD = villager(1).card
ENGLISH = {"accept-language": "en"}


def signed_in(user: User) -> Client:
    client = Client(headers=ENGLISH)
    client.force_login(user)
    return client


def body(household: Household, **changes: Any) -> dict[str, Any]:
    return {
        "client_uuid": str(uuid.uuid4()),
        "household": household.public_id,
        "holder": household.head_name,
        "bank_name": "从江支行",
        "bank_code": BANK_CODE,
        "number": CARD,
        "is_card": True,
    } | changes


def send(client: Client, sent: dict[str, Any]) -> Any:
    return client.post("/api/v1/bank-accounts", sent, content_type="application/json")


def wrong_digit(digits: str) -> str:
    return digits[:-1] + str((int(digits[-1]) + 1) % 10)


def both_roles() -> User:
    user = factories.user(roles.OFFICER)
    user.groups.add(Group.objects.get(name=roles.FINANCE))
    user.is_staff = True
    user.save()
    return user


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "wrong check digit": ({"number": wrong_digit(CARD)}, "bad_account"),
    "two digits swapped": ({"number": CARD[:8] + CARD[9] + CARD[8] + CARD[10:]}, "bad_account"),
    "too short": ({"number": "1234567", "is_card": False}, "bad_account"),
    "too long": ({"number": "1" * 33, "is_card": False}, "bad_account"),
    "letters": ({"number": "62179900ABCDEFGHIJK", "is_card": False}, "bad_account"),
    "other digits": ({"number": "٦٢١٧٩٩٠٠١٢٣٤", "is_card": False}, "bad_account"),
    "too short, confirmed": ({"number": "1234567", "number_checked": True}, "bad_account"),
    "bank code's check digit, confirmed": (
        {"bank_code": wrong_digit(BANK_CODE), "number_checked": True},
        "bad_bank_code",
    ),
    "bank code's check digit": ({"bank_code": wrong_digit(BANK_CODE)}, "bad_bank_code"),
    "bank code too short": ({"bank_code": BANK_CODE[:11]}, "bad_bank_code"),
    "another holder": ({"holder": "张三"}, "wrong_holder"),
    "empty holder": ({"holder": ""}, "invalid"),
    "NUL": ({"bank_name": "a\x00b"}, "invalid"),
    "no bank": ({"bank_name": ""}, "invalid"),
    "no uuid": ({"client_uuid": "x"}, "invalid"),
}


@pytest.mark.django_db
@pytest.mark.parametrize("why", REFUSED)
def test_a_wrong_account_is_refused_and_not_stored(why: str) -> None:
    household = factories.household()
    changes, code = REFUSED[why]
    if why == "two digits swapped" and CARD[8] == CARD[9]:
        pytest.fail("choose a card with two different digits there")
    answer = send(signed_in(household.registered_by), body(household, **changes))
    assert (answer.status_code, answer.json()["code"]) == (400, code), answer.content
    assert not BankAccount.objects.exists()


@pytest.mark.django_db
def test_an_account_is_stored_masked_and_encrypted() -> None:
    household = factories.household()
    spaced = f"{CARD[:4]} {CARD[4:8]} {CARD[8:]}"
    answer = send(signed_in(household.registered_by), body(household, number=spaced))
    assert answer.status_code == 201
    shown = answer.json()
    assert (shown["version"], shown["state"], shown["usable_from"]) == (1, "entered", None)
    assert shown["masked_number"] == "*" * (len(CARD) - 4) + CARD[-4:]
    assert CARD not in answer.content.decode()
    account = BankAccount.objects.get()
    assert (account.number, account.holder, account.is_sealed) == (CARD, household.head_name, True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT b::text FROM payouts_bankaccount b")
        row = cursor.fetchone()[0]
    assert CARD not in row
    assert household.head_name not in row
    books.all_is_well()


@pytest.mark.django_db
def test_a_passbook_needs_no_check_digit() -> None:
    household = factories.household()
    answer = send(signed_in(household.registered_by), body(household, number=wrong_digit(CARD), is_card=False))
    assert answer.status_code == 201


@pytest.mark.django_db
@pytest.mark.parametrize(
    "who",
    [(roles.OFFICER, "522631"), (roles.REVIEWER, "522633"), (roles.FINANCE, ""), (roles.BUYER, ""),
     (roles.ADMINISTRATOR, "")],
)  # fmt: skip
def test_whoever_is_not_its_officer_finds_no_household(who: tuple[str, str]) -> None:
    household = factories.household()
    client = signed_in(factories.user(*who))
    assert send(client, body(household)).status_code == 404
    assert client.get(reverse("payouts:new-account", args=[household.public_id])).status_code in (403, 404)
    assert send(Client(), body(household)).status_code in (401, 403)
    assert not BankAccount.objects.exists()


@pytest.mark.django_db
def test_the_officers_page_says_what_is_wrong_and_stores_the_right_one() -> None:
    household = factories.household()
    client, page = signed_in(household.registered_by), reverse("payouts:new-account", args=[household.public_id])
    form = body(household, number=wrong_digit(CARD))
    answer = client.post(page, form)
    assert answer.status_code == 400
    shown = html.unescape(answer.content.decode())
    assert "This card number's check digit does not fit. Compare each digit with the card." in shown
    assert not BankAccount.objects.exists()
    assert client.post(page, form | {"number": CARD}).status_code == 302
    shown = client.get(page).content.decode()
    assert CARD not in shown
    assert CARD[-4:] in shown


@pytest.mark.django_db
def test_whoever_entered_an_account_cannot_approve_it() -> None:
    household, both = factories.household(), both_roles()
    client = signed_in(both)
    assert send(client, body(household)).status_code == 201
    account = BankAccount.objects.get()
    answer = client.post(f"/api/v1/bank-accounts/{account.pk}/approve")
    assert (answer.status_code, answer.json()["code"]) == (403, "same_person")
    page = client.post(
        reverse("admin:payouts_bankaccount_changelist"),
        {"action": "approve", "_selected_action": [account.pk]},
        follow=True,
    )
    assert "You entered this account: somebody else must approve it." in html.unescape(page.content.decode())
    assert BankAccount.objects.get().state == "entered"
    with pytest.raises(IntegrityError, match="two_people"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE payouts_bankaccount SET state = 'approved', approved_by_id = entered_by_id, approved_at = now(),"
            " usable_from = now()"
        )
    answer = signed_in(factories.user(roles.FINANCE)).post(f"/api/v1/bank-accounts/{account.pk}/approve")
    assert (answer.status_code, answer.json()["state"]) == (200, "approved")
    books.all_is_well()


@pytest.mark.django_db
@pytest.mark.parametrize("role", [roles.OFFICER, roles.REVIEWER, roles.ADMINISTRATOR, roles.BUYER])
def test_only_finance_approves(role: str) -> None:
    account = factories.account(factories.household(), approved=False)
    answer = signed_in(factories.user(role)).post(f"/api/v1/bank-accounts/{account.pk}/approve")
    assert answer.status_code == 404
    assert BankAccount.objects.get().state == "entered"


@pytest.mark.django_db
def test_an_account_is_approved_or_rejected_once() -> None:
    account = factories.account(factories.household())
    client = signed_in(factories.user(roles.FINANCE))
    answer = client.post(f"/api/v1/bank-accounts/{account.pk}/approve")
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")
    assert client.post("/api/v1/bank-accounts/999999/approve").status_code == 404
    assert account.history().count() == 1


@pytest.mark.django_db
def test_a_change_waits_72_hours_and_a_first_account_does_not() -> None:
    household = factories.household()
    first = factories.account(household)
    assert first.usable_from is not None
    assert first.usable_from <= timezone.now()
    second = factories.account(household)
    first.refresh_from_db()
    assert (first.state, second.state) == ("superseded", "approved")
    assert second.usable_from is not None
    assert second.approved_at is not None
    assert second.usable_from - second.approved_at == timedelta(hours=72)
    books.all_is_well()


@pytest.mark.django_db
def test_an_older_version_is_not_approved_over_a_newer_one() -> None:
    """Two versions chosen together in the admin, newest first: the wrong one must not win."""
    household = factories.household()
    wrong = factories.account(household, approved=False)
    right = factories.account(household, approved=False)
    client = signed_in(factories.user(roles.FINANCE))
    chosen = {"action": "approve", "_selected_action": [right.pk, wrong.pk]}
    client.post(reverse("admin:payouts_bankaccount_changelist"), chosen)
    answer = client.post(f"/api/v1/bank-accounts/{wrong.pk}/approve")
    assert (answer.status_code, answer.json()["code"]) == (409, "older_version")
    assert BankAccount.objects.get(state="approved") == right


@pytest.mark.django_db
def test_the_same_record_again_is_the_same_account() -> None:
    household = factories.household()
    client, sent = signed_in(household.registered_by), body(household)
    first, again = send(client, sent), send(client, sent)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    other = send(client, sent | {"number": villager(2).card})
    assert (other.status_code, other.json()["code"]) == (409, "different_content")
    assert BankAccount.objects.count() == 1


@pytest.mark.django_db
def test_whoever_approves_sees_that_another_household_has_the_same_account() -> None:
    first, second = factories.household(), factories.household()
    factories.account(first, number=CARD)
    client, said = signed_in(factories.user(roles.FINANCE)), "another household has the same account"
    mine = factories.account(first, number=CARD, approved=False)
    assert said not in client.get("/finance/accounts/").content.decode()
    factories.account(second, number=CARD, approved=False)
    assert client.get("/finance/accounts/").content.decode().count(said) == 2
    reject_account(mine, by=factories.user(roles.FINANCE), reason="twice")
    assert client.get("/finance/accounts/").content.decode().count(said) == 1


@pytest.mark.django_db
def test_the_officer_reads_why_an_account_was_rejected() -> None:
    household = factories.household()
    first = factories.account(household, approved=False)
    reject_account(first, by=factories.user(roles.FINANCE), reason="The photo of the card is blurred")
    client = signed_in(household.registered_by)
    page = client.get(f"/officer/households/{household.public_id}/account/").content.decode()
    assert "The photo of the card is blurred" in page


@pytest.mark.django_db
def test_the_same_record_is_known_after_the_look_up_key_was_rotated(settings: Any) -> None:
    household = factories.household()
    client, sent = signed_in(household.registered_by), body(household)
    first = send(client, sent)
    settings.FIELD_LOOKUP_KEYS = {"new": "11" * 32, **settings.FIELD_LOOKUP_KEYS}
    assert send(client, sent).json() == first.json()


@pytest.mark.django_db(transaction=True)
def test_the_same_record_sent_8_times_at_once_is_one_account() -> None:
    household = factories.household()
    sent = body(household)
    answers = at_once(*[lambda: send(signed_in(household.registered_by), sent)] * 8)
    assert [answer.status_code for answer in answers] == [201] * 8
    assert BankAccount.objects.get().version == 1


@pytest.mark.django_db(transaction=True)
def test_versions_entered_at_once_are_numbered_one_after_the_other() -> None:
    household = factories.household()
    answers = at_once(
        *[
            lambda n=n: send(signed_in(household.registered_by), body(household, number=villager(n).card))
            for n in range(6)
        ]
    )
    assert [answer.status_code for answer in answers] == [201] * 6
    assert sorted(BankAccount.objects.values_list("version", flat=True)) == [1, 2, 3, 4, 5, 6]


@pytest.mark.django_db(transaction=True)
def test_of_versions_approved_at_once_one_is_in_force() -> None:
    household = factories.household()
    accounts = [factories.account(household, approved=False) for _ in range(4)]
    finance = factories.user(roles.FINANCE)
    at_once(*[lambda a=a: signed_in(finance).post(f"/api/v1/bank-accounts/{a.pk}/approve") for a in accounts])
    assert BankAccount.objects.filter(state="approved").get().version == 4
    books.all_is_well()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("UPDATE payouts_bankaccount SET state = 'approved'", "one_approved"),
        ("UPDATE payouts_bankaccount SET state = 'approved', approved_by_id = NULL", "one_approved|is_known"),
        ("UPDATE payouts_bankaccount SET household_id = household_id + 1", "append-only"),
        ("UPDATE payouts_bankaccount SET seal = split_part(seal, ':', 1) || ':0'", "append-only"),
        ("UPDATE payouts_bankaccount SET number_digest = holder_digest", "append-only"),
        ("UPDATE payouts_bankaccount SET entered_by_id = approved_by_id", "append-only|two_people"),
        ("DELETE FROM payouts_bankaccount", "append-only"),
    ],
)
def test_plain_sql_cannot_change_an_account(sql: str, why: str) -> None:
    household = factories.household()
    factories.account(household)
    factories.account(household)
    with pytest.raises(IntegrityError, match=why), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)
    books.all_is_well()
