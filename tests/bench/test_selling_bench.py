"""The benchmark of selling: every case runs, nobody is oversold, and what both sides do comes to the same."""

import json
import subprocess
import sys
from pathlib import Path

from bench.cases.orders import size
from tests.processes import ROOT

CASES = {
    "order.1", "order.1000", "order.100000", "order.expire", "order.beside", "notification.1", "notification.10000",
    "buyers.32", "buyers.32.95%",
}  # fmt: skip


def test_orders_are_as_large_as_the_scale_says() -> None:
    assert [size(1_000, scale) for scale in (1, 0.5, 0.01, 0.001)] == [1_000, 500, 20, 20]
    assert [size(100_000, scale) for scale in (1, 0.01, 0.001)] == [100_000, 1_000, 200]


def test_every_case_of_selling_runs_without_an_error(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench", "--scale=0.002", "--rounds=1", *[f"--case={case}" for case in CASES]]
    options = [f"--dir={tmp_path / 'bench'}", f"--json={tmp_path / 'out.json'}"]
    answer = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (tmp_path / "out.json").exists(), answer.stderr[-3000:]
    results = {result["case"]: result for result in json.loads((tmp_path / "out.json").read_text())}
    assert set(results) == CASES
    # A world this small says nothing about ratios and waits; what counts is that nothing went wrong.
    for name, limit, most in (
        ("order.beside", "errors", 0),
        ("notification.1", "unpaid", 0),
        ("notification.10000", "unpaid", 0),
        ("buyers.32", "errors", 0),
        ("buyers.32", "oversold", 0),
        ("buyers.32.95%", "errors", 0),
        ("buyers.32.95%", "oversold", 0),
    ):
        assert results[name]["limits"][limit] == [0, most], (name, answer.stderr[-3000:])
    assert results["order.100000"]["figures"]["trees"] == 200
    assert not (tmp_path / "bench").exists()
