"""When a sold tree dies: another tree stands in for it, in sight of everybody, or its price goes back to the buyer.

The sweep finds what is to do in the tables alone: sinks of paid orders whose tree has left (`purchases.losses`). Each
order is settled in one transaction of its own, so a crash leaves it as it was, and doing it again finds nothing left.

Who bears it: a tree of the same household costs nobody anything. One of another household is paid by the sponsor; the
first household keeps its money. A price that goes back is taken from what the household is owed while no payout has
taken it, afterwards it is the sponsor's: a household never repays.
"""

from collections.abc import Iterable, Mapping

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account, Line
from carbonsink.states import move
from purchases import gifts, losses
from purchases.certificates import renew
from purchases.losses import Choice, Loss
from purchases.messages_to_buyers import tell_replaced
from purchases.models import Certificate, Order, Payment, Refund, Replacement, Sink, SinkRelease
from purchases.payments import request_refund
from purchases.proceeds import capture_reference, giveback_reference


def settle_losses(order_id: int) -> None:
    """Replaces or refunds the lost sinks of a paid order; an unpaid one gets other sinks or expires. Nothing happens to
    an order that has lost nothing."""
    losses.settle_unpaid(order_id)
    replace_lost(order_id)


@transaction.atomic
def replace_lost(order_id: int) -> None:
    """Gives a paid order other sinks for those it has lost, or their price back where there is none.

    Writes releases, replacements, ledger entries, refund and the certificates' successors, all or nothing. One at a
    time for each order.
    """
    order = Order.objects.select_for_update().get(pk=order_id)
    if order.state not in Order.HAS_TREES:
        return
    choice = losses.choose(order)
    if not choice.losses:
        return
    refund = book_back(order, choice.gone) if choice.gone else None
    SinkRelease.objects.bulk_create(
        SinkRelease(
            sink_id=loss.sink_id,
            order=order,
            reason=loss.state,
            left_on=loss.left_on,
            refund=None if loss.sink_id in choice.stand_ins else refund,
        )
        for loss in choice.losses
    )
    lost = [loss.sink_id for loss in choice.losses]
    former = dict(Sink.objects.filter(pk__in=lost, certificate__isnull=False).values_list("pk", "certificate_id"))
    losses.swap(order, choice)
    _note_replacements(order, choice)
    _renew_certificates(choice, former)
    follow(order, reason="a tree has left")
    gifts.cancel_beyond(order)


def told(order: Order) -> QuerySet[SinkRelease]:
    """What an order lost and what took its place, oldest first, for those who may see the order. What the buyer gave
    back is in the refunds."""
    stand_ins = ("sink__tree", "sink__replaced_by__old_sink", "sink__replaced_by__new_sink__tree")
    return order.releases.filter(kind=SinkRelease.Kind.LOST).select_related(*stand_ins).order_by("pk")


def _note_replacements(order: Order, choice: Choice) -> None:
    """Writes who stands in for whom, and has the sponsor pay where it is another household."""
    for loss in choice.losses:
        new = choice.stand_ins.get(loss.sink_id)
        if new is None:
            continue
        Replacement.objects.create(old_sink_id=loss.sink_id, new_sink=new, order=order, reason=loss.state)
        if new.household_id != loss.household_id:
            amounts = {
                ledger.account(Account.Kind.SPONSOR): new.price_fen,
                Account.objects.get(owner=new.household_id): -new.price_fen,
            }
            ledger.post(replacement_reference(loss.sink_id), "replacement", amounts)


def replacement_reference(old_sink_id: int) -> str:
    """The reference of the entry by which the sponsor pays the household that stands in for a lost sink."""
    return f"replacement:{old_sink_id}"


def book_back(
    order: Order,
    gone: list[Loss],
    *,
    reason: Refund.Reason = Refund.Reason.GONE,
    by: User | None = None,
    only_unsettled: bool = False,
) -> Refund:
    """Books the price of sinks that the order loses or its buyer gives back as owed to the buyer, and asks for the
    refund. The household bears it as long as no payout has taken the money, afterwards the sponsor; with
    `only_unsettled` DomainError("paid_out") instead.

    Locks the households' accounts in primary-key order, as a run of payouts does: whichever comes second sees what the
    first one did.
    """
    payment = paid_by(order)
    homes = {loss.household_id for loss in gone}
    accounts = Account.objects.filter(owner__in=homes).order_by("pk").select_for_update(no_key=True)
    by_home = {account.owner: account for account in accounts}
    sponsor, refunds = ledger.account(Account.Kind.SPONSOR), ledger.account(Account.Kind.REFUNDS)
    owed_by, unsettled = owed(payment, {loss.sink_id: loss.household_id for loss in gone})
    refund = request_refund(payment, reason, fen=sum(loss.price_fen for loss in gone), by=by)
    entries: dict[str, dict[Account, int]] = {}
    for loss in gone:
        account, reference = by_home[loss.household_id], owed_by[loss.sink_id]
        bearer = account if loss.sink_id in unsettled else sponsor
        if bearer is sponsor and only_unsettled:
            raise paid_out()
        # Apart, since what a stand-in gives back is the sponsor's money, not what the buyer had paid.
        amounts = entries.setdefault(giveback_reference(refund, stand_in=reference != capture_reference(payment)), {})
        amounts[bearer] = amounts.get(bearer, 0) + loss.price_fen
    for reference, amounts in entries.items():
        ledger.post(reference, "giveback", {**amounts, refunds: -sum(amounts.values())})
    return refund


def paid_out(left: int = 0) -> DomainError:
    """The error that says that households have their money and never repay; `left` trees can still be given back."""
    message = _("The money has reached the household already, and a household never repays.")
    if left:
        still = ngettext("%(left)s tree can still be given back.", "%(left)s trees can still be given back.", left) % {
            "left": left
        }
        message = f"{message} {still}"
    return DomainError("paid_out", message, status=409, left=left)


def paid_by(order: Order) -> Payment:
    """The payment that was shared among the households; others of the order were sent back."""
    for payment in order.payments.filter(state=Payment.State.CAPTURED):
        if ledger.balance_of_entry(capture_reference(payment), Account.Kind.HOUSEHOLD):
            return payment
    raise RuntimeError(f"order {order.pk} is paid by no payment; run audit")


def owed(payment: Payment, homes: Mapping[int, int]) -> tuple[dict[int, str], set[int]]:
    """Of sinks of an order with their households: by sink the entry by which the household is owed its price, and those
    sinks whose price no payout has taken. To be relied on while the households' accounts are locked."""
    owed_by = _owed_by(homes, payment)
    lines = Line.objects.filter(entry__reference__in=set(owed_by.values()), account__owner__in=set(homes.values()))
    open_lines = set(ledger.unsettled(lines).values_list("entry__reference", "account__owner"))
    return owed_by, {sink_id for sink_id, home in homes.items() if (owed_by[sink_id], home) in open_lines}


def _owed_by(sink_ids: Iterable[int], payment: Payment) -> dict[int, str]:
    """By sink, the order's capture, or the replacement that brought the sink in from another household."""
    came_in = Replacement.objects.filter(order=payment.order_id).select_related("old_sink", "new_sink").order_by("pk")
    came = {one.new_sink_id: one for one in came_in}  # The last one, should a sink have come in twice.
    owed_by = {}
    for sink_id in sink_ids:
        first = sink_id
        while first in came and came[first].same_household:
            first = came[first].old_sink_id
        owed_by[sink_id] = (
            replacement_reference(came[first].old_sink_id) if first in came else capture_reference(payment)
        )
    return owed_by


def _renew_certificates(choice: Choice, former: dict[int, int]) -> None:
    """Ends each certificate that has lost sinks, and issues its successor over those it has left and those that stand
    in for its own; `former` says by lost sink whose it was. A retired one's successor is retired too."""
    for certificate in (
        Certificate.objects.filter(pk__in=former.values()).select_related("order", "owner").order_by("pk")
    ):
        lost = [sink_id for sink_id, whose in former.items() if whose == certificate.pk]
        sinks = list(certificate.sinks.values_list("pk", flat=True))
        new = [choice.stand_ins[sink_id].pk for sink_id in lost if sink_id in choice.stand_ins]
        sinks += new
        successor = renew(certificate, sinks, "a tree has left" if sinks else "all trees have left")
        if successor is not None and new:
            tell_replaced(successor, len(new))


def follow(order: Order, *, reason: str, by: User | None = None) -> None:
    """Moves an order that has lost trees, or whose buyer gave some back, where its refunds have led it."""
    if not order.sinks.exists():
        move(order, Order.State.REFUNDED, by=by, reason=reason)
    elif order.state == Order.State.PAID and order.releases.filter(refund__isnull=False).exists():
        move(order, Order.State.PARTLY_REFUNDED, by=by, reason=reason)
