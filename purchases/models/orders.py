"""Orders: what is wanted, for how much, and how far it has come."""

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from carbonsink.states import Stateful
from purchases.models.buyers import Buyer, new_number, new_token
from purchases.models.campaigns import Campaign
from trees.models import Division, Household, Species, Tree

if TYPE_CHECKING:
    from purchases.models.certificates import Certificate


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

    # Paid, and some of it still is.
    HAS_TREES = (State.PAID, State.PARTLY_REFUNDED)

    class PaysBy(models.TextChoices):
        ONLINE = "online", _("online")
        TRANSFER = "transfer", _("bank transfer")

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
    # The choice, kept because a late capture chooses again: one tree, trees of a household, or trees of an area, of a
    # species, of both, or (all empty) anywhere.
    tree = models.ForeignKey(Tree, models.PROTECT, null=True, related_name="+")
    household = models.ForeignKey(Household, models.PROTECT, null=True, related_name="+")
    area = models.ForeignKey(Division, models.PROTECT, null=True, related_name="+")
    species = models.ForeignKey(Species, models.PROTECT, null=True, related_name="+")
    campaign = models.ForeignKey(Campaign, models.PROTECT, null=True, related_name="orders")
    holder = models.CharField(_("name on the certificate"), max_length=80, blank=True)
    dedication = models.CharField(_("dedication"), max_length=120, blank=True)
    quantity = models.PositiveIntegerField(_("trees"))
    # Of a large order: how many trees it holds so far.
    allocated = models.PositiveIntegerField(default=0)
    price_fen = models.PositiveIntegerField(_("price (fen)"))
    kg = models.PositiveSmallIntegerField(_("kg CO2"))
    total_fen = models.BigIntegerField(_("total (fen)"))
    pays_by = models.CharField(_("paid by"), max_length=8, choices=PaysBy, default=PaysBy.ONLINE)
    state = models.CharField(_("state"), max_length=15, choices=State, default=State.HELD)
    idempotency_key = models.CharField(max_length=80, unique=True)
    body_hash = models.CharField(max_length=64)
    address_digest = models.CharField(max_length=90, blank=True)
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    paid_at = models.DateTimeField(_("paid at"), null=True)
    # When the receipt was written, after the payment was booked.
    told_at = models.DateTimeField(null=True)

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
            models.CheckConstraint(condition=Q(allocated__lte=F("quantity")), name="purchases_order_not_overfilled"),
            models.CheckConstraint(
                condition=Q(tree__isnull=True, household__isnull=True)
                | Q(tree__isnull=True, household__isnull=False, area__isnull=True, species__isnull=True)
                | Q(tree__isnull=False, household__isnull=True, area__isnull=True, species__isnull=True, quantity=1),
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
            models.Index(
                fields=["address_digest"], condition=Q(state__in=["held", "allocating"]), name="purchases_order_address"
            ),
            models.Index(fields=["id"], condition=Q(state="allocating"), name="purchases_order_allocating"),
            models.Index(
                fields=["id"], condition=Q(paid_at__isnull=False, told_at__isnull=True), name="purchases_order_untold"
            ),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def kg_total(self) -> int:
        """All kilograms of CO2 by the tariff."""
        return self.quantity * self.kg

    @property
    def certificate(self) -> "Certificate | None":
        """The newest certificate of the order that its buyer has; one that was given away is somebody else's."""
        return self.certificates.filter(owner=self.buyer_id).order_by("-pk").first()
