"""Celery rings the bell; the rows in the database say what is to do."""

from datetime import date, timedelta

import structlog
from celery import shared_task
from django.conf import settings
from django.utils import timezone

from carbonsink.locks import only_one
from purchases import (
    bills,
    checkout,
    fees,
    large_orders,
    losses,
    messages_to_buyers,
    orders,
    payments,
    refunds,
    repeats,
    replacements,
    strays,
    survey,
    vintages,
)
from purchases.gateways import gateway
from purchases.gateways.base import DayBill, GatewayError
from purchases.models import Payment, Refund
from purchases.sweeping import each
from purchases.transfers import matching

log = structlog.get_logger(__name__)


@shared_task
def sweep() -> None:
    """Finds what the bells missed: orders over time, large orders to be put together, notifications that nobody has
    booked, receipts that are not written, open payments of ended orders, open refunds, captures that go back, sold
    trees that have left. One at a time."""
    with only_one("purchases.sweep") as mine:
        if not mine:
            return
        each(orders.over(), orders.release)
        if large_orders.waiting():  # Not here: it may take a minute.
            allocate_orders.apply_async(expires=settings.SWEEP_SECONDS)
        each(payments.unbooked_notifications(), payments.book_stored)
        each(messages_to_buyers.untold(), messages_to_buyers.tell_paid)
        each(checkout.open_payments_of_ended_orders() + checkout.missed_notifications(), ask_about_payment)
        each(losses.orders_with_losses(), replacements.settle_losses)
        each(refunds.open_refunds(), refunds.step)
        each(strays.unsent(), strays.step)
        each(matching.unseen(), matching.look_at)


@shared_task
def allocate_orders() -> None:
    """Puts large orders together. Rung twice does no harm: one is at it at a time."""
    large_orders.allocate_orders()


@shared_task
def book_notifications(payment_id: int) -> None:
    """Books a large order's capture after the gateway had its answer. Twice does no harm: a capture is booked once."""
    payments.book_stored(payment_id)


@shared_task
def ask_about_payment(payment_id: int) -> None:
    """Asks the gateway about one payment; silence is no answer, and the sweeper asks again."""
    payment = Payment.objects.select_related("order").get(pk=payment_id)
    try:
        checkout.ask_gateway(payment)
    except GatewayError as error:
        log.warning("gateway_not_asked", reference=payment.reference, outcome=error.outcome, code=error.code)


@shared_task
def send_refund(refund_id: int) -> None:
    """Sends one requested refund. Twice does no harm: only one call may move it to `sending`."""
    refund = Refund.objects.select_related("payment").get(pk=refund_id)
    if refund.state == Refund.State.REQUESTED:
        refunds.send(refund)


@shared_task
def send_stray(stray_id: int) -> None:
    """Sends back one capture without an order. Twice does no harm: only one call may move it to `sending`."""
    strays.step(stray_id)


@shared_task
def book_fees() -> None:
    """Books what the gateways kept back in the last week: yesterday's bill is ready from 10:00 on, and what a failed
    or missed run left out is made up for. Each fee is booked once."""
    for code in settings.PAYMENT_GATEWAYS:
        for days in range(1, 8):
            day = timezone.localdate() - timedelta(days=days)
            try:
                fees.book_fees(code, day)
            except GatewayError as error:
                log.error("fees_not_booked", gateway=code, day=str(day), outcome=error.outcome, code=error.code)


@shared_task
def compare_bills() -> None:
    """Compares the gateways' bills of the last week with our books, and those since the last month's first missing one;
    each day with its neighbours. A bill that cannot be fetched is compared tomorrow."""
    for code in settings.PAYMENT_GATEWAYS:
        fetched = {}
        for days in range(1, bills.days_to_fetch(code) + 1):
            day = timezone.localdate() - timedelta(days=days)
            try:
                fetched[day] = gateway(code).bill(day)
            except GatewayError as error:
                log.error("bill_not_fetched", gateway=code, day=str(day), outcome=error.outcome, code=error.code)
        each([(code, fetched)], compare_fetched)


def compare_fetched(fetched: tuple[str, dict[date, DayBill]]) -> None:
    """Compares what was fetched of one gateway; what goes wrong with it keeps no other waiting."""
    bills.compare_days(*fetched)


@shared_task
def take_survey() -> None:
    """Counts for the pages what is for sale of which species where, so that no visitor waits for it."""
    tariff = vintages.current_tariff()
    if tariff is not None:
        survey.take(tariff.vintage)


@shared_task
def remind_buyers() -> None:
    """Reminds buyers who asked for it before their certificate's year ends, and in January sums the last year up."""
    each(repeats.due_reminders(), repeats.remind)
    each(repeats.to_summarise(), repeats.summarise)
