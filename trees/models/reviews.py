"""What reviewers decide, what makes them look twice, and the sample that somebody else looks at again."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from trees.models.households import Household
from trees.models.places import Programme
from trees.models.stand import Tree


class Review(models.Model):
    """A reviewer's decision about a tree."""

    class Decision(models.TextChoices):
        APPROVED = "approved", _("approved")
        REJECTED = "rejected", _("rejected")
        TAKEN_BACK = "taken_back", _("approval taken back")

    class Reason(models.TextChoices):
        BAD_PHOTO = "bad_photo", _("The photo does not show the tree clearly")
        WRONG_SPECIES = "wrong_species", _("The species is wrong")
        WRONG_SIZE = "wrong_size", _("The size does not fit the photo")
        WRONG_PLACE = "wrong_place", _("The position is not in the village")
        DUPLICATE = "duplicate", _("The tree is registered already")
        TENURE = "tenure", _("The tenure is not clear")
        OTHER = "other", _("Another reason, see the note")

    tree = models.ForeignKey(Tree, models.PROTECT, related_name="reviews")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    decision = models.CharField(max_length=10, choices=Decision)
    reason = models.CharField(_("reason"), max_length=20, choices=Reason, blank=True)
    note = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField(_("at"), auto_now_add=True)

    class Meta:
        verbose_name = _("review")
        verbose_name_plural = _("reviews")
        constraints = [
            models.CheckConstraint(
                condition=Q(decision="approved") | ~Q(reason=""), name="trees_review_rejection_has_reason"
            ),
            models.CheckConstraint(condition=~Q(reason="other") | ~Q(note=""), name="trees_review_other_has_note"),
        ]


class Flag(models.Model):
    """Something about a tree or a household that a person should look at, with the evidence. It blocks nothing.

    Raised once for each thing it is about; settled by the review in which a person saw it.
    """

    class Kind(models.TextChoices):
        SAME_PHOTO = "same_photo", _("the same photo belongs to another tree")
        NEAR_PHOTO = "near_photo", _("nearly the same photo belongs to another tree")
        PHOTO_TIME = "photo_time", _("the photo was taken at another time")
        PHOTO_PLACE = "photo_place", _("the photo was taken at another place")
        TOO_CLOSE = "too_close", _("closer than 1 m to another tree")
        OUTSIDE_VILLAGE = "outside_village", _("far from the village")
        PACE = "pace", _("registered faster than one can walk")
        OVERSIZE = "oversize", _("thicker than the species grows")
        OVER_LIMIT = "over_limit", _("more trees than the household may have")
        SHARED_PHONE = "shared_phone", _("another household has the same mobile number")
        SHARED_ACCOUNT = "shared_account", _("another household has the same account number")
        SHARED_ID = "shared_id", _("the ID number was used for another household before")
        NOT_MINE = "not_mine", _("the household says that it is not its tree")

    ABOUT_HOUSEHOLDS = (Kind.SHARED_PHONE, Kind.SHARED_ACCOUNT, Kind.SHARED_ID)

    kind = models.CharField(_("kind"), max_length=20, choices=Kind)
    household = models.ForeignKey(Household, models.PROTECT, related_name="flags")
    # Empty where the whole household is meant.
    tree = models.ForeignKey(Tree, models.PROTECT, null=True, related_name="flags")
    # What it is compared with: another tree, or another household.
    other_tree = models.ForeignKey(Tree, models.PROTECT, null=True, related_name="+")
    other_household = models.ForeignKey(Household, models.PROTECT, null=True, related_name="+")
    # What the two households share, where they may share several: "account:<the first one with this number>".
    about = models.CharField(max_length=40, blank=True, db_default="")
    # The numbers behind it, with their units in the names: {"distance_m": 0.4}.
    evidence = models.JSONField(default=dict)
    raised_at = models.DateTimeField(_("raised at"), auto_now_add=True)
    # For a tree: the review that decided in sight of it. For a household: who looked, when and what they found.
    review = models.ForeignKey(Review, models.PROTECT, null=True, related_name="flags")
    settled_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    settled_at = models.DateTimeField(null=True)
    note = models.CharField(_("note"), max_length=300, blank=True)

    class Meta:
        verbose_name = _("flag")
        verbose_name_plural = _("flags")
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "household", "tree", "other_tree", "other_household", "about"],
                condition=Q(settled_at__isnull=True),
                nulls_distinct=False,
                name="trees_flag_once",
            ),
            models.CheckConstraint(
                condition=Q(settled_at__isnull=True, settled_by__isnull=True)
                | Q(settled_at__isnull=False, settled_by__isnull=False),
                name="trees_flag_settled_by_somebody",
            ),
        ]
        indexes = [
            models.Index(fields=["tree"], condition=Q(settled_at__isnull=True), name="trees_flag_open"),
            models.Index(
                fields=["household"],
                condition=Q(settled_at__isnull=True, tree__isnull=True),
                name="trees_flag_open_household",
            ),
        ]


class SecondLookDraw(models.Model):
    """A random sample of approvals, drawn after the fact, so that nobody knows beforehand which tree will be in it.

    An approval is in when SHA-256 of "seed:tree number", read as a fraction, is below the rate: anybody can repeat it.
    """

    programme = models.ForeignKey(Programme, models.PROTECT, related_name="+")
    since = models.DateTimeField()
    until = models.DateTimeField()
    seed = models.CharField(max_length=64)
    percent = models.DecimalField(max_digits=4, decimal_places=1)
    approvals = models.PositiveIntegerField(_("approvals in all"))
    drawn = models.PositiveIntegerField(_("drawn"))
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("draw of second looks")
        verbose_name_plural = _("draws of second looks")
        constraints = [
            models.UniqueConstraint(fields=["programme", "since"], name="trees_secondlookdraw_once"),
            models.CheckConstraint(condition=Q(since__lt=F("until")), name="trees_secondlookdraw_period"),
        ]


class SecondLook(models.Model):
    """An approval that somebody else looks at again."""

    class Verdict(models.TextChoices):
        AGREES = "agrees", _("agrees")
        DISAGREES = "disagrees", _("disagrees")

    draw = models.ForeignKey(SecondLookDraw, models.PROTECT, related_name="looks")
    review = models.OneToOneField(Review, models.PROTECT, related_name="second_look")
    tree = models.ForeignKey(Tree, models.PROTECT, related_name="second_looks")
    first_reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    verdict = models.CharField(_("verdict"), max_length=10, choices=Verdict, blank=True)
    reason = models.CharField(_("reason"), max_length=20, choices=Review.Reason, blank=True)
    note = models.CharField(_("note"), max_length=300, blank=True)
    at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("second look")
        verbose_name_plural = _("second looks")
        constraints = [
            models.CheckConstraint(
                condition=Q(reviewer__isnull=True) | ~Q(reviewer=F("first_reviewer")),
                name="trees_secondlook_two_people",
            ),
            models.CheckConstraint(
                condition=Q(reviewer__isnull=True, verdict="", at__isnull=True)
                | (Q(reviewer__isnull=False, at__isnull=False) & ~Q(verdict="")),
                name="trees_secondlook_whole",
            ),
            models.CheckConstraint(
                condition=~Q(verdict="disagrees") | ~Q(reason=""), name="trees_secondlook_disagreement_has_reason"
            ),
        ]
        indexes = [models.Index(fields=["tree"], condition=Q(reviewer__isnull=True), name="trees_secondlook_open")]
