"""Trees, and how they were taken into the scheme."""

from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from carbonsink.states import Stateful
from trees.models.households import Household
from trees.models.places import Species


class TreeQuerySet(models.QuerySet["Tree"]):
    """Knows who may see which tree in the registry's own pages."""

    def visible_to(self, user: object) -> "TreeQuerySet":
        """The trees of the households the user may see."""
        return self.filter(household__in=Household.objects.visible_to(user))


class Tree(Stateful):
    """A numbered tree 碳汇树. The number is given when it first arrives, and never reused."""

    class State(models.TextChoices):
        DRAFT = "draft", _("draft")
        SUBMITTED = "submitted", _("waiting for review")
        APPROVED = "approved", _("approved")
        REJECTED = "rejected", _("rejected")
        SUSPENDED = "suspended", _("suspended")
        DEAD = "dead", _("dead")
        FELLED = "felled", _("felled")
        WITHDRAWN = "withdrawn", _("withdrawn")
        EXPIRED = "expired", _("expired")

    MOVES = {
        "draft": {"submitted"},
        "submitted": {"approved", "rejected"},
        "rejected": {"submitted"},
        "approved": {"submitted", "suspended", "dead", "felled", "withdrawn", "expired"},
        "suspended": {"approved", "dead", "felled", "withdrawn"},
        "expired": {"submitted"},
        "withdrawn": {"submitted"},
    }

    number = models.CharField(_("number"), max_length=19, unique=True, editable=False)
    client_uuid = models.UUIDField(unique=True, editable=False)
    body_hash = models.CharField(max_length=64, editable=False)
    household = models.ForeignKey(Household, models.PROTECT, related_name="trees")
    ordinal = models.PositiveSmallIntegerField(editable=False)
    species = models.ForeignKey(Species, models.PROTECT, verbose_name=_("species"))
    dbh_cm = models.DecimalField(_("DBH (cm)"), max_digits=4, decimal_places=1, null=True)
    planted_year = models.PositiveSmallIntegerField(_("planted in"), null=True)
    lon = models.DecimalField(_("longitude"), max_digits=9, decimal_places=6, null=True)
    lat = models.DecimalField(_("latitude"), max_digits=8, decimal_places=6, null=True)
    accuracy_m = models.PositiveSmallIntegerField(_("accuracy (m)"), null=True)
    measured_on = models.DateField(_("measured on"))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.SUBMITTED)
    registered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", editable=False)
    registered_at = models.DateTimeField(_("registered at"), auto_now_add=True)
    # Who gave the measurement that holds now, when by the device's clock, and how often it was corrected.
    measured_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", editable=False)
    captured_at = models.DateTimeField(_("recorded on the device at"), null=True, editable=False)
    revision = models.PositiveSmallIntegerField(default=1, editable=False)
    # The newest accepted photo: what lists and pages show.
    picture = models.ForeignKey("Photo", models.PROTECT, null=True, related_name="+", editable=False)
    imported_from = models.ForeignKey("Import", models.PROTECT, null=True, related_name="trees", editable=False)

    objects = TreeQuerySet.as_manager()

    class Meta:
        verbose_name = _("tree")
        verbose_name_plural = _("trees")
        constraints = [
            models.UniqueConstraint(fields=["household", "ordinal"], name="trees_tree_ordinal"),
            models.CheckConstraint(condition=Q(number__regex=r"^\d{19}$"), name="trees_tree_number"),
            models.CheckConstraint(
                condition=Q(dbh_cm__isnull=False) | Q(planted_year__isnull=False), name="trees_tree_measured"
            ),
            models.CheckConstraint(
                condition=Q(dbh_cm__isnull=True) | Q(dbh_cm__gt=0, dbh_cm__lt=500), name="trees_tree_dbh"
            ),
            models.CheckConstraint(
                condition=Q(lon__isnull=True, lat__isnull=True)
                | (
                    # A CHECK passes what is unknown: without these two, half a position would.
                    Q(lon__isnull=False, lat__isnull=False)
                    & Q(lon__range=(-180, 180), lat__range=(-90, 90))
                    & ~Q(lon=0, lat=0)
                ),
                name="trees_tree_position_whole",
            ),
        ]
        indexes = [
            models.Index(
                fields=["household", "registered_at"],
                condition=Q(state="submitted", picture__isnull=False),
                name="trees_tree_queue",
            ),
            models.Index(
                fields=["household"],
                condition=Q(state="submitted", picture__isnull=True),
                name="trees_tree_photoless",
            ),
            models.Index(fields=["lat", "lon"], condition=Q(lat__isnull=False), name="trees_tree_position"),
            # How fast an officer went; imported trees have no pace.
            models.Index(
                "measured_by",
                Coalesce("captured_at", "registered_at"),
                condition=Q(imported_from__isnull=True),
                name="trees_tree_pace",
            ),
            models.Index(
                fields=["imported_from", "id"], condition=Q(imported_from__isnull=False), name="trees_tree_imported"
            ),
            models.Index(fields=["id"], condition=Q(state__in=["dead", "felled", "withdrawn"]), name="trees_tree_left"),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def public_position(self) -> tuple[float, float] | None:
        """Longitude and latitude rounded to 0.01° (about 1 km), or None."""
        if self.lon is None or self.lat is None:
            return None
        return round(float(self.lon), 2), round(float(self.lat), 2)


class Enrolment(models.Model):
    """The vintages a tree was approved for, and on what measurement. The database refuses overlapping ones, one
    without an accepted photo, and one approved by whoever registered or measured the tree.

    A renewal is a new enrolment of the same tree. An approval that was taken back leaves a revoked one."""

    tree = models.ForeignKey(Tree, models.PROTECT, related_name="enrolments")
    first_vintage = models.PositiveSmallIntegerField()
    last_vintage = models.PositiveSmallIntegerField()
    dbh_cm = models.DecimalField(max_digits=4, decimal_places=1, null=True)
    measured_on = models.DateField()
    registered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    measured_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    approved_at = models.DateTimeField(_("approved at"))
    revoked_at = models.DateTimeField(_("taken back at"), null=True)

    class Meta:
        verbose_name = _("enrolment")
        verbose_name_plural = _("enrolments")
        constraints = [
            models.CheckConstraint(
                condition=Q(first_vintage__lte=F("last_vintage")), name="trees_enrolment_vintages_ordered"
            ),
            models.CheckConstraint(
                condition=~Q(approved_by=F("registered_by")) & ~Q(approved_by=F("measured_by")),
                name="trees_enrolment_two_people",
            ),
            ExclusionConstraint(
                name="trees_enrolment_no_overlap",
                condition=Q(revoked_at__isnull=True),
                expressions=[
                    ("tree", RangeOperators.EQUAL),
                    (
                        Func(F("first_vintage"), F("last_vintage"), Value("[]"), function="int4range"),
                        RangeOperators.OVERLAPS,
                    ),
                ],
            ),
        ]
