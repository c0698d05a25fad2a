"""A change of an account is told on the old number, cools, can be stopped, and never reaches a payout already prepared."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings as live
from django.db import connection, transaction

from carbonsink import crypto
from carbonsink.accounts import roles
from carbonsink.errors import DomainError
from carbonsink.messages.models import Message
from payouts import accounts, sending, tasks
from payouts.models import BankAccount, Payout
from payouts.runs import run_payouts
from tests import factories
from tests.ground.threads import at_once
from tests.payouts import money
from tests.purchases import books
from tests.standins.clients import BankClient
from trees.models import Flag, Household

NEW_PHONE = "13800000001"


def told() -> list[tuple[str, str]]:
    """To whom what was written, in order."""
    return [
        (row.to, row.key.split(":")[2]) for row in Message.objects.filter(key__startswith="account:").order_by("pk")
    ]


@contextmanager
def refused(code: str) -> Iterator[None]:
    """What is done inside is refused with this code."""
    with pytest.raises(DomainError) as error:
        yield
    assert error.value.code == code


def change_phone(household: Household, phone: str = NEW_PHONE) -> str:
    """Gives the household another mobile number, as somebody with the database could; returns the former one."""
    former = household.phone
    household.phone = phone
    household.save(update_fields=["phone", "phone_digest"])
    return former


@pytest.mark.django_db
def test_a_change_is_told_when_it_is_entered_and_when_it_is_approved() -> None:
    household = factories.household()
    first = factories.account(household)
    assert told() == []  # The first one is no change.
    second = factories.account(household, approved=False)
    assert told() == [(household.phone, "entered")]
    accounts.approve_account(second, by=factories.user(roles.FINANCE))
    assert told() == [(household.phone, "entered"), (household.phone, "approved")]
    text = Message.objects.latest("pk").body
    assert second.last_four in text
    assert f"/h/{household.page_key}/" in text
    for secret in (second.number, first.number, household.head_name):
        assert secret not in text
    books.all_is_well()


@pytest.mark.django_db
@pytest.mark.parametrize("when", ["before it is entered", "while it waits"])
def test_whoever_changes_the_number_too_cannot_keep_the_former_one_from_being_told(when: str) -> None:
    household = factories.household()
    factories.account(household)
    if when == "before it is entered":
        former = change_phone(household)
        change = factories.account(household, approved=False)
        assert told() == [(former, "entered"), (NEW_PHONE, "entered")]
    else:
        change = factories.account(household, approved=False)
        former = change_phone(household)
        assert told() == [(former, "entered")]
    accounts.approve_account(change, by=factories.user(roles.FINANCE))
    assert told()[-2:] == [(former, "approved"), (NEW_PHONE, "approved")]


@pytest.mark.django_db
def test_a_change_in_its_cooling_time_is_told_of_on_the_former_number_when_it_is_stopped() -> None:
    household = factories.household()
    factories.account(household)
    change = factories.account(household)
    former = change_phone(household)
    accounts.stop_change(change, by=None, reason="that was not me")
    assert told()[-2:] == [(former, "stopped"), (NEW_PHONE, "stopped")]


@pytest.mark.django_db
def test_the_next_change_is_told_on_the_number_of_the_account_before() -> None:
    household = factories.household()
    factories.account(household)
    former = change_phone(household)
    factories.account(household)
    Message.objects.all().delete()
    factories.account(household, approved=False)
    assert (NEW_PHONE, "entered") in told()
    assert (former, "entered") not in told()


@pytest.mark.django_db
def test_nothing_is_told_of_what_was_not_stored() -> None:
    household = factories.household()
    factories.account(household)
    with refused("wrong_holder"):
        factories.account(household, holder="张三")
    other = factories.account(household, approved=False)
    Message.objects.all().delete()
    with refused("same_person"):
        accounts.approve_account(other, by=other.entered_by)
    assert told() == []


@pytest.mark.django_db
@pytest.mark.parametrize("state", ["entered", "cools"])
@pytest.mark.parametrize("who", ["household", "officer"])
def test_a_change_is_stopped_while_it_waits_and_while_it_cools(state: str, who: str, later: Any) -> None:
    household = factories.household()
    first = factories.account(household)
    change = factories.account(household, approved=state == "cools")
    later(hours=71)
    by = household.registered_by if who == "officer" else None
    accounts.stop_change(change, by=by, reason="that was not me")
    change.refresh_from_db()
    first.refresh_from_db()
    assert (change.state, first.state) == ("rejected", "approved" if state == "entered" else "superseded")
    last = change.history().last()
    assert last is not None
    assert (last.by, last.reason) == (by, "that was not me")
    money.settle(1000)
    money.owe({household: 300})
    later(hours=100)
    run_payouts()
    assert [payout.account for payout in Payout.objects.all()] == ([first] if state == "entered" else [])
    books.all_is_well()


@pytest.mark.django_db
def test_a_change_cannot_be_stopped_without_a_reason_or_too_late(later: Any) -> None:
    household = factories.household()
    factories.account(household)
    change = factories.account(household)
    with refused("no_reason"):
        accounts.stop_change(change, by=None, reason=" ")
    later(hours=72, seconds=1)
    with refused("too_late"):
        accounts.stop_change(change, by=None, reason="that was not me")
    change.refresh_from_db()
    assert change.state == "approved"
    rejected = factories.account(household, approved=False)
    accounts.reject_account(rejected, by=factories.user(roles.FINANCE), reason="blurred")
    with refused("too_late"):
        accounts.stop_change(rejected, by=None, reason="that was not me")


@pytest.mark.django_db
def test_what_a_stopped_change_superseded_is_put_back_by_a_third_person(later: Any) -> None:
    household = factories.household()
    first = factories.account(household)
    change = factories.account(household)
    stopper, other = factories.user(roles.FINANCE), factories.user(roles.FINANCE)
    accounts.stop_change(change, by=stopper, reason="the household called")
    money.settle(1000)
    money.owe({household: 300})
    assert run_payouts().payouts == 0
    for by in (stopper, first.entered_by):
        with refused("same_person"):
            accounts.put_back_account(first, by=by, reason="it is hers")
    with refused("no_reason"):
        accounts.put_back_account(first, by=other, reason="")
    with refused("wrong_state"):
        accounts.put_back_account(change, by=other, reason="it is hers")
    accounts.put_back_account(first, by=other, reason="it is hers")
    first.refresh_from_db()
    assert (first.state, first.approved_by) == ("approved", other)
    assert told()[-1] == (household.phone, "put_back")
    assert run_payouts().payouts == 1
    with refused("wrong_state"):
        accounts.put_back_account(first, by=other, reason="again")
    books.all_is_well()


@pytest.mark.django_db
def test_a_change_after_a_stopped_one_cools_too() -> None:
    household = factories.household()
    factories.account(household)
    accounts.stop_change(factories.account(household), by=None, reason="that was not me")
    third = factories.account(household)
    assert third.usable_from is not None
    assert third.approved_at is not None
    assert (third.usable_from - third.approved_at).total_seconds() == 72 * 3600


@pytest.mark.django_db
def test_an_account_that_was_in_force_is_not_approved_again() -> None:
    household, finance = factories.household(), factories.user(roles.FINANCE)
    first = factories.account(household)
    accounts.stop_change(factories.account(household), by=None, reason="that was not me")
    first.refresh_from_db()
    with refused("wrong_state"):
        accounts.approve_account(first, by=finance)
    with refused("wrong_state"):
        accounts.reject_account(first, by=finance, reason="old")
    first.refresh_from_db()
    assert first.state == "superseded"


@pytest.mark.django_db
def test_a_number_shared_by_households_is_flagged() -> None:
    first, second = factories.household(), factories.household()
    number = factories.account(first).number
    assert not Flag.objects.exists()
    factories.account(second, number=number, approved=False)
    flags = Flag.objects.values_list("kind", "household", "other_household")
    assert set(flags) == {("shared_account", first.pk, second.pk), ("shared_account", second.pk, first.pk)}


@pytest.mark.django_db(transaction=True)
def test_a_payout_pins_its_account_and_a_change_never_reaches_it(bank: BankClient, later: Any) -> None:
    (household,) = money.households(1)
    money.fund(bank, 900)
    money.owe({household: 300})
    run_payouts()
    payout, old = Payout.objects.get(), BankAccount.objects.get()
    change = factories.account(household, approved=False)
    tasks.send_payout(payout.pk)  # A change that only waits keeps nothing from arriving where it was to go.
    payout.refresh_from_db()
    assert (payout.state, payout.account) == ("succeeded", old)
    money.owe({household: 300})
    run_payouts()
    second = Payout.objects.latest("pk")
    accounts.approve_account(change, by=factories.user(roles.FINANCE))
    tasks.send_payout(second.pk)
    second.refresh_from_db()
    assert (second.state, second.account, second.attempts.count()) == ("cancelled", old, 0)
    later(hours=72, seconds=1)
    tasks.run_payouts()
    tasks.sweep()
    assert [row["to_account"] for row in money.transfers(bank)] == [old.number, change.number]
    assert money.owed_fen(household) == 0
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_changes_approved_while_payouts_are_sent_never_send_one_astray(bank: BankClient, chance: random.Random) -> None:
    """Whichever is first: the payout goes to the account it pins, or it is cancelled; nothing goes to the new one."""
    households = money.households(8)
    money.fund(bank, 2400)
    money.owe(dict.fromkeys(households, 300))
    run_payouts()
    old = {account.number for account in BankAccount.objects.all()}
    finance = factories.user(roles.FINANCE)
    changes = [factories.account(household, approved=False) for household in households]
    work = [lambda pk=pk: tasks.send_payout(pk) for pk in sending.to_send()]
    work += [lambda change=change: accounts.approve_account(change, by=finance) for change in changes]
    chance.shuffle(work)
    assert at_once(*work) == [None] * 16
    transfers = money.transfers(bank)
    assert {row["to_account"] for row in transfers} <= old
    states = [payout.state for payout in Payout.objects.all()]
    assert sorted(set(states)) in (["cancelled"], ["cancelled", "succeeded"], ["succeeded"])
    assert len(transfers) == states.count("succeeded")
    assert sum(money.owed_fen(household) for household in households) == 300 * states.count("cancelled")
    tasks.sweep()
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_of_a_stop_and_an_approval_at_once_nothing_is_left_open() -> None:
    household, finance = factories.household(), factories.user(roles.FINANCE)
    first = factories.account(household)
    change = factories.account(household, approved=False)
    at_once(
        lambda: accounts.approve_account(BankAccount.objects.get(pk=change.pk), by=finance),
        lambda: accounts.stop_change(BankAccount.objects.get(pk=change.pk), by=None, reason="that was not me"),
    )
    first.refresh_from_db()
    change.refresh_from_db()
    assert change.state == "rejected"
    assert first.state in ("approved", "superseded")
    books.all_is_well()


@pytest.mark.django_db
def test_versions_of_before_know_the_number_of_their_household() -> None:
    """What the migration copies is read with the same keys."""
    account = factories.account(factories.household())
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE payouts_bankaccount a SET phone = h.phone FROM trees_household h WHERE h.id = a.household_id"
        )
        cursor.execute("SELECT phone FROM payouts_bankaccount")
        (stored,) = cursor.fetchone()
    account.refresh_from_db()
    assert account.phone == account.household.phone
    assert stored != account.phone
    assert crypto.fernet().decrypt(stored.encode()).decode() == account.phone
    assert live.ACCOUNT_COOLING_HOURS == 72
