"""What a clarification must fit is refused by the code with a sentence, and by the database whoever writes to it."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone, translation

from carbonsink.errors import DomainError
from carbonsink.states import move
from payouts import clarifications, fitting, runs, sending, statements
from payouts.banks.base import BankError, Movement, Page
from payouts.models import Attempt, Clarification, Payout, Run, StatementRow
from tests.payouts import money
from tests.payouts.clarifying import WHY, age, clarified, payout_in, row, two
from tests.processes import wait_for
from tests.purchases import books
from tests.purchases.test_leaving_trees import in_thread, waiting_for_locks

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def in_english() -> Iterator[None]:
    with translation.override("en"):
        yield


def test_a_row_of_another_bank_is_no_payout_s() -> None:
    payout = payout_in("succeeded")
    statements.take_in("daifa", Page((Movement("D1", timezone.now(), 300, "某人", "退票", "", "D1"),), ""))
    theirs = StatementRow.objects.get(bank="daifa")
    assert fitting.suggestions(theirs) == []
    with pytest.raises(DomainError, match="another bank"):
        clarifications.propose(payout, theirs, why=WHY, by=two()[0])


def test_the_database_refuses_what_no_two_people_have_said_of_one_row() -> None:
    payout, other, (first, second) = payout_in("succeeded"), payout_in("succeeded"), two()
    back, gone = row(300), row(-300)
    right = {"kind": "return", "payout": payout, "row": back, "why": WHY, "proposed_by": first}
    Clarification.objects.create(**right)
    agreed = {"kind": "debit", "payout": other, "row": gone, "state": "agreed", "agreed_by": second}
    wrong: dict[str, dict[str, Any]] = {
        "has_reason": {"kind": "debit", "row": gone, "why": ""},
        "of_a_row": {"kind": "debit", "row": None},
        "of_a_row ": {"kind": "never_left", "row": gone},
        "two_people": agreed | {"agreed_by": first},
        "two_people ": agreed | {"agreed_by": None},
        "follow_up": agreed | {"kind": "return", "follow_up": payout},
        "one_per_row": {"payout": other},
        "once": {"row": gone},
    }
    for name, values in wrong.items():
        with pytest.raises(IntegrityError, match=f"payouts_clarification_{name.strip()}"), transaction.atomic():
            Clarification.objects.create(**right | values)
    for column, value in (("kind", "debit"), ("why", "else"), ("row_id", gone.pk), ("payout_id", other.pk)):
        with pytest.raises(IntegrityError), transaction.atomic():
            Clarification.objects.filter(row=back).update(**{column: value})  # Though nobody has agreed yet.
    with pytest.raises(IntegrityError), transaction.atomic():
        StatementRow.objects.filter(pk=gone.pk).update(named=payout.out_no)


def test_what_a_run_is_taking_is_not_counted_as_paid() -> None:
    payout, (first, second) = payout_in("failed"), two()
    said = clarifications.propose(payout, row(-300, named=payout.out_no), why=WHY, by=first)
    heard: list[Exception] = []

    def agree() -> None:
        try:
            clarifications.agree(said, by=second)
        except (DomainError, IntegrityError) as error:
            heard.append(error)

    with transaction.atomic():
        runs._write_payouts("standin", Run.Kind.SCHEDULED, None)
        agreeing = in_thread(agree)
        wait_for(lambda: waiting_for_locks() or not agreeing.is_alive())
    agreeing.join(20)
    assert [getattr(one, "code", one) for one in heard] == ["does_not_fit"]
    assert money.owed_fen(payout.household) == 0
    assert Payout.objects.exclude(pk=payout.pk).get().state == "prepared"


def test_a_refusal_of_an_attempt_that_was_given_up_ends_no_later_one() -> None:
    """Its caller hears of it late: the second attempt may be at the bank by then."""
    payout = payout_in("sending")
    first = payout.attempts.get()
    move(first, Attempt.State.UNSENT, reason="the bank does not know it")
    second = sending._begin(payout.pk)
    assert second is not None
    refusal = BankError("refused", "LATE", "too late")
    sending._record_error(first, refusal)
    payout.refresh_from_db()
    assert (payout.state, money.owed_fen(payout.household)) == ("sending", 0)
    sending._record_error(second, refusal)
    payout.refresh_from_db()
    assert (payout.state, money.owed_fen(payout.household)) == ("failed", 300)
    books.all_is_well()


@pytest.mark.parametrize("fen", [-300, 300])
def test_what_has_a_debit_or_has_come_back_did_not_stay(fen: int) -> None:
    payout = payout_in("succeeded")
    moved = row(fen, named=payout.out_no if fen < 0 else "")
    if fen > 0:
        clarified(payout, moved)
    age(payout)
    with pytest.raises(DomainError, match="Only of a payout that arrived"):
        clarifications.propose(payout, None, why=WHY, by=two()[0])
