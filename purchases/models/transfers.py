"""Bank transfers of organisations, as the bank's statement tells of them."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from carbonsink.crypto import EncryptedField
from carbonsink.states import Stateful
from purchases.models.payments import Payment, Refund


class BankFile(models.Model):
    """A statement that finance has sent in, once."""

    sha256 = models.CharField(max_length=64, unique=True)
    name = models.CharField(_("file"), max_length=200)
    bank = models.CharField(_("bank"), max_length=20)
    rows = models.PositiveIntegerField(_("rows"))
    new_rows = models.PositiveIntegerField(_("new rows"))
    sent_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, verbose_name=_("sent by"), related_name="+")
    at = models.DateTimeField(_("at"), auto_now_add=True)

    class Meta:
        verbose_name = _("bank statement")
        verbose_name_plural = _("bank statements")


class Transfer(Stateful):
    """Money that came to the bank account for transfers. What fits an order exactly is booked for it; all else waits
    for a person, its money in suspense. The bank's own serial number makes each row count once."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting for a person")
        MATCHED = "matched", _("belongs to an order")
        GOING_BACK = "going_back", _("to be sent back")
        SENT_BACK = "sent_back", _("sent back")

    MOVES = {"waiting": {"matched", "going_back"}, "going_back": {"sent_back"}}

    class Why(models.TextChoices):
        UNKNOWN = "unknown", _("no order is named")
        PARTIAL = "partial", _("less than the order's total")
        OVER = "over", _("more than the order's total")
        DOUBLE = "double", _("the order is paid already")
        LATE = "late", _("the order has ended")

    bank = models.CharField(_("bank"), max_length=20)
    serial = models.CharField(_("bank's serial number"), max_length=64)
    file = models.ForeignKey(BankFile, models.PROTECT, null=True, related_name="transfers")
    booked_on = models.DateField(_("booked on"))
    fen = models.BigIntegerField(_("amount (fen)"))
    payer_name = EncryptedField(_("payer"))
    payer_account = EncryptedField(_("payer's account"))
    remittance = models.CharField(_("remittance information"), max_length=300, blank=True)
    why = models.CharField(_("why it waits"), max_length=10, choices=Why, blank=True)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.WAITING)
    payment = models.ForeignKey(Payment, models.PROTECT, null=True, related_name="transfers")
    # Of an overpayment: what goes back of it.
    refund = models.OneToOneField(Refund, models.PROTECT, null=True, related_name="transfer")
    # What finance writes into the remittance when all of it is sent back.
    back_number = models.CharField(_("number"), max_length=32, unique=True, null=True)
    at = models.DateTimeField(_("seen at"), auto_now_add=True)

    class Meta:
        verbose_name = _("bank transfer")
        verbose_name_plural = _("bank transfers")
        constraints = [
            models.UniqueConstraint(fields=["bank", "serial"], name="purchases_transfer_once"),
            models.CheckConstraint(condition=Q(fen__gt=0), name="purchases_transfer_positive"),
            models.CheckConstraint(
                condition=~Q(state="matched") | Q(payment__isnull=False), name="purchases_transfer_matched_has_payment"
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["going_back", "sent_back"]) | Q(back_number__isnull=False),
                name="purchases_transfer_going_back_has_number",
            ),
        ]


class ByHand(Stateful):
    """Money that somebody of finance sent by hand at the bank: a refund, or a transfer that nobody could place. Another
    person confirms it, or the bank's own statement does."""

    class State(models.TextChoices):
        NOTED = "noted", _("to be confirmed by somebody else")
        CONFIRMED = "confirmed", _("confirmed")
        WITHDRAWN = "withdrawn", _("was not sent")

    MOVES = {"noted": {"confirmed", "withdrawn"}}

    refund = models.ForeignKey(Refund, models.PROTECT, null=True, related_name="by_hand")
    transfer = models.ForeignKey(Transfer, models.PROTECT, null=True, related_name="by_hand")
    bank_serial = models.CharField(_("bank's serial number"), max_length=64)
    noted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, verbose_name=_("noted by"), null=True, related_name="+"
    )
    # Nobody: the bank's statement names its number and amount.
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, verbose_name=_("confirmed by"), null=True, related_name="+"
    )
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.NOTED)
    at = models.DateTimeField(_("at"), auto_now_add=True)

    class Meta:
        verbose_name = _("payment by hand")
        verbose_name_plural = _("payments by hand")
        constraints = [
            models.CheckConstraint(
                condition=Q(refund__isnull=True) ^ Q(transfer__isnull=True), name="purchases_byhand_of_one"
            ),
            models.CheckConstraint(
                condition=Q(confirmed_by__isnull=True) | ~Q(confirmed_by=models.F("noted_by")),
                name="purchases_byhand_confirmed_by_another",
            ),
            models.UniqueConstraint(
                fields=["refund"], condition=~Q(state="withdrawn"), name="purchases_byhand_refund_once"
            ),
            models.UniqueConstraint(
                fields=["transfer"], condition=~Q(state="withdrawn"), name="purchases_byhand_transfer_once"
            ),
            models.UniqueConstraint(
                fields=["bank_serial"], condition=~Q(state="withdrawn"), name="purchases_byhand_serial_once"
            ),
        ]
