"""Reading the supervised account's statement: each row is booked once, when it is first seen."""

import base64
import hashlib
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account, Entry
from carbonsink.locks import only_one
from carbonsink.money import yuan
from carbonsink.states import note
from payouts import alerts, reports, sending, whole_files
from payouts.banks import bank
from payouts.banks.base import Movement, Page, ReportFile, TransferReport
from payouts.models import BankReport, Clarification, Payout, StatementBalance, StatementCursor, StatementRow
from purchases.models import ByHand, Transfer
from purchases.proceeds import reversed_reference

# The debit of one that came back may be read after its return.
_ARRIVED = [Payout.State.SUCCEEDED, Payout.State.RETURNED]
# What a row of a payout may be; one of a whole file may name the failed payout whose money it gives back.
_OF_PAYOUTS = (StatementRow.Kind.PAYOUT, StatementRow.Kind.RETURN, StatementRow.Kind.FILE)
# So long a debit may be missing on the statement after the bank has said that the money arrived.
DEBIT_COMES_WITHIN = timedelta(days=1)
# Two people have said which row a payout's debit is, or that there is none; or that it arrived with its whole file.
_AGREED = Clarification.objects.filter(state=Clarification.State.AGREED)
_ACCOUNTED_FOR = _AGREED.filter(kind__in=[Clarification.Kind.DEBIT, Clarification.Kind.NEVER_LEFT])
_WITH_ITS_FILE = _AGREED.filter(kind=Clarification.Kind.ARRIVED)


def import_statement(code: str | None = None) -> int:
    """Fetches and books the rows that are new on the bank's statement; returns how many. May be run again.

    Two at once: the second does nothing. Raises BankError when the bank does not answer; what was read before stays
    booked.
    """
    code = code or settings.PAYOUT_BANK
    with only_one(f"payouts.statement.{code}") as mine:
        return _import(code) if mine else 0


def _import(code: str) -> int:
    channel, booked = bank(code), 0
    cursor = StatementCursor.objects.get_or_create(bank=code)[0]
    while True:
        page = channel.statement(cursor.after)
        booked += take_in(code, page).booked
        if page.after == cursor.after:
            StatementCursor.objects.filter(bank=code).update(read_at=timezone.now())
            return booked
        cursor.after = page.after
        cursor.save(update_fields=["after"])


@dataclass
class Outcome:
    """What came of what a bank said: transfers by what became of them (see `reports.take_report`), and new rows of the
    statement. `known`: it was a file that had been read before."""

    accepted: int = 0
    arrived: int = 0
    failed: int = 0
    unchanged: int = 0
    doubtful: int = 0
    unknown: int = 0
    booked: int = 0
    known: bool = False

    def count(self, word: str) -> None:
        """One more of these."""
        setattr(self, word, getattr(self, word) + 1)


def take_in(code: str, page: Page, *, by: User | None = None) -> Outcome:
    """Books the rows of a page and records its reports; of a file, that it has been read. The same file does nothing
    a second time. May be run again after a crash: each row is booked once."""
    outcome, file = Outcome(), page.file
    if file is not None and file.trouble:
        text = _("%(name)s cannot be read: %(why)s") % {"name": file.name, "why": file.trouble}
        alerts.raise_alert("bank_file_unreadable", f"{code} {file.name}", text)
        return outcome
    sha256 = hashlib.sha256(file.content).hexdigest() if file is not None else ""
    if file is not None and BankReport.objects.filter(bank=code, sha256=sha256).exists():
        return Outcome(known=True)
    for row in page.movements:
        outcome.booked += book(code, row)
    strangers = _take_reports(code, page, outcome)
    if file is not None:
        _take_file(code, file, strangers, outcome)
        _keep(code, page, file, sha256, by)
    else:
        for out_no in strangers:
            alerts.raise_alert("bank_stranger", f"{code}:{out_no}", _("The bank tells of a transfer that is not ours."))
    return outcome


def _take_reports(code: str, page: Page, outcome: Outcome) -> list[str]:
    """Records the reports, and returns the numbers that are not ours."""
    strangers = []
    for report in page.reports:
        word = reports.take_report(code, report)
        outcome.count(word)
        if word == "unknown":
            strangers.append(report.out_no)
    return strangers


def _take_file(code: str, file: ReportFile, strangers: list[str], outcome: Outcome) -> None:
    """What a file says beside its reports: of our files as a whole, and of what is not ours."""
    for batch in file.batches:
        word = reports.take_batch(code, batch)
        if word == "unknown":
            strangers = [*strangers, batch.number]
        outcome.doubtful += word == "doubtful"
    strangers = [*strangers, *file.nameless]
    outcome.unknown = len(strangers)
    if strangers:
        text = _("%(name)s speaks of %(count)s transfers that are not ours: %(first)s") % {
            "name": file.name,
            "count": len(strangers),
            "first": ", ".join(one[:40] for one in strangers[:3]),
        }
        alerts.raise_alert("bank_stranger", f"{code} {file.name}", text)
    outcome.doubtful += len(file.doubled)
    for out_no in file.doubled:
        text = _("The bank says that it had this transfer before. Ask the bank how often it has paid.")
        alerts.raise_alert("report_contradicts", out_no, text, stops=True)


@transaction.atomic
def _keep(code: str, page: Page, file: ReportFile, sha256: str, by: User | None) -> None:
    """Notes that a file has been read, once all of it is booked, and what was on the account by its word."""
    report = BankReport.objects.create(
        bank=code,
        name=file.name[:120],
        kind=file.kind,
        sha256=sha256,
        content=base64.b64encode(file.content).decode(),
        reports=len(page.reports),
        movements=len(page.movements),
        read_by=by,
    )
    StatementBalance.objects.bulk_create(
        StatementBalance(
            report=report,
            bank=code,
            first_day=one.first_day,
            day=one.day,
            opening_fen=one.opening_fen,
            closing_fen=one.closing_fen,
        )
        for one in page.balances
    )


def book(code: str, row: Movement) -> bool:
    """Books a row of the statement, and returns whether it was new. One that is known with another amount is not
    booked; a person is told, and nothing is paid out until then."""
    known = StatementRow.objects.filter(bank=code, serial=row.serial).values_list("fen", flat=True).first()
    if known is not None:
        if known != row.fen:
            text = _("Serial number %(serial)s: %(then)s yuan before, %(now)s yuan now.")
            values = {"serial": row.serial, "then": yuan(known), "now": yuan(row.fen)}
            alerts.raise_alert("statement_changed", f"{code}:{row.serial}", text % values, stops=True)
        return False
    _book(code, row)
    return True


@transaction.atomic
def _book(code: str, row: Movement) -> None:
    payout = Payout.objects.select_for_update().filter(bank=code, out_no=row.out_no).first() if row.out_no else None
    kind = _kind(code, row, payout)
    file = whole_files.of(code, row, payout) if kind == StatementRow.Kind.SUSPENSE else None
    kind = kind if file is None else StatementRow.Kind.FILE
    entry: Entry | None = None
    if kind == StatementRow.Kind.PAYOUT:
        # The row proves the success, whether the bank has been asked yet or not: a return may be the next row.
        assert payout is not None
        sending.record(payout.pk, TransferReport(row.out_no, "succeeded", row.bank_reference, row.booked_at))
    elif kind in (StatementRow.Kind.INFORMATION, StatementRow.Kind.FILE):
        pass
    elif kind == StatementRow.Kind.RETURN:
        assert payout is not None
        # Where the file with the debit is still to come, the return proves that the money had left.
        sending.record(payout.pk, TransferReport(row.out_no, "returned", row.bank_reference, row.booked_at))
        sending.take_back(payout, reason=row.remittance)
        entry = Entry.objects.get(reference=reversed_reference(payout.out_no))
    else:
        entry = ledger.post(
            f"statement:{code}:{row.serial}",
            kind,
            {ledger.account(Account.Kind.ESCROW, code): row.fen, _against(kind, row): -row.fen},
        )
        if kind == StatementRow.Kind.SUSPENSE:
            text = _("%(yuan)s yuan on %(day)s, serial number %(serial)s.")
            values = {"yuan": yuan(row.fen), "day": timezone.localdate(row.booked_at), "serial": row.serial}
            alerts.raise_alert("statement_unexplained", f"{code}:{row.serial}", text % values, stops=True)
    StatementRow.objects.create(
        bank=code,
        serial=row.serial,
        booked_at=row.booked_at,
        fen=row.fen,
        counterparty=row.counterparty,
        remittance=(sending.without_number(payout, row.remittance) if payout else row.remittance)[:200],
        bank_reference=row.bank_reference[:140],
        named=row.out_no[:64],
        kind=kind,
        payout=payout if kind in _OF_PAYOUTS else None,
        batch=file,
        entry=entry,
    )


def explained_reference(row: StatementRow) -> str:
    """The reference of the one entry by which a row leaves suspense."""
    return f"explained:{row.bank}:{row.serial}"


def book_explained(row: StatementRow, whose: Account, *, by: User, reason: str) -> Entry:
    """Takes a row out of suspense, to an account. DomainError("not_in_suspense") when that was done already."""
    try:
        amounts = {ledger.account(Account.Kind.SUSPENSE): row.fen, whose: -row.fen}
        entry = ledger.post(explained_reference(row), "explained", amounts)
    except ledger.AlreadyPosted as error:
        raise DomainError("not_in_suspense", _("This row is explained already."), status=409) from error
    note(row, "suspense", "explained", by=by, reason=reason)
    alerts.close_alerts("statement_unexplained", f"{row.bank}:{row.serial}", by=by, reason=reason)
    return entry


def _kind(code: str, row: Movement, payout: Payout | None) -> StatementRow.Kind:
    """What a row is. Only what fits exactly is more than suspense."""
    if row.fen == 0:
        return StatementRow.Kind.INFORMATION
    if row.is_fee and abs(row.fen) <= settings.BANK_FEE_LIMIT_FEN:
        return StatementRow.Kind.FEE
    if payout and row.fen == -payout.fen and is_debit_due(payout):
        return StatementRow.Kind.PAYOUT
    if payout and row.fen == payout.fen and could_come_back(payout):
        return StatementRow.Kind.RETURN
    if row.fen > 0 and not row.out_no and row.counterparty in settings.SPONSOR_NAMES:
        return StatementRow.Kind.SPONSOR
    if row.fen > 0 and not row.out_no and row.counterparty in settings.GATEWAY_SETTLEMENT_NAMES:
        return StatementRow.Kind.SETTLEMENT
    if not row.out_no and is_known_transfer(code, row.bank_reference, row.fen):
        return StatementRow.Kind.SETTLEMENT
    return StatementRow.Kind.SUSPENSE


def is_debit_due(payout: Payout) -> bool:
    """Whether a payout's debit may come: it was sent, and neither a row nor people have accounted for its money."""
    if payout.state not in (*sending.OPEN, *_ARRIVED) or whole_files.is_debited(payout) or reports.is_here(payout):
        return False
    seen = payout.statement_rows.filter(kind=StatementRow.Kind.PAYOUT)
    said = _ACCOUNTED_FOR | _WITH_ITS_FILE
    return not seen.exists() and not said.filter(Q(payout=payout) | Q(follow_up=payout)).exists()


def without_debit() -> QuerySet[Payout]:
    """Payouts that arrived by the bank's word, and that neither a row of its statement, of them or of the whole file
    they went in, nor people account for."""
    return without_row().filter(~whole_files.debited(), ~Exists(_WITH_ITS_FILE.filter(follow_up=OuterRef("pk"))))


def without_row() -> QuerySet[Payout]:
    """The same, and those whose file was debited as a whole."""
    debits = StatementRow.objects.filter(kind=StatementRow.Kind.PAYOUT, payout=OuterRef("pk"))
    said = _ACCOUNTED_FOR.filter(payout=OuterRef("pk"))
    went_before = _ACCOUNTED_FOR.filter(follow_up=OuterRef("pk"))
    unaccounted = Payout.objects.filter(~Exists(debits), ~Exists(said), ~Exists(went_before), state__in=_ARRIVED)
    return unaccounted.order_by()


def could_come_back(payout: Payout) -> bool:
    """Whether a credit of a payout's amount is its return: of one that arrived, or that went in a file. The files of a
    bank come in any order; a bank that is asked tells of what left first."""
    on_its_way = payout.state in sending.OPEN and payout.attempts.filter(batch__isnull=False).exists()
    return payout.state == Payout.State.SUCCEEDED or (on_its_way and not reports.is_here(payout))


def is_known_transfer(code: str, serial: str, fen: int) -> bool:
    """Whether finance has taken in this very row as a customer's transfer, or noted it as money sent back to one: where
    the account for transfers is the supervised one, both see the same money."""
    if fen > 0:
        return bool(serial) and Transfer.objects.filter(bank=code, serial=serial, fen=fen).exists()
    if not serial or code != settings.TRANSFER_BANK_CODE:
        return False
    back = Q(transfer__fen=-fen) | Q(refund__fen=-fen, refund__payment__gateway="transfer")
    return ByHand.objects.filter(back, bank_serial=serial).exclude(state=ByHand.State.WITHDRAWN).exists()


def _against(kind: StatementRow.Kind, row: Movement) -> Account:
    if kind == StatementRow.Kind.FEE:
        return ledger.account(Account.Kind.FEES)
    if kind == StatementRow.Kind.SPONSOR:
        return ledger.account(Account.Kind.SPONSOR)
    if kind == StatementRow.Kind.SETTLEMENT:
        code = settings.GATEWAY_SETTLEMENT_NAMES.get(row.counterparty, "transfer")
        return ledger.account(Account.Kind.GATEWAY, code)
    return ledger.account(Account.Kind.SUSPENSE)
