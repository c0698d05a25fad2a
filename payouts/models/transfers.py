"""Payouts 兑付, each one's attempts at the bank, and what the bank's statement says."""

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from carbonsink.crypto import EncryptedField
from carbonsink.ledger.models import Entry
from carbonsink.states import Stateful
from payouts.models.accounts import BankAccount
from trees.models import Household


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

    household = models.ForeignKey(Household, models.PROTECT, related_name="payouts")
    account = models.ForeignKey(BankAccount, models.PROTECT, related_name="payouts")
    bank = models.CharField(_("bank"), max_length=20)
    out_no = models.CharField(_("payout number"), max_length=32, unique=True)
    fen = models.BigIntegerField(_("amount (fen)"))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.PREPARED)
    created_at = models.DateTimeField(_("created at"))
    completed_at = models.DateTimeField(_("completed at"), null=True)
    bank_reference = models.CharField(_("bank reference"), max_length=140, blank=True)

    class Meta:
        verbose_name = _("payout")
        verbose_name_plural = _("payouts")
        constraints = [
            models.CheckConstraint(condition=Q(fen__gt=0), name="payouts_payout_positive"),
            models.CheckConstraint(condition=Q(out_no__regex=r"^[0-9A-Za-z]{1,32}$"), name="payouts_payout_out_no"),
        ]
        indexes = [
            models.Index(
                fields=["created_at"],
                condition=Q(state__in=["approved", "sending", "accepted", "unknown"]),
                name="payouts_payout_open",
            )
        ]

    def __str__(self) -> str:
        return self.out_no


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


class StatementRow(models.Model):
    """A row of the supervised account's statement, booked when it is read. Keyed on the bank's own serial number."""

    class Kind(models.TextChoices):
        SETTLEMENT = "settlement", _("settlement by a gateway")
        SPONSOR = "sponsor", _("paid in by the sponsor")
        PAYOUT = "payout", _("payout to a household")
        RETURN = "return", _("returned payout")
        SUSPENSE = "suspense", _("to be explained")
        INFORMATION = "information", _("a row without an amount")

    bank = models.CharField(_("bank"), max_length=20)
    serial = models.BigIntegerField(_("serial number"))
    booked_at = models.DateTimeField(_("booked at"))
    fen = models.BigIntegerField(_("amount (fen)"), help_text="Positive: into the account.")
    counterparty = EncryptedField()
    remittance = models.CharField(_("remittance"), max_length=200, blank=True)
    bank_reference = models.CharField(_("bank reference"), max_length=140)
    kind = models.CharField(_("kind"), max_length=11, choices=Kind)
    payout = models.ForeignKey(Payout, models.PROTECT, null=True, related_name="statement_rows")
    entry = models.ForeignKey(Entry, models.PROTECT, null=True, related_name="+")

    class Meta:
        verbose_name = _("statement row")
        verbose_name_plural = _("statement rows")
        constraints = [
            models.UniqueConstraint(fields=["bank", "serial"], name="payouts_statementrow_once"),
            models.CheckConstraint(
                condition=Q(fen=0, kind="information") | (~Q(fen=0) & ~Q(kind="information")),
                name="payouts_statementrow_amount",
            ),
            models.UniqueConstraint(
                fields=["payout", "kind"],
                condition=Q(payout__isnull=False),
                name="payouts_statementrow_payout_once",
            ),
        ]
        indexes = [models.Index(F("booked_at").desc(), name="payouts_statementrow_newest")]
