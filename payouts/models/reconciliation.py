"""Reconciliation: each day's ledger, the gateways' bills and the bank's statement, and what differs between them."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from carbonsink.states import Stateful


class Reconciliation(Stateful):
    """A day as it was last compared. `sums` are fen by name and side: {"captured": {"ledger": 300, "gateway": 300}}."""

    class State(models.TextChoices):
        BEGUN = "begun", _("not compared yet")
        MATCHED = "matched", _("all agrees")
        DIFFERS = "differs", _("waits for what is known")
        UNEXPLAINED = "unexplained", _("unexplained")

    MOVES = {
        "begun": {"matched", "differs", "unexplained"},
        "matched": {"differs", "unexplained"},
        "differs": {"matched", "unexplained"},
        "unexplained": {"matched", "differs"},
    }

    day = models.DateField(_("day"), unique=True)
    state = models.CharField(_("state"), max_length=11, choices=State, default=State.BEGUN)
    sums = models.JSONField(_("sums (fen)"), default=dict)
    rows = models.PositiveIntegerField(_("rows of the statement"), default=0)
    compared_at = models.DateTimeField(_("compared at"), null=True)

    class Meta:
        verbose_name = _("reconciliation")
        verbose_name_plural = _("reconciliations")

    def __str__(self) -> str:
        return f"{self.day}"


class Discrepancy(Stateful):
    """One thing in which the three differ. It ends by itself when they agree, or by a person's answer.

    `unexplained`: nothing known explains it, so that payouts stop until somebody has.
    """

    class State(models.TextChoices):
        OPEN = "open", _("open")
        RESOLVED = "resolved", _("agrees meanwhile")
        EXPLAINED = "explained", _("explained")

    MOVES = {"open": {"resolved", "explained"}}

    class Kind(models.TextChoices):
        BILL_MISSING = "bill_missing", _("The payment service's bill has not come")
        BILL_SUM = "bill_sum", _("The bill's sum is not that of our books")
        FEES = "fees", _("The service's fees are not those of our books")
        OTHER_DAY = "other_day", _("Booked on one day, billed on another")
        SETTLEMENT = "settlement", _("Settlement on its way")
        SETTLEMENT_OVERDUE = "overdue", _("Settlement overdue")
        SWEPT_EARLY = "swept_early", _("Bank transfers came before their statement was read")
        SETTLED_TOO_MUCH = "too_much", _("More was settled than buyers paid")
        HELD = "held", _("What the service has is not what our books say it has")
        NO_STATEMENT = "no_statement", _("The bank's statement of the day has not come")
        ROW_LATE = "row_late", _("The bank booked a row afterwards")
        ROW_GONE = "row_gone", _("A row is gone from the bank's statement")
        ROW_CHANGED = "row_changed", _("The bank has changed a row")
        ROW_UNEXPLAINED = "row_unexplained", _("A row that fits nothing we know")
        DEBIT_MISSING = "debit_missing", _("Paid out, and not on the statement yet")
        FILE_OWED = "file_owed", _("Debited with a file, not paid and not given back")
        BALANCE = "balance", _("The account's balance is not that of our books")

    reconciliation = models.ForeignKey(Reconciliation, models.PROTECT, related_name="discrepancies")
    kind = models.CharField(_("kind"), max_length=15, choices=Kind)
    # What it is about, such as a bank and the serial number of a row.
    reference = models.CharField(_("reference"), max_length=120)
    ours_fen = models.BigIntegerField(_("our books (fen)"), null=True)
    theirs_fen = models.BigIntegerField(_("the others (fen)"), null=True)
    unexplained = models.BooleanField(_("unexplained"))
    # Since when: the day of the money, not that of the comparison.
    since = models.DateTimeField(_("since"))
    first_seen = models.DateTimeField(_("first seen"), auto_now_add=True)
    state = models.CharField(_("state"), max_length=9, choices=State, default=State.OPEN)
    answer = models.CharField(_("answer"), max_length=200, blank=True)
    explained_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")

    class Meta:
        verbose_name = _("discrepancy")
        verbose_name_plural = _("discrepancies")
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "reference"], condition=Q(state="open"), name="payouts_discrepancy_one_open_each"
            ),
            models.CheckConstraint(
                condition=~Q(state="explained") | (~Q(answer="") & Q(explained_by__isnull=False)),
                name="payouts_discrepancy_explained_by_somebody",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.reference}"
