"""What the bank says: the supervised account's statement, and the files it gives back."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from carbonsink.crypto import EncryptedField
from carbonsink.ledger.models import Entry
from payouts.models.transfers import Batch, Payout


class BankReport(models.Model):
    """A file that a bank gave back, as it was read: the same file twice is read once. Append-only."""

    bank = models.CharField(_("bank"), max_length=20)
    name = models.CharField(_("file name"), max_length=120)
    kind = models.CharField(_("kind"), max_length=20)
    sha256 = models.CharField(max_length=64)
    content = EncryptedField()
    reports = models.PositiveIntegerField(_("reports of transfers"))
    movements = models.PositiveIntegerField(_("rows of the statement"))
    read_at = models.DateTimeField(_("read at"), auto_now_add=True)
    read_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")

    class Meta:
        verbose_name = _("file from a bank")
        verbose_name_plural = _("files from banks")
        constraints = [models.UniqueConstraint(fields=["bank", "sha256"], name="payouts_bankreport_once")]


class StatementRow(models.Model):
    """A row of the supervised account's statement, booked when it is read. Keyed on the bank's own serial number."""

    class Kind(models.TextChoices):
        SETTLEMENT = "settlement", _("settlement by a gateway")
        SPONSOR = "sponsor", _("paid in by the sponsor")
        PAYOUT = "payout", _("payout to a household")
        RETURN = "return", _("returned payout")
        FILE = "file", _("payouts of a whole file")
        FEE = "fee", _("charged by the bank")
        SUSPENSE = "suspense", _("to be explained")
        INFORMATION = "information", _("a row without an amount")

    bank = models.CharField(_("bank"), max_length=20)
    serial = models.CharField(_("serial number"), max_length=64)
    booked_at = models.DateTimeField(_("booked at"))
    fen = models.BigIntegerField(_("amount (fen)"), help_text="Positive: into the account.")
    counterparty = EncryptedField()
    remittance = models.CharField(_("remittance"), max_length=200, blank=True)
    bank_reference = models.CharField(_("bank reference"), max_length=140)
    # The number of a transfer that the bank gives, ours or not.
    named = models.CharField(_("number named"), max_length=64, blank=True, db_default="")
    kind = models.CharField(_("kind"), max_length=11, choices=Kind)
    payout = models.ForeignKey(Payout, models.PROTECT, null=True, related_name="statement_rows")
    # The file whose payouts were debited as a whole, or of which something was given back: see `whole_files`.
    batch = models.ForeignKey(Batch, models.PROTECT, null=True, related_name="statement_rows", db_index=False)
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
            models.CheckConstraint(
                condition=Q(kind="file", batch__isnull=False) | (~Q(kind="file") & Q(batch__isnull=True)),
                name="payouts_statementrow_of_a_file",
            ),
            models.UniqueConstraint(
                fields=["batch"], condition=Q(fen__lt=0), name="payouts_statementrow_file_debited_once"
            ),
        ]
        indexes = [
            models.Index(F("booked_at").desc(), name="payouts_statementrow_newest"),
            models.Index(fields=["serial"], name="payouts_statementrow_serial"),
            models.Index(fields=["bank_reference"], name="payouts_statementrow_reference"),
            models.Index(fields=["batch"], condition=Q(batch__isnull=False), name="payouts_statementrow_batch"),
            models.Index(fields=["booked_at"], condition=Q(kind="suspense"), name="payouts_statementrow_suspense"),
        ]


class StatementBalance(models.Model):
    """What a statement that came as a file says was on the supervised account; of a day that came twice, the last one
    that was read counts. Append-only."""

    report = models.ForeignKey(BankReport, models.PROTECT, related_name="balances", verbose_name=_("file from a bank"))
    bank = models.CharField(_("bank"), max_length=20)
    first_day = models.DateField(_("first day"))
    day = models.DateField(_("last day"))
    opening_fen = models.BigIntegerField(_("when the first day began (fen)"), null=True)
    closing_fen = models.BigIntegerField(_("when the last day ended (fen)"))

    class Meta:
        verbose_name = _("balance by a statement")
        verbose_name_plural = _("balances by statements")
        constraints = [
            models.CheckConstraint(condition=Q(first_day__lte=F("day")), name="payouts_statementbalance_days"),
        ]
        indexes = [
            models.Index(fields=["bank", "day"], name="payouts_statementbalance_day"),
            models.Index(fields=["bank", "first_day"], name="payouts_statementbalance_first"),
        ]


class StatementCursor(models.Model):
    """How far a bank's statement has been read, in the bank's own words."""

    bank = models.CharField(max_length=20, primary_key=True)
    after = models.CharField(max_length=200)
    # When it was last read to its end.
    read_at = models.DateTimeField(null=True)
