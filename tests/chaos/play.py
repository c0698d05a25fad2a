"""python -m tests.chaos.play NAME --dir DIR --seed N

Plays one scenario on servers of its own in DIR and prints lines of JSON: progress, and last what came of it. Exit code
0 when every fen is where it belongs. Everything it starts ends with it.
"""

import argparse
import json
import os
import random
import shutil
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carbonsink.standins import keys
from tests.chaos.gate import Gate
from tests.chaos.names import ROOMS
from tests.chaos.servers import Database, Redis

if TYPE_CHECKING:
    from tests.chaos.stage import Stage

EXCHANGE = "exchange"  # The folder of the bank's front-end machine.
CLOCKWORK = Path(__file__).with_name("clockwork")


def say(**facts: Any) -> None:
    """One line of JSON for whoever started us."""
    sys.stdout.write(json.dumps(facts, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Plays, and gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.play", description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=random.randrange(10**9))
    options = parser.parse_args(arguments)
    say(scenario=options.name, seed=options.seed)
    started, facts, error = time.monotonic(), {}, ""
    try:
        with stage(options.dir.resolve(), options.seed) as on:
            # Only now: models need the settings that the stage has made.
            (room,) = (room for room, names in ROOMS.items() if options.name in names)
            ready = time.monotonic()
            getattr(import_module(f"tests.chaos.scenarios.{room}"), options.name)(on)
            on.agree()
            facts = on.facts | {"play_seconds": round(time.monotonic() - ready, 1)}
    except Exception:
        error = traceback.format_exc()
    seconds = round(time.monotonic() - started, 1)
    say(scenario=options.name, seed=options.seed, ok=not error, seconds=seconds, facts=facts, error=error)
    return 1 if error else 0


@contextmanager
def stage(directory: Path, seed: int) -> Iterator["Stage"]:
    """Servers, the stand-in bank behind its gate, and Django on them."""
    directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as ending:
        database = Database(directory / "servers")
        ending.callback(database.stop)
        redis = Redis(directory / "redis")
        ending.callback(redis.stop)
        clock_files = {whose: directory / f"clock.{whose}" for whose in ("platform", "bank")}
        gate = Gate(lambda: bank.url)
        ending.callback(gate.close_door)
        os.environ.update(environment(directory, gate.url), REDIS_URL=redis.url)
        os.environ.update(
            PYTHONPATH=str(CLOCKWORK), CHAOS_CLOCK=str(clock_files["platform"]), CHAOS_CLOCK_OF="platform"
        )
        database.copy_template()
        os.environ["DATABASE_URL"] = database.url
        _set_up_django()
        from tests.chaos.stage import Clock, Outside, Stage

        clock = Clock(directory)
        others = os.environ | {"CHAOS_CLOCK": str(clock_files["bank"]), "CHAOS_CLOCK_OF": "bank"}
        exchange = ("--exchange", str(directory / EXCHANGE), "--exchange-every", "0")
        bank = Outside("bank", directory / "standins", others, "--complete-after", "0", *exchange)
        ending.callback(bank.stop)
        made = Stage(directory=directory, seed=seed, database=database, redis=redis, clock=clock, gate=gate, bank=bank,
                     say=say)  # fmt: skip
        ending.callback(made.close)
        yield made


def environment(directory: Path, bank_url: str) -> dict[str, str]:
    """The settings of the platform's processes: those of the demo, in a hurry."""
    from payouts.demo import environment as demo

    folder = directory / demo.STANDINS
    folder.mkdir(exist_ok=True)
    for left in [*folder.glob("*.sqlite3*"), directory / "programs.log"]:
        left.unlink(missing_ok=True)
    for name in ("media", EXCHANGE):
        shutil.rmtree(directory / name, ignore_errors=True)
    for name in ("out", "in"):
        (directory / EXCHANGE / name).mkdir(parents=True)
    keys.generate(folder)
    own = demo.settings(directory, port=9, standins=demo.NOBODY | {"bank": bank_url})
    return own | {
        "PAIN001_OUT_DIR": str(directory / EXCHANGE / "out"),
        "PAIN001_IN_DIR": str(directory / EXCHANGE / "in"),
        "PAIN001_DEBTOR_NAME": "单株碳汇监管账户",
        "PAIN001_DEBTOR_ACCOUNT": keys.ESCROW_ACCOUNT,
        "PAIN001_DEBTOR_BANK_CODE": "102100000021",
        "OUTSIDE_TIMEOUT_SECONDS": "3",
        "SWEEP_SECONDS": "0.5",
        "PAYOUT_RUN_SECONDS": "1",
        "ACCOUNT_COOLING_HOURS": "0",
        "PYTHONUNBUFFERED": "1",
        "DJANGO_SETTINGS_MODULE": "carbonsink.settings",
    }


def _set_up_django() -> None:
    """As any process of the platform, with the same clock as its children."""
    for server in ("WECHATPAY_BASE_URL", "ALIPAY_GATEWAY_URL"):
        os.environ.setdefault(server, "http://127.0.0.1:9")
    sys.path.insert(0, str(CLOCKWORK))
    sys.modules.pop("sitecustomize", None)
    __import__("sitecustomize")
    import django

    django.setup()
    from django.conf import settings

    # Nobody signs in with a password here, and the real hash takes a quarter of a second for each user.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
