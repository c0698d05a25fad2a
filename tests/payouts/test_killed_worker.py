"""A worker that is really killed between the bank's acceptance and our commit: one transfer, found again."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.conf import settings as django_settings
from django.db import connection, transaction

from payouts import sending, tasks
from payouts.models import Payout
from payouts.runs import run_payouts
from tests.payouts import broker, money
from tests.processes import ROOT, wait_for
from tests.purchases import books
from tests.purchases.test_selling_races import somebody_waits_for_a_lock
from tests.standins.clients import BankClient

pytestmark = pytest.mark.django_db(transaction=True)
OURS = [name for name in dir(django_settings) if name.startswith(("STANDIN_BANK_", "WECHATPAY_"))]


@pytest.fixture
def start(bank: BankClient, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts programs of the platform on this test's database and bank; ends what is left of them."""
    address = urlsplit(os.environ["DATABASE_URL"])
    environment = os.environ | {name: str(getattr(django_settings, name)) for name in OURS}
    environment |= {
        "DATABASE_URL": urlunsplit(address._replace(path="/" + connection.settings_dict["NAME"])),
        "CERTIFICATE_KEY_FILE": django_settings.CERTIFICATE_KEY_FILE,
        "DJANGO_SETTINGS_MODULE": "carbonsink.settings",
    }
    running: list[subprocess.Popen[bytes]] = []

    def start_one(*command: str) -> subprocess.Popen[bytes]:
        with (tmp_path / "program.log").open("ab") as log:
            program = subprocess.Popen(
                [sys.executable, *command], cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        running.append(program)
        return program

    yield start_one
    for program in running:
        if program.poll() is None:
            os.killpg(program.pid, signal.SIGKILL)
            program.wait(10)


def approved(bank: BankClient) -> Payout:
    (household,) = money.households(1)
    money.fund(bank, 1000)
    money.owe({household: 300})
    run_payouts()
    # The bank takes the transfer, and then keeps its caller waiting.
    bank.fault("transfer", "accept_then_silence", hold_seconds=60)
    return Payout.objects.get()


def taken(bank: BankClient, payout: Payout) -> bool:
    return [row["status"] for row in money.transfers(bank, out_no=payout.out_no)] == ["succeeded"]


def left_in_mid_call(payout: Payout) -> None:
    payout.refresh_from_db()
    assert payout.state == "sending"
    assert [attempt.state for attempt in payout.attempts.all()] == ["sending"]
    assert books.balances() == {"escrow": 1000, "transit": -300, "sponsor": -700}


def found_again(bank: BankClient, payout: Payout) -> None:
    payout.refresh_from_db()
    assert payout.state == "succeeded"
    assert [attempt.state for attempt in payout.attempts.all()] == ["succeeded"]
    assert len(money.transfers(bank)) == 1
    assert bank.control("GET", "balance")["balance_fen"] == 700
    tasks.sweep()
    assert books.balances() == {"escrow": 700, "sponsor": -700}
    books.all_is_well()


@pytest.mark.parametrize("by", ["question", "statement"])
def test_a_program_killed_in_mid_call_leaves_one_transfer_that_is_found_again(
    bank: BankClient, start: Callable[..., Any], later: Callable[..., None], by: str
) -> None:
    payout = approved(bank)
    program = start("manage.py", "shell", "-c", f"from payouts.tasks import send_payout; send_payout({payout.pk})")
    wait_for(lambda: taken(bank, payout))
    program.send_signal(signal.SIGKILL)
    assert program.wait(10) == -signal.SIGKILL
    left_in_mid_call(payout)
    for _ in range(2):  # Rung again while the sender may be alive: nothing is sent.
        tasks.send_payout(payout.pk)
    left_in_mid_call(payout)
    if by == "question":
        later(minutes=1)
        bank.fault("statement", "error_500_before", times=None)
        for one in sending.to_ask():
            tasks.ask(one)
        payout.refresh_from_db()
        assert payout.state == "succeeded"
        bank.control("DELETE", "faults")
    else:
        tasks.sweep()
    found_again(bank, payout)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_celery_worker_killed_in_mid_call_runs_the_task_again_and_sends_nothing_twice(
    bank: BankClient, start: Callable[..., Any], later: Callable[..., None]
) -> None:
    payout = approved(bank)
    worker = start(
        "-m", "celery", "-A", "carbonsink", "worker", "--concurrency=1", "--without-gossip", "--loglevel=INFO"
    )
    tasks.send_payout.delay(payout.pk)
    wait_for(lambda: taken(bank, payout))
    (child,) = children(worker.pid)
    with transaction.atomic():
        Payout.objects.select_for_update().get(pk=payout.pk)
        os.kill(child, signal.SIGKILL)
        # The task comes back (acks_late, reject_on_worker_lost) to a new child, which waits for the payout here …
        wait_for(somebody_waits_for_a_lock)
    # … and then finds that an attempt is alive.
    wait_for(lambda: not broker.messages() and not broker.unacknowledged())
    left_in_mid_call(payout)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait(10)
    later(minutes=1)
    tasks.sweep()
    found_again(bank, payout)
