"""Files debited as a whole, where a row names none or does not fit so well: two people say what it is."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone, translation

from carbonsink.errors import DomainError
from carbonsink.states import move
from payouts import alerts, clarifications, fitting, follow, runs, whole_files
from payouts.models import Batch, Clarification, Payout
from tests.payouts import money
from tests.payouts.clarifying import WHY, two
from tests.payouts.whole import publish, read, row, told, written
from tests.purchases import books

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    with translation.override("en"):
        yield


@pytest.mark.usefixtures("daifa")
def test_two_people_say_which_file_a_row_is_that_names_none() -> None:
    batch = written(300, 400)
    first, second = Payout.objects.order_by("pk")
    stuck, (by, other) = row("daifa", -700), two()
    assert (stuck.kind, whole_files.suggestions(stuck)) == ("suspense", [batch])
    # Not the sponsor's by one person alone, where a file fits.
    said = clarifications.explain(stuck, by=by, reason=WHY)
    assert said is not None
    clarifications.withdraw(said, by=other)
    said = clarifications.propose_file(batch, stuck, why=WHY, by=by)
    with pytest.raises(DomainError, match="Somebody has said"):
        clarifications.propose_file(batch, stuck, why=WHY, by=other)
    with pytest.raises(DomainError, match="Somebody else confirms"):
        clarifications.agree(said, by=by)
    assert alerts.stopping().exists()
    clarifications.agree(said, by=other)
    assert not alerts.stopping().exists()
    told("daifa", first, "succeeded")
    told("daifa", second, "failed")
    books.all_is_well()
    (leg,) = follow.of_payout(first).legs
    assert [one.row for one in leg.clarified] == [stuck]
    # A second one does not fit any more, and what comes back is held against the first.
    again = row("daifa", -700)
    with pytest.raises(DomainError, match="has this file's debit already"):
        clarifications.propose_file(batch, again, why=WHY, by=by)
    assert whole_files.suggestions(again) == []
    clarifications.explain(again, by=by, reason="The bank's own mistake")
    back = row("daifa", 400)
    assert whole_files.suggestions(back) == [batch]
    clarifications.agree(clarifications.propose_file(batch, back, why=WHY, by=by), by=other)
    assert whole_files.owed_back_fen("daifa") == 0
    books.all_is_well()
    publish()


@pytest.mark.usefixtures("daifa")
def test_what_does_not_fit_any_more_when_the_second_person_agrees_is_refused() -> None:
    batch = written(300, 400)
    stuck, (by, other) = row("daifa", -700), two()
    said = clarifications.propose_file(batch, stuck, why=WHY, by=by)
    row("daifa", -700, named=batch.number)
    with pytest.raises(DomainError, match="has this file's debit already"):
        clarifications.agree(said, by=other)
    assert Clarification.objects.get().state == "proposed"
    assert books.found() == books.UNEXPLAINED


@pytest.mark.usefixtures("daifa")
def test_money_that_may_have_left_with_its_file_is_not_owed_again() -> None:
    batch = written(300, 400)
    first, second = Payout.objects.order_by("pk")
    for payout in (first, second):
        told("daifa", payout, "succeeded")
    stuck = row("daifa", -700)
    Payout.objects.update(completed_at=timezone.now() - timedelta(days=2))
    read("daifa")
    with pytest.raises(DomainError, match="may be this payout's debit"):
        clarifications.propose(first, None, why=WHY, by=two()[0])
    by, other = two()
    clarifications.agree(clarifications.propose_file(batch, stuck, why=WHY, by=by), by=other)
    assert not fitting.overdue().exists()
    books.all_is_well()


@pytest.mark.usefixtures("daifa")
def test_a_debit_after_people_said_that_money_never_left_takes_people_and_is_owed_back() -> None:
    batch = written(300, 400)
    first, second = Payout.objects.order_by("pk")
    for payout in (first, second):
        told("daifa", payout, "succeeded")
    Payout.objects.filter(pk=first.pk).update(completed_at=timezone.now() - timedelta(days=2))
    read("daifa")
    by, other = two()
    clarifications.agree(clarifications.propose(first, None, why=WHY, by=by), by=other)
    assert money.owed_fen(first.household) == 300
    books.all_is_well()
    stuck = row("daifa", -700, named=batch.number, at=timezone.now() - timedelta(days=2))
    assert stuck.kind == "suspense"
    with pytest.raises(DomainError, match="Say that it belongs to it"):
        clarifications.explain(stuck, by=by, reason=WHY)
    clarifications.agree(clarifications.propose_file(batch, stuck, why=WHY, by=by), by=other)
    assert whole_files.owed_back_fen("daifa") == 300
    assert runs.available_fen("daifa") == 0
    books.all_is_well()
    # It had arrived after all: nothing is owed by anybody.
    first.refresh_from_db()
    assert fitting.kept_back() == [first]
    clarifications.agree(clarifications.propose(first, None, why=WHY, by=by), by=other)
    arrived(first)


def arrived(payout: Payout) -> None:
    """The household has the money of a payout that had failed, by a follow-up, and nobody owes anything."""
    assert money.owed_fen(payout.household) == 0
    assert whole_files.owed_back_fen("daifa") == 0
    assert Payout.objects.latest("pk").state == "succeeded"
    assert not fitting.overdue().exists()
    assert fitting.kept_back() == []
    assert not alerts.stopping().exists()
    books.all_is_well()
    publish()


@pytest.mark.usefixtures("daifa")
def test_money_that_failed_and_arrived_with_its_file_all_the_same_counts_as_paid() -> None:
    batch = written(300, 400)
    first, second = Payout.objects.order_by("pk")
    with pytest.raises(DomainError, match="Only of a payout that arrived"):
        clarifications.propose(first, None, why=WHY, by=two()[0])
    row("daifa", -700, named=batch.number, at=timezone.now() - timedelta(days=2))
    told("daifa", first, "failed")
    told("daifa", second, "succeeded")
    first.refresh_from_db()
    by, other = two()
    assert fitting.kept_back() == []
    with pytest.raises(DomainError, match="may still give it back"):
        clarifications.propose(first, None, why=WHY, by=by)
    Payout.objects.update(completed_at=timezone.now() - timedelta(days=2))
    assert fitting.kept_back() == [first]
    said = clarifications.propose(first, None, why=WHY, by=by)
    assert said.kind == "arrived"
    clarifications.agree(said, by=other)
    arrived(first)
    # It is given back all the same: the follow-up's return.
    back = row("daifa", 300, named=first.out_no)
    assert back.kind == "suspense"
    follow_up = Payout.objects.latest("pk")
    assert [one.payout for one in fitting.suggestions(back)] == [follow_up]
    clarifications.agree(clarifications.propose(follow_up, back, why=WHY, by=by), by=other)
    assert money.owed_fen(first.household) == 300
    books.all_is_well()


@pytest.mark.usefixtures("daifa")
def test_money_that_was_given_back_did_not_arrive() -> None:
    batch = written(300, 400)
    first, second = Payout.objects.order_by("pk")
    row("daifa", -700, named=batch.number)
    told("daifa", first, "failed")
    told("daifa", second, "failed")
    row("daifa", 700, named=batch.number)
    first.refresh_from_db()
    assert fitting.kept_back() == []
    with pytest.raises(DomainError, match="has given this payout's money back"):
        clarifications.propose(first, None, why=WHY, by=two()[0])


@pytest.mark.usefixtures("daifa")
def test_nobody_makes_the_sponsor_s_what_may_be_a_file_s() -> None:
    batch = written(300, 400, 500)
    first, second, third = Payout.objects.order_by("pk")
    by = two()[0]
    early = row("daifa", -900, named=batch.number)
    with pytest.raises(DomainError, match="Wait for its results"):
        clarifications.explain(early, by=by, reason=WHY)
    told("daifa", first, "failed")
    told("daifa", second, "failed")
    told("daifa", third, "succeeded")
    with pytest.raises(DomainError, match="Say that it belongs to it"):
        clarifications.explain(early, by=by, reason=WHY)
    assert whole_files.suggestions(early) == [batch]
    clarifications.agree(clarifications.propose_file(batch, early, why=WHY, by=by), by=two()[1])
    assert whole_files.owed_back_fen("daifa") == 400
    # What comes back without a number is suggested, as the failed payout's and as the file's.
    nameless, named = row("daifa", 400), row("daifa", 300, said=f"退 {first.out_no}")
    assert [one.payout for one in fitting.suggestions(nameless)] == [second]
    assert whole_files.suggestions(nameless) == [batch]
    said = clarifications.explain(nameless, by=by, reason=WHY)
    assert said is not None
    clarifications.withdraw(said, by=by)
    with pytest.raises(DomainError, match="whose it can be"):
        clarifications.explain(named, by=by, reason=WHY)
    clarifications.agree(clarifications.propose(second, nameless, why=WHY, by=by), by=two()[1])
    assert whole_files.owed_back_fen("daifa") == 0
    assert alerts.stopping().count() == 1  # The bank has given back more than it owed.


@pytest.mark.usefixtures("daifa")
def test_the_bank_may_give_back_in_parts() -> None:
    batch = written(300, 400, 500)
    row("daifa", -1200, named=batch.number)
    for payout in Payout.objects.all():
        told("daifa", payout, "failed")
    by, other = two()
    part = row("daifa", 700, named=batch.number)
    assert part.kind == "suspense"
    clarifications.agree(clarifications.propose_file(batch, part, why=WHY, by=by), by=other)
    assert row("daifa", 500, named=batch.number).kind == "file"
    assert whole_files.owed_back_fen("daifa") == 0
    assert not alerts.stopping().exists()
    books.all_is_well()


@pytest.mark.usefixtures("daifa")
def test_a_refused_file_that_was_debited_is_given_back_by_people() -> None:
    batch = written(300, 400)
    for payout in Payout.objects.all():
        told("daifa", payout, "failed")
    move(batch, Batch.State.REFUSED, reason="said")
    by, other = two()
    debit = row("daifa", -700, named=batch.number)
    assert debit.kind == "suspense"
    clarifications.agree(clarifications.propose_file(batch, debit, why=WHY, by=by), by=other)
    back = row("daifa", 700, named=batch.number)
    assert back.kind == "suspense"
    clarifications.agree(clarifications.propose_file(batch, back, why=WHY, by=by), by=other)
    assert not alerts.stopping().exists()
    books.all_is_well()


@pytest.mark.usefixtures("daifa")
def test_a_file_of_which_people_have_given_single_debits_is_not_debited_as_a_whole() -> None:
    batch = written(300, 400)
    first = Payout.objects.order_by("pk")[0]
    by, other = two()
    clarifications.agree(clarifications.propose(first, row("daifa", -300), why=WHY, by=by), by=other)
    whole_debit = row("daifa", -700, named=batch.number)
    assert whole_debit.kind == "suspense"
    with pytest.raises(DomainError, match="one by one"):
        clarifications.propose_file(batch, whole_debit, why=WHY, by=by)
