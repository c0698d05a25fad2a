"""Captures without an order of ours: booked as money to be explained, and answered by two people.

What belongs to an order becomes its capture, with all that follows: the order is paid, or, where it is paid already or
its trees are gone, the money goes back like any second or late payment. What belongs to nobody goes back through its
gateway, asked under one final number; silence is unknown and asked about. What the gateway refuses is tried again,
until somebody takes it over and sends it at the bank, as with refunds; then the sponsor has paid it, and the gateway's
money settles as any other.
"""

from datetime import timedelta

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink import money
from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account
from carbonsink.states import move
from purchases import payments
from purchases.gateways import gateway
from purchases.gateways.base import GatewayError, PaymentReport, RefundReport, RefundRequest
from purchases.models import Order, Payment, Stray
from purchases.models.payments import new_reference

log = structlog.get_logger(__name__)

# A sender is dead after this, and what was refused is tried again.
REST = timedelta(minutes=2)


def to_answer() -> QuerySet[Stray]:
    """What waits for a first or second person, oldest first."""
    waiting = Stray.objects.filter(state__in=[Stray.State.WAITING, Stray.State.PROPOSED])
    return waiting.select_related("order", "proposed_by").order_by("pk")


def to_send() -> QuerySet[Stray]:
    """What is on its way back and has not arrived, oldest first."""
    return Stray.objects.filter(state__in=Stray.OWED_BACK).select_related("noted_by").order_by("pk")


def unsent() -> list[int]:
    """Those that a gateway is to be asked for, oldest first."""
    return list(to_send().exclude(state=Stray.State.BY_HAND).values_list("pk", flat=True)[:20])


@transaction.atomic
def propose(stray: Stray, *, order: Order | None, reason: str, by: User) -> None:
    """Says what becomes of a capture: it pays this order, or goes back (None). Somebody else must agree.

    DomainError: "no_reason"; "not_enough" where the order waits for another amount.
    """
    if not reason.strip():
        raise DomainError("no_reason", _("Write how you know."))
    if order is not None:
        _check_amount(stray, order)
    why = reason.strip()[:200]
    move(stray, Stray.State.PROPOSED, by=by, reason=why, order=order, why=why, proposed_by=by)


def _check_amount(stray: Stray, order: Order) -> None:
    if order.state in (Order.State.HELD, Order.State.EXPIRED) and order.total_fen != stray.fen:
        raise DomainError(
            "not_enough",
            _("This capture is ¥%(came)s, the order is ¥%(total)s. Send it back.")
            % {"came": money.yuan(stray.fen), "total": money.yuan(order.total_fen)},
            status=409,
        )


@transaction.atomic
def withdraw(stray: Stray, *, by: User) -> None:
    """Takes back what was said of a capture; it waits again."""
    move(stray, Stray.State.WAITING, by=by, reason="not agreed", order=None, why="", proposed_by=None)


def agree(stray: Stray, *, by: User) -> None:
    """Does what another person said. DomainError("same_person") for one's own word, "wrong_state" when nothing (else)
    was said."""
    with transaction.atomic():
        if stray.order_id is not None:
            Order.objects.select_for_update().get(pk=stray.order_id)
        seen, stray = stray, Stray.objects.select_for_update(of=["self"]).select_related("order").get(pk=stray.pk)
        said = (stray.state, stray.order_id, stray.proposed_by_id)
        if said != (Stray.State.PROPOSED, seen.order_id, seen.proposed_by_id):
            raise DomainError("wrong_state", _("Somebody has answered this meanwhile. Reload the page."), status=409)
        if stray.proposed_by_id == by.pk:
            raise DomainError("same_person", _("Somebody else confirms what you have said."), status=403)
        if stray.order is None:
            _owe_back(stray, by)
        else:
            _pay(stray, stray.order, by)


def _pay(stray: Stray, order: Order, by: User) -> None:
    _check_amount(stray, order)
    into = ledger.account(Account.Kind.GATEWAY, stray.gateway)
    _use(stray, {ledger.account(Account.Kind.SUSPENSE): stray.fen, into: -stray.fen})
    payment = Payment.objects.create(order=order, gateway=stray.gateway, fen=stray.fen)
    report = PaymentReport(payment.reference, "captured", stray.transaction_id, stray.fen, stray.captured_at)
    payments.book_capture(payment, report)
    move(stray, Stray.State.MATCHED, by=by, reason=f"order {order.number}", agreed_by=by, payment=payment)


def _owe_back(stray: Stray, by: User) -> None:
    from purchases.tasks import send_stray

    _use(stray, {ledger.account(Account.Kind.SUSPENSE): stray.fen, ledger.account(Account.Kind.REFUNDS): -stray.fen})
    move(stray, Stray.State.GOING_BACK, by=by, reason=stray.why, agreed_by=by, back_number=new_reference())
    transaction.on_commit(lambda: send_stray.delay(stray.pk), robust=True)


def _use(stray: Stray, amounts: dict[Account, int]) -> None:
    ledger.post(f"stray-used:{stray.pk}", "stray-used", amounts)


def step(stray_id: int) -> None:
    """Takes a capture that goes back one step further: one that was missed, is unknown, or was left in mid-call."""
    stray = Stray.objects.get(pk=stray_id)
    last = stray.history().last()
    rested = last is None or last.at < timezone.now() - REST
    if stray.state == Stray.State.GOING_BACK or (stray.state == Stray.State.FAILED and rested):
        _send(stray)
    elif stray.state == Stray.State.UNKNOWN:
        _ask(stray)
    elif stray.state == Stray.State.SENDING and rested:
        move(stray, Stray.State.UNKNOWN, reason="sender died")
        _ask(stray)


def _send(stray: Stray) -> None:
    try:
        move(stray, Stray.State.SENDING)
    except DomainError:
        return  # Somebody else is sending it.
    request = RefundRequest(
        number=stray.back_number or "",
        transaction_id=stray.transaction_id,
        fen=stray.fen,
        captured_fen=stray.fen,
        reason=_("It belongs to no order."),
    )
    try:
        report = gateway(stray.gateway).refund(request)
    except GatewayError as error:
        log.warning("stray_not_sent", number=stray.back_number, outcome=error.outcome, code=error.code)
        state = Stray.State.FAILED if error.outcome == "refused" else Stray.State.UNKNOWN
        move(stray, state, reason=error.code)
        return
    _book(stray, report)


def _ask(stray: Stray) -> None:
    try:
        report = gateway(stray.gateway).query_refund(stray.back_number or "", stray.transaction_id)
    except GatewayError as error:
        if error.code == "RESOURCE_NOT_EXISTS":
            move(stray, Stray.State.FAILED, reason="never arrived")
        return
    _book(stray, report)


def _book(stray: Stray, report: RefundReport) -> None:
    if report.state == "pending":
        if stray.state == Stray.State.SENDING:
            move(stray, Stray.State.UNKNOWN, reason="being processed")
    elif report.state == "failed":
        move(stray, Stray.State.FAILED)
    else:
        _sent(stray, ledger.account(Account.Kind.GATEWAY, stray.gateway))


@transaction.atomic
def _sent(stray: Stray, paid_from: Account, *, by: User | None = None, reason: str = "") -> None:
    who = {"confirmed_by": by} if by else {}
    move(stray, Stray.State.SENT_BACK, by=by, reason=reason, **who)
    amounts = {ledger.account(Account.Kind.REFUNDS): stray.fen, paid_from: -stray.fen}
    ledger.post(f"stray-sent:{stray.pk}", "stray-sent", amounts)


@transaction.atomic
def take_over(stray: Stray, *, by: User) -> None:
    """Has a capture that its gateway refuses to send back be sent at the bank: no gateway is asked any more."""
    move(stray, Stray.State.BY_HAND, by=by, reason="taken over, to be sent at the bank")


@transaction.atomic
def hand_back(stray: Stray, *, by: User) -> None:
    """Leaves what was taken over, and nobody has sent, to its gateway again; also takes a wrong note back."""
    move(stray, Stray.State.FAILED, by=by, reason="not sent at the bank", bank_serial="", noted_by=None)


@transaction.atomic
def note_sent(stray: Stray, *, bank_serial: str, by: User) -> None:
    """Notes the bank's number of what somebody sent there. DomainError: "invalid", or "wrong_state" for what was not
    taken over, or was noted before."""
    bank_serial = bank_serial.strip()
    if not 1 <= len(bank_serial) <= 64 or not bank_serial.isprintable():
        raise DomainError("invalid", _("Enter the bank's serial number of the payment."))
    open_ones = Stray.objects.filter(pk=stray.pk, state=Stray.State.BY_HAND, noted_by__isnull=True)
    if not open_ones.update(bank_serial=bank_serial, noted_by=by):
        raise DomainError("wrong_state", _("Somebody has answered this meanwhile. Reload the page."), status=409)


@transaction.atomic
def confirm(stray: Stray, *, by: User) -> None:
    """Books what another person has sent at the bank: the sponsor's money. DomainError("same_person")."""
    stray = Stray.objects.select_for_update().get(pk=stray.pk)
    if stray.noted_by_id is None:
        raise DomainError("wrong_state", _("Nobody has noted this as sent. Reload the page."), status=409)
    if stray.noted_by_id == by.pk:
        raise DomainError("same_person", _("Somebody else confirms what you have noted."), status=403)
    _sent(stray, ledger.account(Account.Kind.SPONSOR), by=by, reason=f"bank {stray.bank_serial}")
