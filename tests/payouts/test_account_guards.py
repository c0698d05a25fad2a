"""The database keeps when an account was approved and may be used, and nobody approves what was changed by hand."""

import pytest
from django.db import IntegrityError, connection, transaction

from carbonsink.accounts import roles
from carbonsink.errors import DomainError
from carbonsink.messages.models import Message
from payouts import accounts, watching
from payouts.models import Alert
from tests import factories
from tests.purchases import books
from trees.models import Household

pytestmark = pytest.mark.django_db

_BEGINS = """
    INSERT INTO payouts_bankaccount (client_uuid, body_hash, household_id, version, holder, holder_digest, phone,
           bank_name, bank_code, number, number_digest, seal, state, entered_by_id, entered_at, approved_by_id,
           approved_at, usable_from)
    SELECT gen_random_uuid(), '', household_id, 9, holder, holder_digest, phone, bank_name, bank_code, number,
           number_digest, seal, {state}, entered_by_id, now(), {by}, {at}, {usable} FROM payouts_bankaccount LIMIT 1"""


def sql(statement: str, *params: object) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, params)


@pytest.fixture
def household() -> Household:
    """A household with an account in force and a change that waits."""
    household = factories.household()
    factories.account(household)
    factories.account(household, approved=False)
    return household


@pytest.mark.parametrize(
    "change",
    [
        "usable_from = now() - interval '1 day' WHERE version = 1",
        "usable_from = NULL WHERE version = 1",
        "approved_at = approved_at - interval '4 days' WHERE version = 1",
        "approved_by_id = (SELECT max(id) FROM accounts_user) WHERE version = 1",
        "usable_from = now() WHERE version = 2",
        "approved_at = now(), approved_by_id = (SELECT max(id) FROM accounts_user), state = 'approved',"
        " usable_from = now() - interval '1 day' WHERE version = 2",
        "state = 'bounced', approved_at = now() - interval '4 days' WHERE version = 1",
        "check_digit_fits = false WHERE version = 2",
    ],
)
def test_when_an_account_may_be_used_is_said_once(household: Household, change: str) -> None:
    factories.user(roles.FINANCE)
    with pytest.raises(IntegrityError, match="append-only"):
        sql(f"UPDATE payouts_bankaccount SET {change}")
    books.all_is_well()


def test_a_cooling_change_stays_cooling(household: Household) -> None:
    change = household.bank_accounts.get(version=2)
    accounts.approve_account(change, by=factories.user(roles.FINANCE))
    with pytest.raises(IntegrityError, match="append-only"):
        sql("UPDATE payouts_bankaccount SET usable_from = now() - interval '1 day' WHERE id = %s", change.pk)
    accounts.stop_change(change, by=None, reason="that was not me")
    first = household.bank_accounts.get(version=1)
    accounts.put_back_account(first, by=factories.user(roles.FINANCE), reason="it is hers")  # Which says anew by whom.
    books.all_is_well()


@pytest.mark.parametrize(
    "columns",
    [
        {"state": "'approved'", "by": "(SELECT max(id) FROM accounts_user)", "at": "now()", "usable": "now()"},
        {"state": "'rejected'", "by": "NULL", "at": "NULL", "usable": "NULL"},
        {"state": "'entered'", "by": "NULL", "at": "NULL", "usable": "now()"},
        {"state": "'entered'", "by": "(SELECT max(id) FROM accounts_user)", "at": "now()", "usable": "NULL"},
    ],
)
def test_no_account_begins_approved(household: Household, columns: dict[str, str]) -> None:
    sql("UPDATE payouts_bankaccount SET state = 'superseded' WHERE version = 1")
    factories.user(roles.FINANCE)
    with pytest.raises(IntegrityError, match="does not begin"):
        sql(_BEGINS.format(**columns))
    assert household.bank_accounts.count() == 2


def copy_from_another(household: Household, version: int, column: str) -> None:
    other = factories.account(factories.household(), approved=False, bank_code="102100099996")
    sql(
        f"UPDATE payouts_bankaccount a SET {column} = b.{column} FROM payouts_bankaccount b"
        " WHERE a.household_id = %s AND a.version = %s AND b.id = %s",
        household.pk,
        version,
        other.pk,
    )


@pytest.mark.parametrize("column", ["phone", "number", "bank_code"])
def test_what_was_changed_by_hand_is_not_approved(household: Household, column: str) -> None:
    copy_from_another(household, 2, column)
    change, finance = household.bank_accounts.get(version=2), factories.user(roles.FINANCE)
    with pytest.raises(DomainError) as refused:
        accounts.approve_account(change, by=finance)
    assert (refused.value.code, refused.value.status) == ("tampered", 409)
    assert set(household.bank_accounts.values_list("version", "state")) == {(1, "approved"), (2, "entered")}
    accounts.reject_account(change, by=finance, reason="changed by hand")


def test_whoever_changes_the_former_number_by_hand_cannot_keep_people_from_hearing_of_it(household: Household) -> None:
    finance = factories.user(roles.FINANCE)
    accounts.approve_account(household.bank_accounts.get(version=2), by=finance)
    assert not Alert.objects.exists()
    former = household.phone
    copy_from_another(household, 2, "phone")
    stranger = household.bank_accounts.get(version=2).phone
    household.phone = stranger
    household.save(update_fields=["phone", "phone_digest"])
    Message.objects.all().delete()
    third = factories.account(household, approved=False)
    told = set(Message.objects.filter(key__startswith="account:").values_list("key", flat=True))
    assert {row.to for row in Message.objects.filter(key__in=told)} == {former, stranger}
    alert = Alert.objects.get()
    assert (alert.kind, alert.about, alert.state) == ("former_account_tampered", f"{household} v2", "open")
    watching.watch()
    alert.refresh_from_db()
    assert alert.state == "open"  # Only a person's answer closes it.
    accounts.approve_account(third, by=finance)


@pytest.mark.parametrize("version", [1, 2])
def test_an_account_of_a_former_head_is_not_approved(version: int) -> None:
    household = factories.household()
    for _earlier in range(version - 1):
        factories.account(household)
    account = factories.account(household, approved=False)
    former, household.head_name = household.head_name, "潘新户"
    household.save(update_fields=["head_name"])
    finance = factories.user(roles.FINANCE)
    account = household.bank_accounts.get(pk=account.pk)
    with pytest.raises(DomainError) as refused:
        accounts.approve_account(account, by=finance)
    assert (refused.value.code, refused.value.status) == ("wrong_holder", 409)
    account.refresh_from_db()
    assert account.state == "entered"
    household.head_name = former
    household.save(update_fields=["head_name"])
    accounts.approve_account(household.bank_accounts.get(pk=account.pk), by=finance)


def test_an_account_of_a_former_head_is_not_put_back() -> None:
    household = factories.household()
    account = factories.account(household)
    accounts.bounce_account(account, reason="closed")
    household.head_name = "潘新户"
    household.save(update_fields=["head_name"])
    account = household.bank_accounts.get()
    with pytest.raises(DomainError) as refused:
        accounts.put_back_account(account, by=factories.user(roles.FINANCE), reason="it works again")
    assert refused.value.code == "wrong_holder"
    assert household.bank_accounts.get().state == "bounced"
