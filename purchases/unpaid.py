"""What is held without being paid: how much of it a buyer may have, and for how long.

Everybody shares a stock that nobody has paid for yet, so there are caps. An organisation that somebody of the office
has checked has a cap of its own for the contact it was checked with, and what it holds is not held against the others.
"""

import math
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink import crypto
from carbonsink.errors import DomainError
from carbonsink.locks import one_after_another
from purchases.models import Order, Organisation

# How old the sum over all open orders may be: it is large beside what is ordered in that time.
_FRESH_SECONDS = 1.0
_SUM = "SELECT coalesce(sum(o.quantity), 0)"
_IS_UNPAID = "o.state IN ('held', 'allocating')"
_ORGANISATION = "LEFT JOIN purchases_organisation g ON g.id = b.organisation_id"
_CHECKED = "coalesce(g.checked_at IS NOT NULL AND g.contact_digest = b.contact_digest, false)"
_UNCHECKED = f"""
    {_SUM} FROM purchases_order o JOIN purchases_buyer b ON b.id = o.buyer_id {_ORGANISATION}
     WHERE {_IS_UNPAID} AND NOT {_CHECKED}"""


def _of_buyers(which: str, checked: str) -> str:
    """The sum over the unpaid orders of some buyers `b`, by way of all their orders. When a sale opens the planner does
    not know yet how many are unpaid, and would read all of those for each new order; OFFSET 0 keeps it from that."""
    return f"""
        {_SUM} FROM (SELECT * FROM purchases_buyer b WHERE {which} OFFSET 0) b {_ORGANISATION}
          CROSS JOIN LATERAL (SELECT quantity, state FROM purchases_order WHERE buyer_id = b.id OFFSET 0) o
         WHERE {_IS_UNPAID} AND {checked}"""  # noqa: S608


_OF_CONTACT = _of_buyers("b.contact_digest = ANY(%s)", f"NOT {_CHECKED}")
_OF_ORGANISATION = _of_buyers("b.organisation_id = %s", _CHECKED)


@dataclass
class _InAll:
    """What all buyers but checked organisations hold unpaid, as last counted, and what was ordered here since."""

    sinks: int = 0
    counted_at: float = float("-inf")


_in_all = _InAll()
_counting = threading.Lock()


def hold_until(pays_by: str, now: datetime) -> datetime:
    """Until when an order that is complete now is held: HOLD_MINUTES for who pays online, TRANSFER_HOLD_DAYS working
    days (Monday to Friday) for who pays by bank transfer."""
    if pays_by == Order.PaysBy.ONLINE:
        return now + timedelta(minutes=settings.HOLD_MINUTES)
    days = settings.TRANSFER_HOLD_DAYS
    while days:
        now += timedelta(days=1)
        days -= timezone.localtime(now).weekday() < 5
    return now


def check_unpaid(contact: str, address_digest: str, organisation: Organisation | None, quantity: int) -> None:
    """Raises DomainError("too_many_unpaid") when a buyer, an address or all together would hold too many unpaid sinks.

    Orders of one buyer, address or checked organisation are placed one after the other: each sees what the ones before
    it hold. The cap for all together is not to the tree: what was ordered in the last second may be missing.
    """
    if organisation is not None and organisation.is_checked_with(contact):
        one_after_another(f"unpaid sinks of organisation {organisation.pk}")
        (held,) = _sums([(_OF_ORGANISATION, organisation.pk)])
        _refuse_above(settings.UNPAID_SINKS_PER_ORGANISATION, held, quantity)
        return
    one_after_another(*{crypto.digest(contact), address_digest} - {""})
    questions: list[tuple[str, Any]] = [(_OF_CONTACT, crypto.digests(contact))]
    caps = [settings.UNPAID_SINKS_PER_BUYER]
    if address_digest:
        questions.append((f"{_UNCHECKED} AND o.address_digest = %s", address_digest))
        caps.append(settings.UNPAID_SINKS_PER_ADDRESS)
    for most, held in zip(caps, _sums(questions), strict=True):
        _refuse_above(most, held, quantity)
    _check_in_all(quantity)


def _check_in_all(quantity: int) -> None:
    is_full = _in_all.sinks + quantity > settings.UNPAID_SINKS_IN_ALL
    age = time.monotonic() - _in_all.counted_at
    # One thread counts anew. The others go on with the last figure, unless there is none, or it would refuse them.
    if (is_full or age > _FRESH_SECONDS) and _counting.acquire(blocking=is_full or math.isinf(age)):
        try:
            (_in_all.sinks,), _in_all.counted_at = _sums([(_UNCHECKED, None)]), time.monotonic()
        finally:
            _counting.release()
    _refuse_above(settings.UNPAID_SINKS_IN_ALL, _in_all.sinks, quantity)
    _in_all.sinks += quantity


def _sums(questions: list[tuple[str, Any]]) -> list[int]:
    """The answers to several sums, in one statement."""
    query = "SELECT " + ", ".join(f"({question})" for question, _value in questions)
    with connection.cursor() as cursor:
        cursor.execute(query, [value for _question, value in questions if value is not None])
        return [int(held) for held in cursor.fetchone()]


def _refuse_above(most: int, held: int, quantity: int) -> None:
    if quantity > most:
        raise DomainError(
            "too_many_unpaid",
            _("At most %(most)s trees can be ordered at once. Organisations that we have checked can order more.")
            % {"most": most},
            429,
        )
    if held + quantity > most:
        raise DomainError(
            "too_many_unpaid",
            _("Too many trees are waiting for payment. Pay for an earlier order, or wait until it expires."),
            429,
        )
