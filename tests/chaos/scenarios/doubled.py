"""Everything that is meant to run once runs twice."""

import threading

from payouts import tasks
from tests.chaos.crowd import owe
from tests.chaos.gate import Held, through
from tests.chaos.stage import Stage


def two_beats(stage: Stage) -> None:
    """Two beats ring for two workers: runs and sweeps meet all the time."""
    owe(stage, 40)
    for _ in range(2):
        stage.worker(2)
        stage.beat()
    stage.finish_alone()
    assert len(stage.gate.transfers) == len(set(stage.gate.transfers)) == 40


def two_sweepers(stage: Stage) -> None:
    """The second one finds the first at work and does nothing."""
    owe(stage, 3)
    held = stage.gate.rule = Held(after_the_bank=True)
    code = "from payouts.tasks import run_payouts, sweep; from payouts import runs; runs.run_payouts(); sweep()"
    sweepers = [stage.shell(code), stage.shell(code)]
    stage.wait_until(lambda: held.answers and any(sweeper.poll() is not None for sweeper in sweepers))
    assert len(held.calls) == 1
    stage.gate.rule = through
    held.let_go()
    for sweeper in sweepers:
        stage.ended(sweeper)
    stage.settle()
    assert len(stage.gate.transfers) == 3


def sweeper_loses_its_lock(stage: Stage) -> None:
    """Its connection is cut in the middle of a call, the lock is free, and another one sweeps beside it."""
    owe(stage, 3)
    held = stage.gate.rule = Held(after_the_bank=True, most=1)
    first = stage.shell("from payouts import runs; from payouts.tasks import sweep; runs.run_payouts(); sweep()")
    stage.wait_until(lambda: held.answers)
    with stage.database.lock(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
    ):
        pass
    tasks.sweep()
    assert stage.states()["succeeded"] >= 2  # The other sweeper has sent what was left.
    held.let_go()
    first.wait(120)
    stage.settle()
    assert len(stage.gate.transfers) == len(set(stage.gate.transfers)) == 3


def same_task_twice(stage: Stage) -> None:
    """Each payout is rung for three times, and two workers with two hands each take them at the same moment."""
    payouts = stage.prepare(6)
    ringing = [payout.pk for payout in payouts] * 3
    stage.chance.shuffle(ringing)
    for pk in ringing:
        tasks.send_payout.delay(pk)
    for _ in range(2):
        stage.worker(2)
    stage.wait_until(lambda: stage.redis.waiting() == 0)
    stage.settle()
    assert len(stage.gate.transfers) == len(payouts)


def same_run_twice(stage: Stage) -> None:
    """Five processes run the payouts at the same moment."""
    owe(stage, 10)
    lock = stage.database.lock("LOCK TABLE payouts_payout IN ACCESS EXCLUSIVE MODE")
    programs = [stage.shell("from payouts import runs; runs.run_payouts()") for _ in range(3)]
    stage.wait_until(stage.database.waiting)
    threading.Timer(1, lock.close).start()
    for program in programs:
        stage.ended(program)
    assert stage.states() == {"approved": 10}
    stage.settle()
