"""Celery rings the bell; the payouts' rows say what is to do."""

from datetime import date, timedelta

import structlog
from celery import shared_task
from django.conf import settings
from django.utils import timezone

from carbonsink.locks import only_one
from payouts import alerts, batches, daily, reconciliation, runs, sending, statements, watching
from payouts.banks import by_file, file_bank
from payouts.banks.base import BankError
from payouts.models import Payout, Run
from purchases.sweeping import each, in_time

# A silent bank costs each call its whole time-out: neither sending nor asking may keep the other waiting for long.
SWEEP_PATIENCE_SECONDS = 60.0
# So long after its last run the statement of a bank is read that does not pay any more.
MAY_COME_BACK = timedelta(days=90)
log = structlog.get_logger(__name__)


@shared_task
def run_payouts() -> None:
    """Reads the statement, so that settled money counts, writes the payouts that are due, and rings for each."""
    each(_that_say_something(), read_statement)
    runs.run_payouts(kind=runs.kind_of_today())
    each(by_file(), batches.send_approved)
    for pk in sending.to_send():
        send_payout.delay(pk)


@shared_task
def send_payout(payout_id: int) -> None:
    """Sends one payout. Twice or late does no harm: its state says whether there is anything to send."""
    sending.send_payout(payout_id)


@shared_task
def sweep() -> None:
    """Finds what the bells missed: approved payouts, and those whose outcome is not known. One at a time."""
    with only_one("payouts.sweep") as mine:
        if not mine:
            return
        each(_that_say_something(), read_statement)
        each(by_file(), batches.send_approved)
        batches.raise_silent()
        each(in_time(sending.to_send(), SWEEP_PATIENCE_SECONDS), sending.send_payout)
        each(in_time(sending.to_ask(), SWEEP_PATIENCE_SECONDS), ask)


@shared_task
def publish_daily_statement() -> None:
    """Publishes the signed statement of yesterday, and of days that were missed."""
    daily.publish_missed()


def _that_say_something() -> list[str]:
    """The bank that pays, those that paid before and may give money back, and all that lay files in a folder."""
    files = [code for code in by_file() if file_bank(code).in_dir]
    before = Run.objects.filter(at__gte=timezone.now() - MAY_COME_BACK).order_by().values_list("bank", flat=True)
    return list(dict.fromkeys([settings.PAYOUT_BANK, *files, *before.distinct()]))


@shared_task
def watch() -> None:
    """Looks for what takes too long, and tells people of what is new. One at a time."""
    with only_one("payouts.watch") as mine:
        if mine:
            watching.watch()
            alerts.tell_people()


@shared_task
def reconcile_days() -> None:
    """Compares yesterday, the days that were missed and those that differ; a bank that is silent is asked again."""
    each(reconciliation.due_days(), reconcile)


def reconcile(day: date) -> None:
    """Compares a day; what goes wrong with it keeps no other waiting."""
    reconciliation.reconcile(day)


def read_statement(code: str) -> None:
    """Books what is new on the statement; a bank that is silent is asked again by the next sweep."""
    try:
        statements.import_statement(code)
    except BankError as error:
        log.warning("statement_not_read", outcome=error.outcome, code=error.code)


def ask(payout: Payout) -> None:
    """Asks the bank about one payout; silence is no answer, and the next sweep asks again."""
    try:
        sending.ask_bank(payout)
    except BankError as error:
        log.warning("bank_not_asked", out_no=payout.out_no, outcome=error.outcome, code=error.code)
