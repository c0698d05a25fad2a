"""Whose order a transfer pays: what fits exactly is booked by rule, all else is a person's to say.

The money of a transfer lies in an account of its own from the moment it is known; what pays an order leaves it in the
transaction that books the order's payment.
"""

from collections.abc import Sequence
from datetime import datetime, time

import structlog
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account
from carbonsink.states import move
from purchases import payments
from purchases.gateways import TRANSFER
from purchases.gateways.base import PaymentReport
from purchases.losses import has_losses, settle_unpaid
from purchases.models import Order, Payment, Transfer
from purchases.transfers.numbers import orders_named

log = structlog.get_logger(__name__)

PAYABLE = (Order.State.HELD, Order.State.EXPIRED)


class NotTaken(Exception):
    """The order cannot be had for this money (any more): its trees are gone, or it was paid meanwhile."""


def suspense() -> Account:
    """Where the money of transfers lies that nobody has placed. It is apart from money whose origin is unknown: what
    strangers send keeps no household's money waiting."""
    return ledger.account(Account.Kind.SUSPENSE, "transfers")


def came_reference(transfer: Transfer) -> str:
    """The entry that says a transfer came."""
    return f"transfer:{transfer.bank}:{transfer.serial}"


def used_reference(transfer: Transfer) -> str:
    """The entry that takes a transfer's money out of suspense, for an order or to be sent back."""
    return f"transfer-used:{transfer.bank}:{transfer.serial}"


def transaction_id(transfer: Transfer) -> str:
    """By what the payment of a matched transfer is known."""
    return f"{transfer.bank}:{transfer.serial}"


def unseen() -> list[int]:
    """Waiting transfers that nobody and nothing has looked at: whoever took them in was stopped."""
    waiting = Transfer.objects.filter(state=Transfer.State.WAITING, why="")
    return list(waiting.order_by("pk").values_list("pk", flat=True)[:500])


def look_at(transfer_id: int) -> bool:
    """Books a waiting transfer that pays one order exactly, and says so; any other is marked with why it waits."""
    transfer = Transfer.objects.get(pk=transfer_id)
    if transfer.state != Transfer.State.WAITING:
        return False
    named = orders_named(transfer.remittance)
    if len(named) == 1 and named[0].state == Order.State.ALLOCATING:
        return False  # A large order is being put together: the sweep looks again.
    why = _why(transfer, named)
    if not why:
        try:
            pay(named[0], [transfer], reason="named in the remittance")
        except NotTaken:
            why = Transfer.Why.LATE
        except DomainError:  # Somebody was quicker.
            return False
        else:
            return True
    Transfer.objects.filter(pk=transfer.pk, state=Transfer.State.WAITING).update(why=why)
    log.warning("transfer_waits", serial=transfer.serial, fen=transfer.fen, why=str(why))
    return False


def _why(transfer: Transfer, named: Sequence[Order]) -> str:
    """Why a person must look; empty when the transfer pays an order that may be paid."""
    if len(named) != 1:
        return Transfer.Why.UNKNOWN
    (order,) = named
    if order.paid_at is not None:
        return Transfer.Why.DOUBLE
    if transfer.fen != order.total_fen:
        return Transfer.Why.PARTIAL if transfer.fen < order.total_fen else Transfer.Why.OVER
    return "" if order.state in PAYABLE else Transfer.Why.LATE


def answered() -> DomainError:
    """The error that says that a transfer does not wait any more."""
    return DomainError("wrong_state", _("Somebody has answered this meanwhile. Reload the page."), status=409)


def pay(order: Order, transfers: Sequence[Transfer], *, by: User | None = None, reason: str) -> Payment:
    """Has transfers, which are together the order's total or more, pay it; what is too much goes back.

    Raises NotTaken when the order does not become paid by it, and DomainError("wrong_state") when one of the transfers
    is somebody else's meanwhile; no money is moved then.
    """
    if has_losses(order.pk):
        # In a transaction of its own: an order that expires and takes other sinks in one would lock stock out of order.
        settle_unpaid(order.pk)
    return _pay(order, transfers, by=by, reason=reason)


@transaction.atomic
def _pay(order: Order, transfers: Sequence[Transfer], *, by: User | None, reason: str) -> Payment:
    order = Order.objects.select_for_update().get(pk=order.pk)
    transfers = list(Transfer.objects.filter(pk__in=[one.pk for one in transfers]).order_by("pk").select_for_update())
    if any(one.state != Transfer.State.WAITING for one in transfers):
        raise answered()
    fen = sum(one.fen for one in transfers)
    if order.state not in PAYABLE or fen < order.total_fen:
        raise NotTaken
    for one in transfers:
        into = ledger.account(Account.Kind.GATEWAY, TRANSFER)
        ledger.post(used_reference(one), "transfer-used", {suspense(): one.fen, into: -one.fen})
    payment = _payment(order)
    day = timezone.make_aware(datetime.combine(max(one.booked_on for one in transfers), time(12)))
    report = PaymentReport(
        payment.reference,
        "captured",
        transaction_id(transfers[0]),
        order.total_fen,
        min(day, timezone.now()),
    )
    payments.book_capture(payment, report)
    paid = Payment.objects.get(gateway=TRANSFER, transaction_id=report.transaction_id)
    order.refresh_from_db()
    if order.state != Order.State.PAID:
        raise NotTaken
    for one in transfers:
        move(one, Transfer.State.MATCHED, by=by, reason=reason, payment=paid)
    if fen > order.total_fen:
        surplus = payments.book_surplus(paid, f"{transaction_id(transfers[-1])}+", fen - order.total_fen, by=by)
        Transfer.objects.filter(pk=transfers[-1].pk).update(refund=surplus)
    return paid


def _payment(order: Order) -> Payment:
    """The payment that the buyer opened when choosing to transfer; made if there is none."""
    opened = order.payments.filter(gateway=TRANSFER, state__in=[Payment.State.CREATED, Payment.State.CLOSED])
    return opened.order_by("-pk").first() or Payment.objects.create(
        order=order, gateway=TRANSFER, product=TRANSFER, fen=order.total_fen
    )
