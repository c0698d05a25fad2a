"""What people say of a payout on which the bank's word and its statement do not agree."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from carbonsink.states import Stateful
from payouts.models.statements import StatementRow
from payouts.models.transfers import Batch, Payout


class Clarification(Stateful):
    """What a row in suspense is, or that no row will come: one person says it, another agrees, then it is booked.

    `follow_up`: the payout by which money counts as paid that was owed again, since the bank had said that it failed.
    """

    class State(models.TextChoices):
        PROPOSED = "proposed", _("to be confirmed by somebody else")
        AGREED = "agreed", _("agreed and booked")
        WITHDRAWN = "withdrawn", _("not agreed")

    MOVES = {"proposed": {"agreed", "withdrawn"}}

    class Kind(models.TextChoices):
        DEBIT = "debit", _("the row is this payout's debit")
        RETURN = "return", _("the row is this payout's return")
        NEVER_LEFT = "never_left", _("the money never left the account")
        FILE = "file", _("the row is this file's")
        ARRIVED = "arrived", _("the money arrived with its file")
        # Said by two where there are payouts of its amount whose row it could be.
        SPONSOR = "sponsor", _("the row is the sponsor's")

    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    payout = models.ForeignKey(Payout, models.PROTECT, null=True, related_name="clarifications")
    batch = models.ForeignKey(Batch, models.PROTECT, null=True, related_name="clarifications")
    row = models.ForeignKey(StatementRow, models.PROTECT, null=True, related_name="clarifications")
    why = models.CharField(_("how one knows"), max_length=200)
    state = models.CharField(_("state"), max_length=9, choices=State, default=State.PROPOSED)
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField(_("said at"), auto_now_add=True)
    agreed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    follow_up = models.OneToOneField(Payout, models.PROTECT, null=True, related_name="clarified")

    class Meta:
        verbose_name = _("clarification")
        verbose_name_plural = _("clarifications")
        constraints = [
            models.CheckConstraint(condition=~Q(why=""), name="payouts_clarification_has_reason"),
            models.CheckConstraint(
                condition=Q(kind__in=["never_left", "arrived"], row__isnull=True)
                | (~Q(kind__in=["never_left", "arrived"]) & Q(row__isnull=False)),
                name="payouts_clarification_of_a_row",
            ),
            # A row of a file may be one payout's money that the bank gave back.
            models.CheckConstraint(
                condition=Q(kind="sponsor", payout__isnull=True)
                | Q(kind="file")
                | (~Q(kind__in=["sponsor", "file"]) & Q(payout__isnull=False)),
                name="payouts_clarification_of_a_payout",
            ),
            models.CheckConstraint(
                condition=Q(kind="file", batch__isnull=False) | (~Q(kind="file") & Q(batch__isnull=True)),
                name="payouts_clarification_of_a_file",
            ),
            models.CheckConstraint(
                condition=(~Q(state="agreed") & Q(agreed_by__isnull=True))
                | (Q(state="agreed", agreed_by__isnull=False) & ~Q(agreed_by=F("proposed_by"))),
                name="payouts_clarification_two_people",
            ),
            models.CheckConstraint(
                condition=Q(follow_up__isnull=True) | Q(kind__in=["debit", "arrived"], state="agreed"),
                name="payouts_clarification_follow_up",
            ),
            models.UniqueConstraint(
                fields=["row"], condition=~Q(state="withdrawn"), name="payouts_clarification_one_per_row"
            ),
            models.UniqueConstraint(
                fields=["payout", "kind"], condition=~Q(state="withdrawn"), name="payouts_clarification_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.row_id or self.payout_id}"
