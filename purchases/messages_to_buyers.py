"""What buyers are told, at the contact they gave and nowhere else.

Each message is written in the transaction of what it tells, in the buyer's language, once.
"""

import hashlib
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from carbonsink import money
from carbonsink.messages.models import Message
from carbonsink.messages.services import draft_message, write_message
from purchases.links import ASKED, my_trees_link, page
from purchases.models import Buyer, Certificate, Gift, Order, Refund, Repeat


def _tell(buyer: Buyer, key: str, template: str, **context: Any) -> None:
    if buyer.contact:
        write_message(key, to=buyer.contact, template=template, language=buyer.language, context=context)


def _of_order(order: Order) -> dict[str, Any]:
    return {"order": order, "order_link": page("order", order.token), "yuan": money.yuan(order.total_fen)}


def untold() -> list[int]:
    """Paid orders whose receipt is not written yet, oldest first."""
    orders = Order.objects.filter(paid_at__isnull=False, told_at__isnull=True).order_by("pk")
    return list(orders.values_list("pk", flat=True)[:1_000])


@transaction.atomic
def tell_paid(order_id: int) -> None:
    """The receipt: what was bought for how much, and the links to it. Written after the payment is booked, since a
    gateway waits for that; once."""
    orders = Order.objects.filter(pk=order_id, paid_at__isnull=False, told_at__isnull=True)
    order = orders.select_related("buyer").select_for_update(of=("self",), skip_locked=True).first()
    if order is None:
        return
    certificate = order.certificate
    order.told_at = timezone.now()
    order.save(update_fields=["told_at"])
    _tell(
        order.buyer,
        f"paid:{order.pk}",
        "paid",
        certificate=certificate,
        certificate_link=page("certificate", certificate.token) if certificate else "",
        my_trees_link=my_trees_link(order.buyer),
        **_of_order(order),
    )


def tell_refunded(refund: Refund) -> None:
    """Money has gone back: all of the order's, some trees', or a payment that came too late or twice."""
    order = refund.payment.order
    context = _of_order(order) | {"refund": refund, "refunded_yuan": money.yuan(refund.fen)}
    _tell(order.buyer, f"refunded:{refund.pk}", "refunded", **context)


def tell_replaced(certificate: Certificate, trees: int) -> None:
    """So many trees of a certificate were lost and others stand in for them; `certificate` is the new one."""
    _tell(
        certificate.owner,
        f"replaced:{certificate.pk}",
        "replaced",
        certificate=certificate,
        trees=trees,
        certificate_link=page("certificate", certificate.token),
    )


def tell_ready(order: Order) -> None:
    """A large order has all of its trees and can be paid."""
    _tell(order.buyer, f"ready:{order.pk}", "ready", **_of_order(order))


def tell_short(order: Order) -> None:
    """A large order ended because there were not enough trees."""
    _tell(order.buyer, f"short:{order.pk}", "short", **_of_order(order))


def tell_handed_on(certificate: Certificate) -> None:
    """Somebody has handed a certificate to its new owner."""
    link = page("certificate", certificate.token)
    context = {"certificate": certificate, "certificate_link": link, "my_trees_link": my_trees_link(certificate.owner)}
    _tell(certificate.owner, f"handed-on:{certificate.pk}", "handed_on", **context)


def send_link(buyer: Buyer) -> None:
    """The link to everything a contact has bought, for a day."""
    if buyer.contact:
        link = my_trees_link(buyer, ASKED)
        key = f"link:{hashlib.sha256(link.encode()).hexdigest()}"
        context = {"my_trees_link": link}
        write_message(key, to=buyer.contact, template="link", language=buyer.language, context=context)


def gift_key(gift: Gift) -> str:
    """The key of the message that brings a gift's link to whom it is for."""
    return f"gift:{gift.pk}"


def draft_gift(gift: Gift, due_at: datetime | None) -> Message:
    """The message that brings a gift, from its day on, to the contact that the giver has named."""
    context = {"gift": gift, "gift_link": page("gift", gift.code)}
    language = gift.order.buyer.language
    return draft_message(
        gift_key(gift), to=gift.contact, template="gift", language=language, context=context, due_at=due_at
    )


def remind(repeat: Repeat, vintage: int, *, again: str, opens_at: datetime | None) -> None:
    """That a certificate's year ends, and how to buy the same for the next one; `again` is the form's address."""
    order = repeat.order
    context = _of_order(order) | {"vintage": vintage, "again": again, "opens_at": opens_at}
    context["repeat_link"] = page("repeat", order.token)
    _tell(order.buyer, f"repeat:{repeat.pk}:{vintage}", "repeat", **context)


def tell_summary(buyer: Buyer, vintage: int, trees: int, kg: int) -> None:
    """In January: what somebody's trees of the last year came to. Once for each contact."""
    contact = hashlib.sha256((buyer.contact_digest or "").encode()).hexdigest()[:40]
    context = {"vintage": vintage, "trees": trees, "kg": kg, "my_trees_link": my_trees_link(buyer)}
    _tell(buyer, f"summary:{vintage}:{contact}", "summary", **context)
