"""The public register: which certificates there are and how they stand, found by who knows what to look for.

Serials can be counted up, so finding one by its serial tells nothing of a person: names of individuals are masked, and
shown only to whoever types them exactly. No address (token) of a certificate is ever told.
"""

from dataclasses import dataclass
from datetime import date

from django.core.cache import cache
from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext as _
from redis.exceptions import RedisError

from carbonsink.crypto import mask_name
from carbonsink.errors import DomainError
from purchases.models import Certificate
from purchases.standing import WORDS, standing

PAGE = 30
LEAST_HOLDER = 2
_TOTALS = "register:totals"


@dataclass(frozen=True)
class Entry:
    """A certificate as the register tells of it."""

    serial: str
    vintage: int
    trees: int
    kg: int
    holder: str
    standing: str
    issued_on: date
    retired_on: date | None
    beneficiary: str
    purpose: str

    @property
    def words(self) -> tuple[str, str]:
        """How it stands, in Chinese and English."""
        return WORDS[self.standing]


@dataclass(frozen=True)
class Page:
    """Entries, the newest first, and the serial after which the next page begins; empty on the last one."""

    entries: list[Entry]
    after: str


@dataclass(frozen=True)
class Totals:
    """What is in the register of one vintage: certificates and trees that are valid, and that are retired."""

    vintage: int
    valid: int
    valid_trees: int
    retired: int
    retired_trees: int


def search(*, serial: str = "", holder: str = "", vintage: int | None = None, state: str = "", after: str = "") -> Page:
    """Certificates with this serial, of this exact holder, of a vintage, in a state; as far as each is given.

    `after` is the serial that ended the page before. DomainError("short_name") for a name of one character.
    """
    serial, holder = serial.strip().upper(), " ".join(holder.split())
    if holder and len(holder) < LEAST_HOLDER:
        raise DomainError("short_name", _("Enter the whole name on the certificate, at least two characters."))
    found = Certificate.objects.select_related("order", "owner", "retirement")
    for field, value in (("serial", serial), ("holder", holder), ("vintage", vintage), ("state", state)):
        if value:
            found = found.filter(**{field: value})
    if after:
        found = found.filter(serial__lt=after)
    # Serials begin with their vintage: the newest vintage comes first.
    rows = list(found.order_by("-serial")[: PAGE + 1])
    return Page([_entry(row, holder) for row in rows[:PAGE]], rows[PAGE - 1].serial if len(rows) > PAGE else "")


def _entry(certificate: Certificate, asked_for: str) -> Entry:
    retirement = getattr(certificate, "retirement", None) if certificate.state == Certificate.State.RETIRED else None
    # The name somebody retired for is masked like a holder's: it may be a person's.
    known = certificate.owner.organisation_id is not None or certificate.holder == asked_for != ""
    return Entry(
        serial=certificate.serial,
        vintage=certificate.vintage,
        trees=certificate.trees,
        kg=certificate.kg,
        holder=_name(certificate.holder, known),
        standing=standing(certificate),
        issued_on=timezone.localtime(certificate.issued_at).date(),
        retired_on=timezone.localtime(retirement.at).date() if retirement else None,
        beneficiary=_name(retirement.beneficiary, known) if retirement else "",
        purpose=retirement.purpose if retirement else "",
    )


def _name(name: str, known: bool) -> str:
    """A name as it may be shown; empty for somebody anonymous."""
    return name if known or not name else mask_name(name)


def totals() -> list[Totals]:
    """The register's totals by vintage, the newest first; up to a minute old."""
    try:
        found: list[Totals] | None = cache.get(_TOTALS)
        if found is None:
            found = _counted()
            cache.set(_TOTALS, found, timeout=60)
    except RedisError:  # The register stands without a cache too.
        found = _counted()
    return found


def _counted() -> list[Totals]:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT vintage, count(*) FILTER (WHERE state = 'valid'),
                      coalesce(sum(trees) FILTER (WHERE state = 'valid'), 0),
                      count(*) FILTER (WHERE state = 'retired'),
                      coalesce(sum(trees) FILTER (WHERE state = 'retired'), 0)
                 FROM purchases_certificate GROUP BY vintage ORDER BY vintage DESC"""
        )
        return [Totals(*row) for row in cursor.fetchall()]
