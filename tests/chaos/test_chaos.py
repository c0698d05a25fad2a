"""Every fault once, injected for real: each play is a process of its own with servers of its own."""

import inspect
import os
import random
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from tests.chaos import seeds
from tests.chaos.__main__ import run
from tests.chaos.names import NAMES, ONCE, ROOMS
from tests.processes import ROOT

pytestmark = pytest.mark.chaos


@pytest.fixture(scope="session")
def ground() -> Path:
    """A folder for each worker: the servers' data are made once there and serve again."""
    return ROOT / ".chaos" / f"test-{os.environ.get('PYTEST_XDIST_WORKER', 'gw0')}"


@pytest.mark.parametrize("room", ROOMS)
def test_every_scenario_of_a_room_is_played(room: str) -> None:
    module = import_module(f"tests.chaos.scenarios.{room}")
    public = [
        name
        for name, found in vars(module).items()
        if inspect.isfunction(found) and found.__module__ == module.__name__ and not name.startswith("_")
    ]
    assert public == ROOMS[room]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ONCE])
def test_every_fen_arrives_once_in_spite_of(
    name: str, ground: Path, record_property: Callable[[str, object], None]
) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(10**9))
    record_property(seeds.NAME, f"{name} {seed}")
    play = run(name, seed, ground)
    assert play["ok"], f"CHAOS_SEED={seed}: {play['error']}"
