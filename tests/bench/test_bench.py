"""The benchmark itself: what counts as met, and what its world adds up to."""

import argparse
import csv
import io
from pathlib import Path

import pytest
from PIL import Image

from bench.__main__ import conclude
from bench.cases.photos import bare_pillow, make_photo, our_pictures
from bench.measure import Result, alternate
from bench.world import World, write_households, write_trees
from trees.numbers import tree_number
from trees.registration import check_id_number


@pytest.mark.parametrize(
    ("ours_s", "goal", "limits", "ok"),
    [
        (3.0, 3.0, {}, True),
        (3.01, 3.0, {}, False),
        (99.0, None, {}, True),
        (1.0, 3.0, {"peak_mb": (300.0, 300.0)}, True),
        (1.0, 3.0, {"peak_mb": (300.1, 300.0)}, False),
        (99.0, None, {"peak_mb": (301.0, 300.0)}, False),
    ],
)
def test_a_goal_is_met_or_missed(
    ours_s: float, goal: float | None, limits: dict[str, tuple[float, float]], ok: bool
) -> None:
    result = Result("x", ours_s, 1.0, goal, {}, limits)
    assert (result.ok, result.as_json()["ok"]) == (ok, ok)
    assert result.as_json()["ratio"] == round(ours_s, 3)


def test_both_ways_are_measured_in_turn_and_the_median_counts() -> None:
    order: list[str] = []
    seconds = iter([5.0, 1.0, 9.0, 2.0, 7.0, 30.0])

    def run(name: str) -> float:
        order.append(name)
        return next(seconds)

    assert alternate(3, lambda: run("ours"), lambda: run("floor"), lambda _line: None) == (7.0, 2.0)
    assert order == ["ours", "floor"] * 3


def test_the_whole_world_is_the_one_of_the_scheme() -> None:
    world = World(1)
    assert (world.counties, world.villages, world.households, world.trees) == (33, 682, 11_207, 4_462_000)
    codes = world.household_codes()
    assert len(set(codes)) == 11_207
    assert len({code[:12] for code in codes}) == 682
    assert len({code[:6] for code in codes}) == 33
    assert {code for code, _name, level, _up in world.divisions() if level == "village"} == {
        code[:12] for code in codes
    }


def test_its_files_hold_every_household_and_tree(tmp_path: Path) -> None:
    world = World(0.001)
    with write_households(world, tmp_path / "h.csv").open(encoding="utf-8-sig") as file:
        households = list(csv.DictReader(file))
    with write_trees(world, tmp_path / "t.csv").open() as file:
        trees = list(csv.DictReader(file))
    assert (len(households), len(trees)) == (11, 4462)
    assert len({check_id_number(row["身份证号"]) for row in households}) == 11
    assert {row["农户编号"] for row in trees} == set(world.household_codes())
    assert len(tree_number(world.household_codes()[0][:12], 1, 1)) == 19


def test_the_floor_of_photos_finds_the_hash_that_ours_finds() -> None:
    content = make_photo()
    with Image.open(io.BytesIO(content)) as image:
        assert image.size == (4032, 3024)
    _pictures, dhash = our_pictures(content)
    differing = (bare_pillow(content, [(1600, "JPEG"), (400, "JPEG")]) ^ dhash) & (2**64 - 1)
    assert differing.bit_count() <= 4


@pytest.mark.parametrize(("ours_s", "code"), [(2.0, 0), (4.0, 1)])
def test_a_missed_goal_is_exit_code_1(ours_s: float, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    options = argparse.Namespace(scale=1.0, rounds=3, json=None)
    assert conclude([Result("slow", ours_s, 1.0, 3.0), Result("fast", 1.0, 1.0, 3.0)], options) == code
    said = capsys.readouterr().out
    assert "slow" in said
    assert ("NO" in said) == bool(code)
