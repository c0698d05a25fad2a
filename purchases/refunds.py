"""Sending money back: the intent is committed first, the call repeatable under the same number, silence is unknown."""

from datetime import timedelta

import structlog
from django.db import transaction
from django.utils import timezone

from carbonsink.errors import DomainError
from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account
from carbonsink.states import move
from purchases.gateways import gateway
from purchases.gateways.base import GatewayError, RefundReport, RefundRequest
from purchases.models import Refund

log = structlog.get_logger(__name__)


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
        report = gateway(refund.payment.gateway).query_refund(refund.number)
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
    with transaction.atomic():
        move(refund, report.state)
        if report.state == "succeeded":
            ledger.post(
                f"refund:{refund.number}",
                "refund",
                {
                    ledger.account(Account.Kind.REFUNDS): refund.fen,
                    ledger.account(Account.Kind.GATEWAY, refund.payment.gateway): -refund.fen,
                },
            )


def work_off() -> None:
    """Takes each open refund one step further: what was missed, what is unknown, what was left in mid-call."""
    stale = timezone.now() - timedelta(minutes=2)
    for refund in Refund.objects.exclude(state=Refund.State.SUCCEEDED).order_by("pk")[:100]:
        last = refund.history().last()
        if refund.state in (Refund.State.REQUESTED, Refund.State.FAILED):
            if refund.state == Refund.State.REQUESTED or (last and last.at < stale):
                send(refund)
        elif refund.state == Refund.State.UNKNOWN:
            ask(refund)
        elif last and last.at < stale:  # A sender died in mid-call.
            move(refund, Refund.State.UNKNOWN, reason="sender died")
            ask(refund)
