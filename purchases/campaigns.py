"""Campaigns: anybody applies, somebody of the office lets them run, and what was paid through them moves their bar."""

import unicodedata
from dataclasses import dataclass
from datetime import date, timedelta

from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink import crypto, fonts, limits
from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.locks import one_after_another
from carbonsink.states import move
from purchases import organisations
from purchases.models import Campaign, Order, Organisation, SinkRelease
from purchases.orders import check_contact
from trees.models import Division, Species

LONGEST_DAYS = 366
WAITING_PER_CONTACT = 3
PER_ADDRESS_AND_DAY = 5
NAMES_SHOWN = 12
PROGRESS_SECONDS = 60
# The addresses of pages that are not a campaign's.
_TAKEN = {"new"}


@dataclass(frozen=True)
class Progress:
    """How far a campaign has come: trees paid and not refunded, orders, and the newest names its buyers gave."""

    trees: int
    orders: int
    names: list[str]
    target: int

    @property
    def percent(self) -> int:
        """How much of the target is reached, rounded down; more than 100 where it was passed."""
        return 100 * self.trees // self.target


@transaction.atomic
def apply_for_campaign(
    *,
    slug: str,
    title: str,
    story: str,
    owner: str,
    contact: str,
    target_trees: int,
    begins_on: date,
    ends_on: date,
    organisation_code: str = "",
    organisation_kind: str = "",
    area: Division | None = None,
    species: Species | None = None,
    address: str = "",
    user: User | None = None,
) -> Campaign:
    """Writes down an application; the campaign is not public before the office approves it.

    `organisation_code` is a unified social credit code, if an organisation stands behind it; the organisation counts as
    checked only once the office has done so. `address` is the network address, kept a day as a keyed digest. Raises
    DomainError with a code: bad_slug, slug_taken, bad_text, bad_contact, bad_organisation, bad_period, bad_target,
    too_many.
    """
    title, owner = _line(title, 60, _("title")), _line(owner, 80, _("name"))
    story = _text(story)
    contact = check_contact(contact)
    _check_period(begins_on, ends_on)
    if not 1 <= target_trees <= 10_000_000:
        raise DomainError("bad_target", _("Choose a target between 1 and 10,000,000 trees."))
    one_after_another(f"campaign:{crypto.digest(contact)}")
    _check_how_many(contact, address)
    organisation = _organisation(organisation_code, organisation_kind, owner, contact)
    campaign = Campaign(
        slug=slug,
        title=title,
        story=story,
        owner=owner,
        organisation=organisation,
        contact=contact,
        target_trees=target_trees,
        area=area,
        species=species,
        begins_on=begins_on,
        ends_on=ends_on,
        applied_by=user,
    )
    _check_slug(campaign)
    campaign.save()
    return campaign


def _line(text: str, most: int, what: str) -> str:
    """A line without control and direction characters, that can be printed on a poster."""
    text = " ".join("".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text).split())
    if not text or len(text) > most:
        raise DomainError("bad_text", _("Enter a %(what)s of 1 to %(most)s characters.") % {"what": what, "most": most})
    missing = fonts.missing(text)
    if missing:
        raise DomainError(
            "bad_text", _("These characters cannot be printed: %(missing)s. Leave them out.") % {"missing": missing}
        )
    return text


def _text(text: str) -> str:
    """Paragraphs without control and direction characters, but for their line ends."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    lines = [" ".join("".join(" " if unicodedata.category(c) in ("Cc", "Cf") else c for c in x).split()) for x in lines]
    text = "\n".join(lines).strip()
    if not 20 <= len(text) <= 2000:
        raise DomainError("bad_text", _("Tell in 20 to 2,000 characters what your campaign is about."))
    return text


def _check_period(begins_on: date, ends_on: date) -> None:
    if ends_on < begins_on or ends_on < timezone.localdate():
        raise DomainError("bad_period", _("The last day must not be over, nor before the first."))
    if ends_on - begins_on > timedelta(days=LONGEST_DAYS):
        raise DomainError("bad_period", _("A campaign runs for a year at most. Choose a shorter time."))


def _check_how_many(contact: str, address: str) -> None:
    waiting = Campaign.objects.filter(contact_digest__in=crypto.digests(contact), state=Campaign.State.APPLIED)
    often = bool(address) and not limits.is_allowed("campaigns", address, PER_ADDRESS_AND_DAY, 24 * 3600)
    if often or waiting.count() >= WAITING_PER_CONTACT:
        raise DomainError(
            "too_many",
            _("You have applied for several campaigns already. Wait for the answer, or ask the office."),
            429,
        )


def _organisation(code: str, kind: str, name: str, contact: str) -> Organisation | None:
    return organisations.find_or_note(code, name, kind, contact) if code.strip() else None


def _check_slug(campaign: Campaign) -> None:
    try:
        campaign.clean_fields(exclude=[f.name for f in Campaign._meta.fields if f.name != "slug"])
    except ValidationError as error:
        raise DomainError("bad_slug", error.messages[0]) from error
    if campaign.slug in _TAKEN or Campaign.objects.filter(slug=campaign.slug).exists():
        raise DomainError("slug_taken", _("This address is taken. Choose another one."))


def approve(campaign: Campaign, *, by: User) -> None:
    """Lets a campaign run. DomainError("bad_period") when its last day is over, "wrong_state" when it was decided."""
    if campaign.ends_on < timezone.localdate():
        raise DomainError("bad_period", _("The last day of this campaign is over. Refuse it."))
    move(campaign, Campaign.State.RUNNING, by=by, reason="approved")


def refuse(campaign: Campaign, *, by: User, reason: str = "refused") -> None:
    """Refuses an application; it never becomes public. DomainError("wrong_state") when it was decided."""
    move(campaign, Campaign.State.REFUSED, by=by, reason=reason)


def end(campaign: Campaign, *, by: User, reason: str = "ended by the office") -> None:
    """Ends a running campaign before its last day; its page stays. DomainError("wrong_state") unless it runs."""
    move(campaign, Campaign.State.ENDED, by=by, reason=reason)


def public() -> QuerySet[Campaign]:
    """The campaigns that anybody may see: those that run or ran."""
    shown = Campaign.objects.filter(state__in=[Campaign.State.RUNNING, Campaign.State.ENDED])
    return shown.select_related("area", "species", "organisation")


def running() -> QuerySet[Campaign]:
    """The campaigns that sell today, those that end first before the others."""
    today = timezone.localdate()
    now = Q(state=Campaign.State.RUNNING, begins_on__lte=today, ends_on__gte=today)
    return public().filter(now).order_by("ends_on", "pk")


def progress(campaign: Campaign) -> Progress:
    """How far a campaign has come, as it was at most a minute ago."""
    key = f"campaign-1:{campaign.pk}"
    found = cache.get(key)
    if found is None:
        found = _progress(campaign)
        cache.set(key, found, PROGRESS_SECONDS)
    trees, orders, names = found
    return Progress(trees, orders, names, campaign.target_trees)


def _progress(campaign: Campaign) -> tuple[int, int, list[str]]:
    paid = Order.objects.filter(campaign=campaign, state__in=Order.HAS_TREES)
    sums = paid.aggregate(trees=Sum("quantity", default=0), orders=Count("pk"))
    # What was given back of orders of which the rest is kept. A lost tree that another stands in for still counts.
    back = SinkRelease.objects.filter(
        order__campaign=campaign, order__state__in=Order.HAS_TREES, refund__isnull=False
    ).count()
    names = paid.exclude(holder="").order_by("-paid_at").values_list("holder", flat=True)[:NAMES_SHOWN]
    return sums["trees"] - back, sums["orders"], list(names)
