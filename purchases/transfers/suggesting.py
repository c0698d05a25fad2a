"""What a waiting transfer may be for: orders that are named, nearly named, of the same payer and amount, or made up by
several transfers together. Suggestions only: a person says."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from purchases.models import Order, Transfer
from purchases.transfers.matching import PAYABLE
from purchases.transfers.numbers import NEARBY, orders_named, orders_nearly_named

MOST_TOGETHER = 5
_NO_LETTERS = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Suggestion:
    """An order, the waiting transfers that would pay it, and why."""

    order: Order
    transfers: list[Transfer]
    why: str | Promise

    @property
    def fen(self) -> int:
        """What the transfers are together."""
        return sum(one.fen for one in self.transfers)

    @property
    def is_enough(self) -> bool:
        """Whether the order would be paid by them."""
        return self.order.state in PAYABLE and self.fen >= self.order.total_fen

    @property
    def missing_fen(self) -> int:
        """What the order costs beyond what the transfers are."""
        return max(0, self.order.total_fen - self.fen)

    @property
    def surplus_fen(self) -> int:
        """What would go back."""
        return max(0, self.fen - self.order.total_fen)


def suggest(transfer: Transfer) -> list[Suggestion]:
    """What the transfer may be for, the likeliest first; each order once."""
    others = [one for one in _waiting() if one.pk != transfer.pk]
    found: dict[int, Suggestion] = {}
    for one in _likely(transfer, others):
        if one.order.pk not in found:
            found[one.order.pk] = one
    return sorted(found.values(), key=lambda one: not one.is_enough)[:8]


def _waiting() -> list[Transfer]:
    return list(Transfer.objects.filter(state=Transfer.State.WAITING).order_by("pk")[:500])


def _likely(transfer: Transfer, others: Sequence[Transfer]) -> Iterator[Suggestion]:
    for order in orders_named(transfer.remittance):
        yield Suggestion(order, _together(transfer, others, order), _("It is named in the remittance."))
    for order in orders_nearly_named(transfer.remittance):
        why = _("Its number is in the remittance, but for one character.")
        yield Suggestion(order, _together(transfer, others, order), why)
    for order in _open_orders():
        ours = _name(order.buyer.organisation.name if order.buyer.organisation else order.holder)
        if ours and ours == _name(transfer.payer_name):
            if order.total_fen == transfer.fen:
                yield Suggestion(order, [transfer], _("The same name and the same amount."))
            else:
                yield Suggestion(order, _together(transfer, others, order), _("The same name."))
    for order in _open_orders().filter(total_fen=transfer.fen, pays_by=Order.PaysBy.TRANSFER)[:5]:
        yield Suggestion(order, [transfer], _("The same amount; the name is another one."))


def _open_orders() -> QuerySet[Order]:
    recent = Order.objects.filter(state__in=PAYABLE, created_at__gt=timezone.now() - NEARBY)
    return recent.exclude(buyer__organisation=None).select_related("buyer__organisation").order_by("-pk")


def _together(transfer: Transfer, others: Sequence[Transfer], order: Order) -> list[Transfer]:
    """The transfer with others of the same payer or for the same order, if they are exactly the order's total."""
    if transfer.fen >= order.total_fen:
        return [transfer]
    near = [one for one in others if _name(one.payer_name) == _name(transfer.payer_name) or _names(one, order)]
    for number in range(1, MOST_TOGETHER):
        for chosen in combinations(near[:10], number):
            if transfer.fen + sum(one.fen for one in chosen) == order.total_fen:
                return [transfer, *chosen]
    return [transfer]


def _names(transfer: Transfer, order: Order) -> bool:
    return order in orders_named(transfer.remittance)


def _name(text: str) -> str:
    """A name without what is written in different ways: brackets, spaces, width, case."""
    return _NO_LETTERS.sub("", unicodedata.normalize("NFKC", text)).lower()
