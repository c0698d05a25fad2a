"""What the tables of the way out refuse, whoever writes to them: tried with plain SQL."""

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from payouts.models import Approval, BankReport, Batch, Payout
from payouts.runs import run_payouts
from tests import factories
from tests.payouts import money
from tests.purchases import books

pytestmark = pytest.mark.django_db


def sql(statement: str, *values: Any) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)


def refused(statement: str, *values: Any, why: str) -> None:
    with pytest.raises(IntegrityError, match=why):
        sql(statement, *values)


@pytest.fixture
def held(settings: Any) -> Payout:
    """A payout that two people must approve."""
    settings.PAYOUT_APPROVAL_ABOVE_FEN = 100
    (household,) = money.households(1)
    money.settle(1000)
    money.owe({household: 300})
    run_payouts()
    return Payout.objects.get()


def approve(payout: Payout, user: User) -> None:
    sql("INSERT INTO payouts_approval (payout_id, by_id, at) VALUES (%s, %s, now())", payout.pk, user.pk)


@pytest.mark.parametrize("state", ["approved", "sending", "accepted", "succeeded", "failed", "unknown", "returned"])
@pytest.mark.parametrize("given", [0, 1])
def test_a_held_payout_goes_nowhere_with_too_few_approvals(held: Payout, state: str, given: int) -> None:
    for _ in range(given):
        approve(held, factories.user(roles.FINANCE))
    refused("UPDATE payouts_payout SET state = %s", state, why="needs 2 approvals")
    held.refresh_from_db()
    assert held.state == "held"
    books.all_is_well()


def test_with_enough_approvals_it_goes_and_it_can_always_be_cancelled(held: Payout) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE payouts_payout SET state = 'cancelled'")
        transaction.set_rollback(True)
    for _ in range(2):
        approve(held, factories.user(roles.FINANCE))
    sql("UPDATE payouts_payout SET state = 'approved'")


def test_whoever_entered_the_account_is_not_one_of_the_two(held: Payout) -> None:
    with pytest.raises(IntegrityError, match="cannot approve payout"):
        approve(held, held.account.entered_by)
    assert not Approval.objects.exists()


def test_nobody_is_two_people(held: Payout) -> None:
    user = factories.user(roles.FINANCE)
    approve(held, user)
    with pytest.raises(IntegrityError, match="payouts_approval_once_each"):
        approve(held, user)
    assert Approval.objects.count() == 1


def test_only_what_is_held_is_approved(held: Payout) -> None:
    sql("UPDATE payouts_payout SET state = 'cancelled'")
    with pytest.raises(IntegrityError, match="cannot approve payout"):
        approve(held, factories.user(roles.FINANCE))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE payouts_payout SET approvals_needed = 0, held_for = ''",
        "UPDATE payouts_payout SET approvals_needed = 1",
        "UPDATE payouts_payout SET held_for = 'flagged'",
        "UPDATE payouts_payout SET run_id = run_id + 1",
        "DELETE FROM payouts_payout",
        "UPDATE payouts_run SET fen = fen + 1",
        "UPDATE payouts_run SET started_by_id = NULL",
        "DELETE FROM payouts_run",
    ],
)
def test_what_a_run_wrote_does_not_change(held: Payout, statement: str) -> None:
    refused(statement, why="append-only")
    books.all_is_well()


@pytest.mark.parametrize("statement", ["UPDATE payouts_approval SET by_id = by_id + 1", "DELETE FROM payouts_approval"])
def test_an_approval_is_not_taken_back(held: Payout, statement: str) -> None:
    approve(held, factories.user(roles.FINANCE))
    refused(statement, why="append-only")


@pytest.mark.parametrize(
    ("held_for", "needed"), [("", 2), ("over_limit", 0)], ids=["for nothing", "without anybody to approve"]
)
def test_a_payout_is_not_held_by_halves(held: Payout, held_for: str, needed: int) -> None:
    refused(
        "INSERT INTO payouts_payout (run_id, household_id, account_id, bank, out_no, fen, state, created_at,"
        " bank_reference, held_for, approvals_needed)"
        " SELECT run_id, household_id, account_id, bank, 'x1', fen, 'prepared', now(), '', %s, %s FROM payouts_payout",
        held_for,
        needed,
        why="payouts_payout_held_for_a_reason",
    )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE payouts_batch SET sha256 = 'x'",
        "UPDATE payouts_batch SET fen = fen + 1",
        "UPDATE payouts_batch SET payouts = payouts + 1",
        "UPDATE payouts_batch SET name = 'x'",
        "UPDATE payouts_batch SET created_at = now() + interval '1 day'",
        "DELETE FROM payouts_batch",
    ],
)
def test_a_file_for_a_bank_does_not_change(held: Payout, statement: str) -> None:
    batch = Batch.objects.create(
        bank="pain001", number="B1", name="b1.xml", content="<x/>", sha256="0" * 64, payouts=1, fen=300,
        created_at=held.created_at,
    )  # fmt: skip
    refused(statement, why="append-only")
    sql("UPDATE payouts_batch SET state = 'delivered', delivered_at = now()")
    batch.refresh_from_db()
    assert (batch.state, batch.sha256, batch.fen) == ("delivered", "0" * 64, 300)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE payouts_bankreport SET sha256 = 'x'",
        "UPDATE payouts_bankreport SET movements = movements + 1",
        "UPDATE payouts_bankreport SET read_at = now() + interval '1 day'",
        "DELETE FROM payouts_bankreport",
    ],
)
def test_a_file_from_a_bank_does_not_change(statement: str) -> None:
    values = {"bank": "pain001", "name": "s.xml", "kind": "camt.053", "content": "<x/>", "sha256": "0" * 64}
    BankReport.objects.create(**values, reports=0, movements=1)
    refused(statement, why="append-only")
    with pytest.raises(IntegrityError, match="payouts_bankreport_once"), transaction.atomic():
        BankReport.objects.create(**values, reports=0, movements=1)


def test_an_attempt_keeps_its_file(held: Payout) -> None:
    for _ in range(2):
        approve(held, factories.user(roles.FINANCE))
    held.attempts.create(request_sha256="0" * 64)
    refused("UPDATE payouts_attempt SET batch_id = 1", why="append-only")


def test_a_run_of_nothing_is_no_run() -> None:
    for payouts, fen in ((0, 1), (1, 0)):
        refused(
            "INSERT INTO payouts_run (kind, bank, at, minimum_fen, payouts, fen) VALUES ('by_hand', 'x', now(), 1, %s, %s)",
            payouts,
            fen,
            why="payouts_run_of_something",
        )


def test_of_two_accounts_in_force_the_second_is_refused_even_where_it_bounced_before() -> None:
    household = factories.household()
    factories.account(household)
    factories.account(household)
    refused("UPDATE payouts_bankaccount SET state = 'approved' WHERE version = 1", why="one_approved")
    sql("UPDATE payouts_bankaccount SET state = 'bounced' WHERE version = 2")
    refused("UPDATE payouts_bankaccount SET approved_by_id = entered_by_id WHERE version = 2", why="append-only")
    refused("UPDATE payouts_bankaccount SET usable_from = NULL WHERE version = 2", why="append-only")


@pytest.mark.parametrize("first", ["sending", "unknown", "accepted", "succeeded"])
@pytest.mark.parametrize("second", ["sending", "unknown", "accepted", "succeeded"])
def test_a_payout_has_one_live_attempt(held: Payout, first: str, second: str) -> None:
    insert = "INSERT INTO payouts_attempt (payout_id, request_sha256, state, created_at) VALUES (%s, 'x', %s, now())"
    for over in ("unsent", "failed", "unsent"):
        sql(insert, held.pk, over)
    sql(insert, held.pk, first)
    refused(insert, held.pk, second, why="payouts_attempt_one_live")
    refused("UPDATE payouts_attempt SET state = %s WHERE state = 'failed'", second, why="payouts_attempt_one_live")
    assert held.attempts.count() == 4


def test_what_goes_again_is_what_went_before(held: Payout) -> None:
    insert = (
        "INSERT INTO payouts_attempt (payout_id, request_sha256, state, created_at) VALUES (%s, %s, 'unsent', now())"
    )
    sql(insert, held.pk, "0" * 64)
    sql(insert, held.pk, "0" * 64)
    refused(insert, held.pk, "1" * 64, why="with another content before")
    assert held.attempts.count() == 2


def test_the_audit_finds_that_nothing_holds_the_content(held: Payout) -> None:
    sql("ALTER TABLE payouts_attempt DISABLE TRIGGER payouts_attempt_same_content")
    assert books.found() == {"guards that are missing or switched off": ["payouts_attempt_same_content"]}
