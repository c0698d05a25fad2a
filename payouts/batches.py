"""Sending by files: approved payouts become a file, committed whole with its attempts, and then handed over, once.

A file never changes and is never written anew. One that cannot be handed over waits for the next look, as it is; one
that the bank's front-end machine may have is never laid there again.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.locks import only_one
from carbonsink.states import move, move_many
from payouts import alerts, checking, sending, statements
from payouts.banks import by_file, file_bank, folder
from payouts.banks.base import BankError, FileBank, Instruction, Transfer
from payouts.models import Alert, Attempt, BankAccount, Batch, Download, Payout

log = structlog.get_logger(__name__)


def send_approved(code: str) -> int:
    """Writes what is approved into files of `at_once` transfers, and hands over all that wait. Returns how many payouts
    were written. Two at once: the second does nothing."""
    with only_one(f"payouts.batches.{code}") as mine:
        if not mine:
            return 0
        channel = file_bank(code)
        approved = Payout.objects.filter(bank=code, state=Payout.State.APPROVED).order_by("created_at", "pk")
        ids, written = list(approved.values_list("pk", flat=True)), 0
        try:
            for start in range(0, len(ids), channel.at_once):
                written += _write(channel, ids[start : start + channel.at_once])
        except BankError as error:
            alerts.raise_alert("batch_refused", code, _("No file can be written: %(why)s") % {"why": error})
        _hand_over_all(channel)
        return written


@transaction.atomic(durable=True)
def _write(channel: FileBank, ids: list[int]) -> int:
    """One file of those of the payouts that may go, and their attempts; returns how many there are."""
    found = Payout.objects.select_for_update().filter(pk__in=ids, state=Payout.State.APPROVED).order_by("pk")
    transfers = _transfers(channel, list(found))
    if not transfers:
        return 0
    now = timezone.now()
    number = f"{timezone.localtime(now):%Y%m%d%H%M%S}{secrets.token_hex(6)}"
    content = channel.frozen(Instruction(number, now, tuple(transfers.values())))
    batch = Batch.objects.create(
        bank=channel.code,
        number=number,
        name=channel.file_name(number),
        content=base64.b64encode(content).decode(),
        sha256=hashlib.sha256(content).hexdigest(),
        payouts=len(transfers),
        fen=sum(transfer.fen for transfer in transfers.values()),
        created_at=now,
    )
    moved = move_many(Payout.objects.filter(pk__in=list(transfers)), Payout.State.SENDING, reason=f"file {number}")
    assert len(moved) == len(transfers)
    attempts = [Attempt(payout_id=pk, request_sha256=_sha256(one), batch=batch) for pk, one in transfers.items()]
    Attempt.objects.bulk_create(attempts, batch_size=2_000)
    log.info("batch_written", bank=channel.code, number=number, payouts=len(transfers), fen=batch.fen)
    return len(transfers)


def _sha256(transfer: Transfer) -> str:
    return hashlib.sha256(json.dumps(asdict(transfer), sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _transfers(channel: FileBank, payouts: Sequence[Payout]) -> dict[int, Transfer]:
    """The transfers of the payouts that are as the books have them and whose account is still the approved, sealed and
    usable one of the head of household, by payout. One whose account has changed is cancelled; one that was changed by
    hand, or does not fit into a file, waits with an alert."""
    locked = BankAccount.objects.select_for_update(no_key=True, of=("self",)).order_by("pk")
    accounts = locked.select_related("household").filter(pk__in=[payout.account_id for payout in payouts])
    # Of the household's own ciphertext only the name is needed.
    needed = [
        "holder",
        "number",
        "bank_name",
        "bank_code",
        "phone",
        "version",
        "seal",
        "state",
        "usable_from",
        "household__public_id",
        "household__head_name",
    ]
    known = {account.pk: account for account in accounts.only(*needed)}
    transfers, now = {}, timezone.now()
    for payout in payouts:
        payout.account = known[payout.account_id]
    troubles = checking.troubles(payouts)
    for payout in payouts:
        account = payout.account
        if payout.pk in troubles:
            kind, text = troubles[payout.pk]
            alerts.raise_alert(kind, payout.out_no, text)
        elif account.state != BankAccount.State.APPROVED or not account.usable_from <= now:  # type: ignore[operator]
            sending.cancel(payout, reason="the account has changed")
        else:
            transfer = sending.transfer_of(payout)
            if trouble := channel.unfit(transfer):
                alerts.raise_alert("payout_does_not_fit", payout.out_no, trouble)
            else:
                transfers[payout.pk] = transfer
    return transfers


def _hand_over_all(channel: FileBank) -> None:
    if not channel.out_dir:
        return
    # What somebody has downloaded may be at the bank already.
    ours = Batch.objects.filter(bank=channel.code, downloads__isnull=True).order_by("pk")
    for batch in ours.filter(state=Batch.State.WRITTEN):
        _attempt_hand_over(channel, batch.name, batch)
    try:
        left = folder.staged(channel.out_dir)
    except OSError as error:
        log.warning("batches_not_handed_over", bank=channel.code, error=error.strerror)
        return
    for batch in ours.filter(name__in=left, state=Batch.State.DELIVERED):
        _attempt_hand_over(channel, batch.name)


def _attempt_hand_over(channel: FileBank, name: str, batch: Batch | None = None) -> None:
    """Stages and marks a file that was only written, then lets it go. What fails is tried again by the next look."""
    try:
        if batch is not None:
            _stage(channel, batch)
        folder.release(channel.out_dir, name)
    except folder.OtherContent:
        text = _("Another file of this name lies in the bank's folder. Nothing was overwritten: find out whose it is.")
        alerts.raise_alert("batch_refused", name, text, stops=True)
    except DomainError as error:
        log.error("batch_not_handed_over", bank=channel.code, name=name, error=error.code)
    except OSError as error:
        log.warning("batch_not_handed_over", bank=channel.code, name=name, error=error.strerror)


def _stage(channel: FileBank, batch: Batch) -> None:
    """Lays the file on the disk and marks it handed over, in this order: what happens next is a single rename, which
    the next look makes up for."""
    folder.stage(channel.out_dir, batch.name, content_of(batch))
    with transaction.atomic():
        if _locked(batch).downloads.exists():
            raise DomainError("carried", _("Somebody has taken this file meanwhile, to carry it."), status=409)
        move(batch, Batch.State.DELIVERED, reason="front-end machine", delivered_at=timezone.now())


def _locked(batch: Batch) -> Batch:
    """The file as it is now; the machine and a person who takes it wait for each other."""
    return Batch.objects.select_for_update().defer("content").get(pk=batch.pk)


def content_of(batch: Batch) -> bytes:
    """The file's bytes as they were written. DomainError and an alert when they are others."""
    content = batch.data
    if hashlib.sha256(content).hexdigest() != batch.sha256:
        text = _("This file is not what was written. It is not handed over.")
        alerts.raise_alert("file_changed", batch.number, text, stops=True)
        raise DomainError("content_changed", text, status=409)
    return content


def download(batch: Batch, *, by: User) -> bytes:
    """The file for a person who carries it to the bank; who took it, and when, is kept. DomainError where the
    front-end machine has it, or may still get it, and for one that the bank refused."""
    content = content_of(batch)
    with transaction.atomic():
        batch = _locked(batch)
        if batch.state == Batch.State.REFUSED:
            text = _("The bank refused this file, its money is owed again: nobody may carry it to the bank any more.")
            raise DomainError("refused", text, 409)
        if batch.state == Batch.State.WRITTEN and not _is_carried(batch):
            raise DomainError("by_machine", _("This file is handed over by itself. Do not carry it to the bank."), 409)
        Download.objects.create(batch=batch, by=by)
    return content


def _is_carried(batch: Batch) -> bool:
    """Whether a person hands the file over: there is no machine, or somebody took it before there was one."""
    return not file_bank(batch.bank).out_dir or batch.downloads.exists()


def say_delivered(batch: Batch, *, by: User) -> None:
    """Notes that a person has handed a file over. DomainError when nobody has downloaded it, or it is handed over."""
    if not _is_carried(batch):
        raise DomainError("by_machine", _("This file is handed over by itself. Do not carry it to the bank."), 409)
    if not batch.downloads.exists():
        raise DomainError("not_downloaded", _("Nobody has downloaded this file yet. Download it first."), 409)
    move(batch, Batch.State.DELIVERED, by=by, reason="by hand", delivered_at=timezone.now())


def raise_silent() -> None:
    """An alert for each file with transfers of which the bank has not said for FILE_SILENT_HOURS how they ended, closed
    once it has. Nothing of it is sent again."""
    before = timezone.now() - timedelta(hours=settings.FILE_SILENT_HOURS)
    open_ones = [Attempt.State.SENDING, Attempt.State.UNKNOWN, Attempt.State.ACCEPTED]
    waiting = Attempt.objects.filter(state__in=open_ones, batch__isnull=False, batch__created_at__lt=before)
    silent = list(Batch.objects.filter(pk__in=waiting.values("batch")).defer("content").order_by("pk"))
    for batch in silent:
        text = _(
            "Not all of this file is answered after %(hours)s hours (%(state)s). Ask the bank, send nothing again."
        )
        values = {"hours": settings.FILE_SILENT_HOURS, "state": batch.get_state_display()}
        alerts.raise_alert("file_unanswered", batch.number, text % values)
    raised = Alert.objects.filter(kind="file_unanswered", state=Alert.State.OPEN)
    for number in raised.exclude(about__in=[batch.number for batch in silent]).values_list("about", flat=True):
        alerts.close_alerts("file_unanswered", number, reason="answered")


def read_file(code: str, name: str, content: bytes, *, by: User) -> statements.Outcome:
    """Takes in a file that a person fetched from the bank. DomainError for one that cannot be read, ("busy") while the
    bank's files are being read by somebody else; nothing of it is taken then."""
    if code not in by_file():
        raise DomainError("unknown_bank", _("This bank gives no files."), status=404)
    if len(content) > folder.MOST_BYTES:
        raise DomainError("bad_file", _("%(name)s is too large.") % {"name": name})
    page = file_bank(code).read(name[:120], content)
    with only_one(f"payouts.statement.{code}") as mine:
        if not mine:
            raise DomainError("busy", _("A file of this bank is being read just now. Send it again in a minute."), 409)
        return statements.take_in(code, page, by=by)
