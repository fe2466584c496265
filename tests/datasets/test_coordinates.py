"""Coordinates: columns to points and back, at the poles, on the date line and at the cut of the circle too."""

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from rmatch._errors import DataError, OptionError, ShapeError
from rmatch.datasets import Angles, Coordinates, LatitudeLongitude, UnitVectors, coordinates_from_dict
from rmatch.manifolds import Sphere, Torus

LATLON = LatitudeLongitude(Sphere(2), ("lat", "lon"), "degrees")
LATITUDES = st.floats(-90, 90) | st.sampled_from([-90.0, 90.0, 0.0, -0.0, 90 - 1e-13, 1e-300])
LONGITUDES = st.floats(-180, 360) | st.sampled_from([-180.0, 180.0, 360.0, 0.0, -0.0, -1e-300, 180 + 1e-13])


def apart(a: Any, b: Any, turn: float = 360.0) -> Any:
    """Distance of two angles on the circle."""
    return np.abs(np.remainder(np.asarray(a) - np.asarray(b) + turn / 2, turn) - turn / 2)


@given(latitude=LATITUDES, longitude=LONGITUDES, unit=st.sampled_from(["degrees", "radians"]), positive=st.booleans())
@example(latitude=90.0, longitude=123.0, unit="degrees", positive=False)
@example(latitude=-12.0, longitude=-180.0, unit="degrees", positive=False)
def test_latitude_and_longitude_come_back_from_the_sphere(
    latitude: float, longitude: float, unit: Any, positive: bool
) -> None:
    scale = 1.0 if unit == "degrees" else math.pi / 180
    coordinates = LatitudeLongitude(Sphere(2), ("lat", "lon"), unit, (False, positive))
    points = coordinates.to_points(np.array([[latitude, longitude]]) * scale)
    assert points.dtype == torch.float64
    assert points.shape == (1, 3)
    assert Sphere(2).check_point(points) is None
    back = coordinates.to_table(points)
    # 1e-13 degrees is a few units in the last place of 360
    np.testing.assert_allclose(back[0, 0] / scale, latitude, rtol=0, atol=1e-13)
    # next to a pole the longitude has cos(latitude) of its digits left
    slack = 1e-13 / max(math.cos(math.radians(latitude)), 1e-16)
    assert apart(back[0, 1] / scale, longitude) <= max(slack, 1e-12)
    half, turn = 180 * scale, 360 * scale
    assert (0 <= back[0, 1] < turn) if positive else (-half < back[0, 1] <= half)
    # and the same point again, wherever its longitude is undefined
    assert float((coordinates.to_points(back) - points).norm()) < 1e-14


def test_points_are_those_of_geography() -> None:
    corners = [(0, 0), (0, 90), (0, 180), (0, -180), (0, 270), (90, 17), (-90, 200), (30, 60)]
    expected = [
        (1, 0, 0),
        (0, 1, 0),
        (-1, 0, 0),
        (-1, 0, 0),
        (0, -1, 0),
        (0, 0, 1),
        (0, 0, -1),
        (math.sqrt(3) / 4, 3 / 4, 1 / 2),
    ]
    np.testing.assert_allclose(LATLON.to_points(corners).numpy(), expected, atol=4e-16)


def test_the_date_line_comes_back_as_180() -> None:
    assert LATLON.to_table(LATLON.to_points([[10.0, -180.0], [10.0, 180.0]]))[:, 1].tolist() == [180.0, 180.0]


def test_a_latitude_next_to_the_pole_keeps_its_digits() -> None:
    latitude = 90 - 1e-9
    assert abs(LATLON.to_table(LATLON.to_points([[latitude, 45.0]]))[0, 0] - latitude) <= 3e-14


@given(
    angles=st.lists(st.floats(-360, 360), min_size=1, max_size=5),
    unit=st.sampled_from(["degrees", "radians"]),
    positive=st.booleans(),
)
@example(angles=[-1e-20, -180.0, 180.0, 360.0, -360.0], unit="degrees", positive=True)
@example(angles=[-1e-20, -180.0, 180.0, 360.0, -360.0], unit="degrees", positive=False)
@example(angles=[math.degrees(math.nextafter(2 * math.pi, 0))], unit="degrees", positive=True)
def test_angles_come_back_from_the_torus(angles: list[float], unit: Any, positive: bool) -> None:
    scale = 1.0 if unit == "degrees" else math.pi / 180
    names = tuple(f"a{i}" for i in range(len(angles)))
    coordinates = Angles(Torus(len(names)), names, unit, (positive,) * len(names))
    points = coordinates.to_points(np.array([angles]) * scale)
    assert coordinates.manifold == Torus(len(angles))
    assert bool(((points >= 0) & (points < 2 * math.pi)).all())
    back = coordinates.to_table(points) / scale
    assert (apart(back[0], angles) <= 2e-13).all()
    if positive:
        assert ((back >= 0) & (back < 360)).all()
    else:
        # radians times 180/π may round 180 up by a digit
        assert ((back > -180 - 1e-13) & (back <= 180 + 1e-13)).all()


@pytest.mark.parametrize(("positive", "low", "high"), [(True, 0.0, 360.0), (False, -180.0, 180.0)])
def test_points_outside_one_turn_are_written_inside_it(positive: bool, low: float, high: float) -> None:
    coordinates = Angles(Torus(1), ("a",), "degrees", (positive,))
    table = coordinates.to_table(torch.tensor([[-7 * math.pi], [9.0], [-1e-25], [20 * math.pi]], dtype=torch.float64))
    assert ((table >= low) & (table <= high)).all()
    assert (apart(table[:, 0], [-1260, math.degrees(9), 0, 0]) < 1e-11).all()


def test_vectors_come_back_normalised() -> None:
    coordinates = UnitVectors(Sphere(2), ("x", "y", "z"))
    rows = np.array([[0.6, 0.8, 0.0], [0.57735, 0.57735, -0.57735]])
    points = coordinates.to_points(rows)
    np.testing.assert_allclose(points.norm(dim=-1).numpy(), 1, atol=2e-16)
    np.testing.assert_allclose(coordinates.to_table(points), rows, atol=1e-5)
    assert coordinates.manifold == Sphere(2)
    assert UnitVectors(Sphere(3), tuple("abcd")).manifold == Sphere(3)


def test_float32_points_and_empty_tables_pass() -> None:
    points = LATLON.to_points([[12.5, -70.25]]).float()
    np.testing.assert_allclose(LATLON.to_table(points), [[12.5, -70.25]], atol=1e-5)
    assert LATLON.to_table(torch.zeros(0, 3)).shape == (0, 2)
    assert LATLON.to_points(np.zeros((0, 2))).shape == (0, 3)


def test_to_table_does_not_change_the_points() -> None:
    for coordinates in (UnitVectors(Sphere(2), ("x", "y", "z")), Angles(Torus(3), tuple("abc"), "radians")):
        points = torch.tensor([[0.0, 0.6, 0.8]], dtype=torch.float64)
        coordinates.to_table(points)[:] = 9
        assert points.tolist() == [[0.0, 0.6, 0.8]]


@pytest.mark.parametrize(
    ("kind", "rows", "expected"),
    [
        ("angles", [[1, 2], [3, 359]], (True, True)),
        ("angles", [[1, 2], [3, 170]], (True, True)),
        ("angles", [[-1, 2], [3, 170]], (False, False)),
        ("angles", [[-1, 2], [3, 190]], (False, True)),
        ("latlon", [[1, 2], [3, 359]], (False, True)),
        ("latlon", [[-1, 2], [3, 170]], (False, False)),
        ("latlon", [[1, 2], [3, 170]], (False, False)),
        ("latlon", [[1, -2], [3, 190]], (False, False)),
    ],
)
def test_ranges_follow_the_table(kind: Any, rows: list[list[float]], expected: tuple[bool, bool]) -> None:
    member, manifold = (Angles, Torus(2)) if kind == "angles" else (LatitudeLongitude, Sphere(2))
    coordinates = member.of_table(manifold, ("a", "b"), "degrees", np.array(rows, dtype=float))
    assert coordinates.nonnegative == expected
    radians = member.of_table(manifold, ("a", "b"), "radians", np.radians(np.array(rows, dtype=float)))
    assert radians.nonnegative == expected
    assert apart(coordinates.to_table(coordinates.to_points(rows)), rows).max() < 1e-12


@pytest.mark.parametrize(
    "coordinates",
    [
        LATLON,
        LatitudeLongitude(Sphere(2), ("lat", "lon"), "radians", (False, True)),
        UnitVectors(Sphere(2), ("x", "y", "z")),
        Angles(Torus(3), ("phi", "psi", "chi"), "degrees", (False, False, True)),
    ],
)
def test_coordinates_survive_json(coordinates: Coordinates) -> None:
    assert coordinates_from_dict(json.loads(json.dumps(coordinates.to_dict()))) == coordinates


def test_ranges_found_in_a_table_survive_json() -> None:
    coordinates = Angles.of_table(Torus(1), ("a",), "degrees", np.array([[350.0]]))
    assert coordinates_from_dict(json.loads(json.dumps(coordinates.to_dict()))) == coordinates


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"kind": "polar"}, OptionError, "unknown kind 'polar'; the kinds are latlon, xyz, angles, ball,"),
        ({"columns": ["lat"]}, OptionError, "latlon coordinates cannot have 1 column"),
        ({"columns": "lat"}, DataError, "columns 'lat'"),
        ({"unit": "grad"}, OptionError, "'degrees' or 'radians', got 'grad'"),
        ({"unit": None}, OptionError, "'degrees' or 'radians', got None"),
        ({"nonnegative": [0, 1]}, DataError, "expected two lists"),
        ({"nonnegative": [True]}, OptionError, "2 columns but 1 ranges"),
        ({"nonnegative": [True, False]}, OptionError, "only longitudes and torus angles"),
        ({"kind": "xyz"}, OptionError, "have no unit"),
    ],
)
def test_stored_coordinates_that_do_not_fit_are_refused(change: dict[str, Any], error: Any, text: str) -> None:
    with pytest.raises(error, match=text.replace("(", r"\(")):
        coordinates_from_dict({**LATLON.to_dict(), **change})


def test_stored_coordinates_with_a_field_missing_are_refused() -> None:
    with pytest.raises(DataError, match="have no 'unit'"):
        coordinates_from_dict({"kind": "latlon", "columns": ["a", "b"]})


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ([91.0, 0.0], "row 2, column 'lat': latitude 91 is outside [-90, 90] degrees"),
        ([0.0, 400.0], "row 2, column 'lon': longitude 400 is outside [-180, 360] degrees"),
        ([0.0, -181.0], "row 2, column 'lon': longitude -181 is outside [-180, 360] degrees"),
        ([math.nan, 0.0], "row 2, column 'lat': nan is not a finite number"),
        ([0.0, math.inf], "row 2, column 'lon': inf is not a finite number"),
    ],
)
def test_rows_that_are_no_points_are_refused(row: list[float], text: str) -> None:
    with pytest.raises(DataError) as caught:
        LATLON.to_points([[0.0, 0.0], row])
    assert str(caught.value).startswith(text)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"shape \(2, 3\) given, expected \(N, 2\)"):
        LATLON.to_points(np.zeros((2, 3)))
    with pytest.raises(ShapeError, match=r"shape \(2, 2\) given, expected \(N, 3\)"):
        LATLON.to_table(torch.zeros(2, 2))
    with pytest.raises(ShapeError, match=r"shape \(3,\) given, expected \(N, 3\)"):
        LATLON.to_table(torch.zeros(3))
