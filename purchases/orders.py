"""Placing orders, and letting go of those that were not paid."""

import functools
import hashlib
from typing import Any

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Model
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from carbonsink import crypto
from carbonsink.accounts.models import User
from carbonsink.api import body_hash
from carbonsink.errors import DomainError
from carbonsink.states import move
from purchases import wishes
from purchases.allocation import release_sinks, take_sinks
from purchases.models import Buyer, Campaign, Order, Organisation
from purchases.unpaid import check_unpaid, hold_until
from purchases.vintages import current_tariff
from purchases.wishes import check_contact, check_holder
from trees.models import Division, Household, Species, Tree


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

    More than ORDER_SMALL trees are put together in the background: the order is `allocating`, then held or short.
    `key` is the buyer's idempotency key: the same key with the same wish gives the same order, with another wish a
    422. `address` is the network address, kept only as a keyed digest to limit unpaid orders. Raises DomainError with
    a code: invalid, bad_contact, bad_quantity, not_on_sale, campaign_over, not_checked, sold_out, too_many_unpaid,
    key_reused, busy.
    """
    contact, person = check_contact(contact), wishes.check_person(contact_person)
    if campaign is not None:
        area, species = campaign.area, campaign.species
    choice = {"tree": tree, "household": household, "area": area, "species": species, "campaign": campaign}
    wishes.check_choice(choice)
    words = {"holder": check_holder(holder), "dedication": wishes.check_dedication(dedication), "pays_by": pays_by}
    wish = {name: chosen.pk if chosen else None for name, chosen in choice.items()}
    firm = {"organisation": organisation and organisation.pk, "person": person}
    digest = body_hash({**wish, **words, **firm, "quantity": quantity})
    key_digest = hashlib.sha256(f"{crypto.normalise(contact)}\n{key}".encode()).hexdigest()
    is_large = quantity > settings.ORDER_SMALL
    order = Order(
        **choice,
        **words,
        quantity=quantity,
        state=Order.State.ALLOCATING if is_large else Order.State.HELD,
        allocated=0 if is_large else quantity,
        idempotency_key=key_digest,
        body_hash=digest,
    )
    # In hex, since the normalised form would take 1.11.1.1 and 11.1.1.1 for one.
    order.address_digest = crypto.digest(address.encode().hex()) if address else ""
    order.buyer = Buyer(
        kind=organisation.kind if organisation else Buyer.Kind.INDIVIDUAL,
        contact=contact,
        organisation=organisation,
        contact_person=person,
        language=get_language() or settings.LANGUAGE_CODE,
        user=user,
    )
    try:
        wishes.check_campaign(campaign)
        wishes.check_way(pays_by, organisation, contact)
        _price(order)
        _store(order)
    except (DomainError, IntegrityError):
        # Only now, since nearly every key is new: the same wish may have come before, or at the same moment.
        known = _known(key_digest, digest)
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


def _price(order: Order) -> None:
    """Gives the order vintage, price and kilograms of the tariff on sale, and the time until which it is held."""
    tariff = current_tariff()
    if tariff is None or tariff.opened_at is None:
        raise DomainError("not_on_sale", _("No vintage is on sale today. Come back when the next sale opens."), 409)
    order.vintage, order.price_fen, order.kg = tariff.vintage, tariff.price_fen, tariff.sink_kg
    wishes.check_quantity(order)
    order.total_fen = order.quantity * order.price_fen
    order.expires_at = hold_until(order.pays_by, timezone.now())


@transaction.atomic
def _store(order: Order) -> None:
    """Writes the order and its buyer with its sinks; a large one without, and rings for whoever puts it together."""
    from purchases.tasks import allocate_orders

    buyer = order.buyer
    check_unpaid(buyer.contact, order.address_digest, buyer.organisation, order.quantity)
    _insert(order)
    if order.state == Order.State.ALLOCATING:
        transaction.on_commit(allocate_orders.delay, robust=True)
    else:
        take_sinks(order)


def _insert(order: Order) -> None:
    """Writes the order and its buyer by one statement: this is what every buyer waits for."""
    buyer = order.buyer
    query, order_fields = _insertion()
    values = [_saved(buyer, field) for field in _written(Buyer)] + [_saved(order, field) for field in order_fields]
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        order.pk, buyer.pk = cursor.fetchone()
    order._state.adding = buyer._state.adding = False
    order.buyer = buyer


@functools.cache
def _insertion() -> tuple[str, list[Any]]:
    """The statement, and the fields of the order that it has values for."""
    quote = connection.ops.quote_name
    buyer_fields = _written(Buyer)
    order_fields = [field for field in _written(Order) if field.name != "buyer"]
    query = f"""
        WITH buyer AS (
            INSERT INTO {quote(Buyer._meta.db_table)} ({", ".join(quote(field.column) for field in buyer_fields)})
            VALUES ({", ".join("%s" for _field in buyer_fields)}) RETURNING id
        )
        INSERT INTO {quote(Order._meta.db_table)} (buyer_id, {", ".join(quote(field.column) for field in order_fields)})
        SELECT id, {", ".join("%s" for _field in order_fields)} FROM buyer RETURNING id, buyer_id"""  # noqa: S608
    return query, order_fields


def _written(model: type[Model]) -> list[Any]:
    return [field for field in model._meta.concrete_fields if not field.primary_key]


def _saved(thing: Model, field: Any) -> Any:
    return field.get_db_prep_save(field.pre_save(thing, True), connection)


@transaction.atomic
def expire_order(order: Order, reason: str = "not paid in time") -> None:
    """Lets go of an unpaid order's sinks once its time is over, or one of its trees has left the scheme."""
    move(order, Order.State.EXPIRED, reason=reason)
    release_sinks(order)


@transaction.atomic
def cancel_order(order: Order, *, by: User | None = None) -> Order:
    """The buyer gives up a held order at once, or the office (`by`) lets go of one that keeps trees from others: its
    sinks are for sale again. DomainError("wrong_state") when it is not held any more, or not yet; a payment that
    arrives nevertheless goes back."""
    order = Order.objects.select_for_update().get(pk=order.pk)
    move(order, Order.State.CANCELLED, by=by, reason="let go by the office" if by else "given up by the buyer")
    release_sinks(order)
    return order


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
