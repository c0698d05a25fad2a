"""Outlines: inside, on the line, how far outside; and the command that loads them."""

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from tests import factories
from tests.trees.stand import ring, square
from trees import boundaries
from trees.boundaries import Outline
from trees.distances import METRES_PER_DEGREE
from trees.models import Boundary

COUNTY = "522633000000"
# A square with a square hole, and another square beside it.
PARTS = {
    "type": "MultiPolygon",
    "coordinates": [
        [ring(108, 25, 109, 26), ring(108.4, 25.4, 108.6, 25.6)],
        [ring(110, 25, 110.5, 25.5)],
    ],
}


def outside(geometry: dict[str, Any], lon: float, lat: float) -> float:
    return Outline(geometry).metres_outside(np.array([lon]), np.array([lat])).item()


class TestOutlines:
    @pytest.mark.parametrize(
        ("lon", "lat", "metres"),
        [
            (108.2, 25.2, 0),
            (110.2, 25.2, 0),  # in the second part
            (108, 25.5, 0),  # on an edge
            (108.7, 26, 0),
            (108, 25, 0),  # on a corner
            (108.4, 25.5, 0),  # on the hole's edge
            (108.41, 25.5, 0.01 * METRES_PER_DEGREE * math.cos(math.radians(25.5))),  # in the hole
            (108.5, 26.01, 0.01 * METRES_PER_DEGREE),
            (108.5, 24.99, 0.01 * METRES_PER_DEGREE),
            (107.99, 25.5, 0.01 * METRES_PER_DEGREE * math.cos(math.radians(25.5))),
            (109.5, 24.9, None),  # between the parts, below both: the corner of one is nearest
            (107.9, 25, 0.1 * METRES_PER_DEGREE * math.cos(math.radians(25))),  # level with an edge
        ],
    )
    def test_holes_parts_edges_and_corners(self, lon: float, lat: float, metres: float | None) -> None:
        if metres is None:
            metres = METRES_PER_DEGREE * math.hypot(0.5 * math.cos(math.radians(24.9)), 0.1)
        assert outside(PARTS, lon, lat) == pytest.approx(metres, abs=1e-6)

    def test_a_slanting_side_is_met_at_a_right_angle(self) -> None:
        """On the equator, where a degree is as long either way."""
        triangle = {"type": "Polygon", "coordinates": [[[0, 0], [0.01, 0], [0, 0.01], [0, 0]]]}
        distance = 0.0001 * math.sqrt(2) * METRES_PER_DEGREE
        assert outside(triangle, 0.0051, 0.0051) == pytest.approx(distance, rel=1e-6)
        assert outside(triangle, 0.0049, 0.0049) == 0

    def test_heights_and_repeated_corners_do_no_harm(self) -> None:
        with_heights = {"type": "Polygon", "coordinates": [[[0, 0, 5], [1, 0, 5], [1, 0, 5], [0, 1, 5], [0, 0, 5]]]}
        assert outside(with_heights, 0.2, 0.2) == 0
        assert outside(with_heights, -0.01, 0.5) == pytest.approx(
            0.01 * METRES_PER_DEGREE * math.cos(math.radians(0.5))
        )

    def test_many_positions_at_once_are_as_one_by_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        lon, lat = np.meshgrid(np.linspace(107.5, 111, 23), np.linspace(24.7, 26.3, 17))
        together = Outline(PARTS).metres_outside(lon.ravel(), lat.ravel())
        monkeypatch.setattr(boundaries, "CELLS", 40)
        in_parts = Outline(PARTS).metres_outside(lon.ravel(), lat.ravel())
        alone = [outside(PARTS, *position) for position in zip(lon.ravel(), lat.ravel(), strict=True)]
        assert together.tolist() == in_parts.tolist() == alone
        assert 0 < np.count_nonzero(together) < together.size


Write = Callable[..., Path]


def feature(code: Any = "522633", geometry: Any = None, **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": {"code": code, **properties},
        "geometry": geometry or square(108, 25, 109, 26),
    }


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def make(*features: Any, **members: Any) -> Path:
        path = tmp_path / "outlines.geojson"
        path.write_text(json.dumps({"type": "FeatureCollection", "features": features, **members}))
        return path

    return make


def load(path: Path, *args: str) -> tuple[str, str]:
    """What the command writes to its two streams."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("import_boundaries", path, "--source", "test 2026", *args, stdout=out, stderr=err)
    except CommandError as error:
        err.write(f"CommandError: {error}\n")
    return out.getvalue(), err.getvalue()


@pytest.fixture
def divisions(db: None) -> None:
    factories.divisions()


@pytest.mark.usefixtures("divisions")
class TestLoading:
    def test_outlines_of_counties_and_villages_are_stored(self, write: Write) -> None:
        path = write(feature(), feature(factories.VILLAGE, PARTS), feature(522631))
        assert load(path, "--dry-run") == ("3 boundaries are fine.\n", "")
        assert not Boundary.objects.exists()
        assert load(path) == ("3 boundaries stored.\n", "")
        assert Boundary.objects.get(pk=factories.VILLAGE).geometry == PARTS
        assert set(Boundary.objects.values_list("pk", "source")) == {
            (COUNTY, "test 2026"),
            (factories.VILLAGE, "test 2026"),
            ("522631000000", "test 2026"),
        }

    def test_loaded_again_an_outline_takes_effect_at_once(self, write: Write) -> None:
        def now() -> float:
            version = Boundary.objects.extra(select={"version": "xmin::text || ctid::text"}).get(pk=COUNTY).version
            return boundaries.outline(COUNTY, version).metres_outside(np.array([108.5]), np.array([25.5])).item()

        load(write(feature()))
        assert now() == 0
        load(write(feature(geometry=square(10, 10, 11, 11))))
        assert now() > 1_000_000
        assert Boundary.objects.count() == 1

    def test_another_property_can_hold_the_code(self, write: Write) -> None:
        path = write(feature("", adcode="522633"))
        assert "feature 0: division “” is not known" in load(path)[1]
        assert load(path, "--code", "adcode") == ("1 boundaries stored.\n", "")

    @pytest.mark.parametrize(
        ("bad", "sentence"),
        [
            (feature("522699"), "division “522699000000” is not known: load divisions first"),
            (feature("52263"), "division “52263” is not known"),
            (feature(None), "is not known"),
            ("x", "is not known"),
            ({"properties": None}, "is not known"),
            (feature(), "division 522633000000 is there twice"),
            (feature("522631", {"type": "Point", "coordinates": [1, 2]}), "neither a Polygon nor a MultiPolygon"),
            (feature("522631", {"type": "Polygon"}), "its coordinates are not lists of rings of positions"),
            (feature("522631", {"type": "Polygon", "coordinates": [1]}), "its coordinates are not lists of rings"),
            (feature("522631", {"type": "Polygon", "coordinates": []}), "it has no rings"),
            (
                feature("522631", {"type": "Polygon", "coordinates": [ring(1, 1, 2, 2)[:-1]]}),
                "a ring is not closed, or has fewer than four positions",
            ),
            (feature("522631", {"type": "Polygon", "coordinates": [[[1, 1], [2, 2], [1, 1]]]}), "is not closed"),
            (
                feature("522631", square(25, 108, 26, 109)),
                "[25, 108] is no position: longitude and latitude in degrees (WGS84), in this order",
            ),
            (feature("522631", square(10800000, 2500000, 10900000, 2600000)), "is no position"),
            (feature("522631", square(108, 25, 109, math.nan)), "is no position"),
            (feature("522631", square(108, 25, 109, 10**400)), "is no position"),
            (feature("522631", {"type": "Polygon", "coordinates": [[["1", 1]] * 4]}), "is no position"),
            (feature("522631", {"type": "Polygon", "coordinates": [[[1]] * 4]}), "is no position"),
            (feature("522631", square(108, 25, 109, 25)), "a ring encloses nothing"),
        ],
    )
    def test_a_bad_feature_is_named_by_its_index_and_nothing_is_stored(
        self, write: Write, bad: Any, sentence: str
    ) -> None:
        _, err = load(write(feature(), bad))
        first, last = err.splitlines()
        assert first.startswith("feature 1: ")
        assert sentence in first
        assert last == "CommandError: 1 of the features are wrong; nothing was stored."
        assert not Boundary.objects.exists()

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            (b"{", "is not GeoJSON: Expecting"),
            (b"[1]", "it is no FeatureCollection"),
            (b'{"type": "Feature"}', "it is no FeatureCollection"),
            ("{“".encode("gb18030"), "is not UTF-8"),
            (b"[" * 100_000, "is not GeoJSON"),
            (
                b'{"features": [], "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::4490"}}}',
                "is not in WGS84",
            ),
        ],
    )
    def test_another_file_is_refused_in_one_sentence(self, tmp_path: Path, content: bytes, sentence: str) -> None:
        path = tmp_path / "outlines.geojson"
        path.write_bytes(content)
        out, err = load(path)
        assert out == ""
        assert err.startswith("CommandError: ")
        assert sentence in err

    def test_a_missing_or_huge_file_is_refused_unread(self, tmp_path: Path) -> None:
        assert "cannot be read: No such file" in load(tmp_path / "none.geojson")[1]
        path = tmp_path / "huge.geojson"
        with path.open("wb") as file:
            file.truncate(boundaries.LARGEST_FILE_BYTES + 1)
        assert "huge.geojson has more than 64 MB. Simplify the outlines." in load(path)[1]

    def test_too_many_corners_are_refused(self, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(boundaries, "MOST_CORNERS", 14)
        assert "feature 0: it has more than 14 corners" in load(write(feature(geometry=PARTS)))[1]
        monkeypatch.setattr(boundaries, "MOST_CORNERS", 15)
        assert load(write(feature(geometry=PARTS)))[1] == ""
