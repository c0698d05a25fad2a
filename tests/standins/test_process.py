import json
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from carbonsink.standins import bank
from tests.processes import ROOT


@pytest.mark.parametrize("name", ["wechatpay", "bank"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_tells_its_address_and_ends_cleanly(
    start: Callable[..., Any], tmp_path: Path, name: str, number: signal.Signals
) -> None:
    process = start(name)
    health = httpx.get(f"{process.url}/health", trust_env=False)
    assert health.json() == {"standin": name, "status": "ok"}
    assert process.end(number) == 0
    assert not process.address_file.exists()
    lines = [json.loads(line) for line in process.log_file.read_text().splitlines()]
    assert {"path": "/health", "status": 200}.items() <= lines[-1].items()


def test_a_taken_port_is_one_sentence(start: Callable[..., Any], tmp_path: Path) -> None:
    port = start("bank").url.rpartition(":")[2]
    command = [sys.executable, "-m", "carbonsink.standins", "bank", "--dir", str(tmp_path), "--port", port]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "choose another --port" in ended.stderr


def test_control_is_for_this_machine_only(directory: Path) -> None:
    options = Namespace(dir=directory, complete_after=0.0, exchange=None, exchange_every=0.0)
    client = bank.create_app(options).test_client()
    stranger = {"REMOTE_ADDR": "192.0.2.1"}
    assert client.get("/control/balance", environ_overrides=stranger).status_code == 403
    assert client.get("/control/balance").status_code == 200


def test_nothing_of_the_platform_is_imported(tmp_path: Path) -> None:
    program = (
        "import sys, carbonsink.standins.__main__\n"
        "names = {name.partition('.')[0] for name in sys.modules}\n"
        "assert not names & {'django', 'celery', 'trees', 'purchases', 'payouts'}, names\n"
        "ours = {name for name in sys.modules if name.startswith('carbonsink.')}\n"
        "assert all(name.startswith('carbonsink.standins') for name in ours), ours\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=30, check=True)
