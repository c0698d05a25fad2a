"""What is sold: one tree's sink of one vintage, once."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from trees.models import Household, Tree


class Tariff(models.Model):
    """Price and kilograms of a tree's year, and when that vintage is on sale. 10 kg is a tariff, not a measurement."""

    vintage = models.PositiveSmallIntegerField(_("vintage"), unique=True)
    price_fen = models.PositiveIntegerField(_("price (fen)"), default=300)
    sink_kg = models.PositiveSmallIntegerField(_("sink (kg CO2)"), default=10)
    opens_at = models.DateTimeField(_("sale opens"))
    closes_at = models.DateTimeField(_("sale closes"))
    opened_at = models.DateTimeField(_("sinks made at"), null=True, editable=False)

    class Meta:
        verbose_name = _("tariff")
        verbose_name_plural = _("tariffs")
        ordering = ["-vintage"]
        constraints = [
            models.CheckConstraint(condition=Q(price_fen__gt=0, sink_kg__gt=0), name="purchases_tariff_positive"),
            models.CheckConstraint(condition=Q(opens_at__lt=F("closes_at")), name="purchases_tariff_window"),
        ]

    def __str__(self) -> str:
        return str(self.vintage)


class Stock(models.Model):
    """How many sinks of a vintage a household offers and has sold. What a purchase locks; held ones count as sold.

    The reference to the household is proved by `audit`, with its sinks: enforced, committing an opened vintage would
    wait for a reviewer who approves a tree of the household and waits for the vintage.
    """

    household = models.ForeignKey(Household, models.PROTECT, db_constraint=False, related_name="stocks")
    vintage = models.PositiveSmallIntegerField(_("vintage"))
    village_code = models.CharField(_("village code"), max_length=12)
    total = models.PositiveIntegerField(_("in all"), default=0)
    sold = models.PositiveIntegerField(_("sold"), default=0)
    # Which species the household has sinks of, sold or not: an order for one species looks at these households only.
    species = ArrayField(models.BigIntegerField(), default=list)
    shuffle = models.IntegerField(help_text="Breaks ties between households that have sold equally many.")

    class Meta:
        verbose_name = _("stock")
        verbose_name_plural = _("stock")
        constraints = [
            models.UniqueConstraint(fields=["household", "vintage"], name="purchases_stock_once"),
            models.CheckConstraint(condition=Q(sold__lte=F("total")), name="purchases_stock_not_oversold"),
        ]
        indexes = [
            models.Index(
                fields=["vintage", "village_code"],
                condition=Q(sold__lt=F("total")),
                name="purchases_stock_unsold",
            ),
            # Who has sold least comes first. Each sale writes to it, and it still makes three times as many of them.
            models.Index(
                fields=["vintage", "sold", "shuffle", "id"],
                condition=Q(sold__lt=F("total")),
                name="purchases_stock_least_sold",
            ),
        ]

    @property
    def unsold(self) -> int:
        """Sinks that can be bought now."""
        return self.total - self.sold


class Sink(models.Model):
    """One tree's sink of one vintage. Holding it is having its `order` column: it cannot be sold twice.

    Price and kilograms are those of the tariff when the vintage was opened. References are not enforced row by row:
    they are written by one INSERT … SELECT, and `audit` proves them.
    """

    tree = models.ForeignKey(Tree, models.PROTECT, db_constraint=False, related_name="sinks")
    vintage = models.PositiveSmallIntegerField(_("vintage"))
    household = models.ForeignKey(Household, models.PROTECT, db_constraint=False, related_name="+", db_index=False)
    rank = models.PositiveSmallIntegerField()
    price_fen = models.PositiveIntegerField(_("price (fen)"))
    kg = models.PositiveSmallIntegerField(_("kg CO2"))
    open = models.BooleanField(default=True)
    order = models.ForeignKey(
        "Order", models.PROTECT, null=True, db_constraint=False, related_name="sinks", db_index=False
    )
    certificate = models.ForeignKey(
        "Certificate", models.PROTECT, null=True, db_constraint=False, related_name="sinks", db_index=False
    )

    class Meta:
        verbose_name = _("sink")
        verbose_name_plural = _("sinks")
        constraints = [
            models.UniqueConstraint(fields=["tree", "vintage"], name="purchases_sink_once"),
            models.CheckConstraint(condition=Q(price_fen__gt=0, kg__gt=0), name="purchases_sink_positive"),
            models.CheckConstraint(
                condition=Q(certificate__isnull=True) | Q(order__isnull=False),
                name="purchases_sink_certificate_needs_order",
            ),
        ]
        indexes = [
            models.Index(
                fields=["household", "vintage", "rank"],
                condition=Q(order__isnull=True, open=True),
                name="purchases_sink_unsold",
            ),
            models.Index(fields=["order"], condition=Q(order__isnull=False), name="purchases_sink_order"),
            models.Index(
                fields=["certificate"],
                condition=Q(certificate__isnull=False),
                name="purchases_sink_certificate",
            ),
        ]

    @property
    def release(self) -> "SinkRelease | None":
        """Why the sink is never sold again: its tree was lost."""
        return next((one for one in self.releases.all() if one.kind == SinkRelease.Kind.LOST), None)

    @property
    def stands_in(self) -> "Replacement | None":
        """What brought the sink into the order that has it, if it stands in for a lost one."""
        came = [one for one in self.stood_in.all() if one.order_id == self.order_id]
        return max(came, key=lambda one: one.pk, default=None)


class SinkRelease(models.Model):
    """Says, append-only, why a paid sink left its order.

    Lost: the state in which its tree left, and the day it was found; it is never sold again, also when its tree comes
    back. Given back by its buyer, and on which day: it may be sold again, and given back again.
    """

    class Kind(models.TextChoices):
        LOST = "lost", _("lost")
        GIVEN = "given", _("given back")

    sink = models.ForeignKey(Sink, models.PROTECT, related_name="releases")
    kind = models.CharField(_("kind"), max_length=5, choices=Kind, default=Kind.LOST)
    order = models.ForeignKey("Order", models.PROTECT, related_name="releases")
    reason = models.CharField(_("reason"), max_length=200)
    left_on = models.DateField(_("left on"))
    # Of one given back, and where no other tree could stand in: the refund in which the sink's price went back.
    refund = models.ForeignKey("Refund", models.PROTECT, null=True, related_name="releases")
    at = models.DateTimeField(_("at"), auto_now_add=True)

    class Meta:
        verbose_name = _("release of a sink")
        verbose_name_plural = _("releases of sinks")
        constraints = [
            models.UniqueConstraint(fields=["sink"], condition=Q(kind="lost"), name="purchases_sink_lost_once"),
            models.CheckConstraint(
                condition=Q(kind="lost") | Q(kind="given", refund__isnull=False),
                name="purchases_release_given_refunded",
            ),
        ]


class Replacement(models.Model):
    """Says, append-only, which sink stands in for a sold one whose tree has left: same vintage, price and kilograms.

    The database refuses one that was not released, does not belong to the order now, or is of another vintage.
    """

    old_sink = models.OneToOneField(Sink, models.PROTECT, related_name="replaced_by")
    # One that is given back may stand in again, in another order.
    new_sink = models.ForeignKey(Sink, models.PROTECT, related_name="stood_in")
    order = models.ForeignKey("Order", models.PROTECT, related_name="replacements")
    # The state in which the tree left: dead, felled or withdrawn.
    reason = models.CharField(_("reason"), max_length=200)
    at = models.DateTimeField(_("at"), auto_now_add=True)

    class Meta:
        verbose_name = _("replacement")
        verbose_name_plural = _("replacements")
        constraints = [
            models.CheckConstraint(condition=~Q(old_sink=F("new_sink")), name="purchases_replacement_of_another"),
        ]

    @property
    def same_household(self) -> bool:
        """Whether the household keeps the sale: then no money moves."""
        return self.old_sink.household_id == self.new_sink.household_id
