"""Orders, who placed them, and the certificate that proves them."""

import secrets

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from carbonsink.crypto import DigestField, EncryptedField
from carbonsink.states import Stateful
from trees.models import Division, Tree

ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # No 0/O, 1/I/L, U: numbers are read aloud and typed.


def new_token() -> str:
    """128 random bits for an address that only its holder knows."""
    return secrets.token_urlsafe(16)


def new_number() -> str:
    """An order's number: 12 random characters that can be read aloud (58 bits)."""
    return "".join(secrets.choice(ALPHABET) for _ in range(12))


class Buyer(models.Model):
    """Who buys, and where the receipt goes. Not an account: a signed-in buyer has `user` too."""

    class Kind(models.TextChoices):
        INDIVIDUAL = "individual", _("individual")
        ENTERPRISE = "enterprise", _("enterprise")
        INSTITUTION = "institution", _("institution")
        SOCIAL_GROUP = "social_group", _("social group")

    kind = models.CharField(_("kind"), max_length=12, choices=Kind, default=Kind.INDIVIDUAL)
    contact = EncryptedField(_("phone or e-mail"))
    contact_digest = DigestField(of="contact", db_index=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="buyers")
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("buyer")
        verbose_name_plural = _("buyers")


class Order(Stateful):
    """A wish for sinks of one vintage, held until it is paid or expires. Quantity, price and kg are the server's."""

    class State(models.TextChoices):
        ALLOCATING = "allocating", _("being put together")
        HELD = "held", _("waiting for payment")
        SHORT = "short", _("not enough trees")
        PAID = "paid", _("paid")
        EXPIRED = "expired", _("expired")
        CANCELLED = "cancelled", _("cancelled")
        PARTLY_REFUNDED = "partly_refunded", _("partly refunded")
        REFUNDED = "refunded", _("refunded")

    MOVES = {
        "allocating": {"held", "short"},
        "held": {"paid", "expired", "cancelled"},
        "expired": {"paid"},
        "paid": {"partly_refunded", "refunded"},
        "partly_refunded": {"refunded"},
    }

    number = models.CharField(_("number"), max_length=12, unique=True, default=new_number)
    token = models.CharField(max_length=22, unique=True, default=new_token)
    buyer = models.ForeignKey(Buyer, models.PROTECT, related_name="orders")
    vintage = models.PositiveSmallIntegerField(_("vintage"))
    # The choice, kept because a late capture chooses again: one tree, or trees of an area.
    tree = models.ForeignKey(Tree, models.PROTECT, null=True, related_name="+")
    area = models.ForeignKey(Division, models.PROTECT, null=True, related_name="+")
    holder = models.CharField(_("name on the certificate"), max_length=80, blank=True)
    quantity = models.PositiveIntegerField(_("trees"))
    price_fen = models.PositiveIntegerField(_("price (fen)"))
    kg = models.PositiveSmallIntegerField(_("kg CO2"))
    total_fen = models.BigIntegerField(_("total (fen)"))
    state = models.CharField(_("state"), max_length=15, choices=State, default=State.HELD)
    idempotency_key = models.CharField(max_length=80, unique=True)
    body_hash = models.CharField(max_length=64)
    address_digest = models.CharField(max_length=90, blank=True)
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    paid_at = models.DateTimeField(_("paid at"), null=True)

    class Meta:
        verbose_name = _("order")
        verbose_name_plural = _("orders")
        constraints = [
            models.CheckConstraint(
                condition=Q(quantity__gt=0, price_fen__gt=0, kg__gt=0), name="purchases_order_positive"
            ),
            models.CheckConstraint(
                condition=Q(total_fen=F("quantity") * F("price_fen")), name="purchases_order_total_is_sum"
            ),
            models.CheckConstraint(
                condition=Q(tree__isnull=True, area__isnull=False)
                | Q(tree__isnull=False, area__isnull=True, quantity=1),
                name="purchases_order_one_choice",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["paid", "partly_refunded", "refunded"], paid_at__isnull=False)
                | (~Q(state__in=["paid", "partly_refunded", "refunded"]) & Q(paid_at__isnull=True)),
                name="purchases_order_paid_has_time",
            ),
        ]
        indexes = [
            models.Index(fields=["expires_at"], condition=Q(state="held"), name="purchases_order_held"),
            models.Index(fields=["address_digest"], condition=Q(state="held"), name="purchases_order_address"),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def kg_total(self) -> int:
        """All kilograms of CO2 by the tariff."""
        return self.quantity * self.kg

    @property
    def certificate(self) -> "Certificate | None":
        """The newest certificate of the order."""
        return self.certificates.order_by("-pk").first()


class Certificate(Stateful):
    """Proof 购碳证书 that sinks were bought. The signature proves what was issued; the register says what holds now."""

    class State(models.TextChoices):
        VALID = "valid", _("valid")
        RETIRED = "retired", _("retired")
        TRANSFERRED = "transferred", _("transferred")
        REPLACED = "replaced", _("replaced")
        REVOKED = "revoked", _("revoked")

    MOVES = {"valid": {"retired", "transferred", "replaced", "revoked"}}

    serial = models.CharField(_("serial number"), max_length=20, unique=True)
    token = models.CharField(max_length=22, unique=True, default=new_token)
    order = models.ForeignKey(Order, models.PROTECT, related_name="certificates")
    parent = models.ForeignKey("self", models.PROTECT, null=True, related_name="successors")
    holder = models.CharField(_("name on the certificate"), max_length=80, blank=True)
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

    def __str__(self) -> str:
        return self.serial
