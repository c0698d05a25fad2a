"""Rows of the statement that name no payout or contradict what the bank had said: two people say what they are.

Banks cut or lose our number, above all on returns 退票; some say "failed" and debit, or "arrived" and never do. What is
agreed here is booked as the bank's own word would have been, so that a household's money neither becomes the sponsor's
by mistake nor is lost. A row leaves suspense by one entry, `explained:…`, whatever it is and whoever explains it.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from uuid import uuid4

from django.db import transaction
from django.db.models import Exists, Max, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Concat
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account, Entry, Line, Settlement
from carbonsink.states import move
from payouts import alerts, sending, statements
from payouts.banks import by_file
from payouts.banks.base import TransferReport
from payouts.models import Attempt, BankReport, Clarification, Payout, Run, StatementCursor, StatementRow
from purchases.proceeds import reversed_reference, sent_reference

Kind = Clarification.Kind
State = Clarification.State

# How far a return may lie behind its payout to be suggested, and how many payouts are looked through and suggested.
LOOKED_BACK = timedelta(days=90)
LOOKED_THROUGH = 100
SUGGESTED = 5
# Our numbers, wherever they stand in a text.
_NUMBER = re.compile("(?=([0-9a-f]{32}))")
_NOT_SENT = [Payout.State.PREPARED, Payout.State.HELD, Payout.State.APPROVED]


def in_suspense() -> QuerySet[StatementRow]:
    """Rows that nobody has explained, oldest first."""
    reference = Concat(Value("explained:"), OuterRef("bank"), Value(":"), OuterRef("serial"))
    explained = Entry.objects.filter(reference=reference)
    rows = StatementRow.objects.filter(~Exists(explained), kind=StatementRow.Kind.SUSPENSE)
    return rows.order_by("booked_at", "pk")


def overdue() -> QuerySet[Payout]:
    """Payouts that arrived by the bank's word, while its statement has been read since and has no debit of them."""
    late = statements.without_debit().filter(
        state=Payout.State.SUCCEEDED, completed_at__lt=timezone.now() - statements.DEBIT_COMES_WITHIN
    )
    return late.select_related("household__village").order_by("completed_at", "pk")


def to_agree() -> QuerySet[Clarification]:
    """What one person has said and nobody else has confirmed, oldest first."""
    said = Clarification.objects.filter(state=State.PROPOSED).order_by("pk")
    return said.select_related("payout__household__village", "payout__account", "row", "proposed_by")


@dataclass(frozen=True)
class Suggestion:
    """A payout that a row may belong to. `named`: the row has its number, or its holder's name."""

    payout: Payout
    named: bool


def suggestions(row: StatementRow) -> list[Suggestion]:
    """Payouts whose debit or return a row may be: of its bank and amount, named ones first, then the newest."""
    fits = Payout.objects.filter(bank=row.bank, fen=abs(row.fen)).select_related("account", "household__village")
    # Looked up by its number: a night may have thousands of payouts of one amount.
    numbered = list(_numbered(row, fits))
    near = fits.filter(
        created_at__gte=row.booked_at - LOOKED_BACK, created_at__lte=row.booked_at + statements.DEBIT_COMES_WITHIN
    )
    newest = near.filter(_can_be(row)).exclude(pk__in=[one.pk for one in numbered]).order_by("-created_at", "-pk")
    text = f"{row.remittance} {row.counterparty}"
    others = [Suggestion(one, one.account.holder in text) for one in newest[:LOOKED_THROUGH]]
    found = [Suggestion(one, True) for one in numbered] + sorted(others, key=lambda one: not one.named)
    return list(islice((one for one in found if not _why_not(_kind_of(row), one.payout, row)), SUGGESTED))


def _numbered(row: StatementRow, payouts: QuerySet[Payout]) -> QuerySet[Payout]:
    """Those of the payouts whose number a row has; of one that counts as paid by a follow-up, that one too."""
    numbers = _NUMBER.findall(f"{row.named} {row.remittance} {row.counterparty}".lower())
    # In two queries, each by an index.
    said = Clarification.objects.filter(payout__out_no__in=numbers, follow_up__isnull=False)
    follow_ups = list(said.values_list("follow_up", flat=True))
    return payouts.filter(Q(out_no__in=numbers) | Q(pk__in=follow_ups)).order_by("-pk")


def _can_be(row: StatementRow) -> Q:
    """What a payout must be for a row to be its debit or return, as far as a query can say it."""
    if row.fen > 0:
        on_its_way = sending.OPEN if row.bank in by_file() else []
        return Q(state__in=[Payout.State.SUCCEEDED, *on_its_way])
    states = [*sending.OPEN, Payout.State.SUCCEEDED, Payout.State.FAILED, Payout.State.RETURNED]
    debits = StatementRow.objects.filter(kind=StatementRow.Kind.PAYOUT, payout=OuterRef("pk"))
    return Q(~Exists(debits), state__in=states)


def _kind_of(row: StatementRow | None) -> Clarification.Kind:
    """What a row can be: money that left is a debit, money that came a return; without one, money never left."""
    if row is None:
        return Kind.NEVER_LEFT
    return Kind.DEBIT if row.fen < 0 else Kind.RETURN


@transaction.atomic
def explain(row: StatementRow, *, by: User, reason: str) -> Clarification | None:
    """Books a row in suspense as the sponsor's, or as the customer's transfer that finance has taken in meanwhile, so
    that payouts go on; who explained it, and why, is in the history. Where it fits a payout whose debit or return it
    could be, nothing is booked before somebody else agrees: what was said is returned then.

    DomainError: "not_in_suspense" when it is not there (any more); "wrong_state" when somebody has said what it is;
    "names_payout" when its own text says whose it is; "no_reason".
    """
    row = StatementRow.objects.select_for_update().get(pk=row.pk)
    if row.kind != StatementRow.Kind.SUSPENSE or not in_suspense().filter(pk=row.pk).exists():
        raise DomainError("not_in_suspense", _("This row is explained already."), status=409)
    if row.clarifications.filter(state=State.PROPOSED).exists():
        text = _("Somebody has said what this row is. Confirm that, or say that it is not so.")
        raise DomainError("wrong_state", text, status=409)
    _check_the_sponsor_s(row)
    if statements.is_known_transfer(row.bank, row.bank_reference, row.fen):
        statements.book_explained(row, ledger.account(Account.Kind.GATEWAY, "transfer"), by=by, reason=reason)
    elif suggestions(row):
        why = _reason(reason)
        return Clarification.objects.create(kind=Kind.SPONSOR, row=row, why=why, proposed_by=by)
    else:
        statements.book_explained(row, ledger.account(Account.Kind.SPONSOR), by=by, reason=reason)
    return None


def _reason(text: str) -> str:
    text = text.replace("\0", "").strip()[:200]
    if not text:
        raise DomainError("no_reason", _("Write how you know."))
    return text


def _check_the_sponsor_s(row: StatementRow) -> None:
    for payout in _numbered(row, Payout.objects.filter(bank=row.bank, fen=abs(row.fen))):
        if trouble := _why_not_the_sponsor_s(row, payout):
            raise DomainError("names_payout", trouble, status=409)


def _why_not_the_sponsor_s(row: StatementRow, payout: Payout) -> str:
    """Why nobody may book a row as the sponsor's that names this payout, in a sentence; empty when one may."""
    kind = _kind_of(row)
    trouble = _why_not(kind, payout, row)
    if not trouble:
        text = _("This row names payout %(number)s, whose it can be. Say that it belongs to it.")
        return text % {"number": payout.out_no}
    if not _is_owed_again(payout):
        return ""
    if kind == Kind.DEBIT:
        # Its money would be paid once more as soon as the one that waits is approved.
        _line, taken_by = _owed_again(payout)
        return trouble if Payout.objects.filter(out_no=taken_by, state__in=_NOT_SENT).exists() else ""
    # Debited and given back: were this the sponsor's, the debit alone would count as the household's money.
    waiting = in_suspense().filter(bank=row.bank, fen=-row.fen)
    if any(_numbered(one, Payout.objects.filter(pk=payout.pk)).exists() for one in waiting):
        text = _("This row names payout %(number)s, whose debit is to be explained too. Say first what that is.")
        return text % {"number": payout.out_no}
    return ""


@transaction.atomic
def propose(payout: Payout, row: StatementRow | None, *, why: str, by: User) -> Clarification:
    """Says that a row in suspense is this payout's debit or return; without a row, that its money never left.

    Somebody else must agree. DomainError: "no_reason"; "does_not_fit" with a sentence; "wrong_state" when somebody has
    said something of the row or the payout already.
    """
    why, kind = _reason(why), _kind_of(row)
    payout = Payout.objects.select_for_update().get(pk=payout.pk)
    if row is not None:
        row = StatementRow.objects.select_for_update().get(pk=row.pk)
    _check(kind, payout, row)
    said = Q(row=row) if row is not None else Q(payout=payout, kind=kind)
    if Clarification.objects.filter(said | Q(payout=payout, kind=kind)).exclude(state=State.WITHDRAWN).exists():
        raise DomainError("wrong_state", _("Somebody has said what this is already. Reload the page."), status=409)
    return Clarification.objects.create(kind=kind, payout=payout, row=row, why=why, proposed_by=by)


def withdraw(clarification: Clarification, *, by: User) -> None:
    """Takes back what was said; the row waits again. DomainError("wrong_state") for what is booked."""
    move(clarification, State.WITHDRAWN, by=by, reason="not agreed")


@transaction.atomic
def agree(clarification: Clarification, *, by: User) -> None:
    """Books what another person said. DomainError: "same_person" for one's own word, "wrong_state" for what is booked
    or withdrawn, "does_not_fit" when it does not fit any more."""
    payout = _locked(clarification.payout_id) if clarification.payout_id is not None else None
    said = Clarification.objects.select_for_update().get(pk=clarification.pk)
    if said.state != State.PROPOSED:
        raise DomainError("wrong_state", _("Somebody has answered this meanwhile. Reload the page."), status=409)
    if said.proposed_by_id == by.pk:
        raise DomainError("same_person", _("Somebody else confirms what you have said."), status=403)
    row = StatementRow.objects.select_for_update().get(pk=said.row_id) if said.row_id else None
    follow_up = None
    if payout is not None:
        _check(Kind(said.kind), payout, row)
        follow_up = _book(said, payout, row, by)
        alerts.close_alerts("report_contradicts", payout.out_no, by=by, reason=said.why)
    elif row is not None:
        _check_the_sponsor_s(row)
        statements.book_explained(row, ledger.account(Account.Kind.SPONSOR), by=by, reason=said.why)
    move(said, State.AGREED, by=by, reason=said.why, agreed_by=by, follow_up=follow_up)


def _locked(payout_id: int) -> Payout:
    """A payout; and its household's account, as runs do, so that none takes what is owed again while it is looked
    at."""
    payout = Payout.objects.select_for_update().get(pk=payout_id)
    Account.objects.select_for_update(no_key=True).get(owner=payout.household_id)
    return payout


def _book(said: Clarification, payout: Payout, row: StatementRow | None, by: User) -> Payout | None:
    """Books what a payout's row is, or that there is none; returns the follow-up by which it counts as paid, if any."""
    if row is None:
        sending.take_back(payout, reason=said.why, account_at_fault=False)
        return None
    statements.book_explained(row, ledger.account(Account.Kind.ESCROW, row.bank), by=by, reason=said.why)
    if said.kind == Kind.RETURN:
        _came_back(payout, row)
    elif payout.state in sending.OPEN:
        sending.record(payout.pk, _report(payout, row, "succeeded"))
    elif _is_owed_again(payout):
        return _follow_up(payout, row, by)
    return None


def _report(payout: Payout, row: StatementRow, word: str) -> TransferReport:
    return TransferReport(payout.out_no, word, row.bank_reference, row.booked_at)  # type: ignore[arg-type]


def _came_back(payout: Payout, row: StatementRow) -> None:
    sending.record(payout.pk, _report(payout, row, "returned"))
    sending.take_back(Payout.objects.get(pk=payout.pk), reason=row.remittance)


def _check(kind: Clarification.Kind, payout: Payout, row: StatementRow | None) -> None:
    if row is not None and ledger.known_references([statements.explained_reference(row)]):
        raise DomainError("does_not_fit", _("This row is explained already."), status=409)
    if trouble := _why_not(kind, payout, row):
        raise DomainError("does_not_fit", trouble, status=409)


def _why_not(kind: Clarification.Kind, payout: Payout, row: StatementRow | None) -> str:
    """Why a row cannot be this of a payout, in a sentence; empty when it can."""
    if row is not None and row.kind != StatementRow.Kind.SUSPENSE:
        return _("This row is explained already.")
    if row is not None and (row.bank, abs(row.fen)) != (payout.bank, payout.fen):
        return _("The payout is of another amount, or at another bank.")
    if kind == Kind.NEVER_LEFT:
        return _why_it_may_have_left(payout)
    if kind == Kind.RETURN:
        return "" if statements.could_come_back(payout) else _("Only a payout that arrived can come back.")
    if _is_owed_again(payout):
        return _why_no_follow_up(payout)
    due = statements.is_debit_due(payout)
    return "" if due else _("The statement has this payout's debit already, or it was never sent.")


def _why_it_may_have_left(payout: Payout) -> str:
    """Why nobody can say yet that a payout's money never left."""
    if payout.state != Payout.State.SUCCEEDED or not statements.without_debit().filter(pk=payout.pk).exists():
        return _("Only of a payout that arrived by the bank's word, and that its statement does not have.")
    read_at = _read_at(payout.bank)
    due = (payout.completed_at or timezone.now()) + statements.DEBIT_COMES_WITHIN
    if read_at is None or read_at < due:
        return _("Its debit may still come: wait until the statement has been read a day after the payout.")
    if in_suspense().filter(bank=payout.bank, fen=-payout.fen).exists():
        return _("The statement has a row of this amount that nobody has explained. Say first what that is.")
    return ""


def _read_at(bank: str) -> datetime | None:
    """When a bank's statement was last read. An empty folder of files is none: its day may still have to be fetched."""
    if bank in by_file():
        told = BankReport.objects.filter(bank=bank, kind__startswith="camt.")
        return told.aggregate(last=Max("read_at"))["last"]
    return StatementCursor.objects.filter(bank=bank).values_list("read_at", flat=True).first()


def _is_owed_again(payout: Payout) -> bool:
    """Whether a payout's money was owed again without that a row of the statement gave it back, and nobody has said yet
    that it had gone all the same."""
    agreed = set(payout.clarifications.filter(state=State.AGREED).values_list("kind", flat=True))
    if payout.state == Payout.State.RETURNED and Kind.NEVER_LEFT not in agreed:
        return False
    return payout.state in (Payout.State.FAILED, Payout.State.RETURNED) and Kind.DEBIT not in agreed


def _why_no_follow_up(payout: Payout) -> str:
    """Why the money that is owed again cannot count as paid."""
    line, taken_by = _owed_again(payout)
    if line is None:
        return _(
            "Its money was paid again by %(number)s. If that one was not sent, release it first. If it was, the"
            " household has it twice: book the row as the sponsor's, and ask the bank."
        ) % {"number": taken_by}
    if line.fen != -payout.fen:
        return _("Its money is owed together with other money by now. Book the row as the sponsor's, and ask the bank.")
    return ""


def _owed_again(payout: Payout) -> tuple[Line | None, str]:
    """The line by which a payout's money is owed now, through payouts that took it and were reversed; or None and the
    number of the payout that has it."""
    number = payout.out_no
    while True:
        lines = Line.objects.filter(account__owner=payout.household_id)
        line = lines.filter(entry__reference=reversed_reference(number)).select_related("account").first()
        if line is None:
            return None, number
        taken = Settlement.objects.filter(line=line).values_list("payout_reference", flat=True).first()
        if taken is None:
            return line, ""
        number = taken


def _follow_up(payout: Payout, row: StatementRow, by: User) -> Payout:
    """What is owed again counts as paid by what had left under the former number: a payout of its own, which nobody
    sends."""
    line, _taken_by = _owed_again(payout)
    assert line is not None
    at = timezone.now()
    run = Run.objects.create(
        kind=Run.Kind.BY_HAND, bank=payout.bank, at=at, minimum_fen=payout.fen, payouts=1, fen=payout.fen, started_by=by
    )
    follow_up = Payout.objects.create(
        run=run,
        household_id=payout.household_id,
        account_id=payout.account_id,
        bank=payout.bank,
        out_no=uuid4().hex,
        fen=payout.fen,
        created_at=at,
    )
    transit = ledger.account(Account.Kind.TRANSIT)
    taken = {line.account: payout.fen, transit: -payout.fen}
    entry = ledger.post(sent_reference(follow_up.out_no), "payout", taken)
    own = Line.objects.get(entry=entry, account=line.account)
    ledger.settle([line.pk, own.pk], follow_up.out_no)
    move(follow_up, Payout.State.APPROVED, by=by, reason=f"went as {payout.out_no}")
    move(follow_up, Payout.State.SENDING, reason=f"went as {payout.out_no}")
    Attempt.objects.create(payout=follow_up, request_sha256=payout.attempts.latest("pk").request_sha256)
    sending.record(follow_up.pk, _report(follow_up, row, "succeeded"))
    return follow_up
