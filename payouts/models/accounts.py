"""Households' bank accounts: versions that never change, entered by one person and approved by another."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from carbonsink import crypto
from carbonsink.crypto import DigestField, EncryptedField
from carbonsink.states import Stateful
from trees.models import Household


class BankAccount(Stateful):
    """One version of a household's account. A payout pins the version it pays to."""

    class State(models.TextChoices):
        ENTERED = "entered", _("waiting for approval")
        APPROVED = "approved", _("approved")
        REJECTED = "rejected", _("rejected")
        SUPERSEDED = "superseded", _("superseded")
        BOUNCED = "bounced", _("did not work: the bank sent the money back")

    MOVES = {
        "entered": {"approved", "rejected"},
        # Rejected: a change that was stopped in its cooling time.
        "approved": {"superseded", "bounced", "rejected"},
        # Nothing goes there until a person has found out that it works after all, or a new version is approved.
        "bounced": {"approved", "superseded"},
        # Put back, when the change that superseded it was stopped.
        "superseded": {"approved"},
    }

    client_uuid = models.UUIDField(unique=True, editable=False)
    body_hash = models.CharField(max_length=64, editable=False)
    household = models.ForeignKey(Household, models.PROTECT, related_name="bank_accounts")
    version = models.PositiveSmallIntegerField(_("version"))
    holder = EncryptedField(_("account holder"))
    holder_digest = DigestField(of="holder")
    bank_name = EncryptedField(_("bank"))
    bank_code = EncryptedField(_("bank code (CNAPS)"))
    number = EncryptedField(_("account number"))
    number_digest = DigestField(of="number", db_index=True)
    # False: a card's Luhn check digit does not fit, and the officer has compared the number and confirmed it.
    check_digit_fits = models.BooleanField(_("check digit fits"), default=True, db_default=True, editable=False)
    # The household's mobile number when this was entered: whoever changes a number and then the account cannot keep
    # the former number from being told.
    phone = EncryptedField()
    # Binds all of this to household and version, so that ciphertext copied from another row is noticed.
    seal = DigestField(of="identity")
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.ENTERED)
    entered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    entered_at = models.DateTimeField(auto_now_add=True)
    approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    approved_at = models.DateTimeField(_("approved at"), null=True)
    usable_from = models.DateTimeField(_("usable from"), null=True)

    class Meta:
        verbose_name = _("bank account")
        verbose_name_plural = _("bank accounts")
        constraints = [
            models.UniqueConstraint(fields=["household", "version"], name="payouts_bankaccount_version"),
            models.UniqueConstraint(
                fields=["household"], condition=Q(state="approved"), name="payouts_bankaccount_one_approved"
            ),
            models.CheckConstraint(
                condition=Q(approved_by__isnull=True) | ~Q(approved_by=F("entered_by")),
                name="payouts_bankaccount_two_people",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["approved", "superseded", "bounced"])
                | Q(approved_by__isnull=False, approved_at__isnull=False, usable_from__isnull=False),
                name="payouts_bankaccount_approved_is_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.household} v{self.version}"

    @property
    def identity(self) -> str:
        """All that makes this version what it is, as one text."""
        whose = [self.household.public_id, str(self.version)]
        return "|".join([*whose, self.bank_code, self.number, self.holder, self.bank_name, self.phone])

    @property
    def is_sealed(self) -> bool:
        """Whether the account is still the one that was entered; nobody without the look-up key can make it look so."""
        return self.seal in crypto.digests(self.identity)

    @property
    def is_of_head(self) -> bool:
        """Whether the holder is the head of household."""
        return crypto.normalise(self.holder) == crypto.normalise(self.household.head_name)

    @property
    def last_four(self) -> str:
        """The last four digits of the number, all that is ever shown."""
        return self.number[-4:]

    @property
    def masked_number(self) -> str:
        """The number with all but the last four digits hidden."""
        return crypto.mask(self.number)
