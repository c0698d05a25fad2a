"""A number that two households enter is flagged, whoever is first, and each number once."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from carbonsink.accounts import roles
from payouts import accounts
from payouts.demo.people import villager
from payouts.models import BankAccount, Payout
from payouts.runs import run_payouts
from tests import factories
from tests.payouts import money
from tests.processes import wait_for
from tests.purchases import books
from trees.flags import settle_household
from trees.models import Flag, Household

CARD, OTHER_CARD = villager(1).card, villager(2).card


def flagged() -> list[tuple[int, int | None]]:
    """Which households' accounts are flagged and not settled, compared with which."""
    found = Flag.objects.filter(kind="shared_account", settled_at__isnull=True)
    return sorted(found.values_list("household", "other_household"))


def somebody_waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database())"
        )
        return bool(cursor.fetchone()[0])


def settle_all() -> None:
    reviewer = factories.user(roles.REVIEWER)
    for household in Household.objects.filter(flags__settled_at__isnull=True).distinct():
        settle_household(household, by=reviewer, note="One of them helps the other.")


@pytest.mark.django_db(transaction=True)
def test_a_number_that_two_households_enter_at_once_is_flagged() -> None:
    """The second enters it while nobody else can see yet that the first has."""
    first, second = factories.household(), factories.household()

    def enter_second() -> None:
        try:
            factories.account(second, number=CARD, approved=False)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            factories.account(first, number=CARD, approved=False)
            other = pool.submit(enter_second)
            wait_for(lambda: other.done() or somebody_waits_for_a_lock())
        other.result(20)
    assert flagged() == [(first.pk, second.pk), (second.pk, first.pk)]
    books.all_is_well()


@pytest.mark.django_db
def test_whoever_approves_looks_again() -> None:
    """As when the second was entered by hand, or before anybody looked at what is shared."""
    first, second = factories.household(), factories.household()
    factories.account(first, number=CARD)
    stored = factories.account(second, number=CARD, approved=False)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("DELETE FROM trees_flag")
    assert flagged() == []
    accounts.approve_account(stored, by=factories.user(roles.FINANCE))
    assert flagged() == [(first.pk, second.pk), (second.pk, first.pk)]


@pytest.mark.django_db
def test_a_second_number_that_two_households_share_is_flagged_and_held_though_the_first_was_settled() -> None:
    first, second = factories.household(), factories.household()
    for household in (first, second):
        factories.account(household, number=CARD)
    settle_all()
    money.settle(5000)
    money.owe({first: 300, second: 300})
    assert run_payouts().held == 0
    for household in (first, second):
        factories.account(household, number=OTHER_CARD, approved=False)
    assert flagged() == [(first.pk, second.pk), (second.pk, first.pk)]
    money.owe({first: 300, second: 300})
    assert run_payouts().held == 2
    assert set(Payout.objects.filter(state="held").values_list("held_for", flat=True)) == {"flagged"}
    settle_all()
    factories.account(first, number=CARD, approved=False)  # Both are known by now.
    factories.account(second, number=OTHER_CARD, approved=False)
    assert flagged() == []
    books.all_is_well()


@pytest.mark.django_db
def test_an_open_flag_does_not_hide_that_a_second_number_is_shared() -> None:
    """Each number has its flag: what somebody finds out about one says nothing about the next."""
    first, second = factories.household(), factories.household()
    for number in (CARD, OTHER_CARD):
        for household in (first, second):
            factories.account(household, number=number, approved=False)
    numbers = [BankAccount.objects.filter(number_digest=one.number_digest).earliest("pk").pk
               for one in BankAccount.objects.filter(household=first)]  # fmt: skip
    pairs = [(first.pk, second.pk), (second.pk, first.pk)]
    found = Flag.objects.values_list("household", "other_household", "about")
    assert sorted(found) == sorted((*pair, f"account:{pk}") for pair in pairs for pk in numbers)
