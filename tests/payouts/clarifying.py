"""Payouts on which the bank's word and its statement do not agree, and two people who say what is so."""

import itertools
from datetime import timedelta

from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from payouts import alerts, clarifications, daily, sending, statements
from payouts.banks.base import Movement, Page, TransferReport
from payouts.models import Clarification, Payout, StatementCursor, StatementRow
from payouts.runs import run_payouts
from tests import factories
from tests.payouts import money
from tests.purchases import books

_serials = itertools.count(1)
WHY = "The bank said so on the telephone"


def payout_in(state: str, fen: int = 300) -> Payout:
    """A payout that was sent, and of which the bank has said this."""
    (household,) = money.households(1)
    money.settle(2_000)
    money.owe({household: fen})
    run_payouts()
    payout = Payout.objects.latest("pk")
    sending._begin(payout.pk)
    if state != "sending":
        sending.record(payout.pk, TransferReport(payout.out_no, state, "B1", reason="said"))  # type: ignore[arg-type]
    payout.refresh_from_db()
    return payout


def row(fen: int, *, named: str = "", said: str = "", who: str = "某人") -> StatementRow:
    """A row of the statement as it is read, which names this payout, or none."""
    serial = f"R{next(_serials)}"
    statements.take_in("standin", Page((Movement(serial, timezone.now(), fen, who, said, named, serial),), ""))
    return StatementRow.objects.get(serial=serial)


def two() -> tuple[User, User]:
    return factories.user(roles.FINANCE), factories.user(roles.FINANCE)


def clarified(payout: Payout, of: StatementRow | None) -> Clarification:
    first, second = two()
    said = clarifications.propose(payout, of, why=WHY, by=first)
    clarifications.agree(said, by=second)
    said.refresh_from_db()
    return said


def left_for_good(payout: Payout) -> None:
    """The books have the payout's money out of the account and with the household, once."""
    assert money.owed_fen(payout.household) == 0
    assert books.balances() == {"escrow": 1_700, "sponsor": -1_700}
    assert not alerts.stopping().exists()
    books.all_is_well()
    daily.publish(timezone.localdate())  # Raises unless the figures are in balance.


def owed_again(payout: Payout) -> None:
    """The money is in the account, and the household's to be paid."""
    assert money.owed_fen(payout.household) == 300
    assert books.balances() == {"escrow": 2_000, "household": -300, "sponsor": -1_700}
    assert not alerts.stopping().exists()
    books.all_is_well()
    daily.publish(timezone.localdate())


def age(payout: Payout) -> None:
    """Two days pass after the bank said that a payout arrived, and its statement is read."""
    Payout.objects.filter(pk=payout.pk).update(completed_at=timezone.now() - timedelta(days=2))
    StatementCursor.objects.update_or_create(bank="standin", defaults={"after": "", "read_at": timezone.now()})
