"""Placing orders, and letting go of those that were not paid."""

import hashlib
import unicodedata
from datetime import timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import Q, Sum
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from carbonsink import crypto
from carbonsink.accounts.models import User, mobile_number
from carbonsink.api import body_hash
from carbonsink.errors import DomainError
from carbonsink.locks import one_after_another
from carbonsink.states import move
from purchases.allocation import release_sinks, sold_out, take_sinks
from purchases.models import Buyer, Campaign, Order, Organisation, Tariff
from purchases.vintages import current_tariff, unsold
from trees.models import Division, Household, Species, Tree

# Unicode categories of characters that are not seen, or turn round what is seen: control, format, line, paragraph.
_UNSEEN = {"Cc", "Cf", "Zl", "Zp"}


def place_order(
    *,
    key: str,
    contact: str,
    quantity: int = 1,
    tree: Tree | None = None,
    household: Household | None = None,
    area: Division | None = None,
    species: Species | None = None,
    campaign: Campaign | None = None,
    holder: str = "",
    dedication: str = "",
    organisation: Organisation | None = None,
    contact_person: str = "",
    pays_by: str = Order.PaysBy.ONLINE,
    address: str = "",
    user: User | None = None,
) -> Order:
    """Holds sinks of the current vintage for a buyer: one named tree, or `quantity` trees of a household, of an area,
    of a species, of both, or anywhere. A campaign chooses for whoever buys with it.

    `key` is the buyer's idempotency key: the same key with the same wish gives the same order, with another wish a
    422. `address` is the network address, kept only as a keyed digest to limit unpaid orders. Raises DomainError with
    a code: bad_contact, bad_quantity, not_on_sale, sold_out, too_many_unpaid, key_reused, busy.
    """
    contact, holder = check_contact(contact), check_holder(holder)
    if campaign is not None:
        area, species = campaign.area, campaign.species
    choice = {"tree": tree, "household": household, "area": area, "species": species, "campaign": campaign}
    if (tree or household) and any(choice[other] for other in choice if other not in ("tree", "household")):
        raise DomainError("invalid", _("Choose either one tree, a household, or trees of a place."))
    wish = {name: chosen.pk if chosen else None for name, chosen in choice.items()}
    words = {"holder": holder, "dedication": dedication, "organisation": organisation and organisation.pk}
    digest = body_hash({**wish, **words, "quantity": quantity, "pays_by": pays_by, "person": contact_person})
    key_digest = hashlib.sha256(f"{crypto.normalise(contact)}\n{key}".encode()).hexdigest()
    known = _known(key_digest, digest)
    if known is not None:
        return known
    tariff = current_tariff()
    if tariff is None or tariff.opened_at is None:
        raise DomainError("not_on_sale", _("No vintage is on sale today. Come back when the next sale opens."), 409)
    check_quantity(quantity, tariff, tree, area)
    # In hex, since the normalised form would take 1.11.1.1 and 11.1.1.1 for one.
    address_digest = crypto.digest(address.encode().hex()) if address else ""
    order = Order(
        vintage=tariff.vintage,
        **choice,
        holder=holder,
        dedication=dedication,
        pays_by=pays_by,
        quantity=quantity,
        price_fen=tariff.price_fen,
        kg=tariff.sink_kg,
        total_fen=quantity * tariff.price_fen,
        idempotency_key=key_digest,
        body_hash=digest,
        address_digest=address_digest,
        expires_at=timezone.now() + timedelta(minutes=settings.HOLD_MINUTES),
    )
    try:
        with transaction.atomic():
            check_unpaid(contact, address_digest, quantity)
            order.buyer = Buyer.objects.create(
                kind=organisation.kind if organisation else Buyer.Kind.INDIVIDUAL,
                contact=contact,
                organisation=organisation,
                contact_person=contact_person,
                language=get_language() or settings.LANGUAGE_CODE,
                user=user,
            )
            order.save()
            take_sinks(order)
    except IntegrityError:
        known = _known(key_digest, digest)  # The same wish arrived twice at once.
        if known is None:
            raise
        return known
    return order


def _known(key_digest: str, digest: str) -> Order | None:
    order = Order.objects.filter(idempotency_key=key_digest).first()
    if order is not None and order.body_hash != digest:
        raise DomainError(
            "key_reused",
            _("This form was sent before with another choice. Go back and start a new order."),
            422,
        )
    return order


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
    seen = (" " if unicodedata.category(character) in _UNSEEN else character for character in text)
    text = " ".join("".join(seen).split())
    if len(text) > 80:
        raise DomainError("invalid", _("The name on the certificate may have at most 80 characters."))
    return text


def check_quantity(quantity: int, tariff: Tariff, tree: Tree | None, area: Division | None) -> None:
    """Raises DomainError for a quantity that is not positive, more than is unsold, or more than one order may have."""
    if quantity < 1:
        raise DomainError("bad_quantity", _("Choose at least one tree."))
    if tree is not None and quantity != 1:
        raise DomainError("bad_quantity", _("A single tree can be ordered once. Choose an area for more trees."))
    if quantity > settings.ORDER_MAX_TREES:
        left = unsold(tariff.vintage, area.prefix) if area else 0
        if quantity > left:
            raise sold_out(left)
        raise DomainError(
            "bad_quantity",
            _("One order can have at most %(most)s trees. Place several orders.") % {"most": settings.ORDER_MAX_TREES},
        )


def check_unpaid(contact: str, address_digest: str, quantity: int) -> None:
    """Raises DomainError when a buyer, an address or all together would hold too many unpaid sinks.

    Orders of one buyer or address are placed one after the other: each sees what the ones before it hold.
    """
    for name in sorted({crypto.digest(contact), address_digest} - {""}):
        one_after_another(name)
    contact_digests = crypto.digests(contact)
    held = Order.objects.filter(state=Order.State.HELD)
    caps = [
        (Q(buyer__contact_digest__in=contact_digests), settings.UNPAID_SINKS_PER_BUYER),
        (Q(), settings.UNPAID_SINKS_IN_ALL),
    ]
    if address_digest:
        caps.append((Q(address_digest=address_digest), settings.UNPAID_SINKS_PER_ADDRESS))
    for whose, most in caps:
        if held.filter(whose).aggregate(n=Sum("quantity", default=0))["n"] + quantity > most:
            raise DomainError(
                "too_many_unpaid",
                _("Too many trees are waiting for payment. Pay for an earlier order, or wait until it expires."),
                429,
            )


@transaction.atomic
def expire_order(order: Order, reason: str = "not paid in time") -> None:
    """Lets go of an unpaid order's sinks once its time is over, or one of its trees has left the scheme."""
    move(order, Order.State.EXPIRED, reason=reason)
    release_sinks(order)


def over() -> list[int]:
    """Held orders whose time is over, oldest first."""
    ended = Order.objects.filter(state=Order.State.HELD, expires_at__lte=timezone.now())
    return list(ended.order_by("expires_at").values_list("pk", flat=True)[:500])


@transaction.atomic
def release(order_id: int) -> None:
    """Expires an order whose time is over, unless somebody is about to pay or expire it."""
    ended = Order.objects.filter(pk=order_id, state=Order.State.HELD, expires_at__lte=timezone.now())
    order = ended.select_for_update(skip_locked=True).first()
    if order is not None:
        expire_order(order)


def look_at(order: Order) -> Order:
    """The order as it stands, expired by this look if its time is over and the sweeper has not come yet."""
    if order.state == Order.State.HELD and order.expires_at <= timezone.now():
        with transaction.atomic():
            order = Order.objects.select_for_update().get(pk=order.pk)
            if order.state == Order.State.HELD:
                expire_order(order)
    return order
