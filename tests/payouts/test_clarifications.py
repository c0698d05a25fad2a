"""Rows that name no payout or contradict the bank's word: two people say what they are, and every fen is right."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone, translation

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account
from carbonsink.messages.models import Message
from payouts import alerts, clarifications, fitting, reconciliation, sending, statements
from payouts.banks.base import TransferReport
from payouts.models import (
    BankAccount,
    Clarification,
    Discrepancy,
    Payout,
    Reconciliation,
    StatementCursor,
    StatementRow,
)
from payouts.runs import run_payouts
from purchases.proceeds import proceeds
from tests import factories
from tests.ground.threads import at_once
from tests.payouts import money
from tests.payouts.clarifying import WHY, age, clarified, left_for_good, owed_again, payout_in, row, two
from tests.purchases import books

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def in_english() -> Iterator[None]:
    with translation.override("en"):
        yield


def test_a_return_without_our_number_is_owed_to_its_household_again() -> None:
    payout = payout_in("succeeded")
    row(-300, named=payout.out_no)
    back = row(300, said="退票 户名不符")
    assert back.kind == StatementRow.Kind.SUSPENSE
    assert [one.about for one in alerts.stopping()] == [f"standin:{back.serial}"]
    clarified(payout, back)
    payout.refresh_from_db()
    assert payout.state == "returned"
    assert payout.account.__class__.objects.get(pk=payout.account_id).state == BankAccount.State.BOUNCED
    assert not fitting.in_suspense().exists()
    owed_again(payout)


@pytest.mark.parametrize("state", ["sending", "accepted", "unknown", "succeeded"])
def test_a_debit_without_our_number_is_its_payout_s(state: str) -> None:
    payout = payout_in("sending" if state == "unknown" else state)
    if state == "unknown":
        sending.mark_unknown(payout.pk, reason="silence")
    clarified(payout, row(-300))
    payout.refresh_from_db()
    assert payout.state == "succeeded"
    assert Message.objects.filter(key=f"payout-arrived:{payout.pk}").count() == 1
    left_for_good(payout)


def test_what_had_gone_although_the_bank_said_that_it_failed_is_not_paid_again() -> None:
    payout = payout_in("failed")
    gone = row(-300, named=payout.out_no)
    assert (money.owed_fen(payout.household), gone.kind) == (300, StatementRow.Kind.SUSPENSE)
    said = clarified(payout, gone)
    follow_up = said.follow_up
    assert follow_up is not None
    assert (follow_up.state, follow_up.fen, follow_up.household) == ("succeeded", 300, payout.household)
    payout.refresh_from_db()
    assert payout.state == "failed"  # What is final stays so.
    assert run_payouts().payouts == 0
    left_for_good(payout)


def test_an_order_whose_payout_had_gone_all_the_same_has_arrived() -> None:
    (owner,) = factories.market(1)
    factories.account(owner)
    order = factories.paid_order()
    money.settle(2_000)
    run_payouts()
    payout = Payout.objects.get()
    sending._begin(payout.pk)
    sending.record(payout.pk, TransferReport(payout.out_no, "failed"))
    assert proceeds(order).waiting_fen == order.total_fen
    clarified(payout, row(-payout.fen, named=payout.out_no))
    found = proceeds(order)
    assert (found.waiting_fen, found.on_the_way_fen, found.arrived_fen) == (0, 0, order.total_fen)


def books_as_the_sponsor_s(of: StatementRow, by: User) -> None:
    """So that a run may start."""
    statements.book_explained(of, ledger.account(Account.Kind.SPONSOR), by=by, reason="for the test")


def test_what_a_payout_that_was_not_sent_has_taken_must_be_released_first() -> None:
    payout = payout_in("failed")
    gone = row(-300, named=payout.out_no)
    first, second = two()
    said = clarifications.propose(payout, gone, why=WHY, by=first)
    clarifications.withdraw(said, by=second)
    books_as_the_sponsor_s(gone, first)
    run_payouts()
    again = Payout.objects.latest("pk")
    other = row(-300, named=payout.out_no)
    with pytest.raises(DomainError, match=again.out_no):
        clarifications.propose(payout, other, why=WHY, by=first)
    sending.cancel(again, reason="released")
    clarified(payout, other)
    assert money.owed_fen(payout.household) == 0
    assert books.balances() == {"escrow": 1_400, "sponsor": -1_400}
    books.all_is_well()


def test_money_that_is_owed_with_other_money_by_now_is_not_taken_for_paid() -> None:
    payout = payout_in("failed")
    money.owe({payout.household: 50})
    run_payouts()
    later = Payout.objects.latest("pk")
    assert later.fen == 350
    sending.cancel(later, reason="released")
    gone = row(-300, named=payout.out_no)
    with pytest.raises(DomainError, match="other money"):
        clarifications.propose(payout, gone, why=WHY, by=two()[0])


def test_more_that_was_sold_meanwhile_is_still_owed() -> None:
    payout = payout_in("failed")
    money.owe({payout.household: 50})
    clarified(payout, row(-300, named=payout.out_no))
    assert money.owed_fen(payout.household) == 50
    books.all_is_well()


def test_what_never_left_is_owed_again_and_paid_once_more() -> None:
    payout = payout_in("succeeded")
    age(payout)
    assert list(fitting.overdue()) == [payout]
    assert "payouts that succeeded more than a day ago and are on no statement" in books.found()
    clarified(payout, None)
    payout.refresh_from_db()
    assert payout.state == "returned"
    assert BankAccount.objects.get(pk=payout.account_id).state == BankAccount.State.APPROVED
    assert Message.objects.filter(key=f"payout-returned:{payout.pk}").count() == 1
    assert list(fitting.overdue()) == []
    owed_again(payout)
    assert run_payouts().fen == 300


def test_the_debit_of_what_was_said_never_to_have_left_is_not_believed_unseen() -> None:
    payout = payout_in("succeeded")
    age(payout)
    clarified(payout, None)
    late = row(-300, named=payout.out_no)
    assert late.kind == StatementRow.Kind.SUSPENSE  # It is owed again: people must look before it is paid twice.
    assert alerts.stopping().exists()
    said = clarified(payout, late)
    assert said.follow_up is not None
    left_for_good(payout)


def test_a_second_debit_of_a_payout_that_people_accounted_for_waits_for_people() -> None:
    payout = payout_in("succeeded")
    clarified(payout, row(-300))
    assert row(-300, named=payout.out_no).kind == StatementRow.Kind.SUSPENSE
    assert books.found() == books.UNEXPLAINED


def test_a_debit_is_not_yet_missing_before_the_statement_was_read() -> None:
    payout, (first, _second) = payout_in("succeeded"), two()
    with pytest.raises(DomainError, match="may still come"):
        clarifications.propose(payout, None, why=WHY, by=first)
    age(payout)
    StatementCursor.objects.update(read_at=timezone.now() - timedelta(days=3))
    with pytest.raises(DomainError, match="may still come"):
        clarifications.propose(payout, None, why=WHY, by=first)


def test_one_person_alone_books_nothing() -> None:
    payout, (first, second) = payout_in("succeeded"), two()
    back = row(300)
    before = books.lines()
    said = clarifications.propose(payout, back, why=WHY, by=first)
    with pytest.raises(DomainError) as error:
        clarifications.agree(said, by=first)
    assert error.value.code == "same_person"
    with pytest.raises(DomainError, match="Somebody has said what this row is"):
        clarifications.explain(back, by=second, reason="the sponsor's, then")
    with pytest.raises(IntegrityError), transaction.atomic():
        Clarification.objects.filter(pk=said.pk).update(state="agreed", agreed_by=first)
    assert books.lines() == before
    clarifications.withdraw(said, by=first)
    with pytest.raises(DomainError) as error:
        clarifications.agree(said, by=second)
    assert error.value.code == "wrong_state"
    assert clarifications.explain(back, by=second, reason="the sponsor's, then") is not None
    assert books.lines() == before


def test_a_row_that_could_be_a_payout_s_is_the_sponsor_s_by_the_word_of_two() -> None:
    payout, (first, second) = payout_in("succeeded"), two()
    back, before = row(300), books.lines()
    said = clarifications.explain(back, by=first, reason=WHY)
    assert said is not None
    assert (said.kind, said.payout, said.state, said.why) == ("sponsor", None, "proposed", WHY)
    with pytest.raises(DomainError) as error:
        clarifications.agree(said, by=first)
    assert (error.value.code, books.lines()) == ("same_person", before)
    clarifications.agree(said, by=second)
    assert books.balances() == {"escrow": 2_000, "sponsor": -2_000}
    payout.refresh_from_db()
    assert (payout.state, money.owed_fen(payout.household)) == ("succeeded", 0)
    assert not alerts.stopping().exists()
    books.all_is_well()


def test_a_row_that_no_payout_fits_is_the_sponsor_s_by_the_word_of_one() -> None:
    payout_in("succeeded")
    assert clarifications.explain(row(301), by=two()[0], reason="") is None
    assert clarifications.explain(row(-299), by=two()[0], reason="") is None
    books.all_is_well()


@pytest.mark.parametrize("how", ["named", "said"])
def test_a_row_that_names_its_payout_is_not_the_sponsor_s(how: str) -> None:
    payout, (first, _second) = payout_in("failed"), two()
    gone = row(-300, **{how: payout.out_no})
    with pytest.raises(DomainError) as error:
        clarifications.explain(gone, by=first, reason="the sponsor's, then")
    assert error.value.code == "names_payout"
    assert payout.out_no in error.value.message
    clarified(payout, gone)


def test_what_was_agreed_is_final() -> None:
    payout = payout_in("succeeded")
    said = clarified(payout, row(300))
    for column, value in (("why", "else"), ("state", "withdrawn"), ("row_id", None), ("agreed_by_id", None)):
        with pytest.raises(IntegrityError), transaction.atomic():
            Clarification.objects.filter(pk=said.pk).update(**{column: value})
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM payouts_clarification")


@pytest.mark.parametrize(
    ("state", "fen"),
    [("succeeded", 299), ("failed", 300), ("sending", 300), ("succeeded", -301)],
)
def test_what_does_not_fit_is_refused_with_a_sentence(state: str, fen: int) -> None:
    payout = payout_in(state)
    with pytest.raises(DomainError) as error:
        clarifications.propose(payout, row(fen), why=WHY, by=two()[0])
    assert error.value.code == "does_not_fit"


def test_a_row_or_a_payout_is_spoken_of_once() -> None:
    payout, other, (first, _second) = payout_in("succeeded"), payout_in("succeeded"), two()
    one, two_ = row(300), row(300)
    clarifications.propose(payout, one, why=WHY, by=first)
    for of, which in ((other, one), (payout, two_)):
        with pytest.raises(DomainError) as error:
            clarifications.propose(of, which, why=WHY, by=first)
        assert error.value.code == "wrong_state"
    with pytest.raises(DomainError) as error:
        clarifications.propose(other, two_, why="  ", by=first)
    assert error.value.code == "no_reason"


def test_two_that_agree_at_once_book_once() -> None:
    payout = payout_in("failed")
    first, second = two()
    said = clarifications.propose(payout, row(-300, named=payout.out_no), why=WHY, by=first)
    third = factories.user(roles.FINANCE)
    done = at_once(*[lambda by=by: clarifications.agree(said, by=by) for by in (second, third)])  # type: ignore[misc]
    assert sorted(type(one).__name__ for one in done) == ["DomainError", "NoneType"]
    left_for_good(payout)


def test_a_run_beside_an_agreement_pays_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    payout = payout_in("failed")
    first, second = two()
    gone = row(-300, named=payout.out_no)
    said = clarifications.propose(payout, gone, why=WHY, by=first)
    # What stops runs is out of the way, so that only the locks stand between the two.
    alerts.close_alerts("statement_unexplained", f"standin:{gone.serial}", reason="test")
    monkeypatch.setattr("payouts.runs.why_stopped", lambda: "")
    at_once(run_payouts, lambda: clarifications.agree(said, by=second))
    paid = Payout.objects.exclude(pk=payout.pk).get()
    said.refresh_from_db()
    assert (said.state, said.follow_up) in [("agreed", paid), ("proposed", None)]
    assert money.owed_fen(payout.household) == 0


def test_suggestions_begin_with_what_the_row_names() -> None:
    payouts = [payout_in("succeeded") for _ in range(3)]
    other = payout_in("succeeded", fen=301)
    back = row(300, said=f"退票 {payouts[0].out_no}")
    found = fitting.suggestions(back)
    assert [(one.payout, one.named) for one in found] == [
        (payouts[0], True), (payouts[2], False), (payouts[1], False)
    ]  # fmt: skip
    holder = row(300, who=payouts[1].account.holder)
    assert fitting.suggestions(holder)[0].payout.account.holder == payouts[1].account.holder
    assert fitting.suggestions(row(-299)) == []
    assert other not in [one.payout for one in found]


def test_an_agreement_ends_what_the_day_s_comparison_had_found(settings: Any) -> None:
    payout = payout_in("succeeded")
    back, day = row(300), Reconciliation.objects.create(day=timezone.localdate())
    for kind, reference in (("row_unexplained", f"standin:{back.serial}"), ("debit_missing", payout.out_no)):
        day.discrepancies.create(kind=kind, reference=reference, unexplained=True, since=timezone.now())
    reconciliation.conclude(day)
    assert alerts.stopping().filter(kind="reconciliation").exists()
    alerts.raise_alert("report_contradicts", payout.out_no, "it contradicts", stops=True)
    clarified(payout, back)
    row_s, debit_s = Discrepancy.objects.order_by("pk")
    assert (row_s.state, row_s.answer, debit_s.state) == ("explained", WHY, "open")
    assert not alerts.stopping().filter(kind="report_contradicts").exists()
    assert alerts.stopping().filter(kind="reconciliation").exists()  # The debit is still missing.
