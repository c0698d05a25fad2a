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
        SENT_BACK = "sent_back", _("sent back")

    MOVES = {"waiting": {"matched", "sent_back"}}

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
    refund = models.OneToOneField(Refund, models.PROTECT, null=True, related_name="transfer")
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
        ]
