from typing import Any

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from carbonsink.crypto import DigestField, EncryptedField, digest, digests, normalise

mobile_number = RegexValidator(r"^1[3-9][0-9]{9}$", _("Enter the 11 digits of a mobile number, such as 13912345678."))


class UserManager(BaseUserManager["User"]):
    """Finds and makes users by phone or e-mail."""

    def by_identifier(self, identifier: str) -> "User | None":
        """The user whose e-mail or phone this is, or None."""
        if "@" in identifier:
            return self.filter(email=identifier.strip().lower()).first()
        return self.filter(phone_digest__in=digests(identifier)).first()

    def create_user(
        self,
        email: str | None = None,
        password: str | None = None,
        *,
        phone: str | None = None,
        **fields: Any,
    ) -> "User":
        """Makes a user who signs in by e-mail, phone or both."""
        user = self.model(
            email=email.strip().lower() if email else None,
            phone=normalise(phone) if phone else None,
            **fields,
        )
        user.set_password(password)
        user.full_clean(exclude=["password"])
        user.save()
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """For `manage.py createsuperuser`."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    """Somebody who signs in. Officers and reviewers have an `area`: the prefix of the division codes they see."""

    email = models.EmailField(_("e-mail"), unique=True, null=True, blank=True)
    phone = EncryptedField(_("mobile number"), null=True, blank=True, validators=[mobile_number])
    phone_digest = DigestField(of="phone", unique=True, null=True)
    name = models.CharField(_("name"), max_length=80)
    area = models.CharField(
        _("area"),
        max_length=12,
        blank=True,
        validators=[
            RegexValidator(r"^[0-9]{2,12}$", _("Enter the leading digits of a division code, such as 522634."))
        ],
        help_text=_("Leading digits of the division codes this officer or reviewer is responsible for."),
    )
    is_staff = models.BooleanField(_("may enter the admin"), default=False)
    is_active = models.BooleanField(_("active"), default=True)
    date_joined = models.DateTimeField(default=timezone.now, editable=False)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = ["name"]
    objects = UserManager()

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(email__isnull=False) | models.Q(phone_digest__isnull=False),
                name="accounts_user_can_sign_in",
            ),
            models.CheckConstraint(
                condition=models.Q(phone__isnull=True, phone_digest__isnull=True)
                | models.Q(phone__isnull=False, phone_digest__isnull=False),
                name="accounts_user_phone_has_digest",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Normalises what one signs in by. The digest is set here too, since forms and `full_clean` judge it before
        the row is saved."""
        super().clean()
        self.email = self.email.strip().lower() if self.email else None
        self.phone = normalise(self.phone) if self.phone else None
        self.phone_digest = digest(self.phone) if self.phone else None
        if not (self.phone or self.email):
            raise ValidationError(_("A user needs a mobile number or an e-mail."))
        if self.phone and User.objects.filter(phone_digest__in=digests(self.phone)).exclude(pk=self.pk).exists():
            raise ValidationError({"phone": _("Another user has this mobile number.")})

    @cached_property
    def roles(self) -> set[str]:
        """Names of the user's groups."""
        return set(self.groups.values_list("name", flat=True))

    def has_role(self, *roles: str) -> bool:
        """Whether the user is active and has one of the roles."""
        return self.is_active and not self.roles.isdisjoint(roles)


def signed_in(request: Any) -> User:
    """The user of a request that only signed-in users can make."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user
