"""Payouts 兑付, each one's attempts at the bank, and what the bank's statement says."""

import base64

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from carbonsink.crypto import EncryptedField
from carbonsink.states import Stateful
from payouts.models.accounts import BankAccount
from trees.models import Household


class Run(models.Model):
    """One look at everything that is owed, and the payouts it wrote. Append-only."""

    class Kind(models.TextChoices):
        SCHEDULED = "scheduled", _("by schedule")
        BY_HAND = "by_hand", _("by hand")
        YEAR_END = "year_end", _("year's end, however small")

    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    bank = models.CharField(_("bank"), max_length=20)
    at = models.DateTimeField(_("at"))
    minimum_fen = models.BigIntegerField(_("from (fen)"))
    payouts = models.PositiveIntegerField(_("payouts"))
    fen = models.BigIntegerField(_("amount (fen)"))
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")

    class Meta:
        verbose_name = _("run")
        verbose_name_plural = _("runs")
        constraints = [models.CheckConstraint(condition=Q(payouts__gt=0, fen__gt=0), name="payouts_run_of_something")]
        indexes = [models.Index(F("at").desc(), name="payouts_run_newest")]

    def __str__(self) -> str:
        return f"{self.at:%F %R} {self.bank}"


class Payout(Stateful):
    """All that a household was owed at a moment, on its way to one version of its account.

    `out_no` is final before any call. A payout that failed or came back is final too: its money is owed anew, and paid
    by a later payout under a new number.
    """

    class State(models.TextChoices):
        PREPARED = "prepared", _("prepared")
        HELD = "held", _("held for approval")
        APPROVED = "approved", _("approved")
        CANCELLED = "cancelled", _("cancelled")
        SENDING = "sending", _("being sent")
        ACCEPTED = "accepted", _("accepted by the bank")
        SUCCEEDED = "succeeded", _("arrived")
        FAILED = "failed", _("failed")
        UNKNOWN = "unknown", _("waiting for the bank's answer")
        RETURNED = "returned", _("returned by the bank")

    MOVES = {
        "prepared": {"held", "approved", "cancelled"},
        "held": {"prepared", "cancelled"},
        "approved": {"sending", "cancelled"},
        "sending": {"accepted", "succeeded", "failed", "unknown"},
        "accepted": {"succeeded", "failed", "unknown"},
        "unknown": {"accepted", "succeeded", "failed"},
        "succeeded": {"returned"},
    }

    class HeldFor(models.TextChoices):
        """Why a payout waits for people."""

        NOTHING = "", _("nothing")
        OVER_LIMIT = "over_limit", _("the amount is above the limit")
        LARGE_RUN = "large_run", _("the whole run is above the limit")
        FLAGGED = "flagged", _("the household is flagged")
        AFTER_FILE = "after_file", _("a file said that the one before failed or came back")

    run = models.ForeignKey(Run, models.PROTECT, related_name="paid")
    household = models.ForeignKey(Household, models.PROTECT, related_name="payouts")
    account = models.ForeignKey(BankAccount, models.PROTECT, related_name="payouts")
    bank = models.CharField(_("bank"), max_length=20)
    out_no = models.CharField(_("payout number"), max_length=32, unique=True)
    fen = models.BigIntegerField(_("amount (fen)"))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.PREPARED)
    held_for = models.CharField(_("waits because"), max_length=10, choices=HeldFor, blank=True, default="")
    # How many different people must have approved it before it may be sent; none of them entered the account.
    approvals_needed = models.PositiveSmallIntegerField(_("approvals needed"), default=0)
    created_at = models.DateTimeField(_("created at"))
    completed_at = models.DateTimeField(_("completed at"), null=True)
    bank_reference = models.CharField(_("bank reference"), max_length=140, blank=True)

    class Meta:
        verbose_name = _("payout")
        verbose_name_plural = _("payouts")
        constraints = [
            models.CheckConstraint(condition=Q(fen__gt=0), name="payouts_payout_positive"),
            models.CheckConstraint(condition=Q(out_no__regex=r"^[0-9A-Za-z]{1,32}$"), name="payouts_payout_out_no"),
            models.CheckConstraint(
                condition=Q(held_for="", approvals_needed=0) | (~Q(held_for="") & Q(approvals_needed__gt=0)),
                name="payouts_payout_held_for_a_reason",
            ),
        ]
        indexes = [
            models.Index(
                fields=["created_at"],
                condition=Q(state__in=["approved", "sending", "accepted", "unknown"]),
                name="payouts_payout_open",
            ),
            models.Index(fields=["run"], condition=Q(state="held"), name="payouts_payout_held"),
            models.Index(
                fields=["bank_reference"], condition=~Q(bank_reference=""), name="payouts_payout_bank_reference"
            ),
        ]

    def __str__(self) -> str:
        return self.out_no


class Approval(models.Model):
    """One person's word that a held payout may go. Append-only; nobody twice, nobody who entered the account."""

    payout = models.ForeignKey(Payout, models.PROTECT, related_name="approvals")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    at = models.DateTimeField(_("at"), auto_now_add=True)

    class Meta:
        verbose_name = _("approval of a payout")
        verbose_name_plural = _("approvals of payouts")
        constraints = [models.UniqueConstraint(fields=["payout", "by"], name="payouts_approval_once_each")]


class Batch(Stateful):
    """A file of transfers as it was handed to a bank. Its content never changes, and it is handed over once."""

    class State(models.TextChoices):
        WRITTEN = "written", _("written, to be handed over")
        DELIVERED = "delivered", _("handed over")
        REFUSED = "refused", _("refused by the bank as a whole")

    MOVES = {"written": {"delivered", "refused"}, "delivered": {"refused"}}

    bank = models.CharField(_("bank"), max_length=20)
    number = models.CharField(_("number"), max_length=32, unique=True)
    name = models.CharField(_("file name"), max_length=80)
    content = EncryptedField()
    sha256 = models.CharField(max_length=64)
    payouts = models.PositiveIntegerField(_("payouts"))
    fen = models.BigIntegerField(_("amount (fen)"))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.WRITTEN)
    created_at = models.DateTimeField(_("created at"))
    delivered_at = models.DateTimeField(_("handed over at"), null=True)
    # When the bank said that all of it was settled: after that it cannot have refused it.
    settled_at = models.DateTimeField(_("settled by the bank's word at"), null=True)

    class Meta:
        verbose_name = _("file for a bank")
        verbose_name_plural = _("files for banks")
        constraints = [
            models.CheckConstraint(condition=Q(payouts__gt=0, fen__gt=0), name="payouts_batch_of_something"),
            models.CheckConstraint(condition=Q(number__regex=r"^[0-9A-Za-z]{1,32}$"), name="payouts_batch_number"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def data(self) -> bytes:
        """The file's bytes; `content` has them as base64."""
        return base64.b64decode(self.content)


class Download(models.Model):
    """Somebody of finance took a file for a bank, to carry it there. Append-only."""

    batch = models.ForeignKey(Batch, models.PROTECT, related_name="downloads")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    at = models.DateTimeField(_("at"), auto_now_add=True)

    class Meta:
        verbose_name = _("download of a file for a bank")
        verbose_name_plural = _("downloads of files for banks")


class Attempt(Stateful):
    """One call of the bank, written down before it is made. At most one per payout may be alive."""

    class State(models.TextChoices):
        SENDING = "sending", _("being sent")
        ACCEPTED = "accepted", _("accepted")
        SUCCEEDED = "succeeded", _("succeeded")
        FAILED = "failed", _("failed")
        UNKNOWN = "unknown", _("unknown")
        UNSENT = "unsent", _("never reached the bank")

    MOVES = {
        "sending": {"accepted", "succeeded", "failed", "unknown", "unsent"},
        "accepted": {"succeeded", "failed", "unknown"},
        "unknown": {"accepted", "succeeded", "failed", "unsent"},
        # Should the statement show what "never reached the bank", the statement is right.
        "unsent": {"succeeded"},
    }

    payout = models.ForeignKey(Payout, models.PROTECT, related_name="attempts")
    request_sha256 = models.CharField(max_length=64)
    # The file it went in, where the bank takes files.
    batch = models.ForeignKey(Batch, models.PROTECT, null=True, related_name="attempts")
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.SENDING)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("attempt at the bank")
        verbose_name_plural = _("attempts at the bank")
        constraints = [
            models.UniqueConstraint(
                fields=["payout"],
                condition=Q(state__in=["sending", "unknown", "accepted", "succeeded"]),
                name="payouts_attempt_one_live",
            )
        ]
        indexes = [models.Index(fields=["batch"], condition=Q(state="failed"), name="payouts_attempt_failed")]
