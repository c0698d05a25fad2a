"""The certificate that proves an order, and what its holder does with it: retire it, hand it on, give it away."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from carbonsink.crypto import EncryptedField
from carbonsink.states import Stateful
from purchases.models.buyers import Buyer, new_gift_code, new_token
from purchases.models.orders import Order


class Certificate(Stateful):
    """Proof 购碳证书 that sinks were bought. The signature proves what was issued; the register says what holds now.

    `owner` may retire it, hand it on and split it: who bought it, or who it was handed to.
    """

    class State(models.TextChoices):
        VALID = "valid", _("valid")
        RETIRED = "retired", _("retired")
        TRANSFERRED = "transferred", _("transferred")
        REPLACED = "replaced", _("replaced")
        REVOKED = "revoked", _("revoked")

    # A retired one is replaced only by one that is issued retired: its sinks never serve anybody again.
    MOVES = {"valid": {"retired", "transferred", "replaced", "revoked"}, "retired": {"replaced", "revoked"}}

    serial = models.CharField(_("serial number"), max_length=20, unique=True)
    token = models.CharField(max_length=22, unique=True, default=new_token)
    order = models.ForeignKey(Order, models.PROTECT, related_name="certificates")
    owner = models.ForeignKey(Buyer, models.PROTECT, related_name="certificates")
    parent = models.ForeignKey("self", models.PROTECT, null=True, related_name="successors")
    holder = models.CharField(_("name on the certificate"), max_length=80, blank=True)
    dedication = models.CharField(_("dedication"), max_length=120, blank=True)
    vintage = models.PositiveSmallIntegerField(_("vintage"))
    trees = models.PositiveIntegerField()
    kg = models.PositiveIntegerField(_("kg CO2"))
    trees_sha256 = models.CharField(max_length=64)
    state = models.CharField(_("state"), max_length=11, choices=State, default=State.VALID)
    issued_at = models.DateTimeField(_("issued at"))
    key_id = models.CharField(max_length=16)
    signature = models.CharField(max_length=100)

    class Meta:
        verbose_name = _("certificate")
        verbose_name_plural = _("certificates")
        constraints = [
            models.CheckConstraint(condition=Q(trees__gt=0, kg__gt=0), name="purchases_certificate_positive")
        ]
        indexes = [
            models.Index(fields=["holder"], condition=~Q(holder=""), name="purchases_certificate_holder"),
            models.Index(fields=["state", "serial"], condition=~Q(state="valid"), name="purchases_certificate_ended"),
        ]

    def __str__(self) -> str:
        return self.serial


class Retirement(models.Model):
    """Says, append-only, for whom and what for a certificate's sinks were used up. Never again."""

    certificate = models.OneToOneField(Certificate, models.PROTECT, related_name="retirement")
    beneficiary = models.CharField(_("for whom"), max_length=80)
    purpose = models.CharField(_("what for"), max_length=200)
    at = models.DateTimeField(_("at"), auto_now_add=True)

    class Meta:
        verbose_name = _("retirement")
        verbose_name_plural = _("retirements")
        constraints = [
            models.CheckConstraint(condition=~Q(beneficiary="") & ~Q(purpose=""), name="purchases_retirement_says_why")
        ]


class Gift(Stateful):
    """Some of an order's trees for somebody else, who takes them by a link or a code on a card."""

    class State(models.TextChoices):
        WAITING = "waiting", _("not taken yet")
        TAKEN = "taken", _("taken")
        CANCELLED = "cancelled", _("cancelled")

    MOVES = {"waiting": {"taken", "cancelled"}}

    order = models.ForeignKey(Order, models.PROTECT, related_name="gifts")
    code = models.CharField(_("code"), max_length=16, unique=True, default=new_gift_code)
    trees = models.PositiveIntegerField(_("trees"))
    giver = models.CharField(_("from"), max_length=80, blank=True)
    recipient = models.CharField(_("for"), max_length=80, blank=True)
    message = models.CharField(_("message"), max_length=200, blank=True)
    # Cannot be opened before this day.
    opens_on = models.DateField(_("on"), null=True)
    # Where the link is sent, only if the giver asks for it.
    contact = EncryptedField(_("phone or e-mail"), default="")
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.WAITING)
    certificate = models.OneToOneField(Certificate, models.PROTECT, null=True, related_name="gift")
    # The form it was made by, and which of the form's gifts it is: the same form sent twice makes each once.
    form_token = models.UUIDField(null=True, editable=False)
    ordinal = models.PositiveSmallIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("gift")
        verbose_name_plural = _("gifts")
        constraints = [
            models.CheckConstraint(condition=Q(trees__gt=0), name="purchases_gift_positive"),
            models.UniqueConstraint(
                fields=["order", "form_token", "ordinal"],
                condition=Q(form_token__isnull=False),
                name="purchases_gift_form_once",
            ),
            models.CheckConstraint(
                condition=Q(state="taken", certificate__isnull=False)
                | (~Q(state="taken") & Q(certificate__isnull=True)),
                name="purchases_gift_taken_has_certificate",
            ),
        ]


class Repeat(Stateful):
    """A buyer's wish to be reminded of an order when its year ends, to buy the same again. Nothing is ever bought or
    charged without the buyer."""

    class State(models.TextChoices):
        ACTIVE = "active", _("active")
        PAUSED = "paused", _("paused")
        STOPPED = "stopped", _("stopped")

    MOVES = {"active": {"paused", "stopped"}, "paused": {"active", "stopped"}}

    order = models.OneToOneField(Order, models.PROTECT, related_name="repeat")
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.ACTIVE)
    # The newest vintage the buyer was reminded of.
    reminded_of = models.PositiveSmallIntegerField(null=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("yearly repeat")
        verbose_name_plural = _("yearly repeats")
