"""Money that comes in, what the gateways say about it, and what goes back."""

import secrets

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from carbonsink.states import Stateful
from purchases.models.orders import Order


def new_reference() -> str:
    """Our reference at a gateway: 32 letters and digits, final before any call."""
    return secrets.token_hex(16)


class Payment(Stateful):
    """One attempt to pay an order through a gateway, or one capture nobody asked for (a second one)."""

    class State(models.TextChoices):
        CREATED = "created", _("waiting for the gateway")
        CAPTURED = "captured", _("captured")
        FAILED = "failed", _("failed")
        CLOSED = "closed", _("closed")

    MOVES = {"created": {"captured", "failed", "closed"}, "closed": {"captured"}}

    order = models.ForeignKey(Order, models.PROTECT, related_name="payments")
    gateway = models.CharField(_("gateway"), max_length=20)
    # Which of the gateway's ways of paying: its QR code, inside its app, …
    product = models.CharField(_("way of paying"), max_length=10, default="native")
    reference = models.CharField(_("reference"), max_length=32, unique=True, default=new_reference)
    transaction_id = models.CharField(_("transaction"), max_length=64, null=True)
    fen = models.BigIntegerField(_("amount (fen)"))
    captured_fen = models.BigIntegerField(null=True)
    # What the gateway answered when the payment was opened: where the buyer goes or what is scanned, or for a page
    # inside WeChat the prepayment that its bridge asks for.
    pay_url = models.CharField(max_length=4000, blank=True)
    prepay_id = models.CharField(max_length=64, blank=True)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.CREATED)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    captured_at = models.DateTimeField(_("captured at"), null=True)

    class Meta:
        verbose_name = _("payment")
        verbose_name_plural = _("payments")
        constraints = [
            models.CheckConstraint(condition=Q(fen__gt=0), name="purchases_payment_positive"),
            models.UniqueConstraint(fields=["gateway", "transaction_id"], name="purchases_payment_transaction_once"),
            models.CheckConstraint(
                condition=Q(
                    state="captured",
                    transaction_id__isnull=False,
                    captured_at__isnull=False,
                    captured_fen__isnull=False,
                    captured_fen__gt=0,
                )
                | (~Q(state="captured") & Q(captured_fen__isnull=True)),
                name="purchases_payment_captured_is_known",
            ),
        ]
        indexes = [
            models.Index(fields=["created_at"], condition=Q(state="created"), name="purchases_payment_open"),
        ]

    def __str__(self) -> str:
        return self.reference


class Notification(models.Model):
    """A gateway's callback as it came, stored before it acts. Its event id is used once per gateway."""

    gateway = models.CharField(_("gateway"), max_length=20)
    event_id = models.CharField(_("event"), max_length=64)
    headers = models.JSONField()
    body = models.BinaryField()
    payment = models.ForeignKey(Payment, models.PROTECT, null=True, related_name="notifications")
    received_at = models.DateTimeField(_("received at"), auto_now_add=True)

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        constraints = [
            models.UniqueConstraint(fields=["gateway", "event_id"], name="purchases_notification_once"),
        ]


class Refund(Stateful):
    """Money that goes back to a buyer. Its number is final before the first call and never changes."""

    class State(models.TextChoices):
        REQUESTED = "requested", _("requested")
        SENDING = "sending", _("being sent")
        SUCCEEDED = "succeeded", _("refunded")
        FAILED = "failed", _("failed")
        UNKNOWN = "unknown", _("waiting for the gateway's answer")
        BY_HAND = "by_hand", _("sent by hand at the bank")

    # By hand goes what a gateway refuses for good, and all that was paid by bank transfer.
    MOVES = {
        "requested": {"sending"},
        "sending": {"succeeded", "failed", "unknown"},
        "unknown": {"succeeded", "failed", "by_hand"},
        "failed": {"sending", "by_hand"},
        "by_hand": {"succeeded", "failed"},
    }

    class Reason(models.TextChoices):
        LATE = "late", _("The payment came after the order had expired, and the trees were gone.")
        SECOND = "second", _("The order was paid twice.")
        AMOUNT = "amount", _("The amount was not that of the order.")
        GONE = "gone", _("A tree was lost, and no other one could stand in for it.")
        ASKED = "asked", _("The buyer gave trees back.")
        OVER = "over", _("More was transferred than the order costs.")

    payment = models.ForeignKey(Payment, models.PROTECT, related_name="refunds")
    number = models.CharField(_("number"), max_length=32, unique=True, default=new_reference)
    fen = models.BigIntegerField(_("amount (fen)"))
    reason = models.CharField(_("reason"), max_length=10, choices=Reason)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.REQUESTED)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, verbose_name=_("requested by"), null=True, related_name="+"
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("refund")
        verbose_name_plural = _("refunds")
        constraints = [
            models.CheckConstraint(condition=Q(fen__gt=0), name="purchases_refund_positive"),
            # Late and second captures are refunded whole, and so only once. Trees are lost or given back one after
            # the other: for them the database counts, and refuses more than was captured.
            models.UniqueConstraint(
                fields=["payment", "reason"], condition=~Q(reason__in=["gone", "asked"]), name="purchases_refund_once"
            ),
        ]
        indexes = [models.Index(fields=["created_at"], condition=~Q(state="succeeded"), name="purchases_refund_open")]


class Voucher(models.Model):
    """The number of a donation document 捐赠票据 or an invoice that finance has attached to an order: what is sold in
    one programme is given in another."""

    class Kind(models.TextChoices):
        DONATION = "donation", _("donation document")
        INVOICE = "invoice", _("invoice")

    order = models.ForeignKey(Order, models.PROTECT, related_name="vouchers")
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    number = models.CharField(_("number"), max_length=40)
    issued_on = models.DateField(_("issued on"))
    attached_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, verbose_name=_("attached by"), related_name="+"
    )
    attached_at = models.DateTimeField(_("attached at"), auto_now_add=True)

    class Meta:
        verbose_name = _("donation document or invoice")
        verbose_name_plural = _("donation documents and invoices")
        constraints = [models.UniqueConstraint(fields=["kind", "number"], name="purchases_voucher_once")]
