"""The buyer's way to the gateway and back: opening a payment, asking what became of it, closing it.

Every call to a gateway stands outside a transaction and is repeatable under the same reference.
"""

from datetime import timedelta

import structlog
from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink.errors import DomainError
from carbonsink.states import move
from purchases.gateways import gateway
from purchases.gateways.base import GatewayError, PaymentReport, PaymentRequest
from purchases.models import Order, Payment
from purchases.payments import book_capture

log = structlog.get_logger(__name__)

# How long a notification may take before the gateway is asked.
PATIENCE = timedelta(minutes=2)
# How long a buyer who asks must wait before asking again.
ASK_SECONDS = 5


def start_payment(
    order: Order,
    *,
    gateway_code: str = "wechatpay",
    product: str = "native",
    payer: str = "",
    payer_address: str = "",
    return_url: str = "",
) -> Payment:
    """The order's open payment by this way, with what the gateway answered when it was opened there.

    Another way chosen before is ended first, as far as its gateway answers; should the buyer pay both, the second one
    goes back. An order that is not held has its newest payment, if any. DomainError("gateway_silent") when the gateway
    does not answer: the order stays held; "not_payable" when nothing can be paid.
    """
    if order.state != Order.State.HELD:
        payment = order.payments.order_by("-pk").first()
        if payment is None:
            raise not_payable()
        return payment
    payment, others = _open_payment(order, gateway_code, product)
    if payment.pay_url or payment.prepay_id:
        return payment
    for other in others:
        _end(other)
    request = PaymentRequest(
        reference=payment.reference,
        fen=payment.fen,
        # Always the same text: asking again with another one would be another payment to the gateway.
        description=f"单株碳汇 {order.vintage} 年 {order.quantity} 棵",
        expires_at=order.expires_at,
        notify_url=settings.PUBLIC_BASE_URL + reverse("purchases:notification", args=[payment.gateway]),
        product=product,
        return_url=return_url,
        payer=payer,
        payer_address=payer_address,
    )
    try:
        opened = gateway(payment.gateway).create(request)
    except GatewayError as error:
        log.warning("gateway_silent", reference=payment.reference, outcome=error.outcome, code=error.code)
        raise gateway_silent() from error
    payment.pay_url, payment.prepay_id = opened.url, opened.prepay_id
    payment.save(update_fields=["pay_url", "prepay_id"])
    return payment


@transaction.atomic
def _open_payment(order: Order, gateway_code: str, product: str) -> tuple[Payment, list[Payment]]:
    """The open payment of this way, made if there is none, and the open ones of other ways. DomainError("not_payable")
    when the order is not held any more."""
    if Order.objects.select_for_update(no_key=True).get(pk=order.pk).state != Order.State.HELD:
        raise not_payable()  # It was paid, expired or cancelled while the buyer chose.
    found = list(order.payments.filter(state=Payment.State.CREATED).order_by("-pk"))
    same = [payment for payment in found if (payment.gateway, payment.product) == (gateway_code, product)]
    if not same:
        same = [Payment.objects.create(order=order, gateway=gateway_code, product=product, fen=order.total_fen)]
    return same[0], [payment for payment in found if payment.pk != same[0].pk]


def _end(payment: Payment) -> None:
    """Closes a payment that the buyer does not want any more; one that its gateway does not answer for stays open."""
    try:
        gateway(payment.gateway).close(payment.reference)
    except GatewayError as error:
        if error.code != "ORDER_NOT_EXIST":
            log.warning("payment_not_closed", reference=payment.reference, outcome=error.outcome, code=error.code)
            return
    with transaction.atomic():
        current = Payment.objects.select_for_update().get(pk=payment.pk)
        if current.state == Payment.State.CREATED:
            move(current, Payment.State.CLOSED, reason="another way was chosen")


def not_payable() -> DomainError:
    """The error that says that an order is over."""
    return DomainError("not_payable", _("This order cannot be paid any more. Place a new one."), 409)


def gateway_silent() -> DomainError:
    """The error that says that there is nothing to scan yet."""
    message = _("The payment service does not answer. Your trees stay reserved; try again.")
    return DomainError("gateway_silent", message, 503)


def ask_gateway(payment: Payment) -> str:
    """Asks what has become of an open payment and books a capture; closes it when its order is over.

    Returns the payment's state afterwards. Raises GatewayError when the gateway does not answer.
    """
    adapter = gateway(payment.gateway)
    try:
        report = adapter.query(payment.reference)
    except GatewayError as error:
        if error.code != "ORDER_NOT_EXIST":
            raise
        report = PaymentReport(payment.reference, "pending")
    if report.state in ("captured", "refunded"):
        book_capture(payment, report)
        return Payment.State.CAPTURED
    if report.state == "pending" and payment.order.state != Order.State.HELD:
        try:
            adapter.close(payment.reference)
        except GatewayError as error:
            if error.code != "ORDER_NOT_EXIST":
                raise
        report = PaymentReport(payment.reference, "closed")
    if report.state in ("closed", "failed"):
        with transaction.atomic():
            current = Payment.objects.select_for_update().get(pk=payment.pk)
            if current.state == Payment.State.CREATED:
                move(current, report.state)
            return current.state
    return payment.state


def opened(order: Order) -> Payment | None:
    """The payment that the buyer chose last and a gateway has opened, while it is open."""
    found = order.payments.filter(state=Payment.State.CREATED).exclude(pay_url="", prepay_id="")
    return found.order_by("-pk").first()


def ask_again(order: Order) -> bool:
    """Asks the gateways now what has become of an order's open payments, newest first, until one is captured; at most
    once in ASK_SECONDS. Whether one was.

    DomainError: asked_just_now, or gateway_silent when a gateway does not answer.
    """
    if not cache.add(f"asked:{order.pk}", True, ASK_SECONDS):
        raise DomainError("asked_just_now", _("We asked a moment ago. Wait a few seconds and ask again."), 429)
    found = order.payments.filter(state=Payment.State.CREATED).exclude(pay_url="", prepay_id="")
    for payment in found.select_related("order").order_by("-pk"):
        try:
            if ask_gateway(payment) == Payment.State.CAPTURED:
                return True
        except GatewayError as error:
            log.warning("gateway_silent", reference=payment.reference, outcome=error.outcome, code=error.code)
            raise gateway_silent() from error
    return False


def open_payments_of_ended_orders() -> list[int]:
    """Payments the gateway must be asked about: their order is over, and they are not closed or captured yet."""
    ended = Payment.objects.filter(state=Payment.State.CREATED).exclude(order__state=Order.State.HELD)
    return list(ended.order_by("pk").values_list("pk", flat=True)[:200])


def missed_notifications() -> list[int]:
    """Open payments of held orders that are older than the notification should take: perhaps it never came."""
    since = timezone.now() - PATIENCE
    held = Payment.objects.filter(state=Payment.State.CREATED, order__state=Order.State.HELD, created_at__lt=since)
    return list(held.exclude(pay_url="", prepay_id="").order_by("pk").values_list("pk", flat=True)[:100])
