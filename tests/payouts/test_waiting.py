"""Everything that is owed and gets no payout is shown with its reason; fast, however many households there are."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from carbonsink.accounts import roles
from payouts import accounts, waiting
from payouts.models import BankAccount
from payouts.runs import run_payouts
from payouts.waiting import Reason
from tests import factories
from tests.payouts import money
from trees.models import Flag

pytestmark = pytest.mark.django_db


def test_each_household_waits_for_its_reason(settings: Any, later: Any) -> None:
    settings.PAYOUT_MINIMUM_FEN = 100
    settings.PAYOUT_APPROVAL_ABOVE_FEN = 1000
    finance = factories.user(roles.FINANCE)
    none, entered, rejected, changed, stopped = (factories.household() for _ in range(5))
    factories.account(entered, approved=False)
    accounts.reject_account(factories.account(rejected, approved=False), by=finance, reason="blurred")
    for household in (changed, stopped):
        factories.account(household)
        change = factories.account(household)
    accounts.stop_change(change, by=None, reason="that was not me")
    bounced, little, large, flagged, late, next_one = money.households(6)
    accounts.bounce_account(bounced.bank_accounts.get(), reason="closed")
    Flag.objects.create(kind="shared_account", household=flagged)
    everybody = [none, entered, rejected, changed, stopped, bounced]
    money.settle(1_501)
    money.owe({**dict.fromkeys(everybody, 300), little: 99, large: 1001, flagged: 300})
    run_payouts()
    money.owe({next_one: 200})
    money.owe({late: 300})
    expected = {
        none.pk: Reason.NO_ACCOUNT,
        entered.pk: Reason.ENTERED,
        rejected.pk: Reason.REJECTED,
        changed.pk: Reason.COOLING,
        stopped.pk: Reason.STOPPED,
        bounced.pk: Reason.BOUNCED,
        little.pk: Reason.MINIMUM,
        large.pk: Reason.OVER_LIMIT,
        flagged.pk: Reason.FLAGGED,
        next_one.pk: Reason.NEXT_RUN,
        late.pk: Reason.ESCROW,
    }
    rows = waiting.waiting()
    assert {row.household_id: row.reason for row in rows} == expected
    assert sum(row.fen for row in rows) == 6 * 300 + 99 + 1001 + 300 + 200 + 300
    assert waiting.reasons(expected) == expected
    assert waiting.reasons([none.pk]) == {none.pk: Reason.NO_ACCOUNT}
    later(hours=73)
    assert waiting.reasons([changed.pk]) == {changed.pk: Reason.ESCROW}


def test_who_is_owed_nothing_waits_for_nothing() -> None:
    paid, back = money.households(2)
    money.settle(1000)
    money.owe({paid: 300, back: 300})
    money.owe({back: -300})
    run_payouts()
    assert waiting.waiting() == []
    assert waiting.reasons([paid.pk, back.pk]) == {}


def test_what_needs_help_comes_before_what_does_not(settings: Any) -> None:
    (household,) = money.households(1)
    settings.PAYOUT_APPROVAL_ABOVE_FEN = 100
    money.settle(1000)
    money.owe({household: 300})
    run_payouts()
    money.owe({household: 50})
    assert {row.reason for row in waiting.waiting()} == {"over_limit", "next_run"}
    assert waiting.reasons([household.pk]) == {household.pk: Reason.OVER_LIMIT}
    accounts.bounce_account(BankAccount.objects.get(), reason="closed")
    assert waiting.reasons([household.pk]) == {household.pk: Reason.BOUNCED}


def test_it_takes_as_many_questions_for_many_as_for_one() -> None:
    waiting.waiting()  # The first one opens the ledger's accounts.
    asked = []
    for count in (1, 40):
        households = money.households(count)
        money.owe(dict.fromkeys(households, 300))
        with CaptureQueriesContext(connection) as queries:
            waiting.waiting()
        asked.append(len(queries))
    assert asked[1] <= asked[0] <= 4
