"""The cases of the benchmark, all in one run of a small world: nothing goes wrong in any, and what both sides do comes
to the same."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.cases.orders import size
from bench.sold import MIX, sizes
from tests.processes import ROOT

IMPORTING = {"households.import", "trees.import"}
SELLING = {
    "order.1", "order.1000", "order.100000", "order.expire", "order.beside", "notification.1", "notification.10000",
    "buyers.32", "buyers.32.95%",
}  # fmt: skip
PAYING_OUT = {"payouts.run", "audit"}
Results = dict[str, Any]


def test_orders_are_as_large_as_the_scale_says() -> None:
    assert [size(1_000, scale) for scale in (1, 0.5, 0.01, 0.001)] == [1_000, 500, 20, 20]
    assert [size(100_000, scale) for scale in (1, 0.01, 0.001)] == [100_000, 1_000, 200]


def test_orders_of_mixed_sizes_take_exactly_all_trees() -> None:
    made = sizes(4_462_000, 1)
    assert sum(made) == 4_462_000
    assert set(made) == set(MIX)
    assert made == sizes(4_462_000, 1)
    assert sum(sizes(8_924, 0.002)) == 8_924


def test_every_case_runs_without_an_error_cleans_up_and_says_so_in_json(tmp_path: Path) -> None:
    cases = IMPORTING | SELLING | PAYING_OUT  # Those of imports bring the households' along by themselves.
    command = [sys.executable, "-m", "bench", "--scale=0.002", "--rounds=1"]
    wanted = [f"--case={case}" for case in sorted(cases - {"households.import"})]
    options = [f"--dir={tmp_path / 'bench'}", f"--json={tmp_path / 'out.json'}"]
    answer = subprocess.run([*command, *wanted, *options], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (tmp_path / "out.json").exists(), answer.stderr[-3000:]
    results = {result["case"]: result for result in json.loads((tmp_path / "out.json").read_text())}
    assert set(results) == cases
    # A world this small says nothing about ratios and waits; what counts is that nothing went wrong.
    assert results["trees.import"]["figures"]["rows"] == 8_924
    _nothing_went_wrong_in_selling(results, answer.stderr[-3000:])
    _all_was_paid_and_audited(results)
    assert answer.returncode == (0 if all(result["ok"] for result in results.values()) else 1)
    assert "trees.import" in answer.stdout
    assert not (tmp_path / "bench").exists()


def _nothing_went_wrong_in_selling(results: Results, said: str) -> None:
    for name, limit in (
        ("order.beside", "errors"),
        ("notification.1", "unpaid"),
        ("notification.10000", "unpaid"),
        ("buyers.32", "errors"),
        ("buyers.32", "oversold"),
        ("buyers.32.95%", "errors"),
        ("buyers.32.95%", "oversold"),
    ):
        assert results[name]["limits"][limit] == [0, 0], (name, said)
    assert results["order.100000"]["figures"]["trees"] == 200


def _all_was_paid_and_audited(results: Results) -> None:
    run, audit = results["payouts.run"], results["audit"]
    assert run["ok"], run
    assert (run["limits"]["unpaid"], run["limits"]["fen_off"]) == ([0, 0], [0, 0])
    assert (run["figures"]["payouts"], run["figures"]["fen"]) == (22, 8_924 * 300)
    assert run["limits"]["grown_mb"][0] <= run["limits"]["grown_mb"][1]
    assert audit["ok"], audit
    assert audit["figures"]["rows"] > 30_000
    # Everything is published: each day of a small world's weeks, each line when it was booked and again when it arrived.
    assert audit["figures"]["days"] in (38, 39)
    assert audit["figures"]["leaves"] > 1_000
    assert audit["limits"]["unpublished"] == [0, 0]
