"""What counts of a round of plays, and what is said of it, without a play."""

import ast
import json
import os
import shutil
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import __main__ as chaos
from tests.chaos import code, report, seeds
from tests.processes import ROOT


def play(name: str = "two_beats", *, ok: bool = True, **more: Any) -> dict[str, Any]:
    error = "" if ok else "Trouble"
    return {"scenario": name, "seed": 7, "ok": ok, "seconds": 1.5, "error": error, "code": 0} | more


def here(*plays: dict[str, Any]) -> list[dict[str, Any]]:
    return [one | {"played_on": code.digest()} for one in plays]


def account(folder: Path, *plays: dict[str, Any]) -> int:
    """The exit code of a round with nothing left to be played, where these were."""
    (folder / "state.json").write_text(json.dumps(plays))
    return chaos.main(["--dir", str(folder), "--only", "two_beats", "--times", "0"])


def test_a_play_of_other_code_is_played_again(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_text(json.dumps([play(), play(played_on="x"), *here(play(), play(ok=False))]))
    known = chaos.State(state, fresh=False)
    assert (len(known.plays), len(known.of_this_code()), known.times("two_beats")) == (4, 2, 1)
    left = chaos._plan(Namespace(times=3, only=["two_beats"], seed=None), known)
    assert [name for name, _seed in left] == ["two_beats"] * 2


def test_a_play_keeps_the_digest_of_the_code_it_was_played_on(tmp_path: Path) -> None:
    ended = chaos.run("two_beats", "no seed", tmp_path)  # type: ignore[arg-type]
    assert (ended["ok"], ended["code"], ended["played_on"]) == (False, 2, code.digest())


def test_only_a_failure_of_this_code_is_one(tmp_path: Path) -> None:
    old = [play(ok=False), play(ok=False, played_on="x")]
    assert account(tmp_path, *old) == 0
    assert account(tmp_path, *old, *here(play())) == 0
    assert account(tmp_path, *here(play(), play(ok=False))) == 1
    assert account(tmp_path, *here(play("two_sweepers", ok=False))) == 0  # Not asked for.
    assert len(json.loads((tmp_path / "state.json").read_text())) == 1


def test_the_report_says_how_many_older_plays_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    account(tmp_path, play(ok=False), play(played_on="x"), *here(play()))
    assert report.left_out(2) in capsys.readouterr().out
    told = (tmp_path / "report.md").read_text()
    assert report.left_out(2) in told
    assert "| two_beats | 1 | 0 |" in told
    assert "FAILED" not in told
    known = json.loads((tmp_path / "report.json").read_text())
    assert (known["older_plays_left_out"], len(known["plays"])) == (2, 1)
    account(tmp_path, *here(play()))
    assert "Left out" not in (tmp_path / "report.md").read_text() + capsys.readouterr().out


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What is played, in a folder without git."""
    for name in code.FOLDERS:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in code.FILES:
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_a_round_whose_code_is_changed_meanwhile_is_not_well(copy: Path, tmp_path: Path) -> None:
    options = Namespace(dir=tmp_path, only=None)
    state = chaos.State(tmp_path / "state.json", fresh=False, root=copy)
    assert chaos.account(options, state) == 0
    (copy / "payouts/sending.py").write_text("changed")
    assert chaos.account(options, state) == 1


def test_the_digest_is_that_of_the_code_and_of_nothing_else(copy: Path) -> None:
    digest = code.digest(copy)
    assert digest == code.digest()
    (copy / "payouts/__pycache__").mkdir()
    for name in ("README.md", "payouts/notes.md", "payouts/__pycache__/x.pyc", "tests/chaos/test_more.py"):
        (copy / name).write_text("more")
    assert code.digest(copy) == digest
    for name in ("payouts/sending.py", "carbonsink/standins/bank/schema.sql", "tests/chaos/gate.py", *code.FILES):
        content = (copy / name).read_bytes()
        (copy / name).write_bytes(content + b"\n")
        assert code.digest(copy) != digest, name
        (copy / name).write_bytes(content)
    (copy / "payouts/sending.py").rename(copy / "payouts/sent.py")
    assert code.digest(copy) != digest


def test_all_that_a_play_takes_from_the_tests_is_in_the_digest() -> None:
    known = {*(ROOT / name for name in code.FILES), *(ROOT / "tests/chaos").rglob("*.py"), ROOT / "tests/__init__.py"}
    for file in known:
        if file.suffix != ".py" or file.name.startswith("test_"):
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tests":
                whole = ROOT / f"{(node.module or '').replace('.', '/')}.py"
                parts = [ROOT / (node.module or "").replace(".", "/") / f"{one.name}.py" for one in node.names]
                assert whole in known or all(part in known for part in parts), (file, node.module)


def test_the_seeds_of_all_plays_stand_at_the_end_also_from_workers(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from tests.chaos.seeds import pytest_terminal_summary  # noqa: F401\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_plays.py").write_text(
        "import pytest\n"
        "@pytest.mark.parametrize(('name', 'ok'), [('two_beats', True), ('same_run_twice', False)])\n"
        "def test_play(name, ok, record_property):\n"
        f"    record_property({seeds.NAME!r}, f'{{name}} 123')\n"
        "    assert ok\n"
        "def test_none():\n"
        "    pass\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:django", "-p", "no:cacheprovider", "."]
    environment = {name: said for name, said in os.environ.items() if not name.startswith("PYTEST_")}
    played = subprocess.run(
        command, cwd=tmp_path, env=environment | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert "chaos seeds: same_run_twice 123, two_beats 123\n" in played.stdout, played.stdout + played.stderr
    assert played.returncode == 1
