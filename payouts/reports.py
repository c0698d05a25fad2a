"""What a bank says about transfers, held against what we know. Only what fits is recorded; all else is an alert."""

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink.states import move
from payouts import alerts, sending
from payouts.banks.base import BatchReport, TransferReport
from payouts.models import Attempt, Batch, Payout

# States in which nothing of ours can be at the bank.
_NEVER_SENT = {Payout.State.PREPARED, Payout.State.HELD, Payout.State.APPROVED, Payout.State.CANCELLED}
# A file that neither the machine nor a person has had: what is said of it can only be wrong.
_NOT_HANDED_OVER = Q(batch__state=Batch.State.WRITTEN, batch__downloads__isnull=True)
_COUNTED = {"accepted": "accepted", "succeeded": "arrived", "returned": "arrived", "failed": "failed"}


@transaction.atomic
def take_report(code: str, report: TransferReport) -> str:
    """Records what the bank says of a transfer, and returns what came of it: accepted, arrived, failed, unchanged (old
    news), doubtful (it contradicts what we know: an alert), unknown (no payout of this bank has the number)."""
    payout = Payout.objects.select_for_update().filter(bank=code, out_no=report.out_no).first()
    if payout is None:
        return "unknown"
    if trouble := _trouble(payout, report):
        # Whoever reads that money arrived which we owe again must look before more is sent.
        alerts.raise_alert(
            "report_contradicts", payout.out_no, trouble, stops=report.state in ("succeeded", "returned")
        )
        return "doubtful"
    return _COUNTED[report.state] if sending.record(payout.pk, report) else "unchanged"


def _trouble(payout: Payout, report: TransferReport) -> str:
    if trouble := sending.other_amount(payout, report):
        return trouble
    said, state = {"said": report.state}, payout.state
    if state in _NEVER_SENT or is_here(payout):
        return _("The bank says “%(said)s” of a payout that was never sent. Ask the bank what it has paid.") % said
    if state == Payout.State.FAILED and report.state != "failed":
        sentence = _("The bank says “%(said)s” of a payout that has failed by its own word and is owed again.")
        return sentence % said
    if state == Payout.State.SUCCEEDED and report.state == "failed":
        return _("The bank says that a payout has failed of which it said that it had arrived. Ask the bank.")
    return ""


def is_here(payout: Payout) -> bool:
    """Whether a payout stands in a file that neither the machine nor a person has had: the bank can know nothing."""
    return payout.attempts.filter(_NOT_HANDED_OVER).exists()


def take_batch(code: str, report: BatchReport) -> str:
    """Records what the bank says of a file of ours as a whole, and returns what came of it: accepted, settled, refused,
    doubtful, unknown or nothing (empty)."""
    batch = Batch.objects.filter(bank=code, number=report.number).first()
    if batch is None:
        return "unknown"
    other = (report.payouts not in (None, batch.payouts)) or (report.fen not in (None, batch.fen))
    refused = report.state == "refused"
    if other or report.state == "duplicate" or (refused and (_has_arrived(batch) or _is_here(batch))):
        text = _("The bank says of this file: %(state)s, %(payouts)s payouts, %(fen)s fen, “%(reason)s”. Ask the bank.")
        values = {"state": report.state, "payouts": report.payouts, "fen": report.fen, "reason": report.reason}
        alerts.raise_alert("batch_refused", batch.number, text % values)
        return "doubtful"
    if refused:
        _refuse(batch, report.reason)
    elif report.state in ("accepted", "settled"):
        if _has_failed(batch):
            # Whoever reads this must look before more is sent: all of it is owed again.
            text = _("The bank says “%(said)s” of a file of which all has failed by its own word and is owed again.")
            alerts.raise_alert("file_contradicts", batch.number, text % {"said": report.reason}, stops=True)
            return "doubtful"
        if report.state == "settled" and not _is_here(batch):
            Batch.objects.filter(pk=batch.pk, settled_at=None).update(settled_at=timezone.now())
        for out_no in _numbers(batch, [Attempt.State.SENDING, Attempt.State.UNKNOWN]):
            take_report(code, TransferReport(out_no, "accepted", reason=report.reason))
    return report.state


def _has_arrived(batch: Batch) -> bool:
    return batch.settled_at is not None or batch.attempts.filter(state=Attempt.State.SUCCEEDED).exists()


def _has_failed(batch: Batch) -> bool:
    """Whether all of a file failed by the bank's word, as a whole or one by one."""
    return batch.state == Batch.State.REFUSED or not batch.attempts.exclude(state=Attempt.State.FAILED).exists()


def _is_here(batch: Batch) -> bool:
    return batch.attempts.filter(_NOT_HANDED_OVER).exists()


def _numbers(batch: Batch, states: list[Attempt.State]) -> list[str]:
    found = batch.attempts.filter(state__in=states).order_by("pk")
    return list(found.values_list("payout__out_no", flat=True))


def _refuse(batch: Batch, reason: str) -> None:
    """The bank did nothing of a whole file: each of its payouts has failed, and is owed again."""
    alerts.raise_alert("batch_refused", batch.number, _("The bank has refused this file: %(why)s") % {"why": reason})
    for out_no in _numbers(batch, [Attempt.State.SENDING, Attempt.State.UNKNOWN, Attempt.State.ACCEPTED]):
        take_report(batch.bank, TransferReport(out_no, "failed", reason=reason))
    if batch.state != Batch.State.REFUSED:
        move(batch, Batch.State.REFUSED, reason=reason)
