"""Money that comes in: booking captures once, and sending back what cannot be kept.

A capture is booked in one transaction, whoever reports it first: the notification, the sweeper or the buyer's page.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta

import structlog
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account
from carbonsink.states import move
from purchases.allocation import take_sinks
from purchases.certificates import issue_certificate
from purchases.gateways import gateway
from purchases.gateways.base import PaymentReport
from purchases.losses import has_losses, settle_unpaid
from purchases.models import Notification, Order, Payment, Refund, Stray

log = structlog.get_logger(__name__)

# In the history of a capture that its gateway sent back before we knew of it.
WENT_BACK = "sent back at the gateway"
# Larger orders are booked after the gateway has its answer, which it wants within five seconds.
BOOKED_AT_ONCE_TREES = 5_000
# How long the sweep looks for stored notifications that nobody has booked; then the gateway is asked.
NOTIFICATIONS_KEPT_BUSY = timedelta(days=1)


def receive_notification(code: str, headers: Mapping[str, str], body: bytes) -> None:
    """Takes a gateway's callback: checked, stored as it came, then booked. Again and again gives the same books. That
    of a large order is booked in the background.

    Raises NotificationRefused for one that is not authentic; nothing is stored of it.
    """
    from purchases.tasks import book_notifications

    report = gateway(code).read_notification(headers, body, timezone.now())
    kept = {name: value for name, value in headers.items() if name.lower().startswith("wechatpay-")}
    payment = _payment_of(code, report.payment.reference) if report.payment else None
    _store(code, report.event_id, kept, body, payment)
    if report.payment is None:
        return
    if payment is None:
        book_stray(code, report.payment)
        return
    if report.payment.state not in ("captured", "refunded"):
        return
    is_open = payment.state in (Payment.State.CREATED, Payment.State.CLOSED)
    if is_open and payment.trees > BOOKED_AT_ONCE_TREES:  # type: ignore[attr-defined]
        transaction.on_commit(lambda: book_notifications.delay(payment.pk), robust=True)
    else:
        book_capture(payment, report.payment)


def _payment_of(code: str, reference: str) -> Payment | None:
    payments = Payment.objects.annotate(trees=F("order__quantity")).order_by()
    return payments.filter(gateway=code, reference=reference).first()


def _store(code: str, event_id: str, headers: dict[str, str], body: bytes, payment: Payment | None) -> None:
    """Keeps a notification as it came; the same event once."""
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO purchases_notification (gateway, event_id, headers, body, payment_id, received_at)
               VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (gateway, event_id) DO NOTHING""",
            [code, event_id, json.dumps(headers), body, payment.pk if payment else None, timezone.now()],
        )


def book_stored(payment_id: int) -> None:
    """Books what the stored notifications of a payment say, each read again as it was at the time it came."""
    payment = Payment.objects.get(pk=payment_id)
    for stored in payment.notifications.order_by("pk"):
        report = gateway(stored.gateway).read_notification(stored.headers, bytes(stored.body), stored.received_at)
        if report.payment and report.payment.state in ("captured", "refunded"):
            book_capture(payment, report.payment)


def unbooked_notifications() -> list[int]:
    """Open payments of large orders of which there are stored notifications: perhaps nobody has booked them. One that
    says nothing of a capture is looked at for a day; after that only the gateway is asked."""
    found = Notification.objects.filter(
        payment__state__in=[Payment.State.CREATED, Payment.State.CLOSED],
        payment__order__quantity__gt=BOOKED_AT_ONCE_TREES,
        received_at__gt=timezone.now() - NOTIFICATIONS_KEPT_BUSY,
    )
    return list(found.order_by("payment").values_list("payment", flat=True).distinct()[:100])


@transaction.atomic
def book_stray(code: str, report: PaymentReport) -> None:
    """Books a capture that belongs to no payment of ours as money to be explained, once. `purchases.strays` answers."""
    log.error("payment_unknown", gateway=code, reference=report.reference, fen=report.fen)
    if report.state != "captured":
        return
    known = {"reference": report.reference[:64], "fen": report.fen, "captured_at": report.captured_at or timezone.now()}
    Stray.objects.get_or_create(gateway=code, transaction_id=report.transaction_id, defaults=known)
    into, suspense = ledger.account(Account.Kind.GATEWAY, code), ledger.account(Account.Kind.SUSPENSE)
    with suppress(ledger.AlreadyPosted), transaction.atomic():
        ledger.post(f"stray:{code}:{report.transaction_id}", "stray", {into: report.fen, suspense: -report.fen})


def book_capture(payment: Payment, report: PaymentReport) -> None:
    """Books a capture exactly once, with the order's fate and certificate, in one transaction."""
    if has_losses(payment.order_id):
        settle_unpaid(payment.order_id)  # So that nobody pays for a tree that is known to have left.
    with transaction.atomic():
        order = Order.objects.select_for_update().get(pk=payment.order_id)
        payment = Payment.objects.select_for_update().get(pk=payment.pk)
        if Payment.objects.filter(gateway=payment.gateway, transaction_id=report.transaction_id).exists():
            return
        if payment.state not in (Payment.State.CREATED, Payment.State.CLOSED):
            # Paid already, or given up: this is money of its own, and money that came is never turned away.
            payment = Payment.objects.create(order=order, gateway=payment.gateway, fen=report.fen)
        move(
            payment,
            Payment.State.CAPTURED,
            reason=WENT_BACK if report.state == "refunded" else "",
            transaction_id=report.transaction_id,
            captured_fen=report.fen,
            captured_at=report.captured_at or timezone.now(),
        )
        if report.state == "refunded":
            # Somebody sent money back, all or some of it, before we ever knew of it: a person must look.
            log.error("refunded_elsewhere", reference=payment.reference, fen=report.fen)
            _post(payment, {ledger.account(Account.Kind.SUSPENSE): -report.fen})
        else:
            _book(order, payment)


def _book(order: Order, payment: Payment) -> None:
    """Decides what a new capture is for, and writes it to the ledger."""
    if order.state in (Order.State.HELD, Order.State.EXPIRED) and payment.captured_fen != order.total_fen:
        log.error("amount_differs", reference=payment.reference, fen=payment.captured_fen, wanted=order.total_fen)
        _post(payment, {ledger.account(Account.Kind.SUSPENSE): -_fen(payment)})
    elif order.state == Order.State.HELD or (order.state == Order.State.EXPIRED and _takes_again(order)):
        move(order, Order.State.PAID, paid_at=timezone.now(), reason=f"payment {payment.reference}")
        _share(order, payment)
        issue_certificate(order)
    else:
        late = order.state in (Order.State.EXPIRED, Order.State.CANCELLED)
        _post(payment, {ledger.account(Account.Kind.REFUNDS): -_fen(payment)})
        request_refund(payment, Refund.Reason.LATE if late else Refund.Reason.SECOND)


def _takes_again(order: Order) -> bool:
    """A late capture takes sinks of the same choice again, if there are any."""
    try:
        with transaction.atomic():
            take_sinks(order)
    except DomainError as error:
        if error.code != "sold_out":
            raise
        return False
    return True


def _fen(payment: Payment) -> int:
    assert payment.captured_fen is not None
    return payment.captured_fen


def _post(payment: Payment, against: dict[Account, int]) -> None:
    into = ledger.account(Account.Kind.GATEWAY, payment.gateway)
    ledger.post(f"capture:{payment.reference}", "capture", {into: _fen(payment), **against})


def _share(order: Order, payment: Payment) -> None:
    """Books what each household is owed for its sinks: all of their price, as negative fen."""
    ledger.post_with(
        f"capture:{payment.reference}",
        "capture",
        {ledger.account(Account.Kind.GATEWAY, payment.gateway): _fen(payment)},
        """SELECT a.id, -s.fen FROM ledger_account a JOIN (
                  SELECT household_id, sum(price_fen)::bigint AS fen FROM purchases_sink WHERE order_id = %s GROUP BY 1
           ) s ON s.household_id = a.owner""",
        [order.pk],
    )


def request_refund(
    payment: Payment, reason: Refund.Reason, *, fen: int | None = None, by: User | None = None
) -> Refund:
    """Notes that a payment goes back, whole or so many fen of it; the task sends it. In the same transaction its money
    is in the account `refunds`. The database refuses more than was captured."""
    from purchases.tasks import send_refund

    refund = Refund.objects.create(payment=payment, fen=fen or _fen(payment), reason=reason, requested_by=by)
    transaction.on_commit(lambda: send_refund.delay(refund.pk), robust=True)
    return refund


def book_surplus(paid: Payment, transaction_id: str, fen: int, *, by: User | None = None) -> Refund:
    """Books what came beside the total of a paid order as a capture of its own, which goes back whole. To be called in
    the transaction that books the payment."""
    surplus = Payment.objects.create(order=paid.order, gateway=paid.gateway, product=paid.product, fen=fen)
    move(
        surplus,
        Payment.State.CAPTURED,
        by=by,
        transaction_id=transaction_id,
        captured_fen=fen,
        captured_at=timezone.now(),
    )
    _post(surplus, {ledger.account(Account.Kind.REFUNDS): -fen})
    return request_refund(surplus, Refund.Reason.OVER, by=by)


@transaction.atomic
def send_back(payment: Payment, *, by: User) -> Refund:
    """Sends back a capture that lies in suspense because its amount was wrong. DomainError when it does not, and for
    one that its gateway has sent back already: it would go twice."""
    payment, held = _in_suspense(payment)
    if _went_back(payment):
        raise DomainError(
            "went_back",
            _("The payment service says that it has sent this back already. See there what went back, and note it."),
            status=409,
        )
    ledger.post(
        f"sendback:{payment.reference}",
        "sendback",
        {ledger.account(Account.Kind.SUSPENSE): held, ledger.account(Account.Kind.REFUNDS): -held},
    )
    return request_refund(payment, Refund.Reason.AMOUNT, by=by)


@transaction.atomic
def note_went_back(payment: Payment, *, by: User) -> None:
    """Books that all of a capture in suspense has gone back to its payer at the gateway, as a person has seen there.
    DomainError for any other one."""
    payment, held = _in_suspense(payment)
    if not _went_back(payment):
        raise DomainError("not_sent_back", _("The payment service has not sent this payment back."), status=409)
    into = ledger.account(Account.Kind.GATEWAY, payment.gateway)
    ledger.post(f"wentback:{payment.reference}", "wentback", {ledger.account(Account.Kind.SUSPENSE): held, into: -held})
    log.warning("noted_as_sent_back", reference=payment.reference, fen=held, by=by.pk)


def _in_suspense(payment: Payment) -> tuple[Payment, int]:
    """A capture that waits in suspense for a person, locked, and its fen. DomainError when it does not."""
    payment = Payment.objects.select_for_update().get(pk=payment.pk)
    held = -ledger.balance_of_entry(f"capture:{payment.reference}", Account.Kind.SUSPENSE)
    answered = payment.refunds.exists() or ledger.balance_of_entry(
        f"wentback:{payment.reference}", Account.Kind.SUSPENSE
    )
    if held != (payment.captured_fen or 0) or held == 0 or answered:
        raise DomainError("not_in_suspense", _("This payment is not waiting for an explanation."), status=409)
    return payment, held


def _went_back(payment: Payment) -> bool:
    return payment.history().filter(to_state=Payment.State.CAPTURED, reason=WENT_BACK).exists()
