"""Files of households and trees: the commands beside a COPY of the same final rows."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.database import IMPORTER, keep, load, without_indexes
from bench.measure import Result, Setting, alternate, timed
from bench.world import World, write_households, write_trees

TREES_GOAL = 3.0
MOST_MB = 300.0
# What the rows of the files become, in the order of their foreign keys.
HOUSEHOLD_ROWS = {
    "trees_import": "SELECT * FROM trees_import",
    "trees_household": "SELECT * FROM trees_household",
    "trees_consent": "SELECT * FROM trees_consent",
    "ledger_account": "SELECT * FROM ledger_account WHERE kind = 'household'",
}
WITH_DIVISIONS, WITH_HOUSEHOLDS = "bench_divisions", "bench_households"


def households(setting: Setting) -> Result:
    """The file of all households. Most of ours is encrypting and checking numbers, which the floor is given done: the
    ratio only informs. Leaves a database with the households behind, for the trees."""
    file = write_households(World(setting.scale), setting.directory / "households.csv")
    rows = {table: setting.directory / f"{table}.copy" for table in HOUSEHOLD_ROWS}
    runs: list[dict[str, Any]] = []

    def ours() -> float:
        name = setting.databases.fresh(WITH_HOUSEHOLDS, WITH_DIVISIONS)
        runs.append(_run(setting, name, "import_households", file))
        with setting.databases.connect(name) as connection:
            for table, path in rows.items():
                keep(connection, HOUSEHOLD_ROWS[table], path)
        return float(runs[-1]["seconds"])

    def floor() -> float:
        name = setting.databases.fresh("bench_run", WITH_DIVISIONS)
        seconds: list[float] = []
        with setting.databases.connect(name) as connection, timed(seconds), connection.transaction():
            for table, path in rows.items():
                load(connection, table, path)
        return seconds[0]

    ours_s, floor_s = alternate(setting.rounds, ours, floor, setting.say)
    figures = {"rows": World(setting.scale).households}
    return Result("households.import", ours_s, floor_s, None, figures, _memory(runs))


def trees(setting: Setting) -> Result:
    """The file of all trees: read, staged, checked, numbered and stored, beside a COPY of the rows it became into the
    same table, whose indexes are dropped before and rebuilt after. Needs the database that `households` leaves."""
    world = World(setting.scale)
    setting.say(f"writing the file of {world.trees} trees")
    file = write_trees(world, setting.directory / "trees.csv")
    rows = {name: setting.directory / f"{name}.copy" for name in ("trees_import", "trees_tree")}
    runs: list[dict[str, Any]] = []

    def ours() -> float:
        name = setting.databases.fresh("bench_run", WITH_HOUSEHOLDS)
        runs.append(_run(setting, name, "import_trees", file))
        if len(runs) == 1:
            with setting.databases.connect(name) as connection:
                keep(connection, "SELECT * FROM trees_import WHERE kind = 'trees'", rows["trees_import"])
                keep(connection, "SELECT * FROM trees_tree", rows["trees_tree"])
        return float(runs[-1]["seconds"])

    def floor() -> float:
        name = setting.databases.fresh("bench_run", WITH_HOUSEHOLDS)
        seconds: list[float] = []
        with setting.databases.connect(name) as connection:
            load(connection, "trees_import", rows["trees_import"])
            with timed(seconds), without_indexes(connection, "trees_tree"):
                load(connection, "trees_tree", rows["trees_tree"])
            stored = connection.execute("SELECT count(*) FROM trees_tree").fetchone()
        if stored != (world.trees,):
            raise RuntimeError(f"{stored} rows instead of {world.trees}: the two sides did not store the same.")
        return seconds[0]

    ours_s, floor_s = alternate(setting.rounds, ours, floor, setting.say)
    figures = {"rows": world.trees, "rows_per_s": round(world.trees / ours_s)}
    return Result("trees.import", ours_s, floor_s, TREES_GOAL, figures, _memory(runs))


def _memory(runs: list[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    return {"peak_mb": (round(max(run["peak_mb"] for run in runs), 1), MOST_MB)}


def _run(setting: Setting, database: str, command: str, file: Path) -> dict[str, Any]:
    """Our door, in a process of its own, so that its memory is its own too."""
    answer = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "bench.door", command, str(file), f"--by={IMPORTER}"],
        capture_output=True,
        text=True,
        env=os.environ | {"DATABASE_URL": setting.databases.url(database)},
        check=False,
    )
    if answer.returncode:
        raise RuntimeError(f"{command} failed: {answer.stderr[-2000:]}")
    return dict(json.loads(answer.stdout))
