"""Households, and the consent without which none is stored."""

import secrets

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Func
from django.utils.translation import gettext_lazy as _

from carbonsink import crypto
from carbonsink.accounts import roles
from carbonsink.crypto import DigestField, EncryptedField
from trees.models.places import Division, Programme

# Made by the database, so that no way in which a household comes about can forget it: 128 bits of two random UUIDs,
# each of which has 122 from the server's strong source, as 22 letters that addresses may have.
NEW_PAGE_KEY = Func(
    template="translate(rtrim(encode(substring(sha256("
    "uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) FROM 1 FOR 16), 'base64'), '='), '+/', '-_')",
    output_field=models.CharField(),
)


def new_public_id() -> str:
    """80 random bits: the household's name on the market, which everybody may know."""
    return secrets.token_hex(10)


class HouseholdQuerySet(models.QuerySet["Household"]):
    """Knows who may see which household."""

    def visible_to(self, user: object) -> "HouseholdQuerySet":
        """Officers and reviewers see their area, finance and administrators all, others none."""
        if not user.is_authenticated:  # type: ignore[attr-defined]
            return self.none()
        if user.has_role(roles.FINANCE, roles.ADMINISTRATOR):  # type: ignore[attr-defined]
            return self
        if user.area and user.has_role(roles.OFFICER, roles.REVIEWER):  # type: ignore[attr-defined]
            return self.filter(village__code__startswith=user.area)  # type: ignore[attr-defined]
        return self.none()


class Household(models.Model):
    """A household that owns trees. The database refuses to commit one without a consent."""

    class Category(models.TextChoices):
        POOR = "poor", _("registered poor household")
        MONITORED = "monitored", _("monitored household")
        SMALLHOLDER = "smallholder", _("smallholder")

    class Tenure(models.TextChoices):
        CERTIFICATE = "certificate", _("forest-right certificate")
        RETURNED_FARMLAND = "returned_farmland", _("returned farmland")

    public_id = models.CharField(max_length=20, unique=True, default=new_public_id, editable=False)
    # The secret address of its own page: on its papers and in its SMS alone, never on a page or in an answer.
    page_key = models.CharField(max_length=22, unique=True, db_default=NEW_PAGE_KEY, editable=False)
    client_uuid = models.UUIDField(unique=True, editable=False)
    body_hash = models.CharField(max_length=64, editable=False)
    programme = models.ForeignKey(Programme, models.PROTECT)
    village = models.ForeignKey(Division, models.PROTECT, verbose_name=_("village"))
    ordinal = models.PositiveSmallIntegerField(editable=False)
    head_name = EncryptedField(_("head of household"))
    head_name_digest = DigestField(of="head_name", db_index=True)
    id_number = EncryptedField(_("ID number"))
    id_number_digest = DigestField(of="id_number", unique=True)
    phone = EncryptedField(_("mobile number"))
    phone_digest = DigestField(of="phone", db_index=True)
    category = models.CharField(_("category"), max_length=12, choices=Category)
    area_mu = models.DecimalField(
        _("area (mu)"),
        max_digits=6,
        decimal_places=2,
        validators=[MinValueValidator(0)],
        help_text=_("15 mu = 1 ha"),
    )
    tenure = models.CharField(_("tenure"), max_length=20, choices=Tenure)
    tenure_number = models.CharField(_("certificate number"), max_length=60, blank=True)
    trees_numbered = models.PositiveSmallIntegerField(default=0, editable=False)
    registered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", editable=False)
    registered_at = models.DateTimeField(_("registered at"), auto_now_add=True)
    imported_from = models.ForeignKey("Import", models.PROTECT, null=True, related_name="households", editable=False)

    objects = HouseholdQuerySet.as_manager()

    class Meta:
        verbose_name = _("household")
        verbose_name_plural = _("households")
        constraints = [
            models.UniqueConstraint(fields=["village", "ordinal"], name="trees_household_ordinal"),
            models.CheckConstraint(condition=models.Q(area_mu__gt=0), name="trees_household_area"),
            models.CheckConstraint(
                condition=models.Q(tenure="returned_farmland")
                | (models.Q(tenure="certificate") & ~models.Q(tenure_number="")),
                name="trees_household_clear_tenure",
            ),
            models.CheckConstraint(condition=models.Q(trees_numbered__lte=999), name="trees_household_ordinals_left"),
            models.CheckConstraint(
                condition=models.Q(page_key__regex=r"^[A-Za-z0-9_-]{22}$"), name="trees_household_page_key_whole"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.village_id}-{self.ordinal:03d}"

    @property
    def masked_name(self) -> str:
        """The head's name as the public sees it."""
        return crypto.mask_name(self.head_name)

    @property
    def masked_phone(self) -> str:
        """The phone as officials see it by default: 139****5678."""
        return crypto.mask(self.phone, 3, 4)

    @property
    def masked_id_number(self) -> str:
        """The ID number as officials see it by default."""
        return crypto.mask(self.id_number, 6, 2)


class ConsentText(models.Model):
    """A version of what households agree to. Never changed once there; a new wording is a new version."""

    version = models.CharField(_("version"), max_length=20, unique=True)
    body = models.TextField(_("text"))
    published_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("consent text")
        verbose_name_plural = _("consent texts")
        get_latest_by = "published_at"

    def __str__(self) -> str:
        return self.version


class Consent(models.Model):
    """A household's signature under a version of the text."""

    household = models.ForeignKey(Household, models.PROTECT, related_name="consents")
    text = models.ForeignKey(ConsentText, models.PROTECT)
    signed_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True)
    # What was drawn on the officer's screen, among the evidence; empty where paper was signed.
    signature = models.CharField(max_length=120, blank=True, db_default="", editable=False)
    signature_sha256 = models.CharField(max_length=64, blank=True, db_default="", editable=False)

    class Meta:
        verbose_name = _("consent")
        verbose_name_plural = _("consents")
        constraints = [
            models.UniqueConstraint(
                fields=["household"],
                condition=models.Q(withdrawn_at__isnull=True),
                name="trees_consent_one_in_force",
            ),
            models.CheckConstraint(
                condition=models.Q(withdrawn_at__isnull=True) | models.Q(withdrawn_at__gte=models.F("signed_at")),
                name="trees_consent_order",
            ),
            models.CheckConstraint(
                condition=models.Q(signature="", signature_sha256="")
                | (~models.Q(signature="") & models.Q(signature_sha256__regex=r"^[0-9a-f]{64}$")),
                name="trees_consent_signature_whole",
            ),
        ]
