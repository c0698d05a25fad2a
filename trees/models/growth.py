"""A tree over the years: corrections of what was recorded, and inspections of how it does."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from carbonsink.states import Stateful
from trees.models.stand import Tree


class Correction(models.Model):
    """One change of what is recorded about a tree, append-only: what stood there before, who changed it, when."""

    tree = models.ForeignKey(Tree, models.PROTECT, related_name="corrections")
    revision = models.PositiveSmallIntegerField(help_text="The tree's revision that this correction made.")
    body_hash = models.CharField(max_length=64, editable=False)
    before = models.JSONField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("correction")
        verbose_name_plural = _("corrections")
        constraints = [
            models.UniqueConstraint(fields=["tree", "revision"], name="trees_correction_once"),
            models.CheckConstraint(condition=Q(revision__gte=2), name="trees_correction_revision"),
        ]


class Inspection(Stateful):
    """A look at an approved tree: measured again, or found dead, felled or damaged.

    What ends a tree is reported by one person and confirmed or refuted by another.
    """

    class State(models.TextChoices):
        RECORDED = "recorded", _("recorded")
        REPORTED = "reported", _("waiting for confirmation")
        CONFIRMED = "confirmed", _("confirmed")
        REFUTED = "refuted", _("refuted")

    class Condition(models.TextChoices):
        ALIVE = "alive", _("alive")
        DAMAGED = "damaged", _("damaged")
        DEAD = "dead", _("dead")
        FELLED = "felled", _("felled")

    class Cause(models.TextChoices):
        DROUGHT = "drought", _("drought")
        FROST = "frost", _("frost or snow")
        STORM = "storm", _("storm")
        FIRE = "fire", _("fire")
        PESTS = "pests", _("pests or disease")
        LANDSLIDE = "landslide", _("landslide or flood")
        ANIMALS = "animals", _("animals")
        BUILDING = "building", _("building or road works")
        PERMITTED = "permitted", _("felled with a permit")
        UNPERMITTED = "unpermitted", _("felled without a permit")
        UNKNOWN = "unknown", _("unknown")

    MOVES = {"recorded": set(), "reported": {"confirmed", "refuted"}}

    client_uuid = models.UUIDField(unique=True, editable=False)
    body_hash = models.CharField(max_length=64, editable=False)
    tree = models.ForeignKey(Tree, models.PROTECT, related_name="inspections")
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.RECORDED)
    condition = models.CharField(_("condition"), max_length=8, choices=Condition)
    cause = models.CharField(_("cause"), max_length=12, choices=Cause, blank=True)
    dbh_cm = models.DecimalField(_("DBH (cm)"), max_digits=4, decimal_places=1, null=True)
    lon = models.DecimalField(_("longitude"), max_digits=9, decimal_places=6, null=True)
    lat = models.DecimalField(_("latitude"), max_digits=8, decimal_places=6, null=True)
    accuracy_m = models.PositiveSmallIntegerField(_("accuracy (m)"), null=True)
    inspected_on = models.DateField(_("inspected on"))
    note = models.CharField(_("note"), max_length=300, blank=True)
    inspected_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    received_at = models.DateTimeField(_("received at"), auto_now_add=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("inspection")
        verbose_name_plural = _("inspections")
        constraints = [
            models.CheckConstraint(
                condition=Q(condition="alive", cause="") | (~Q(condition="alive") & ~Q(cause="")),
                name="trees_inspection_cause",
            ),
            models.CheckConstraint(
                condition=Q(condition__in=["alive", "damaged"], state="recorded")
                | Q(condition__in=["dead", "felled"], state__in=["reported", "confirmed", "refuted"]),
                name="trees_inspection_ends_are_reported",
            ),
            models.CheckConstraint(
                condition=Q(dbh_cm__isnull=True) | Q(dbh_cm__gt=0, dbh_cm__lt=500), name="trees_inspection_dbh"
            ),
            models.CheckConstraint(
                condition=Q(lon__isnull=True, lat__isnull=True)
                | (
                    Q(lon__isnull=False, lat__isnull=False)
                    & Q(lon__range=(-180, 180), lat__range=(-90, 90))
                    & ~Q(lon=0, lat=0)
                ),
                name="trees_inspection_position_whole",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["recorded", "reported"], decided_by__isnull=True, decided_at__isnull=True)
                | (
                    Q(state__in=["confirmed", "refuted"], decided_by__isnull=False, decided_at__isnull=False)
                    & ~Q(decided_by=F("inspected_by"))
                ),
                name="trees_inspection_two_people",
            ),
            models.UniqueConstraint(
                fields=["tree"], condition=Q(state="reported"), name="trees_inspection_one_open_report"
            ),
        ]
        indexes = [
            models.Index(fields=["received_at"], condition=Q(state="reported"), name="trees_inspection_reported"),
        ]
