"""Sending payouts to the bank, and learning what became of them.

The attempt is committed before the call. Silence is `unknown`: asked by the same number, never sent again. Only what
provably never reached the bank is sent once more, under the same number and with the same content.
"""

import hashlib
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink.accounts.models import User
from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account
from carbonsink.states import move, move_many
from payouts import alerts, checking, messages_to_households
from payouts.accounts import bounce_account
from payouts.banks import bank, by_file
from payouts.banks.base import BankError, Instruction, Transfer, TransferReport
from payouts.models import Attempt, BankAccount, Payout
from purchases.proceeds import arrived_reference, reversed_reference

log = structlog.get_logger(__name__)

ASK_AT_ONCE = 500
OPEN = [Payout.State.SENDING, Payout.State.ACCEPTED, Payout.State.UNKNOWN]
# After this a caller that left an attempt in `sending` is dead: its time-out is over long since.
CALLER_LIVES = timedelta(seconds=4 * settings.OUTSIDE_TIMEOUT_SECONDS)


def transfer_of(payout: Payout) -> Transfer:
    """The transfer a payout asks for; made anew from the pinned account each time, and always the same."""
    account = payout.account
    return Transfer(
        out_no=payout.out_no,
        fen=payout.fen,
        holder=account.holder,
        account_number=account.number,
        bank_code=account.bank_code,
        purpose="单株碳汇收益",
        bank_name=account.bank_name,
    )


def instruction_of(payout: Payout) -> Instruction:
    """The instruction for a bank that is called for each payout by itself."""
    return Instruction(payout.out_no, payout.created_at, (transfer_of(payout),))


def send_payout(payout_id: int) -> None:
    """Sends an approved payout, or one whose last attempt never reached the bank. Called twice, it sends once."""
    # From here on this machine may sleep anywhere, while the payout is given up, sent again, and paid in another way.
    at = _clock()
    attempt = _begin(payout_id)
    if attempt is None:
        return
    payout = attempt.payout
    try:
        if _clock() > at + CALLER_LIVES:
            raise BankError("unsent", "CALLER_SLEPT")
        reports = bank(payout.bank).submit(replace(instruction_of(payout), at=at))
    except BankError as error:
        log.warning("payout_call", out_no=payout.out_no, outcome=error.outcome, code=error.code)
        _record_error(attempt, error)
        return
    for report in reports:
        record(payout.pk, report)


def _clock() -> datetime:
    """This machine's own clock, which banks compare with theirs."""
    return datetime.fromtimestamp(time.time(), UTC)


def _begin(payout_id: int) -> Attempt | None:
    """Commits the intent: a live attempt with the hash of what will be sent. None when there is nothing to send."""
    with transaction.atomic(durable=True):
        payout = Payout.objects.select_for_update().get(pk=payout_id)
        if payout.bank in by_file():
            return None
        first = payout.state == Payout.State.APPROVED
        if not first and (payout.state not in (Payout.State.SENDING, Payout.State.UNKNOWN) or is_live(payout)):
            return None
        locked = BankAccount.objects.select_related("household").select_for_update(no_key=True, of=("self",))
        payout.account = account = locked.get(pk=payout.account_id)
        if trouble := checking.troubles([payout]).get(payout.pk):
            kind, text = trouble
            alerts.raise_alert(kind, payout.out_no, text)
            return None
        if account.state != BankAccount.State.APPROVED:
            _end(
                payout,
                Payout.State.CANCELLED if first else Payout.State.FAILED,
                reason="the account has changed",
            )
            return None
        if account.usable_from > timezone.now():  # type: ignore[operator]
            # It could be used when the payout was written: our clock has gone back since. Wait for it.
            log.error("account_not_usable_yet", out_no=payout.out_no, account=account.pk)
            return None
        content = hashlib.sha256(bank(payout.bank).frozen(instruction_of(payout))).hexdigest()
        if first:
            move(payout, Payout.State.SENDING)
        elif payout.attempts.exclude(request_sha256=content).exists():
            alerts.raise_alert("content_changed", payout.out_no, _("It would go with another content; not sent."))
            return None
        return Attempt.objects.create(payout=payout, request_sha256=content)


def is_live(payout: Payout) -> bool:
    """Whether an attempt of the payout may be on its way."""
    return payout.attempts.exclude(state__in=[Attempt.State.UNSENT, Attempt.State.FAILED]).exists()


def _record_error(attempt: Attempt, error: BankError) -> None:
    """Refused: failed for good. Never reached the bank: the sweeper sends it again. Else unknown."""
    if error.outcome == "refused":
        report = TransferReport(
            attempt.payout.out_no, "failed", reason=error.code, account_at_fault=error.account_at_fault
        )
        record(attempt.payout_id, report, refused=attempt)
    elif error.outcome == "unsent":
        move_many(Attempt.objects.filter(pk=attempt.pk), Attempt.State.UNSENT, reason=error.code)
    else:
        mark_unknown(attempt.payout_id, reason=error.code)


@transaction.atomic
def mark_unknown(payout_id: int, *, reason: str) -> None:
    """Notes that nobody knows what the bank did with a payout; nothing is sent before the bank has said."""
    payout = Payout.objects.select_for_update().get(pk=payout_id)
    attempt = payout.attempts.latest("pk")
    if attempt.state in (Attempt.State.SENDING, Attempt.State.ACCEPTED):
        move(attempt, Attempt.State.UNKNOWN, reason=reason)
    if payout.state in (Payout.State.SENDING, Payout.State.ACCEPTED):
        move(payout, Payout.State.UNKNOWN, reason=reason)


@transaction.atomic
def record(payout_id: int, report: TransferReport, *, refused: Attempt | None = None) -> bool:
    """Writes what the bank says of a payout: states and ledger in one transaction. Old news changes nothing; returns
    whether it was news.

    `refused`: it is about this attempt alone. When it was given up and sent again, nothing follows for the second one.
    """
    # With what the household is told: two queries less for each of a night's thousands.
    known = Payout.objects.select_related("account", "household").defer("account__bank_name", "account__bank_code")
    payout = known.select_for_update(of=("self",)).get(pk=payout_id)
    state = Payout.State.SUCCEEDED if report.state == "returned" else Payout.State(report.state)
    if payout.state not in OPEN or payout.state == state:
        return False
    if trouble := other_amount(payout, report):
        alerts.raise_alert("report_contradicts", payout.out_no, trouble)
        return False
    attempt = payout.attempts.latest("pk")
    if refused is not None and attempt.pk != refused.pk:
        return False
    report = replace(report, reason=without_number(payout, report.reason))
    move(attempt, state, reason=report.reason)
    if state == Payout.State.ACCEPTED:
        move(payout, state, bank_reference=report.bank_reference)
        return True
    done = report.completed_at or timezone.now()
    move(payout, state, reason=report.reason, bank_reference=report.bank_reference, completed_at=done)
    if state == Payout.State.SUCCEEDED:
        ledger.post(
            arrived_reference(payout.out_no),
            "arrived",
            {
                ledger.account(Account.Kind.TRANSIT): payout.fen,
                ledger.account(Account.Kind.ESCROW, payout.bank): -payout.fen,
            },
        )
        if report.state == "succeeded":
            messages_to_households.tell_arrived(payout)
    else:
        _owe_again(payout, ledger.account(Account.Kind.TRANSIT))
        if report.account_at_fault:
            bounce_account(payout.account, reason=report.reason)
    return True


def other_amount(payout: Payout, report: TransferReport) -> str:
    """What to tell people of a report that speaks of another amount than ours; empty for one that does not."""
    if report.fen in (None, payout.fen):
        return ""
    text = _("The bank speaks of %(theirs)s fen, the payout is %(ours)s fen. Ask the bank what it has paid.")
    return text % {"theirs": report.fen, "ours": payout.fen}


@transaction.atomic
def cancel(payout: Payout, *, by: User | None = None, reason: str) -> None:
    """Ends a payout that was not sent; its money is owed anew. DomainError when it is on its way already."""
    _end(payout, Payout.State.CANCELLED, by=by, reason=reason)


def _end(payout: Payout, state: Payout.State, *, by: User | None = None, reason: str) -> None:
    move(payout, state, by=by, reason=reason)
    _owe_again(payout, ledger.account(Account.Kind.TRANSIT))


def take_back(payout: Payout, *, reason: str, account_at_fault: bool = True) -> None:
    """Ends a payout whose money the bank gave back to the supervised account 退票, or that never left it; it is owed
    anew and, where the account is to blame, waits for another one."""
    reason = without_number(payout, reason)
    move(payout, Payout.State.RETURNED, reason=reason)
    _owe_again(payout, ledger.account(Account.Kind.ESCROW, payout.bank))
    if not (account_at_fault and bounce_account(payout.account, reason=reason)):  # Which tells the household.
        messages_to_households.tell_returned(payout)


def without_number(payout: Payout, text: str) -> str:
    """What a bank says of a payout, with its account's number masked: reasons are kept in clear, for good."""
    return text.replace(payout.account.number, payout.account.masked_number) if text else text


def _owe_again(payout: Payout, back_in: Account) -> None:
    owed = Account.objects.get(owner=payout.household_id)
    ledger.post(reversed_reference(payout.out_no), "reversed", {back_in: payout.fen, owed: -payout.fen})


def ask_bank(payout: Payout) -> None:
    """Asks the bank what became of an open payout. Raises BankError when it does not answer.

    One that takes files says it by itself, and is never given the same again.
    """
    if payout.bank in by_file():
        return
    attempt = payout.attempts.latest("pk")
    if attempt.state == Attempt.State.UNSENT:
        send_payout(payout.pk)
        return
    channel = bank(payout.bank)
    report = channel.query(payout.out_no)
    if report is not None:
        record(payout.pk, report)
        return
    mark_unknown(payout.pk, reason="the bank does not know it")
    if payout.history().filter(to_state=Payout.State.ACCEPTED).exists():
        text = _("The bank had accepted it as %(reference)s.") % {"reference": payout.bank_reference or "?"}
        alerts.raise_alert("bank_forgot", payout.out_no, text)
        return
    lives = channel.request_lives
    if lives is not None and attempt.created_at + lives + CALLER_LIVES < timezone.now():
        # The bank has not taken the request and will not take it any more.
        attempt.refresh_from_db()
        move(attempt, Attempt.State.UNSENT, reason="never reached the bank")
        send_payout(payout.pk)


def to_send() -> list[int]:
    """Approved payouts of the banks that are called for each by itself, oldest first."""
    approved = Payout.objects.filter(state=Payout.State.APPROVED).exclude(bank__in=by_file())
    return list(approved.order_by("created_at", "pk").values_list("pk", flat=True))


def to_ask() -> list[Payout]:
    """Payouts whose turn it is to be asked about, or to be sent again because they never reached the bank.

    Some of them, drawn by lot: those that the bank never settles must not stand before all others for ever.
    """
    now = timezone.now()
    rows = Payout.objects.filter(state__in=OPEN).exclude(bank__in=by_file()).order_by("?")
    return [row for row in rows.prefetch_related("attempts")[:ASK_AT_ONCE] if _is_due(row, now)]


def _is_due(payout: Payout, now: datetime) -> bool:
    """A sender is left alone until it must be dead; a bank out of reach is left in peace the longer, the more often it
    was tried."""
    attempts = sorted(payout.attempts.all(), key=lambda attempt: attempt.pk)
    newest = attempts[-1]
    if newest.state == Attempt.State.UNSENT:
        return newest.created_at + CALLER_LIVES * len(attempts) < now
    return payout.state != Payout.State.SENDING or newest.created_at + CALLER_LIVES < now
