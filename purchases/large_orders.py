"""Orders of more than ORDER_SMALL trees: put together in chunks, so that nobody has to wait for them.

Such an order is `allocating` from the moment it is placed. Its trees are chosen by water-filling over the whole stock
at once, and taken some households at a time: each chunk is a transaction of its own, which locks the households it
takes from and no others, and counts up `allocated`. After a crash, what is still missing is chosen anew: the households
that have given already stand higher, so that it comes from the others, as it would have. When there is too little,
everything is released again in chunks, and the order is short. When it is complete it is held, from then on.

One order at a time. What keeps a tree from being sold twice is the database, here as everywhere.
"""

from collections.abc import Iterator

from django.db.models import F
from django.db.transaction import atomic
from django.utils import timezone

from carbonsink.locks import only_one
from carbonsink.states import move
from purchases import allocation
from purchases.messages_to_buyers import tell_ready, tell_short
from purchases.models import Order
from purchases.sweeping import each
from purchases.unpaid import hold_until

CHUNK_TREES = 2_500


def waiting() -> list[int]:
    """Orders that are being put together, or wait for it, oldest first."""
    return list(Order.objects.filter(state=Order.State.ALLOCATING).order_by("pk").values_list("pk", flat=True))


def allocate_orders() -> None:
    """Puts together all orders that wait for it, also those that come meanwhile; nothing when somebody is at it."""
    with only_one("purchases.allocate") as mine:
        tried: set[int] = set()
        while mine and (new := [pk for pk in waiting() if pk not in tried]):
            tried.update(new)
            each(new, allocate_order)


def allocate_order(order_id: int) -> None:
    """Takes what an order still lacks, chunk by chunk; it ends held or short."""
    while True:
        order = Order.objects.select_related("area").get(pk=order_id)
        if order.state != Order.State.ALLOCATING:
            return
        missing = order.quantity - order.allocated
        if not missing:
            _complete(order_id)
            return
        levels = allocation.levels(order)
        left = sum(level.total - level.sold for level in levels)
        if left < missing:
            _give_up(order, left + order.allocated)
            return
        for chunk in _chunks(allocation.water_fill(levels, missing)):
            _take_chunk(order_id, chunk)


def _chunks(numbers: dict[int, int]) -> Iterator[dict[int, int]]:
    """So many sinks by household, in parts of at most CHUNK_TREES sinks."""
    chunk: dict[int, int] = {}
    room = CHUNK_TREES
    for home, number in numbers.items():
        while number:
            part = min(number, room)
            chunk[home] = part
            number, room = number - part, room - part
            if not room:
                yield chunk
                chunk, room = {}, CHUNK_TREES
    if chunk:
        yield chunk


@atomic
def _take_chunk(order_id: int, chunk: dict[int, int]) -> None:
    order = _locked(order_id)
    if order.state == Order.State.ALLOCATING:
        taken = allocation.take_from(order, chunk)
        Order.objects.filter(pk=order_id).update(allocated=F("allocated") + taken)


@atomic
def _complete(order_id: int) -> None:
    order = _locked(order_id)
    if order.state == Order.State.ALLOCATING and order.allocated == order.quantity:
        move(order, Order.State.HELD, expires_at=hold_until(order.pays_by, timezone.now()), reason="all trees found")
        tell_ready(order)


def _give_up(order: Order, left: int) -> None:
    """Releases in chunks what the order has, since only `left` trees can be had for it."""
    for chunk in _chunks(allocation.homes_of(order)):
        with atomic():
            _locked(order.pk)
            allocation.release_sinks(order, list(chunk))
            Order.objects.filter(pk=order.pk).update(allocated=order.sinks.count())
    with atomic():
        current = _locked(order.pk)
        if current.state == Order.State.ALLOCATING and not current.allocated:
            move(current, Order.State.SHORT, reason=f"only {left} trees were left")
        tell_short(current)


def _locked(order_id: int) -> Order:
    return Order.objects.select_for_update(no_key=True, of=["self"]).select_related("area").get(pk=order_id)
