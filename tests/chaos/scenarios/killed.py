"""A worker killed with SIGKILL at the four moments of sending a payout, or stopped until it was given up."""

import os
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

from django.conf import settings
from django.db import connections

from payouts import runs, tasks
from payouts.models import Payout
from tests.chaos.gate import Call, Held
from tests.chaos.stage import LONG_ENOUGH, Stage

# The machine stops at the last moment before the adapter is asked.
_SLEEPS_BEFORE_IT_SIGNS = """
import os, signal
from payouts import tasks
from payouts.banks.standin.bank import StandinBank
submit = StandinBank.submit
def sleep(self, instruction):
    os.kill(os.getpid(), signal.SIGSTOP)
    return submit(self, instruction)
StandinBank.submit = sleep
tasks.send_payout({payout})
"""


def worker_killed_before_the_attempt_is_written(stage: Stage) -> None:
    """The worker waits for the account's row when it dies: nothing is written, nothing sent."""
    payouts = stage.prepare()
    lock = stage.database.lock("SELECT FROM payouts_bankaccount FOR UPDATE")
    worker = _ring(stage, payouts)
    stage.wait_until(stage.database.waiting)
    stage.kill(worker)
    lock.close()
    assert stage.states() == {"approved": len(payouts)}
    assert stage.gate.transfers == []
    stage.settle()
    assert [payout.attempts.count() for payout in payouts] == [1] * len(payouts)


def worker_killed_before_the_call(stage: Stage) -> None:
    """The attempt is committed, the request on its way: it never gets to the bank, and goes again when it cannot any
    more."""
    payouts = stage.prepare()
    held = stage.gate.rule = Held()
    worker = _ring(stage, payouts)
    stage.wait_until(lambda: len(held.calls) == 2)
    stage.kill(worker)
    held.let_go()
    assert stage.bank.control("GET", "book")["transfers"] == []
    _rung_again_sends_nothing(stage, payouts)
    stage.settle()
    assert sorted(payout.attempts.count() for payout in payouts)[-2:] == [2, 2]


def worker_killed_after_the_bank_accepted(stage: Stage) -> None:
    """The bank has paid and the worker is dead before it could hear of it."""
    payouts = stage.prepare()
    held = stage.gate.rule = Held(after_the_bank=True)
    worker = _ring(stage, payouts)
    stage.wait_until(lambda: len(held.answers) == 2)
    stage.kill(worker)
    held.let_go()
    assert stage.states() == {"approved": len(payouts) - 2, "sending": 2}
    _rung_again_sends_nothing(stage, payouts)
    stage.settle()
    assert [payout.attempts.count() for payout in payouts] == [1] * len(payouts)


def worker_killed_before_our_commit(stage: Stage) -> None:
    """The worker has heard the answer and waits to write it down."""
    payouts = stage.prepare(1)
    locks = []

    def lock_then_answer(call: Call) -> None:
        answer = call.forward()
        locks.append(stage.database.lock("SELECT FROM payouts_payout FOR UPDATE"))
        call.answer(answer)

    stage.gate.rule = lock_then_answer
    worker = _ring(stage, payouts)
    stage.wait_until(lambda: locks and stage.database.waiting())
    stage.kill(worker)
    locks[0].close()
    assert stage.states() == {"sending": 1}
    stage.settle()
    assert [payout.attempts.count() for payout in payouts] == [1]


def worker_stopped_until_its_payout_was_sent_again(stage: Stage) -> None:
    """Its machine sleeps with the bank's refusal unread. Given up, its payout goes a second time and is taken; then it
    wakes up and tells of the refusal, which says nothing of the second one."""
    (payout,) = stage.prepare(1)
    with _all_money_spoken_for(stage):
        first = stage.gate.rule = Held(after_the_bank=True)
        sleeper = stage.shell(f"from payouts.tasks import send_payout; send_payout({payout.pk})")
        stage.wait_until(lambda: first.answers)
        os.kill(sleeper.pid, signal.SIGSTOP)
    assert first.answers[0].status == 422
    first.calls[0].answer(first.answers[0])
    second = stage.gate.rule = Held(after_the_bank=True)
    stage.clock.pass_time(LONG_ENOUGH)
    again = threading.Thread(target=_ask, args=(payout.pk,))
    again.start()
    stage.wait_until(lambda: second.answers)
    os.kill(sleeper.pid, signal.SIGCONT)
    stage.ended(sleeper)
    runs.run_payouts()
    assert stage.states() == {"unknown": 1}, stage.states()
    second.let_go()
    first.let_go()
    again.join(60)
    stage.settle()


def worker_asleep_before_it_signs_until_its_payout_was_paid_anew(stage: Stage) -> None:
    """Its machine sleeps after the attempt, before the request is signed. Given up, the payout goes again and is refused;
    the household is paid under a new number; then it wakes up and makes its call."""
    (payout,) = stage.prepare(1)
    sleeper = stage.shell(_SLEEPS_BEFORE_IT_SIGNS.format(payout=payout.pk))
    stage.wait_until(lambda: _is_stopped(sleeper.pid))
    assert (stage.states(), stage.gate.transfers) == ({"sending": 1}, [])
    with _all_money_spoken_for(stage):
        stage.clock.pass_time(LONG_ENOUGH)
        _ask(payout.pk)
    assert stage.states() == {"failed": 1}
    runs.run_payouts()
    tasks.sweep()
    assert stage.states() == {"failed": 1, "succeeded": 1}
    # Enough for a second time.
    stage.credit(sum(stage.sold.values()), settings.SPONSOR_NAMES[0])
    os.kill(sleeper.pid, signal.SIGCONT)
    stage.ended(sleeper)
    stage.settle()
    assert [one["status"] for one in stage.bank.control("GET", "book")["transfers"]] == ["succeeded"]


@contextmanager
def _all_money_spoken_for(stage: Stage) -> Iterator[None]:
    """The bank holds all that is on the account for somebody else's transfer, which then comes to nothing."""
    book = sqlite3.connect(stage.directory / "standins" / "bank.sqlite3", timeout=30, isolation_level=None)
    fen = sum(stage.sold.values())
    book.execute(
        "INSERT INTO transfers (out_no, body_sha256, answer, fen, to_account, to_name, to_bank_code, purpose,"
        " bank_reference, status, due_at) VALUES ('X', '', '', ?, '1', 'x', 'x', 'x', 'x', 'accepted', 1e12)",
        [fen],
    )
    yield
    book.execute("DELETE FROM transfers WHERE out_no = 'X'")
    book.close()


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def _ask(payout_id: int) -> None:
    try:
        tasks.ask(Payout.objects.get(pk=payout_id))
    finally:
        connections.close_all()


def _ring(stage: Stage, payouts: list[Payout]) -> Popen[bytes]:
    for payout in payouts:
        tasks.send_payout.delay(payout.pk)
    return stage.worker(2)


def _rung_again_sends_nothing(stage: Stage, payouts: list[Payout]) -> None:
    """While its caller may live, a payout that is being sent is left alone, however often it is rung for."""
    sent = len(stage.gate.transfers)
    for payout in payouts:
        payout.refresh_from_db()
        if payout.state == Payout.State.SENDING:
            tasks.send_payout(payout.pk)
    assert len(stage.gate.transfers) == sent
