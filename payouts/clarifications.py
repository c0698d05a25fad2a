"""Rows of the statement that name no payout or contradict what the bank had said: two people say what they are.

Banks cut or lose our number, above all on returns 退票; some say "failed" and debit, or "arrived" and never do. What is
agreed here is booked as the bank's own word would have been, so that a household's money neither becomes the sponsor's
by mistake nor is lost. A row leaves suspense by one entry, `explained:…`, whatever it is and whoever explains it.
"""

from uuid import uuid4

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account, Line
from carbonsink.states import move
from payouts import alerts, fitting, sending, statements, whole_files
from payouts.banks.base import TransferReport
from payouts.models import Attempt, Batch, Clarification, Payout, Run, StatementRow
from purchases.proceeds import sent_reference

Kind = Clarification.Kind
State = Clarification.State


def to_agree() -> QuerySet[Clarification]:
    """What one person has said and nobody else has confirmed, oldest first."""
    said = Clarification.objects.filter(state=State.PROPOSED).order_by("pk").defer("batch__content")
    return said.select_related("payout__household__village", "payout__account", "row", "batch", "proposed_by")


@transaction.atomic
def explain(row: StatementRow, *, by: User, reason: str) -> Clarification | None:
    """Books a row in suspense as the sponsor's, or as the customer's transfer that finance has taken in meanwhile, so
    that payouts go on; who explained it, and why, is in the history. Where it fits a payout or a file whose it could
    be, or names one, nothing is booked before somebody else agrees: what was said is returned then.

    DomainError: "not_in_suspense" when it is not there (any more); "wrong_state" when somebody has said what it is;
    "names_payout" when its own text says whose it is; "no_reason".
    """
    row = StatementRow.objects.select_for_update().get(pk=row.pk)
    if row.kind != StatementRow.Kind.SUSPENSE or not fitting.in_suspense().filter(pk=row.pk).exists():
        raise DomainError("not_in_suspense", _("This row is explained already."), status=409)
    if row.clarifications.filter(state=State.PROPOSED).exists():
        text = _("Somebody has said what this row is. Confirm that, or say that it is not so.")
        raise DomainError("wrong_state", text, status=409)
    _check_the_sponsor_s(row)
    if statements.is_known_transfer(row.bank, row.bank_reference, row.fen):
        statements.book_explained(row, ledger.account(Account.Kind.GATEWAY, "transfer"), by=by, reason=reason)
    elif fitting.suggestions(row) or whole_files.suggestions(row) or whole_files.named_by(row):
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
    for payout in fitting.numbered(row, Payout.objects.filter(bank=row.bank, fen=abs(row.fen))):
        if trouble := fitting.why_not_the_sponsor_s(row, payout):
            raise DomainError("names_payout", trouble, status=409)
    for batch in whole_files.named_by(row):
        if trouble := whole_files.why_not_the_sponsor_s(batch, row.fen):
            raise DomainError("names_payout", trouble, status=409)


@transaction.atomic
def propose(payout: Payout, row: StatementRow | None, *, why: str, by: User) -> Clarification:
    """Says that a row in suspense is this payout's debit or return, or gives its money back; without a row, that its
    money never left, or that it arrived with its whole file though the bank had said that it failed.

    Somebody else must agree. DomainError: "no_reason"; "does_not_fit" with a sentence; "wrong_state" when somebody has
    said something of the row or the payout already.
    """
    why = _reason(why)
    payout = Payout.objects.select_for_update().get(pk=payout.pk)
    if row is not None:
        row = StatementRow.objects.select_for_update().get(pk=row.pk)
    kind = fitting.kind_of(row, payout)
    failed_in = whole_files.file_of_failed(payout) if kind == Kind.FILE else None
    batch = whole_files.locked(failed_in.pk if failed_in else None)
    _check(kind, payout, row)
    return _say(kind, payout=payout, row=row, batch=batch, why=why, by=by)


@transaction.atomic
def propose_file(batch: Batch, row: StatementRow, *, why: str, by: User) -> Clarification:
    """Says that a row in suspense is the debit of a whole file, or gives back what of it could not be paid. Somebody
    else must agree. DomainError as with `propose`."""
    why = _reason(why)
    row = StatementRow.objects.select_for_update().get(pk=row.pk)
    batch = whole_files.locked(batch.pk) or batch
    _check_file(batch, row)
    return _say(Kind.FILE, payout=None, row=row, batch=batch, why=why, by=by)


def _say(
    kind: Clarification.Kind,
    *,
    payout: Payout | None,
    row: StatementRow | None,
    batch: Batch | None,
    why: str,
    by: User,
) -> Clarification:
    same = Q(row=row) if row is not None else Q()
    if payout is not None:
        same |= Q(payout=payout, kind=kind)
    if Clarification.objects.filter(same).exclude(state=State.WITHDRAWN).exists():
        raise DomainError("wrong_state", _("Somebody has said what this is already. Reload the page."), status=409)
    return Clarification.objects.create(kind=kind, payout=payout, row=row, batch=batch, why=why, proposed_by=by)


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
    batch = whole_files.locked(said.batch_id)
    follow_up = None
    if payout is not None:
        _check(Kind(said.kind), payout, row)
        follow_up = _book(said, payout, row, by)
        alerts.close_alerts("report_contradicts", payout.out_no, by=by, reason=said.why)
    elif batch is not None and row is not None:
        _check_file(batch, row)
        statements.book_explained(row, ledger.account(Account.Kind.ESCROW, row.bank), by=by, reason=said.why)
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
    if row is None and said.kind == Kind.ARRIVED:
        return _follow_up(payout, TransferReport(payout.out_no, "succeeded", payout.bank_reference), by)
    if row is None:
        sending.take_back(payout, reason=said.why, account_at_fault=False)
        return None
    statements.book_explained(row, ledger.account(Account.Kind.ESCROW, row.bank), by=by, reason=said.why)
    if said.kind == Kind.RETURN:
        _came_back(payout, row)
    elif said.kind == Kind.DEBIT and payout.state in sending.OPEN:
        sending.record(payout.pk, _report(payout, row, "succeeded"))
    elif said.kind == Kind.DEBIT and fitting.is_owed_again(payout):
        return _follow_up(payout, _report(payout, row, "succeeded"), by)
    return None


def _report(payout: Payout, row: StatementRow, word: str) -> TransferReport:
    return TransferReport(payout.out_no, word, row.bank_reference, row.booked_at)  # type: ignore[arg-type]


def _came_back(payout: Payout, row: StatementRow) -> None:
    sending.record(payout.pk, _report(payout, row, "returned"))
    sending.take_back(Payout.objects.get(pk=payout.pk), reason=row.remittance)


def _check(kind: Clarification.Kind, payout: Payout, row: StatementRow | None) -> None:
    if trouble := (fitting.why_no_row(row) if row is not None else "") or fitting.why_not(kind, payout, row):
        raise DomainError("does_not_fit", trouble, status=409)


def _check_file(batch: Batch, row: StatementRow) -> None:
    trouble = fitting.why_no_row(row) or whole_files.why_not(batch, row.fen)
    if not trouble and row.bank != batch.bank:
        trouble = _("The file went to another bank.")
    if trouble:
        raise DomainError("does_not_fit", trouble, status=409)


def _follow_up(payout: Payout, report: TransferReport, by: User) -> Payout:
    """What is owed again counts as paid by what had left under the former number: a payout of its own, which nobody
    sends."""
    line, _taken_by = fitting.owed_again(payout)
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
    sending.record(follow_up.pk, report)
    return follow_up
