"""Append-only double entry. Assets are positive, payables negative; migration 0002 holds the database's own guards."""

from django.db import models
from django.db.models.functions import Cast, Concat
from django.utils.translation import gettext_lazy as _


class Account(models.Model):
    """A place where money is: `gateway:wechatpay`, `escrow:standin`, `household:17`, `refunds`, `transit`, …"""

    class Kind(models.TextChoices):
        GATEWAY = "gateway", _("with the payment gateway")
        ESCROW = "escrow", _("in the supervised account")
        TRANSIT = "transit", _("on its way to households")
        HOUSEHOLD = "household", _("owed to a household")
        REFUNDS = "refunds", _("owed back to buyers")
        FEES = "fees", _("channel fees")
        SPONSOR = "sponsor", _("paid by the sponsor")
        SUSPENSE = "suspense", _("to be explained")

    code = models.CharField(_("code"), max_length=40, unique=True)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    owner = models.BigIntegerField(null=True, help_text="The household's primary key, for kind household.")

    class Meta:
        verbose_name = _("ledger account")
        verbose_name_plural = _("ledger accounts")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    kind__in=[
                        "gateway",
                        "escrow",
                        "transit",
                        "household",
                        "refunds",
                        "fees",
                        "sponsor",
                        "suspense",
                    ]
                ),
                name="ledger_account_known_kind",
            ),
            models.CheckConstraint(
                condition=models.Q(kind="household", owner__isnull=False)
                | (~models.Q(kind="household") & models.Q(owner__isnull=True)),
                name="ledger_account_owner_of_household",
            ),
            models.CheckConstraint(
                condition=~models.Q(kind="household")
                | models.Q(code=Concat(models.Value("household:"), Cast("owner", models.CharField()))),
                name="ledger_account_code_of_household",
            ),
            models.UniqueConstraint(
                fields=["owner"], name="ledger_account_one_per_owner", condition=models.Q(owner__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.code


class Entry(models.Model):
    """One event of money. Its reference says which, and can be used once."""

    reference = models.CharField(_("reference"), max_length=80, unique=True)
    kind = models.CharField(_("kind"), max_length=30)
    at = models.DateTimeField(_("at"), auto_now_add=True)

    class Meta:
        verbose_name = _("ledger entry")
        verbose_name_plural = _("ledger entries")

    def __str__(self) -> str:
        return self.reference


class Line(models.Model):
    """One account's part of an entry, in fen: positive is more of an asset or less of a debt."""

    entry = models.ForeignKey(Entry, models.PROTECT, related_name="lines")
    account = models.ForeignKey(Account, models.PROTECT, related_name="lines")
    fen = models.BigIntegerField(_("amount (fen)"))

    class Meta:
        verbose_name = _("ledger line")
        verbose_name_plural = _("ledger lines")
        constraints = [models.CheckConstraint(condition=~models.Q(fen=0), name="ledger_line_not_zero")]


class Settlement(models.Model):
    """Says that a payout took a payable line. A line is taken once."""

    line = models.OneToOneField(Line, models.PROTECT)
    payout_reference = models.CharField(max_length=32, db_index=True)

    class Meta:
        verbose_name = _("settlement")
        verbose_name_plural = _("settlements")
