"""The audit reads whether what was sent went to an account that was in force, from the numbers of the moves."""

import pytest

from carbonsink.accounts import roles
from carbonsink.states import move
from payouts import accounts, sending
from payouts.models import Attempt, Payout
from payouts.runs import run_payouts
from tests import factories
from tests.payouts import money
from tests.purchases import books

pytestmark = pytest.mark.django_db
SENT = "payouts sent while their account was not approved"


@pytest.fixture
def payout() -> Payout:
    """A payout that is to be sent."""
    (household,) = money.households(1)
    money.settle(1000)
    money.owe({household: 300})
    run_payouts()
    return Payout.objects.get()


def sent_again(payout: Payout) -> None:
    """As if nobody had looked at the account."""
    first = payout.attempts.get()
    Attempt.objects.create(payout=payout, request_sha256=first.request_sha256)


def bounce(payout: Payout) -> None:
    assert accounts.bounce_account(payout.account, reason="closed")


def put_back(payout: Payout) -> None:
    accounts.put_back_account(payout.account, by=factories.user(roles.FINANCE), reason="it works")


def test_a_payout_sent_to_an_account_that_had_bounced_is_found_even_when_it_is_put_back(payout: Payout) -> None:
    bounce(payout)
    move(payout, Payout.State.SENDING)
    Attempt.objects.create(payout=payout, request_sha256="0" * 64)
    assert books.found() == {SENT: [payout.out_no]}
    put_back(payout)
    assert books.found() == {SENT: [payout.out_no]}


def test_a_payout_whose_account_bounced_after_it_was_sent_is_well(payout: Payout) -> None:
    assert sending._begin(payout.pk) is not None
    bounce(payout)
    books.all_is_well()


@pytest.mark.parametrize("back", ["", "before", "between"])
def test_a_payout_sent_again_is_found_unless_its_account_was_in_force_by_then(payout: Payout, back: str) -> None:
    attempt = sending._begin(payout.pk)
    assert attempt is not None
    bounce(payout)
    if back == "before":
        put_back(payout)
    move(attempt, Attempt.State.UNSENT, reason="unreachable")
    if back == "between":
        put_back(payout)
    sent_again(payout)
    assert books.found() == ({} if back else {SENT: [payout.out_no]})
