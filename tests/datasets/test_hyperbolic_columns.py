"""Tables of points in hyperbolic space: the ball and the hyperboloid."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rmatch as rm
from rmatch.datasets import BallPoints, HyperboloidPoints, read_table

RNG = np.random.default_rng(0)


def csv(path: Path, header: str, rows: Any) -> Path:
    path.write_text(header + "\n" + "".join(",".join(map(repr, row)) + "\n" for row in np.asarray(rows).tolist()))
    return path


def error_of(path: Path, manifold: Any, **options: Any) -> str:
    with pytest.raises(rm.DataError) as caught:
        read_table(path, manifold, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_the_ball_takes_its_coordinates_as_they_are(tmp_path: Path, dim: int) -> None:
    rows = RNG.uniform(-0.4, 0.4, size=(12, dim))
    data = read_table(csv(tmp_path / "t.csv", ",".join("abcde"[:dim]), rows), "poincare")
    assert data.manifold == rm.PoincareBall(dim)
    np.testing.assert_array_equal(data.points.numpy(), rows)
    np.testing.assert_array_equal(data.to_table(data.points), rows)


def test_the_radius_of_the_ball_follows_the_curvature(tmp_path: Path) -> None:
    rows = np.array([[1.9, 0.0], *RNG.uniform(-1, 1, size=(11, 2))])
    path = csv(tmp_path / "t.csv", "a,b", rows)
    assert read_table(path, "poincare:curvature=-0.25").manifold == rm.PoincareBall(2, curvature=-0.25)
    assert error_of(path, "poincare").endswith(
        "t.csv, line 2: the point's length is 1.9, outside the ball of radius 1; correct the row or remove it"
    )
    with pytest.raises(rm.DataError, match="row 1: the point's length is 1, on the boundary of the ball of radius 1"):
        BallPoints(rm.PoincareBall(2), ("a", "b")).to_points([[1.0, 0.0]])


def test_the_hyperboloid_has_the_time_first(tmp_path: Path) -> None:
    space = RNG.normal(size=(12, 2)) * 3
    rows = np.concatenate([np.sqrt(1 + (space**2).sum(1, keepdims=True)), space], axis=1)
    data = read_table(csv(tmp_path / "t.csv", "t,x,y", rows), "lorentz")
    assert data.manifold == rm.Lorentz(2)
    np.testing.assert_allclose(data.points.numpy(), rows, rtol=1e-15)
    np.testing.assert_allclose(data.to_table(data.points), rows, rtol=1e-15)


def test_a_rounded_time_is_computed_again() -> None:
    coordinates = HyperboloidPoints(rm.Lorentz(2, curvature=-0.25), ("t", "x", "y"))
    points = coordinates.to_points([[2.0, 0.01, 0.0], [5.38516, 3.0, -4.0]])
    expected = [[math.sqrt(4.0001), 0.01, 0.0], [math.sqrt(29), 3.0, -4.0]]
    np.testing.assert_allclose(points.numpy(), expected, rtol=1e-15)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (
            [1.5, 0, 0],
            "line 13, column 't': the point is off the hyperboloid: with these space coordinates its time, the first "
            "column, is 1, not 1.5 (at most 0.0001 is put down to rounding); is the time the first column?",
        ),
        ([0, 0, 1], "its time, the first column, is 1.4142136, not 0"),
        (
            [-1, 0, 0],
            "line 13, column 't': the point lies on the lower sheet of the hyperboloid: its time is -1, not 1; change "
            "the sign of the row",
        ),
    ],
)
def test_a_point_off_the_hyperboloid(tmp_path: Path, row: list[float], text: str) -> None:
    good = [[math.cosh(k / 4), math.sinh(k / 4), 0.0] for k in range(11)]
    assert text in error_of(csv(tmp_path / "t.csv", "t,x,y", [*good, row]), "lorentz")


def test_columns_that_are_too_few_or_too_many(tmp_path: Path) -> None:
    path = csv(tmp_path / "t.csv", "a", RNG.uniform(0, 0.5, size=(12, 1)))
    assert "points of lorentz have 2 or more columns, but these columns are 1: a" in error_of(path, "lorentz")
    assert "points of PoincareBall(2) have 2 (ball) columns, but these columns are 1: a" in error_of(path, "poincare:2")
    with pytest.raises(rm.OptionError, match="holds points of the ball, which have no unit; leave out unit='degrees'"):
        read_table(path, "poincare", unit="degrees")
