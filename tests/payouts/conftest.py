import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from carbonsink.standins import keys
from tests.payouts import filing
from tests.payouts.filing import FileBank
from tests.processes import Fork, Process
from tests.purchases.conftest import fast_hashing, later
from tests.standins.cards import CardClient

__all__ = ["chance", "fast_hashing", "later"]


@pytest.fixture
def chance() -> random.Random:
    """Chance whose seed is printed with a failure; SEED=… repeats it."""
    seed = int(os.environ.get("SEED") or random.randrange(10**6))
    sys.stderr.write(f"seed {seed}\n")
    return random.Random(seed)


@pytest.fixture
def file_bank(tmp_path: Path, standin_dir: Path, settings: Any) -> Iterator[FileBank]:
    """A stand-in bank that takes pain.001 and gives pain.002 and camt.053."""
    with filing.file_bank("pain001", tmp_path / "exchange", standin_dir, settings) as bank:
        yield bank


@pytest.fixture
def daifa_bank(tmp_path: Path, standin_dir: Path, settings: Any) -> Iterator[FileBank]:
    """A stand-in bank that takes bulk payments and gives result files and camt.053."""
    with filing.file_bank("daifa", tmp_path / "exchange", standin_dir, settings) as bank:
        yield bank


@pytest.fixture
def daifa(tmp_path: Path, settings: Any) -> None:
    """Bulk payments as files in a folder, and no bank that takes them."""
    filing.pay_by_files("daifa", tmp_path / "exchange", settings)


@pytest.fixture
def cards_process(standin_dir: Path, settings: Any) -> Iterator[Process]:
    """A stand-in Alipay of this test alone that completes transfers at once, and pays households."""
    process = Fork("alipay", standin_dir, "--complete-after", "0")
    for name, value in keys.settings_for(standin_dir, "", "", process.url).items():
        setattr(settings, name, value)
    settings.PAYOUT_BANK = "alipay"
    settings.PAYOUT_MINIMUM_FEN = 10
    yield process
    process.end()


@pytest.fixture
def cards(cards_process: Process, standin_dir: Path) -> Iterator[CardClient]:
    """Control of the stand-in Alipay."""
    client = CardClient(cards_process.url, keys.settings_for(standin_dir, "", "", cards_process.url))
    yield client
    client.http.close()
