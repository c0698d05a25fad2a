"""What may be wished for in an order, and what is said about wishes that cannot be met."""

import unicodedata
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext as _

from carbonsink import crypto
from carbonsink.accounts.models import mobile_number
from carbonsink.errors import DomainError
from purchases.allocation import sold_out, unsold_of
from purchases.models import Campaign, Order, Organisation

# Unicode categories of characters that are not seen, or turn round what is seen: control, format, line, paragraph.
_UNSEEN = {"Cc", "Cf", "Zl", "Zp"}


def check_contact(text: str) -> str:
    """A normalised mobile number or e-mail address; DomainError("bad_contact") otherwise."""
    text = text.strip()
    number = crypto.normalise(text)
    if mobile_number.regex.fullmatch(number):  # type: ignore[union-attr]
        return number
    try:
        validate_email(text)
    except ValidationError as error:
        raise DomainError(
            "bad_contact", _("Enter a mobile number of 11 digits or an e-mail address for the receipt.")
        ) from error
    return text.lower()


def check_holder(text: str) -> str:
    """The name for the certificate without control and direction characters; empty means anonymous."""
    text = _seen(text)
    if len(text) > 80:
        raise DomainError("invalid", _("The name on the certificate may have at most 80 characters."))
    return text


def check_dedication(text: str) -> str:
    """The dedication without control and direction characters; it may be empty."""
    text = _seen(text)
    if len(text) > 120:
        raise DomainError("invalid", _("The dedication may have at most 120 characters."))
    return text


def check_person(text: str) -> str:
    """An organisation's contact person without control and direction characters; it may be empty."""
    text = _seen(text)
    if len(text) > 80:
        raise DomainError("invalid", _("The contact person's name may have at most 80 characters."))
    return text


def _seen(text: str) -> str:
    seen = (" " if unicodedata.category(character) in _UNSEEN else character for character in text)
    return " ".join("".join(seen).split())


def check_choice(choice: dict[str, Any]) -> None:
    """One tree, a household, or trees of a place, a species or a campaign: DomainError("invalid") for a mixture."""
    narrow, wide = ("tree", "household"), ("area", "species", "campaign")
    chosen = sum(choice[name] is not None for name in narrow) + any(choice[name] is not None for name in wide)
    if chosen > 1:
        raise DomainError("invalid", _("Choose either one tree, a household, or trees of a place."))


def check_campaign(campaign: Campaign | None) -> None:
    """Raises DomainError("campaign_over") unless the campaign runs, today included."""
    if campaign is not None and not campaign.is_open:
        message = _("This campaign does not run today. You can buy trees without it.")
        raise DomainError("campaign_over", message, 409)


def check_way(pays_by: str, organisation: Organisation | None, contact: str) -> None:
    """Raises DomainError("not_checked") for a bank transfer of anybody but an organisation that has been checked, by
    the contact it was checked with."""
    if pays_by not in Order.PaysBy.values:
        raise DomainError("invalid", _("Choose to pay online or by bank transfer."))
    if pays_by == Order.PaysBy.TRANSFER and (organisation is None or not organisation.is_checked_with(contact)):
        raise DomainError(
            "not_checked",
            _(
                "Bank transfers are for organisations that we have checked, with the phone or e-mail that we have "
                "checked. Pay online, or ask us to check yours first."
            ),
            409,
        )


def check_quantity(order: Order) -> None:
    """Raises DomainError for a quantity that is not positive, more than one order may have, or, for large orders, more
    than is unsold; small ones find out when they take their sinks."""
    if order.quantity < 1:
        raise DomainError("bad_quantity", _("Choose at least one tree."))
    if order.tree is not None and order.quantity != 1:
        raise DomainError("bad_quantity", _("A single tree can be ordered once. Choose an area for more trees."))
    if order.quantity <= min(settings.ORDER_SMALL, settings.ORDER_MAX_TREES):
        return
    left = unsold_of(order)
    if order.quantity > left:
        raise sold_out(left)
    if order.quantity > settings.ORDER_MAX_TREES:
        raise DomainError(
            "bad_quantity",
            _("One order can have at most %(most)s trees. Place several orders.") % {"most": settings.ORDER_MAX_TREES},
        )
