"""Sending money back: the intent is committed first, the call repeatable under the same number, silence is unknown."""

from datetime import timedelta

import structlog
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account
from carbonsink.states import move
from purchases.gateways import TRANSFER, gateway
from purchases.gateways.base import GatewayError, RefundReport, RefundRequest
from purchases.messages_to_buyers import tell_refunded
from purchases.models import Refund

log = structlog.get_logger(__name__)

# A sender is dead after this, and a refused refund is sent again.
REST = timedelta(minutes=2)


def send(refund: Refund) -> None:
    """Sends a requested (or failed) refund to its gateway and books the outcome."""
    try:
        move(refund, Refund.State.SENDING)
    except DomainError:
        return  # Somebody else is sending it.
    payment = refund.payment
    request = RefundRequest(
        number=refund.number,
        transaction_id=payment.transaction_id or "",
        fen=refund.fen,
        captured_fen=payment.captured_fen or 0,
        reason=refund.get_reason_display(),
    )
    try:
        report = gateway(payment.gateway).refund(request)
    except GatewayError as error:
        log.warning("refund_not_sent", number=refund.number, outcome=error.outcome, code=error.code)
        move(
            refund,
            Refund.State.FAILED if error.outcome == "refused" else Refund.State.UNKNOWN,
            reason=error.code,
        )
        return
    book(refund, report)


def ask(refund: Refund) -> None:
    """Asks the gateway about a refund whose outcome is not known. One that never arrived is sent again as it was."""
    try:
        report = gateway(refund.payment.gateway).query_refund(refund.number, refund.payment.transaction_id or "")
    except GatewayError as error:
        if error.code == "RESOURCE_NOT_EXISTS":
            move(refund, Refund.State.FAILED, reason="never arrived")
        return
    book(refund, report)


def book(refund: Refund, report: RefundReport) -> None:
    """Writes what the gateway said of a refund: state and ledger in one transaction."""
    if report.state == "pending":
        if refund.state == Refund.State.SENDING:
            move(refund, Refund.State.UNKNOWN, reason="being processed")
        return
    if report.state == "failed":
        move(refund, Refund.State.FAILED)
        return
    succeed(refund, ledger.account(Account.Kind.GATEWAY, refund.payment.gateway))


@transaction.atomic
def succeed(refund: Refund, paid_from: Account, *, by: User | None = None, reason: str = "") -> None:
    """Books a refund that has arrived, out of the account that paid it, and tells the buyer."""
    move(refund, Refund.State.SUCCEEDED, by=by, reason=reason)
    amounts = {ledger.account(Account.Kind.REFUNDS): refund.fen, paid_from: -refund.fen}
    ledger.post(f"refund:{refund.number}", "refund", amounts)
    tell_refunded(refund)


def open_refunds() -> list[int]:
    """Refunds that have not arrived, oldest first; those the gateway refused come last and never crowd out others.
    What people send at the bank is theirs."""
    theirs = Q(payment__gateway=TRANSFER, state__in=[Refund.State.UNKNOWN, Refund.State.FAILED])
    done = Q(state__in=[Refund.State.SUCCEEDED, Refund.State.BY_HAND])
    waiting = Refund.objects.exclude(done | theirs).order_by("pk").values_list("pk", flat=True)
    failed = waiting.filter(state=Refund.State.FAILED)
    return [*waiting.exclude(state=Refund.State.FAILED)[:200], *failed.order_by("?")[:20]]


def step(refund_id: int) -> None:
    """Takes an open refund one step further: one that was missed, is unknown, or was left in mid-call."""
    refund = Refund.objects.select_related("payment").get(pk=refund_id)
    last = refund.history().last()
    rested = last is None or last.at < timezone.now() - REST
    if refund.state == Refund.State.REQUESTED or (refund.state == Refund.State.FAILED and rested):
        send(refund)
    elif refund.state == Refund.State.UNKNOWN:
        ask(refund)
    elif refund.state == Refund.State.SENDING and rested:  # A sender died in mid-call.
        move(refund, Refund.State.UNKNOWN, reason="sender died")
        ask(refund)
