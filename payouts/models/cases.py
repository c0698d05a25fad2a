"""What a household says about its money and its trees, with one tap."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from carbonsink.states import Stateful
from payouts.models.transfers import Payout
from trees.models import Household, Tree


class Case(Stateful):
    """A household's word about a payout or a tree, and what people answered. "It arrived" is kept and asks for nothing.

    Saying the same twice does not make two: of each there is one that is not closed.
    """

    class Kind(models.TextChoices):
        ARRIVED = "arrived", _("the money arrived")
        NOT_ARRIVED = "not_arrived", _("the money did not arrive")
        NOT_MINE = "not_mine", _("this is not my tree")

    class State(models.TextChoices):
        OPEN = "open", _("open")
        ANSWERED = "answered", _("answered")
        CLOSED = "closed", _("closed")

    # An answer that does not help is not the end: the household may say it again.
    MOVES = {"open": {"answered", "closed"}, "answered": {"open", "closed"}}

    household = models.ForeignKey(Household, models.PROTECT, related_name="cases")
    kind = models.CharField(_("kind"), max_length=11, choices=Kind)
    payout = models.ForeignKey(Payout, models.PROTECT, null=True, related_name="cases")
    tree = models.ForeignKey(Tree, models.PROTECT, null=True, related_name="cases")
    said = models.CharField(_("in the household's words"), max_length=200, blank=True)
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.OPEN)
    opened_at = models.DateTimeField(_("opened at"), auto_now_add=True)
    answer = models.CharField(_("answer"), max_length=200, blank=True)
    answered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    answered_at = models.DateTimeField(_("answered at"), null=True)

    class Meta:
        verbose_name = _("case")
        verbose_name_plural = _("cases")
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["arrived", "not_arrived"], payout__isnull=False, tree__isnull=True)
                | Q(kind="not_mine", payout__isnull=True, tree__isnull=False),
                name="payouts_case_about_one_thing",
            ),
            models.CheckConstraint(
                condition=Q(answer="", answered_by__isnull=True, answered_at__isnull=True)
                | (~Q(answer="") & Q(answered_by__isnull=False, answered_at__isnull=False)),
                name="payouts_case_answered_by_somebody",
            ),
            models.CheckConstraint(
                condition=~Q(state="answered") | ~Q(answer=""), name="payouts_case_answered_has_answer"
            ),
            models.UniqueConstraint(fields=["payout"], condition=Q(kind="arrived"), name="payouts_case_arrived_once"),
            models.UniqueConstraint(
                fields=["payout"],
                condition=Q(kind="not_arrived") & ~Q(state="closed"),
                name="payouts_case_not_arrived_once",
            ),
            models.UniqueConstraint(
                fields=["tree"], condition=Q(kind="not_mine") & ~Q(state="closed"), name="payouts_case_not_mine_once"
            ),
        ]
        indexes = [models.Index(fields=["opened_at"], condition=Q(state="open"), name="payouts_case_open")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.payout or self.tree}"
