"""The coastlines are closed rings in the right places; the reference is geography."""

import hashlib
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rmatch.plotting.coastlines import coastlines, land_rings

ROOT = Path(__file__).resolve().parents[2]


def on_land(latitude: float, longitude: float) -> bool:
    """Whether the meridian from the point to the North Pole crosses the coast an odd number of times.

    The pole is in water. Unlike a test in the plane of longitude and latitude, this holds for rings across the date
    line and around a pole.
    """
    crossings = 0
    for ring in land_rings():
        east = (ring[:, 0] - longitude + 180.0) % 360.0 - 180.0
        a, b = east[:-1], east[1:]
        near = ((a < 0.0) != (b < 0.0)) & (np.abs(b - a) < 180.0)
        lat_a, lat_b = ring[:-1, 1][near], ring[1:, 1][near]
        lat = lat_a + (lat_b - lat_a) * (-a[near] / (b[near] - a[near]))
        crossings += int(np.sum(lat > latitude))
    return crossings % 2 == 1


@pytest.mark.parametrize(
    ("place", "latitude", "longitude"),
    [
        ("Paris", 48.86, 2.35),
        ("Denver", 39.74, -104.99),
        ("Brasília", -15.79, -47.88),
        ("Nairobi", -1.29, 36.82),
        ("Alice Springs", -23.70, 133.88),
        ("Greenland", 72.0, -40.0),
        ("South Pole", -89.9, 10.0),
        ("Chukotka, west of the date line", 67.5, 179.0),
        ("Chukotka, east of the date line", 67.5, -179.0),
    ],
)
def test_land_is_land(place: str, latitude: float, longitude: float) -> None:
    assert on_land(latitude, longitude), place


@pytest.mark.parametrize(
    ("place", "latitude", "longitude"),
    [
        ("mid-Atlantic", 30.0, -45.0),
        ("mid-Pacific", 0.0, -140.0),
        ("Indian Ocean", -30.0, 80.0),
        ("Arctic Ocean", 88.0, 0.0),
        ("Bay of Biscay", 45.0, -5.0),
        ("Southern Ocean", -60.0, 150.0),
    ],
)
def test_water_is_water(place: str, latitude: float, longitude: float) -> None:
    assert not on_land(latitude, longitude), place


def test_rings_are_closed_and_in_range() -> None:
    for ring in land_rings():
        assert len(ring) >= 4
        assert np.array_equal(ring[0], ring[-1])
        assert np.abs(ring[:, 0]).max() <= 180.0
        assert np.abs(ring[:, 1]).max() <= 90.0


def test_lines_are_the_rings_without_the_cuts_at_the_date_line() -> None:
    def edges(lines: list[NDArray[np.float64]]) -> list[tuple[float, ...]]:
        return sorted(tuple(np.concatenate(edge)) for line in lines for edge in pairwise(line))

    kept = [edge for edge in edges(land_rings()) if not abs(edge[0]) == abs(edge[2]) == 180.0]
    assert edges(coastlines()) == kept
    assert len(kept) < len(edges(land_rings()))


def test_the_tool_decodes_quantised_delta_encoded_arcs(tmp_path: Path) -> None:
    """Two arcs around a square, one of them used backwards, scaled by 10 and 5 and moved by (-20, 5)."""
    topology = {
        "type": "Topology",
        "transform": {"scale": [10.0, 5.0], "translate": [-20.0, 5.0]},
        "arcs": [[[0, 0], [1, 0], [0, 1]], [[0, 0], [0, 1], [1, 0]]],
        "objects": {
            "land": {
                "type": "GeometryCollection",
                "geometries": [{"type": "MultiPolygon", "arcs": [[[0, ~1]]]}],
            }
        },
    }
    (tmp_path / "land-110m.json").write_text(json.dumps(topology))
    (tmp_path / "package.json").write_text('{"version": "9.8.7"}')
    command = [
        sys.executable,
        str(ROOT / "tools" / "make_coastlines.py"),
        str(tmp_path / "land-110m.json"),
        "-o",
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "coastlines.npz", allow_pickle=False) as data:
        assert data["lon_lat"].dtype == np.float32
        assert data["lon_lat"].tolist() == [[-20, 5], [-10, 5], [-10, 10], [-20, 10], [-20, 5]]
        assert data["offsets"].tolist() == [0, 5]
    text = (tmp_path / "coastlines.md").read_text()
    assert "9.8.7" in text
    assert hashlib.sha256((tmp_path / "land-110m.json").read_bytes()).hexdigest() in text
