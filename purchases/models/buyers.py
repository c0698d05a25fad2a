"""Who buys: people, and organisations that somebody of the office has checked."""

import secrets

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from stdnum.cn import uscc

from carbonsink.crypto import DigestField, EncryptedField, digests

ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # No 0/O, 1/I/L, U: numbers are read aloud and typed.


def new_token() -> str:
    """128 random bits for an address that only its holder knows."""
    return secrets.token_urlsafe(16)


def new_number() -> str:
    """An order's number: 12 random characters that can be read aloud (58 bits)."""
    return "".join(secrets.choice(ALPHABET) for _ in range(12))


def new_gift_code() -> str:
    """A gift's code: 16 random characters that can be typed from a card (78 bits)."""
    return "".join(secrets.choice(ALPHABET) for _ in range(16))


def check_uscc(value: str) -> None:
    """Refuses what is no unified social credit code 统一社会信用代码 (GB 32100-2015: 18 characters, the last a check
    character)."""
    if not uscc.is_valid(value):
        raise ValidationError(
            _("This is not a unified social credit code: it has 18 characters, and the last one checks the others.")
        )


class Organisation(models.Model):
    """An enterprise, institution or social group by its unified social credit code. Unchecked until a person of the
    office has compared name and code with the public register."""

    class Kind(models.TextChoices):
        ENTERPRISE = "enterprise", _("enterprise")
        INSTITUTION = "institution", _("institution")
        SOCIAL_GROUP = "social_group", _("social group")

    code = models.CharField(_("unified social credit code"), max_length=18, unique=True, validators=[check_uscc])
    name = models.CharField(_("name"), max_length=80)
    kind = models.CharField(_("kind"), max_length=12, choices=Kind)
    # Who speaks for it: code and name of a firm are public, so that anybody could order as it.
    contact = EncryptedField(_("phone or e-mail"), default="")
    contact_digest = DigestField(of="contact", null=True)
    checked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, verbose_name=_("checked by"), null=True, related_name="+"
    )
    checked_at = models.DateTimeField(_("checked at"), null=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("organisation")
        verbose_name_plural = _("organisations")
        constraints = [
            models.CheckConstraint(
                condition=Q(checked_by__isnull=True, checked_at__isnull=True)
                | Q(checked_by__isnull=False, checked_at__isnull=False),
                name="purchases_organisation_checked_by_somebody",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_checked(self) -> bool:
        """Whether a person has compared it with the public register."""
        return self.checked_at is not None

    def is_checked_with(self, contact: str) -> bool:
        """Whether it has been checked, with this contact as who speaks for it."""
        return self.is_checked and self.contact_digest in digests(contact)


class Buyer(models.Model):
    """Who buys, and where the receipt goes. Not an account: a signed-in buyer has `user` too."""

    class Kind(models.TextChoices):
        INDIVIDUAL = "individual", _("individual")
        ENTERPRISE = "enterprise", _("enterprise")
        INSTITUTION = "institution", _("institution")
        SOCIAL_GROUP = "social_group", _("social group")

    kind = models.CharField(_("kind"), max_length=12, choices=Kind, default=Kind.INDIVIDUAL)
    # Empty for who took a gift and left none: only the certificate's own address leads there.
    contact = EncryptedField(_("phone or e-mail"))
    contact_digest = DigestField(of="contact", db_index=True, null=True)
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, verbose_name=_("organisation"), null=True, related_name="buyers"
    )
    contact_person = EncryptedField(_("contact person"), default="")
    # The language of messages to the buyer.
    language = models.CharField(max_length=10, default="zh-hans")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="buyers")
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("buyer")
        verbose_name_plural = _("buyers")
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="individual", organisation__isnull=True)
                | (~Q(kind="individual") & Q(organisation__isnull=False)),
                name="purchases_buyer_organisation",
            )
        ]
