"""The benchmark of paying out: both sides write the same, all is paid, and the audit holds on all of it."""

import json
import subprocess
import sys
from pathlib import Path

from bench.sold import MIX, sizes
from tests.processes import ROOT


def test_orders_of_mixed_sizes_take_exactly_all_trees() -> None:
    made = sizes(4_462_000, 1)
    assert sum(made) == 4_462_000
    assert set(made) == set(MIX)
    assert made == sizes(4_462_000, 1)
    assert sum(sizes(8_924, 0.002)) == 8_924


def test_a_run_pays_everything_and_the_audit_holds(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench", "--scale=0.002", "--rounds=1", "--case=payouts.run", "--case=audit"]
    options = [f"--dir={tmp_path / 'bench'}", f"--json={tmp_path / 'out.json'}"]
    answer = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (tmp_path / "out.json").exists(), answer.stderr[-3000:]
    results = {result["case"]: result for result in json.loads((tmp_path / "out.json").read_text())}
    assert set(results) == {"payouts.run", "audit"}
    run = results["payouts.run"]
    assert (run["limits"]["unpaid"], run["limits"]["fen_off"]) == ([0, 0], [0, 0])
    assert (run["figures"]["payouts"], run["figures"]["fen"]) == (22, 8_924 * 300)
    assert run["limits"]["grown_mb"][0] <= run["limits"]["grown_mb"][1]
    audited = results["audit"]["figures"]
    assert audited["rows"] > 30_000
    # Everything is published: each day of a small world's weeks, each line when it was booked and again when it arrived.
    assert audited["days"] in (38, 39)
    assert audited["leaves"] > 1_000
    assert results["audit"]["limits"]["unpublished"] == [0, 0]
    assert answer.returncode == 0, answer.stdout
    assert not (tmp_path / "bench").exists()
