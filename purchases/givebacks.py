"""Trees that their buyer gives back: their price goes back, their sinks are for sale again.

The buyer may do so for some days, finance at any time; only trees under a valid certificate of the buyer's own, and
only while their households have not been paid, or at the sponsor's cost.

Order of locks as for lost trees: the order, stock rows by primary key, sinks, then the households' accounts.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from carbonsink.accounts.models import User
from carbonsink.accounts.roles import FINANCE
from carbonsink.errors import DomainError
from purchases import gifts
from purchases.allocation import return_sinks
from purchases.certificates import renew
from purchases.losses import Loss
from purchases.models import Certificate, Order, Refund, Sink, SinkRelease, Stock
from purchases.replacements import book_back, follow, owed, paid_by, paid_out


def last_day(order: Order) -> datetime | None:
    """Until when the buyer may give trees of a paid order back; None for one that is not paid."""
    return order.paid_at + timedelta(days=settings.REFUND_DAYS) if order.paid_at else None


def returnable(order: Order) -> int:
    """How many trees of the order its buyer could give back now without the sponsor."""
    if order.state not in Order.HAS_TREES:
        return 0
    return len(_unsettled(order, _own_sinks(order)))


@transaction.atomic
def give_back(
    order: Order, sinks: Sequence[int] | int, *, by: User | None, reason: str, sponsored: bool = False
) -> Refund:
    """Gives trees of a paid order back: these sinks, or so many of them. Returns the refund, which is sent at once.

    `by` is who of finance does it; None or anybody else is the buyer, within REFUND_DAYS days. `sponsored` (finance
    only) takes from the sponsor what a household has received already. Raises DomainError: "not_paid", "too_late",
    "bad_quantity", "not_yours_any_more" (retired or handed on), "paid_out", "finance_only".
    """
    order = Order.objects.select_for_update().get(pk=order.pk)
    is_finance = by is not None and by.has_role(FINANCE)
    _check(order, is_finance=is_finance, sponsored=sponsored)
    chosen = _choose(order, sinks, sponsored=sponsored)
    homes = Counter(sink.household_id for sink in chosen)
    list(Stock.objects.filter(vintage=order.vintage, household__in=homes).order_by("pk").select_for_update())
    ids = [sink.pk for sink in chosen]
    locked = order.sinks.filter(pk__in=ids).order_by("pk").select_for_update(no_key=True)
    today = timezone.localdate()
    given = [Loss(sink.pk, sink.household_id, sink.price_fen, reason, today) for sink in locked]
    refund = book_back(order, given, reason=Refund.Reason.ASKED, by=by, only_unsettled=not sponsored)
    SinkRelease.objects.bulk_create(
        SinkRelease(
            sink_id=one.sink_id,
            kind=SinkRelease.Kind.GIVEN,
            order=order,
            reason=reason[:200],
            left_on=today,
            refund=refund,
        )
        for one in given
    )
    certificates = {sink.certificate_id for sink in chosen}
    return_sinks(order, "id = ANY(%(sinks)s)", sinks=ids)
    for certificate in Certificate.objects.filter(pk__in=certificates).select_related("order", "owner").order_by("pk"):
        renew(certificate, list(certificate.sinks.values_list("pk", flat=True)), "trees were given back", by=by)
    follow(order, by=by, reason=reason)
    gifts.cancel_beyond(order)
    return refund


def _check(order: Order, *, is_finance: bool, sponsored: bool) -> None:
    if order.state not in Order.HAS_TREES:
        raise DomainError("not_paid", _("Only trees that are paid can be given back."), status=409)
    if sponsored and not is_finance:
        raise DomainError("finance_only", _("Only finance decides that the sponsor pays."), status=403)
    until = last_day(order)
    if not is_finance and (until is None or timezone.now() > until):
        raise DomainError(
            "too_late",
            ngettext(
                "Trees can be given back for %(days)s day after the payment. Write to the office.",
                "Trees can be given back for %(days)s days after the payment. Write to the office.",
                settings.REFUND_DAYS,
            )
            % {"days": settings.REFUND_DAYS},
            status=409,
        )


class _Own(NamedTuple):
    """What is to be known of a sink; an order may have half a million of them."""

    pk: int
    household_id: int
    certificate_id: int


def _own_sinks(order: Order) -> list[_Own]:
    """The order's sinks that are its buyer's to give back, those taken last first."""
    rows = _own(order).order_by("-rank", "-pk").values_list("pk", "household_id", "certificate_id")
    return [_Own(pk, home, certificate or 0) for pk, home, certificate in rows]


def _own(order: Order) -> QuerySet[Sink]:
    return order.sinks.filter(certificate__state=Certificate.State.VALID, certificate__owner=order.buyer_id)


def _choose(order: Order, sinks: Sequence[int] | int, *, sponsored: bool) -> list[_Own]:
    """The sinks to be given back; of so many, those whose households have not been paid come first."""
    own = _own_sinks(order)
    if isinstance(sinks, int):
        if sinks < 1:
            raise DomainError("bad_quantity", _("Choose at least one tree."))
        if sinks > len(own):
            raise _not_yours(len(own))
        waiting = _unsettled(order, own)
        if len(waiting) < sinks and not sponsored:
            raise paid_out(len(waiting))
        mine = {sink.pk for sink in waiting}
        return [*waiting, *(sink for sink in own if sink.pk not in mine)][:sinks]
    wanted = set(sinks)
    chosen = [sink for sink in own if sink.pk in wanted]
    if not wanted or len(chosen) != len(wanted):
        raise _not_yours(len(own))
    return chosen


def _not_yours(left: int) -> DomainError:
    return DomainError(
        "not_yours_any_more",
        ngettext(
            "You can give %(left)s tree of this order back: others were retired, handed on or given back before.",
            "You can give %(left)s trees of this order back: others were retired, handed on or given back before.",
            left,
        )
        % {"left": left},
        status=409,
        left=left,
    )


def _unsettled(order: Order, sinks: list[_Own]) -> list[_Own]:
    """Those of the sinks whose household is still owed the order's money, as far as one can tell without a lock."""
    _entries, unsettled = owed(paid_by(order), {sink.pk: sink.household_id for sink in sinks})
    return [sink for sink in sinks if sink.pk in unsettled]
