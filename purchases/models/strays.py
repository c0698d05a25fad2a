"""Captures that belong to no payment of ours: somebody paid, and nobody knows for what."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from carbonsink.states import Stateful
from purchases.models.orders import Order
from purchases.models.payments import Payment


class Stray(Stateful):
    """A capture without an order of ours, its money in suspense. One person says what becomes of it, another agrees:
    it pays an order, or it goes back, through its gateway or, where that refuses for good, at the bank."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting for a person")
        PROPOSED = "proposed", _("to be confirmed by somebody else")
        MATCHED = "matched", _("belongs to an order")
        GOING_BACK = "going_back", _("to be sent back")
        SENDING = "sending", _("being sent")
        UNKNOWN = "unknown", _("waiting for the gateway's answer")
        FAILED = "failed", _("refused by the payment service")
        BY_HAND = "by_hand", _("goes by hand at the bank")
        SENT_BACK = "sent_back", _("sent back")

    MOVES = {
        "waiting": {"proposed"},
        "proposed": {"waiting", "matched", "going_back"},
        "going_back": {"sending"},
        "sending": {"sent_back", "failed", "unknown"},
        "unknown": {"sent_back", "failed"},
        "failed": {"sending", "by_hand"},
        "by_hand": {"sent_back", "failed"},
    }
    # Its money is owed to whoever paid it.
    OWED_BACK = ("going_back", "sending", "unknown", "failed", "by_hand")

    gateway = models.CharField(_("gateway"), max_length=20)
    transaction_id = models.CharField(_("transaction"), max_length=64)
    # By which the gateway says it was asked for.
    reference = models.CharField(_("reference"), max_length=64, blank=True)
    fen = models.BigIntegerField(_("amount (fen)"))
    captured_at = models.DateTimeField(_("captured at"))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.WAITING)
    # What was said: the order it is for, or none, when it goes back.
    order = models.ForeignKey(Order, models.PROTECT, null=True, related_name="+")
    why = models.CharField(_("how one knows"), max_length=200, blank=True)
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    agreed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    payment = models.OneToOneField(Payment, models.PROTECT, null=True, related_name="stray")
    # Final before the gateway is first asked to send it back.
    back_number = models.CharField(_("number"), max_length=32, unique=True, null=True)
    # Of a payment at the bank.
    bank_serial = models.CharField(_("bank's serial number"), max_length=64, blank=True)
    noted_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    confirmed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField(_("seen at"), auto_now_add=True)

    class Meta:
        verbose_name = _("capture without an order")
        verbose_name_plural = _("captures without an order")
        constraints = [
            models.UniqueConstraint(fields=["gateway", "transaction_id"], name="purchases_stray_once"),
            models.CheckConstraint(condition=Q(fen__gt=0), name="purchases_stray_positive"),
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "proposed"], agreed_by__isnull=True)
                | (
                    ~Q(state__in=["waiting", "proposed"])
                    & Q(agreed_by__isnull=False, proposed_by__isnull=False)
                    & ~Q(agreed_by=F("proposed_by"))
                ),
                name="purchases_stray_two_people",
            ),
            models.CheckConstraint(
                condition=Q(confirmed_by__isnull=True) | (Q(noted_by__isnull=False) & ~Q(confirmed_by=F("noted_by"))),
                name="purchases_stray_confirmed_by_another",
            ),
            models.CheckConstraint(
                condition=Q(state="matched", payment__isnull=False) | (~Q(state="matched") & Q(payment__isnull=True)),
                name="purchases_stray_matched_has_payment",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "proposed", "matched"], back_number__isnull=True)
                | (~Q(state__in=["waiting", "proposed", "matched"]) & Q(back_number__isnull=False)),
                name="purchases_stray_going_back_has_number",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.gateway} {self.transaction_id}"
