"""Many payouts through a bank that fails a fifth of its calls, by all the faults at once."""

import os
import random
import threading
import time
from collections import Counter

from django.db.models import Count, Sum

from carbonsink.accounts import roles
from payouts import approvals, tasks
from payouts.models import Payout, Run
from tests import factories
from tests.chaos.crowd import owe
from tests.chaos.gate import BROKEN, GARBAGE, Call, through
from tests.chaos.stage import LONG_ENOUGH, Stage

FAILS = 0.2
HANDS = 4


class BadBank:
    """Each call fails with a chance of a fifth, before the bank saw it or after it did its work."""

    def __init__(self, seed: float) -> None:
        self._chance, self._lock = random.Random(seed), threading.Lock()
        self.faults: Counter[str] = Counter()
        self._silence = threading.Event()

    def __call__(self, call: Call) -> None:
        with self._lock:
            fails, done = self._chance.random() < FAILS, self._chance.random() < 0.5
            kind = self._chance.choice(["500", "garbage", "hangs up", "twice", "silence"])
            # Whoever waits in vain waits for seconds: rarer, or nothing else would be measured.
            kind = "hangs up" if kind == "silence" and self._chance.random() < 0.9 else kind
            self.faults[f"{kind}, {'after' if done else 'before'}" if fails else "none"] += 1
        if not fails:
            through(call)
            return
        answer = call.forward() if done else None
        if kind == "500":
            call.answer(BROKEN)
        elif kind == "garbage":
            call.answer(GARBAGE)
        elif kind == "twice":
            call.forward()
            call.answer(answer or call.forward())
        else:
            if kind == "silence":
                self._silence.wait(4)
            call.hang_up()


def two_hundred(stage: Stage) -> None:
    """200 payouts, as `make test` has the time for."""
    _many(stage, 200)


def ten_thousand(stage: Stage) -> None:
    """10,000 payouts: all settled, none twice."""
    _many(stage, 10_000)


def _many(stage: Stage, payouts: int) -> None:
    owe(stage, payouts)
    bad = stage.gate.rule = BadBank(stage.chance.random())
    started = time.monotonic()
    os.environ["PAYOUT_RUN_SECONDS"] = "86400"  # One run, as every night; what it leaves is found by the sweeps.
    stage.worker(HANDS)
    stage.beat()
    tasks.run_payouts.delay()
    _approved_by_two(stage)
    settled = _watched(stage, payouts)
    seconds = time.monotonic() - started
    stage.close()
    assert settled == payouts
    stage.settle()
    called = sum(bad.faults.values())
    stage.facts |= {
        "seconds until all had arrived": round(seconds, 1),
        "payouts per second": round(payouts / seconds, 1),
        "calls": called,
        "failed calls": called - bad.faults["none"],
        "transfers asked for": len(stage.gate.transfers),
    }


def _approved_by_two(stage: Stage) -> None:
    """A run of so much money waits for two people."""
    run = stage.wait_until(Run.objects.first)
    held = run.paid.filter(state=Payout.State.HELD).aggregate(count=Count("pk"), fen=Sum("fen"))
    for _ in range(2 if held["count"] else 0):
        approvals.approve_run(run, by=factories.user(roles.FINANCE), **held)


def _watched(stage: Stage, payouts: int) -> int:
    """Waits until all have arrived. Time is put forward whenever only time is waited for."""
    settled, quiet_since = 0, time.monotonic()
    while settled < payouts:
        before = settled
        stage.tick.wait(0.5)
        states = stage.states()
        settled = states["succeeded"]
        stage.say(progress=settled, of=payouts)
        now = time.monotonic()
        if settled > before:
            quiet_since = now
        elif now - quiet_since > 240:
            break
        elif now - quiet_since > 4 and states and not states["approved"]:
            stage.clock.pass_time(LONG_ENOUGH)
            quiet_since = now
    return settled
