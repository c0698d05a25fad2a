"""Redis or PostgreSQL goes away in the middle of a run, and comes back."""

from collections.abc import Callable

from django.db import connection

from tests.chaos.crowd import owe
from tests.chaos.stage import Stage

PAYOUTS = 60
TIMES = 5


def redis_flushed_five_times(stage: Stage) -> None:
    """All that rings is lost; what is to do stands in the database."""
    _in_mid_run(stage, stage.redis.flush)


def redis_killed_and_restarted_five_times(stage: Stage) -> None:
    """Workers and beat lose their broker, and whatever lay in it; and once more at any moment while they come back."""

    def kill() -> None:
        for moment in (0, stage.chance.uniform(0, 3)):
            stage.tick.wait(moment)
            stage.redis.kill()
            stage.redis.start()

    _in_mid_run(stage, kill)


def redis_away_for_good_while_people_run_payouts(stage: Stage) -> None:
    """Without any broker, what was committed waits; nothing is lost once there is one again."""
    owe(stage, 5)
    stage.redis.kill()
    program = stage.shell("from payouts.tasks import run_payouts; run_payouts()")
    assert program.wait(120) != 0  # It could not ring, and says so.
    stage.redis.start()
    assert stage.states() == {"approved": 5}
    stage.settle()


def postgresql_stopped_immediately_in_mid_run(stage: Stage) -> None:
    """As a crash, twice: every transaction that was open is gone, every committed one is there."""

    def crash() -> None:
        stage.database.stop_immediately()
        connection.close()
        stage.database.start_again()

    _in_mid_run(stage, crash, times=2)


def _in_mid_run(stage: Stage, damage: Callable[[], None], times: int = TIMES) -> None:
    """Does the damage again each time some more transfers have been asked for, and lets the platform finish alone."""
    owe(stage, PAYOUTS)
    stage.worker(2)
    stage.beat()
    done = []
    for step in range(times):
        wanted = (step + 1) * PAYOUTS // (times + 3) + stage.chance.randint(0, 4)
        stage.wait_until(lambda wanted=wanted: stage.all_run() and len(stage.gate.transfers) >= wanted)
        damage()
        done.append(len(stage.gate.transfers))
    stage.facts["transfers asked for at each damage"] = done
    stage.finish_alone()
