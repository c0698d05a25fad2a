"""What is held, for which reason, and who lets it go: two people who saw the same sum, none of whom entered an account."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from payouts import approvals, runs, sending, tasks
from payouts.models import Approval, Payout, Run
from payouts.runs import run_payouts
from tests import factories
from tests.ground.threads import at_once
from tests.payouts import money
from tests.purchases import books
from trees import flags
from trees.models import Flag, Household


def held_run(settings: Any, amounts: tuple[int, ...] = (300, 400, 500)) -> tuple[Run, list[Household]]:
    """A run all of whose payouts are held."""
    settings.PAYOUT_RUN_APPROVAL_ABOVE_FEN = sum(amounts) - 1
    households = money.households(len(amounts))
    money.settle(10_000)
    money.owe(dict(zip(households, amounts, strict=True)))
    done = run_payouts()
    assert (done.payouts, done.held) == (len(amounts), len(amounts))
    return Run.objects.get(pk=done.pk), households


def finance(count: int) -> list[User]:
    return [factories.user(roles.FINANCE) for _ in range(count)]


def states(run: Run) -> list[str]:
    return list(run.paid.order_by("pk").values_list("state", flat=True))


@pytest.mark.django_db
def test_each_payout_is_held_for_its_reason(settings: Any) -> None:
    settings.PAYOUT_APPROVAL_ABOVE_FEN = 1000
    settings.PAYOUT_RUN_APPROVAL_ABOVE_FEN = 0
    small, large, account, phone, photo, looked_at = money.households(6)
    Flag.objects.create(kind="shared_account", household=account)
    Flag.objects.create(kind="shared_phone", household=phone)
    Flag.objects.create(kind="near_photo", household=photo, tree=factories.tree(photo))
    Flag.objects.create(kind="shared_id", household=looked_at)
    flags.settle_household(looked_at, by=factories.user(roles.REVIEWER), note="brothers")
    money.settle(10_000)
    money.owe({small: 300, large: 1001, account: 300, phone: 5000, photo: 300, looked_at: 300})
    done = run_payouts()
    assert (done.payouts, done.held) == (6, 3)
    found = Payout.objects.values_list("household", "held_for", "approvals_needed", "state")
    assert set(found) == {
        (small.pk, "", 0, "approved"),
        (large.pk, "over_limit", 2, "held"),
        (account.pk, "flagged", 2, "held"),
        (phone.pk, "flagged", 2, "held"),
        (photo.pk, "", 0, "approved"),
        (looked_at.pk, "", 0, "approved"),
    }
    books.all_is_well()


@pytest.mark.django_db
@pytest.mark.parametrize(("limit", "held"), [(599, "large_run"), (600, ""), (0, "")])
def test_all_of_a_run_above_its_limit_is_held(settings: Any, limit: int, held: str) -> None:
    settings.PAYOUT_RUN_APPROVAL_ABOVE_FEN = limit
    money.settle(600)  # For two of the three: the third is not part of the run's sum.
    money.owe(dict.fromkeys(money.households(3), 300))
    run_payouts()
    assert list(Payout.objects.values_list("held_for", flat=True)) == [held, held]
    books.all_is_well()


@pytest.mark.django_db
def test_a_run_says_who_started_it_and_pays_the_least_at_the_years_end(settings: Any) -> None:
    settings.PAYOUT_MINIMUM_FEN = 500
    (household,) = money.households(1)
    money.settle(1000)
    money.owe({household: 1})
    (user,) = finance(1)
    assert run_payouts(kind=Run.Kind.BY_HAND, by=user).payouts == 0
    assert not Run.objects.exists()
    assert run_payouts(kind=Run.Kind.YEAR_END, by=user).payouts == 1
    run = Run.objects.get()
    assert (run.kind, run.minimum_fen, run.payouts, run.fen, run.started_by) == ("year_end", 1, 1, 1, user)
    books.all_is_well()


@pytest.mark.django_db
def test_the_run_of_the_last_night_of_the_year_pays_however_little(
    settings: Any, later: Any, bank_process: Any
) -> None:
    settings.PAYOUT_MINIMUM_FEN = 500
    (household,) = money.households(1)
    money.settle(1000)
    money.owe({household: 1})
    settings.PAYOUT_YEAR_END = f"{timezone.localdate() + timedelta(days=1):%m-%d}"
    tasks.run_payouts()
    assert not Run.objects.exists()
    later(days=1)
    tasks.run_payouts()
    assert (Run.objects.get().kind, Run.objects.get().fen) == ("year_end", 1)


@pytest.mark.django_db
def test_two_people_let_a_run_go(settings: Any) -> None:
    run, _households = held_run(settings)
    first, second = finance(2)
    assert approvals.approve_run(run, by=first, count=3, fen=1200) == 0
    assert states(run) == ["held"] * 3
    with pytest.raises(DomainError) as error:
        approvals.approve_run(run, by=first, count=3, fen=1200)
    assert (error.value.code, error.value.status) == ("same_person", 403)
    assert sending.to_send() == []
    assert approvals.approve_run(run, by=second, count=3, fen=1200) == 3
    assert states(run) == ["approved"] * 3
    assert len(sending.to_send()) == 3
    last = run.paid.latest("pk").history().last()
    assert last is not None
    assert last.by == second
    with pytest.raises(DomainError):
        approvals.approve_run(run, by=second, count=0, fen=0)
    books.all_is_well()


@pytest.mark.django_db
def test_what_was_approved_by_itself_needs_one_more_word_only(settings: Any) -> None:
    run, _households = held_run(settings)
    first, second, third = finance(3)
    one = run.paid.earliest("pk")
    approvals.approve_held(one, by=first)
    assert approvals.approve_run(run, by=second, count=3, fen=1200) == 1
    assert states(run) == ["approved", "held", "held"]
    assert approvals.approve_run(run, by=first, count=2, fen=900) == 2
    assert Approval.objects.filter(by=third).count() == 0
    books.all_is_well()


@pytest.mark.django_db
def test_nobody_who_entered_an_account_of_a_run_approves_it(settings: Any) -> None:
    run, households = held_run(settings)
    factories.household()  # Another officer's.
    enterer = households[0].bank_accounts.get().entered_by
    with pytest.raises(DomainError) as error:
        approvals.approve_run(run, by=enterer, count=3, fen=1200)
    assert (error.value.code, error.value.status) == ("same_person", 403)
    assert not Approval.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(("count", "fen"), [(2, 1200), (3, 1199), (4, 1200), (0, 0)])
def test_who_saw_something_else_approves_and_releases_nothing(settings: Any, count: int, fen: int) -> None:
    run, _households = held_run(settings)
    (user,) = finance(1)
    for act in (approvals.approve_run, lambda *a, **k: approvals.release_run(*a, **k, reason="wrong")):
        with pytest.raises(DomainError) as error:
            act(run, by=user, count=count, fen=fen)
        assert (error.value.code, error.value.status) == ("changed", 409)
    assert not Approval.objects.exists()
    assert states(run) == ["held"] * 3


@pytest.mark.django_db
def test_a_released_run_is_owed_again_and_paid_by_the_next_one(settings: Any) -> None:
    run, households = held_run(settings)
    (user,) = finance(1)
    approvals.approve_run(run, by=user, count=3, fen=1200)
    with pytest.raises(DomainError) as error:
        approvals.release_run(run, by=user, count=3, fen=1200, reason=" ")
    assert error.value.code == "no_reason"
    assert approvals.release_run(run, by=user, count=3, fen=1200, reason="the tariff was wrong") == 3
    assert states(run) == ["cancelled"] * 3
    assert [money.owed_fen(household) for household in households] == [300, 400, 500]
    assert runs.available_fen("standin") == 10_000
    books.all_is_well()
    settings.PAYOUT_RUN_APPROVAL_ABOVE_FEN = 0
    assert run_payouts().fen == 1200
    assert set(states(run)) == {"cancelled"}
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_two_people_at_once_let_a_run_go_once(settings: Any) -> None:
    run, _households = held_run(settings)
    users = finance(2)
    done = at_once(*[lambda user=user: approvals.approve_run(run, by=user, count=3, fen=1200) for user in users])
    assert sorted(done) == [0, 3]
    assert states(run) == ["approved"] * 3
    assert Approval.objects.count() == 6
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_one_person_who_presses_often_is_one_person(settings: Any) -> None:
    run, _households = held_run(settings)
    (user,) = finance(1)
    done = at_once(*[lambda: approvals.approve_run(run, by=user, count=3, fen=1200)] * 4)
    assert [one for one in done if not isinstance(one, DomainError)] == [0]
    assert states(run) == ["held"] * 3
    assert Approval.objects.count() == 3
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_a_payout_cancelled_while_a_run_is_approved_does_not_go(settings: Any) -> None:
    """Whichever is first: the approval sees another sum and is refused, or the cancelling finds it approved already."""
    run, households = held_run(settings)
    first, second, third = finance(3)
    approvals.approve_run(run, by=first, count=3, fen=1200)
    one = run.paid.earliest("pk")
    gone, cancelled = at_once(
        lambda: approvals.approve_run(run, by=second, count=3, fen=1200),
        lambda: sending.cancel(Payout.objects.get(pk=one.pk), by=third, reason="wrong"),
    )
    assert cancelled is None  # An approved one can be cancelled too, as long as it was not sent.
    assert gone == 3 or (isinstance(gone, DomainError) and gone.code == "changed")
    rest = ["approved", "approved"] if gone == 3 else ["held", "held"]
    assert states(run) == ["cancelled", *rest]
    assert money.owed_fen(households[0]) == 300
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_runs_approved_and_released_at_once_do_one_of_both(settings: Any) -> None:
    run, households = held_run(settings)
    first, second = finance(2)
    approvals.approve_run(run, by=first, count=3, fen=1200)
    done = at_once(
        lambda: approvals.approve_run(run, by=second, count=3, fen=1200),
        lambda: approvals.release_run(run, by=first, count=3, fen=1200, reason="wrong"),
    )
    refused = [one for one in done if isinstance(one, DomainError)]
    assert [error.code for error in refused] == ["changed"]
    assert len(set(states(run))) == 1
    owed = sum(money.owed_fen(household) for household in households)
    assert owed == (1200 if states(run)[0] == "cancelled" else 0)
    books.all_is_well()
