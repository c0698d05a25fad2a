"""Campaigns: a school, a firm or a conference asks others to buy trees with it, for a time and towards a target."""

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from carbonsink.crypto import DigestField, EncryptedField
from carbonsink.states import Stateful
from purchases.models.buyers import Organisation
from trees.models import Division, Species


class Campaign(Stateful):
    """A page with a target. Anybody applies; somebody of the office lets it run. Its progress is what was paid."""

    class State(models.TextChoices):
        APPLIED = "applied", _("applied for")
        RUNNING = "running", _("running")
        REFUSED = "refused", _("refused")
        ENDED = "ended", _("ended")

    MOVES = {"applied": {"running", "refused"}, "running": {"ended"}}

    slug = models.CharField(
        _("address"),
        max_length=40,
        unique=True,
        validators=[RegexValidator(r"^[a-z0-9]+(-[a-z0-9]+)*$", _("Use small letters, digits and single hyphens."))],
    )
    title = models.CharField(_("title"), max_length=60)
    story = models.TextField(_("what it is about"), max_length=2000)
    owner = models.CharField(_("whose campaign"), max_length=80)
    organisation = models.ForeignKey(Organisation, models.PROTECT, null=True, related_name="campaigns")
    contact = EncryptedField(_("phone or e-mail"))
    contact_digest = DigestField(of="contact", db_index=True)
    target_trees = models.PositiveIntegerField(_("target (trees)"))
    # What is bought here: trees of an area, of a species, of both, or anywhere.
    area = models.ForeignKey(Division, models.PROTECT, verbose_name=_("area"), null=True, blank=True, related_name="+")
    species = models.ForeignKey(
        Species, models.PROTECT, verbose_name=_("species"), null=True, blank=True, related_name="+"
    )
    begins_on = models.DateField(_("begins on"))
    ends_on = models.DateField(_("ends on"))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.APPLIED)
    applied_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("campaign")
        verbose_name_plural = _("campaigns")
        constraints = [
            models.CheckConstraint(condition=Q(target_trees__gt=0), name="purchases_campaign_target"),
            models.CheckConstraint(condition=Q(begins_on__lte=F("ends_on")), name="purchases_campaign_period"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_open(self) -> bool:
        """Whether trees can be bought with it today."""
        return self.state == self.State.RUNNING and self.begins_on <= timezone.localdate() <= self.ends_on
