"""Signing in by phone or e-mail, being locked out, and what the roles may do in the admin."""

import re
from typing import Any

import pytest
from django.contrib.auth import get_user
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from tests import factories

pytestmark = pytest.mark.django_db
PHONE = "19912345678"
WRONG = "This number or e-mail and password do not belong together. Check both and try again."
LOCKED = "This account is closed for 15 minutes. Then try again, or ask your county office for a new password."


@pytest.fixture
def english() -> Client:
    return Client(headers={"accept-language": "en"})


@pytest.fixture
def officer() -> User:
    made = User.objects.create_user("Officer.One@example.org", factories.PASSWORD, phone=PHONE, name="officer")
    made.groups.add(Group.objects.get_or_create(name=roles.OFFICER)[0])
    return made


def sign_in(client: Client, name: str, password: str = factories.PASSWORD, **more: str) -> Any:
    return client.post("/sign-in/", {"username": name, "password": password, **more})


@pytest.mark.parametrize(
    "name",
    [
        "officer.one@example.org", "Officer.One@Example.ORG", " officer.one@example.org ", PHONE, "199 1234 5678",
        "１９９１２３４５６７８", "199-1234-5678",
    ],
)  # fmt: skip
def test_phone_and_email_sign_in_as_people_write_them(english: Client, officer: User, name: str) -> None:
    answer = sign_in(english, name)
    assert (answer.status_code, answer["Location"]) == (302, "/after-sign-in/")
    assert get_user(english) == officer


def test_who_signs_up_without_email_signs_in_by_phone(english: Client) -> None:
    user = User.objects.create_user(phone="１９９-1234-5678", password=factories.PASSWORD, name="phone only")
    sign_in(english, PHONE)
    assert get_user(english) == user


@pytest.mark.parametrize(
    ("name", "password"),
    [
        (PHONE, "wrong password"), ("officer.one@example.org", "wrong password"), ("nobody@example.org", "some password"),
        ("19912345679", factories.PASSWORD), ("officer", factories.PASSWORD), ("", factories.PASSWORD),
        (PHONE, ""), ("officer.one＠example.org", factories.PASSWORD),
    ],
)  # fmt: skip
def test_a_wrong_pair_is_one_sentence_and_no_session(english: Client, officer: User, name: str, password: str) -> None:
    answer = sign_in(english, name, password)
    page = answer.content.decode()
    assert answer.status_code == 200
    if name and password:
        alert = re.search(r'role="alert">(.*?)</div>', page, re.S)
        assert alert is not None
        assert WRONG in alert[1]
    assert get_user(english).is_anonymous
    assert not password or password not in page


def test_a_closed_account_does_not_sign_in(english: Client, officer: User) -> None:
    User.objects.update(is_active=False)
    assert WRONG in sign_in(english, PHONE).content.decode()
    assert get_user(english).is_anonymous


def test_too_many_failures_lock_the_account_under_each_of_its_spellings(
    english: Client, officer: User, settings: Any
) -> None:
    settings.AXES_FAILURE_LIMIT = 3
    for name in (PHONE, "199 1234 5678"):
        assert sign_in(english, name, "wrong").status_code == 200
    locking = sign_in(english, "１９９１２３４５６７８", "wrong")
    right = sign_in(english, PHONE)
    for answer in (locking, right):
        assert answer.status_code == 429
        assert f'role="alert">{LOCKED}</p>' in answer.content.decode()
    assert get_user(english).is_anonymous


def test_a_lock_is_for_one_account_and_success_clears_the_count(officer: User, settings: Any) -> None:
    def status(name: str, password: str = factories.PASSWORD) -> int:
        return int(sign_in(Client(), name, password).status_code)

    settings.AXES_FAILURE_LIMIT = 3
    other = User.objects.create_user("officerone@example.org", factories.PASSWORD, name="a neighbour in spelling")
    for _ in range(2):  # After each success, counting starts again.
        assert [status("officer.one@example.org", "wrong") for _ in range(2)] == [200, 200]
        assert status("officer.one@example.org") == 302
    assert [status("OFFICER.one@example.org", "wrong") for _ in range(3)] == [200, 200, 429]
    assert status("officer.one@example.org") == 429
    fresh = Client()
    assert sign_in(fresh, "officerone@example.org").status_code == 302
    assert get_user(fresh) == other


def test_counting_failures_stores_no_phone_email_or_password(english: Client, officer: User) -> None:
    sign_in(english, PHONE, "typed-password", next="/officer/")
    english.post("/sign-in/?username=" + PHONE, {"username": "officer.one@example.org", "password": "typed-password"})
    with connection.cursor() as cursor:
        cursor.execute("SELECT t::text FROM axes_accessattempt t UNION ALL SELECT t::text FROM axes_accessfailurelog t")
        stored = "\n".join(row for (row,) in cursor.fetchall())
    assert len(stored) > 50
    for secret in (PHONE, "officer.one", "OFFICER", "typed-password"):
        assert secret not in stored


@pytest.mark.parametrize(
    ("role", "home"),
    [
        (roles.OFFICER, "/officer/"), (roles.REVIEWER, "/review/"), (roles.FINANCE, "/finance/transfers/"),
        (roles.ADMINISTRATOR, "/admin/"), (roles.BUYER, "/my/"),
    ],
)  # fmt: skip
def test_everyone_lands_where_their_work_begins(english: Client, role: str, home: str) -> None:
    english.force_login(factories.user(role))
    assert english.get("/after-sign-in/")["Location"] == home
    assert english.get(home).status_code == 200


def test_next_leads_only_to_our_own_pages(english: Client, officer: User) -> None:
    assert sign_in(english, PHONE, next="/officer/")["Location"] == "/officer/"
    english.logout()
    assert sign_in(english, PHONE, next="https://evil.example.org/")["Location"] == "/after-sign-in/"


def test_roles_are_there_after_the_migrations_and_money_is_only_looked_at() -> None:
    roles.grant_permissions()
    granted = {
        group.name: set(group.permissions.values_list("content_type__app_label", "codename"))
        for group in Group.objects.prefetch_related("permissions")
    }
    assert set(granted) == {"buyer", "officer", "reviewer", "finance", "administrator"}
    assert granted["buyer"] == granted["officer"] == granted["reviewer"] == set()
    # The number of a paper that was issued elsewhere, and the name of an organisation, are all that finance writes.
    written = {("purchases", "add_voucher"), ("purchases", "change_organisation")}
    assert len(granted["finance"] - written) == len(roles.PERMISSIONS["finance"])
    assert {one for one in granted["finance"] if not one[1].startswith("view_")} == written
    writing = {(app, name) for app, name in granted["administrator"] if not name.startswith("view_")}
    assert {app for app, _ in writing} == {"accounts", "trees", "purchases"}
    assert all(
        name.split("_")[1] in ("user", "species", "programme", "consenttext", "tariff", "import", "organisation")
        and not name.startswith("delete")
        for _, name in writing
    )


def test_a_permission_taken_from_the_list_is_taken_from_the_group(monkeypatch: Any) -> None:
    roles.grant_permissions()
    monkeypatch.setitem(roles.PERMISSIONS, roles.FINANCE, {"ledger.entry": "v"})
    roles.grant_permissions()
    codenames = Group.objects.get(name=roles.FINANCE).permissions.values_list("codename", flat=True)
    assert list(codenames) == ["view_entry"]


@pytest.mark.parametrize("role", [roles.OFFICER, roles.REVIEWER, roles.BUYER])
def test_the_admin_is_closed_to_field_staff(english: Client, role: str) -> None:
    english.force_login(factories.user(role))
    assert english.get("/admin/").status_code == 302
    assert "/admin/login/" in english.get("/admin/ledger/entry/")["Location"]


def test_finance_sees_the_books_and_cannot_write_them(english: Client) -> None:
    from carbonsink.ledger.models import Account, Entry
    from carbonsink.ledger.services import account, post

    roles.grant_permissions()
    entry = post("r1", "test", {account(Account.Kind.ESCROW): 5, account(Account.Kind.SPONSOR): -5})
    english.force_login(factories.user(roles.FINANCE))
    assert "r1" in english.get("/admin/ledger/entry/").content.decode()
    assert english.get(f"/admin/ledger/entry/{entry.pk}/change/").status_code == 200
    assert english.post(f"/admin/ledger/entry/{entry.pk}/change/", {"reference": "r2"}).status_code == 403
    assert english.post("/admin/ledger/entry/add/", {"reference": "r2"}).status_code == 403
    assert english.post(f"/admin/ledger/entry/{entry.pk}/delete/", {"post": "yes"}).status_code == 403
    assert english.get("/admin/accounts/user/").status_code == 403
    assert list(Entry.objects.values_list("reference", flat=True)) == ["r1"]


class TestAdministratorKeepsUsers:
    """Users are made and changed in the admin."""

    @pytest.fixture(autouse=True)
    def administrator(self, english: Client) -> None:
        roles.grant_permissions()
        self.client = english
        self.client.force_login(factories.user(roles.ADMINISTRATOR))

    def add(self, **fields: str) -> Any:
        data = {"password1": factories.PASSWORD, "password2": factories.PASSWORD, "usable_password": "true", **fields}
        return self.client.post("/admin/accounts/user/add/", data)

    def test_a_user_with_phone_alone_can_sign_in(self) -> None:
        assert self.add(name="new officer", phone=PHONE).status_code == 302
        made = User.objects.get(name="new officer")
        assert (made.email, made.phone) == (None, PHONE)
        other = Client()
        sign_in(other, PHONE)
        assert get_user(other) == made

    def test_a_user_with_email_alone_can_be_saved_again(self) -> None:
        assert self.add(name="reviewer", email="Reviewer@Example.org").status_code == 302
        made = User.objects.get(name="reviewer")
        assert (made.email, made.phone, made.phone_digest) == ("reviewer@example.org", None, None)
        data = {"name": "reviewer", "email": "reviewer@example.org", "phone": "", "area": "522633", "is_active": "on"}
        assert self.client.post(f"/admin/accounts/user/{made.pk}/change/", data).status_code == 302
        made.refresh_from_db()
        assert (made.area, made.phone) == ("522633", None)

    def test_a_changed_phone_is_the_one_that_signs_in(self) -> None:
        made = User.objects.create_user(phone=PHONE, password=factories.PASSWORD, name="x")
        data = {"name": "x", "email": "", "phone": "19912345679", "area": "", "is_active": "on"}
        assert self.client.post(f"/admin/accounts/user/{made.pk}/change/", data).status_code == 302
        assert User.objects.by_identifier("19912345679") == made
        assert User.objects.by_identifier(PHONE) is None

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"phone": PHONE}, "Another user has this mobile number."),
            ({"phone": "12345"}, "Enter the 11 digits of a mobile number, such as 13912345678."),
            ({"phone": "1991234567٨"}, "Enter the 11 digits of a mobile number, such as 13912345678."),
            ({"email": "Taken@example.org"}, "already exists"),
            ({}, "A user needs a mobile number or an e-mail."),
        ],
    )
    def test_what_cannot_be_is_said_and_not_stored(self, fields: dict[str, str], sentence: str) -> None:
        User.objects.create_user("taken@example.org", "x", phone=PHONE, name="first")
        before = User.objects.count()
        answer = self.add(name="second", **fields)
        assert answer.status_code == 200
        assert sentence in answer.content.decode()
        assert User.objects.count() == before
