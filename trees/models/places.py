"""Where trees stand, what they are, and the rules they are taken by."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _


class Division(models.Model):
    """An administrative division, keyed by its 12-digit statistical code."""

    class Level(models.TextChoices):
        PROVINCE = "province", _("province")
        PREFECTURE = "prefecture", _("prefecture")
        COUNTY = "county", _("county")
        TOWNSHIP = "township", _("township")
        VILLAGE = "village", _("village")

    # How many digits of the code are significant at each level.
    DIGITS = {"province": 2, "prefecture": 4, "county": 6, "township": 9, "village": 12}

    code = models.CharField(max_length=12, primary_key=True)
    name = models.CharField(max_length=60)
    level = models.CharField(max_length=10, choices=Level)
    parent = models.ForeignKey("self", models.PROTECT, null=True, related_name="children")
    households_numbered = models.PositiveSmallIntegerField(default=0, editable=False)

    class Meta:
        verbose_name = _("division")
        verbose_name_plural = _("divisions")
        ordering = ["code"]
        constraints = [
            models.CheckConstraint(condition=models.Q(code__regex=r"^\d{12}$"), name="trees_division_code"),
            models.CheckConstraint(
                condition=models.Q(level="province", parent__isnull=True)
                | (~models.Q(level="province") & models.Q(parent__isnull=False)),
                name="trees_division_parent",
            ),
            models.CheckConstraint(
                condition=models.Q(households_numbered__lte=999), name="trees_division_ordinals_left"
            ),
        ]
        indexes = [models.Index(fields=["name"], name="trees_division_name")]

    def __str__(self) -> str:
        return self.name

    @property
    def prefix(self) -> str:
        """The significant digits: all codes within this division begin with them."""
        return self.code[: self.DIGITS[self.level]]

    @cached_property
    def path(self) -> list["Division"]:
        """This division and those above it, from the province down."""
        codes = [self.code[:digits].ljust(12, "0") for digits in self.DIGITS.values()]
        wanted = list(Division.objects.filter(code__in=set(codes)).order_by("code"))
        return [d for d in wanted if self.code.startswith(d.prefix)]

    @property
    def full_name(self) -> str:
        """All names from the province down, e.g. 贵州省黔东南苗族侗族自治州从江县…"""
        return "".join(division.name for division in self.path)


class Boundary(models.Model):
    """The outline of a division: GeoJSON Polygon or MultiPolygon, WGS84. Used to notice trees that stand elsewhere."""

    division = models.OneToOneField(Division, models.CASCADE, primary_key=True)
    geometry = models.JSONField()
    source = models.CharField(_("source"), max_length=120)

    class Meta:
        verbose_name = _("boundary")
        verbose_name_plural = _("boundaries")


class Species(models.Model):
    """A kind of tree or bamboo, keyed by its scientific name."""

    class Form(models.TextChoices):
        TREE = "tree", _("tree")
        BAMBOO = "bamboo", _("bamboo")

    scientific_name = models.CharField(_("scientific name"), max_length=80, unique=True)
    name_zh = models.CharField(_("Chinese name"), max_length=40)
    name_en = models.CharField(_("English name"), max_length=60, blank=True)
    form = models.CharField(_("form"), max_length=6, choices=Form, default=Form.TREE)
    max_dbh_cm = models.DecimalField(
        _("largest plausible DBH (cm)"), max_digits=4, decimal_places=1, null=True, blank=True
    )

    class Meta:
        verbose_name = _("species")
        verbose_name_plural = _("species")
        ordering = ["name_zh"]

    def __str__(self) -> str:
        return self.name_zh


class Programme(models.Model):
    """The rules of a scheme. The defaults are Guizhou's: DBH ≥ 5 cm or age ≥ 3 years, 6 vintages, 450 trees."""

    name = models.CharField(_("name"), max_length=80, unique=True)
    min_dbh_cm = models.DecimalField(_("least DBH (cm)"), max_digits=4, decimal_places=1, default=5)
    max_dbh_cm = models.DecimalField(_("largest DBH (cm)"), max_digits=4, decimal_places=1, null=True, blank=True)
    min_age_years = models.PositiveSmallIntegerField(_("least age (years)"), default=3)
    vintages = models.PositiveSmallIntegerField(_("vintages"), default=6, validators=[MinValueValidator(1)])
    max_trees_per_household = models.PositiveSmallIntegerField(_("most trees of a household"), default=450)
    max_trees_per_hour = models.PositiveSmallIntegerField(
        _("most trees an officer can register in an hour"), default=240
    )
    village_radius_km = models.DecimalField(
        _("how far from its village's other trees a tree may stand (km)"), max_digits=4, decimal_places=1, default=5
    )
    second_look_percent = models.DecimalField(
        _("approved trees that get a second look (%)"),
        max_digits=4,
        decimal_places=1,
        default=3,
        validators=[MinValueValidator(0), MaxValueValidator(100)],
    )
    inspection_percent = models.DecimalField(
        _("trees drawn for an inspection each year (%)"),
        max_digits=4,
        decimal_places=1,
        default=0,
        validators=[MinValueValidator(0), MaxValueValidator(100)],
    )

    class Meta:
        verbose_name = _("programme")
        verbose_name_plural = _("programmes")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(vintages__gte=1, max_trees_per_household__range=(1, 999)),
                name="trees_programme_sensible",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    max_trees_per_hour__gte=1, village_radius_km__gt=0, second_look_percent__range=(0, 100)
                ),
                name="trees_programme_suspicions",
            ),
            models.CheckConstraint(
                condition=models.Q(inspection_percent__range=(0, 100)), name="trees_programme_inspections"
            ),
        ]

    def __str__(self) -> str:
        return self.name
