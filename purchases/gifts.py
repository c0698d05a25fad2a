"""Gifts: some of an order's trees for somebody else, who takes them by a link or by a code on a card.

A gift promises trees of the buyer's largest certificate of the order; nothing else may use up what is promised. All of
it happens under the lock of the order's row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from uuid import UUID

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink.errors import DomainError
from carbonsink.messages.services import keep_messages, withdraw_messages
from carbonsink.states import move, move_many
from purchases import holding, messages_to_buyers
from purchases.models import Buyer, Certificate, Gift, Order, Sink
from purchases.models.buyers import ALPHABET

AT_ONCE = 5_000
# So many gifts may be withdrawn beyond the order's trees before new ones are not sent any more: each message goes to
# somebody whom only the giver knows, and a tree that is free again costs nothing.
WITHDRAWN_BEYOND = 10
# Nobody is woken by a gift.
SENT_AT = time(8)


@dataclass(frozen=True)
class Wish:
    """A gift as its giver wants it. Without a contact nothing is sent to anybody."""

    trees: int
    recipient: str = ""
    message: str = ""
    contact: str = ""
    opens_on: date | None = None


def giving_certificate(order: Order) -> Certificate | None:
    """The certificate that gifts are taken from: the largest valid one that the order's buyer has."""
    valid = order.certificates.filter(owner=order.buyer_id, state=Certificate.State.VALID)
    return valid.order_by("-trees", "pk").first()


def promised(order: Order) -> int:
    """Trees of gifts that nobody has taken yet."""
    return order.gifts.filter(state=Gift.State.WAITING).aggregate(n=Sum("trees", default=0))["n"]


def unpromised(order: Order) -> int:
    """How many trees can still be given away."""
    certificate = giving_certificate(order)
    return max(0, certificate.trees - promised(order)) if certificate else 0


def keep_promises(certificate: Certificate, trees: int) -> None:
    """Locks the order, for a transaction that takes trees from a certificate; DomainError("promised") when gifts that
    wait would lack them."""
    order = Order.objects.select_for_update().get(pk=certificate.order_id)
    source = giving_certificate(order)
    if source is None or source.pk != certificate.pk:
        return
    left = certificate.trees - promised(order)
    if left < trees <= certificate.trees:
        raise DomainError(
            "promised",
            _("Gifts that nobody has taken yet need these trees: %(left)s are free. Withdraw gifts first.")
            % {"left": left},
            409,
        )


@transaction.atomic
def give(order: Order, wishes: Sequence[Wish], *, giver: str, form_token: UUID | None = None) -> list[Gift]:
    """Makes gifts of an order's trees, all or none. Those with a contact are sent on their day. A form with the same
    token again makes none: it gives those it made.

    DomainError: bad_quantity (more than are free, too many at once), not_paid, too_many_withdrawn (to send any more),
    sent_before (the form was sent with other content).
    """
    order = Order.objects.select_for_update(of=("self",)).select_related("buyer").get(pk=order.pk)
    made = list(order.gifts.filter(form_token=form_token).order_by("ordinal")) if form_token else []
    if made:
        _check_same(made, wishes, giver)
        return made
    if not wishes or len(wishes) > AT_ONCE:
        raise DomainError("bad_quantity", _("Make between 1 and %(most)s gifts at once.") % {"most": AT_ONCE})
    if any(wish.trees < 1 for wish in wishes):
        raise DomainError("bad_quantity", _("A gift has at least one tree."))
    wanted, free = sum(wish.trees for wish in wishes), unpromised(order)
    if wanted > free:
        raise DomainError(
            "bad_quantity",
            _("These gifts need %(wanted)s trees, but only %(free)s of your order are free. Give fewer.")
            % {"wanted": wanted, "free": free},
            409,
        )
    withdrawn = order.gifts.filter(state=Gift.State.CANCELLED).count()
    if withdrawn > order.quantity + WITHDRAWN_BEYOND and any(wish.contact for wish in wishes):
        raise DomainError(
            "too_many_withdrawn",
            _("Many gifts of this order were withdrawn. Leave out the contact, and pass on the link yourself."),
            429,
        )
    made = Gift.objects.bulk_create(
        [
            Gift(
                order=order,
                giver=giver,
                trees=wish.trees,
                recipient=wish.recipient,
                message=wish.message,
                contact=wish.contact,
                opens_on=wish.opens_on,
                form_token=form_token,
                ordinal=ordinal,
            )
            for ordinal, wish in enumerate(wishes)
        ],
        batch_size=1_000,
    )
    keep_messages(messages_to_buyers.draft_gift(gift, _sent_at(gift)) for gift in made if gift.contact)
    return made


def _check_same(made: Sequence[Gift], wishes: Sequence[Wish], giver: str) -> None:
    """The form's gifts are those that were made by it."""
    former = [(one.giver, Wish(one.trees, one.recipient, one.message, one.contact, one.opens_on)) for one in made]
    if former != [(giver, wish) for wish in wishes]:
        raise DomainError(
            "sent_before",
            _("This form was sent before with something else in it. Go back to the gifts and open it anew."),
            409,
        )


def _sent_at(gift: Gift) -> datetime | None:
    """When a gift's message goes out: in the morning of its day, or at once."""
    if gift.opens_on is None or gift.opens_on <= timezone.localdate():
        return None
    return timezone.make_aware(datetime.combine(gift.opens_on, SENT_AT))


def typed_code(text: str) -> str:
    """A code as it is stored, however it was typed."""
    return "".join(character for character in text.upper() if character in ALPHABET)[:16]


def grouped(code: str) -> str:
    """A code as it is printed, in four groups."""
    return "-".join(code[start : start + 4] for start in range(0, len(code), 4))


@transaction.atomic
def take(gift: Gift, *, holder: str, receiver: Buyer) -> Certificate:
    """Hands the gift's trees to `receiver`, a row of their own. Who comes second is told that it was taken.

    DomainError: taken, withdrawn, not_yet, not_enough (the giver's trees were lost or given back).
    """
    order = Order.objects.select_for_update().get(pk=gift.order_id)
    gift = Gift.objects.select_for_update().get(pk=gift.pk)
    if gift.state == Gift.State.TAKEN:
        raise DomainError("taken", _("This gift was taken already."), 409)
    if gift.state == Gift.State.CANCELLED:
        raise DomainError("withdrawn", _("This gift was withdrawn. Ask whoever gave it to you."), 409)
    if not opens(gift):
        raise DomainError("not_yet", _("This gift cannot be opened before its day."), 409)
    source = giving_certificate(order)
    if source is None or source.trees < gift.trees:
        raise DomainError(
            "not_enough", _("The trees of this gift are not there any more. Ask whoever gave it to you."), 409
        )
    receiver.save()
    made = holding.hand_on(source, to=receiver, holder=holder, trees=gift.trees, reason="gift")
    move(gift, Gift.State.TAKEN, certificate=made)
    withdraw_messages([messages_to_buyers.gift_key(gift)], "taken already")
    messages_to_buyers.tell_handed_on(made)
    return made


def shown_sinks(gift: Gift) -> list[Sink]:
    """Some of the trees that wait for whoever takes the gift."""
    source = giving_certificate(gift.order) if gift.state == Gift.State.WAITING else None
    if source is None:
        return []
    sinks = source.sinks.select_related("tree__species", "tree__household__village", "tree__picture")
    return list(sinks.order_by("tree__number")[: min(gift.trees, 3)])


def opens(gift: Gift) -> bool:
    """Whether the gift's day has come."""
    return gift.opens_on is None or gift.opens_on <= timezone.localdate()


@transaction.atomic
def withdraw(gift: Gift) -> None:
    """Takes back a gift that nobody has taken. DomainError("wrong_state") otherwise."""
    Order.objects.select_for_update().get(pk=gift.order_id)
    move(gift, Gift.State.CANCELLED, reason="withdrawn by the giver")
    withdraw_messages([messages_to_buyers.gift_key(gift)], "withdrawn by the giver")


def cancel_beyond(order: Order) -> int:
    """Cancels the newest gifts that wait, until the trees that the giver has left are enough for the others; returns
    how many. The caller has locked the order, in the transaction in which it loses trees.
    """
    source = giving_certificate(order)
    trees_left = source.trees if source else 0
    waiting = list(order.gifts.filter(state=Gift.State.WAITING).order_by("-pk"))
    needed, beyond = sum(gift.trees for gift in waiting), []
    for gift in waiting:
        if needed <= trees_left:
            break
        needed -= gift.trees
        beyond.append(gift)
    move_many(order.gifts.filter(pk__in=[gift.pk for gift in beyond]), Gift.State.CANCELLED, reason="trees given back")
    withdraw_messages([messages_to_buyers.gift_key(gift) for gift in beyond], "trees given back")
    return len(beyond)
