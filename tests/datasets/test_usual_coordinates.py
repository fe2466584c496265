"""The columns in which points are written when no table says how."""

import math

import pytest
import torch

import rmatch as rm
from rmatch.datasets import coordinates_from_dict, usual_coordinates

MEMBERS: list[rm.Manifold] = [
    rm.Euclidean(1),
    rm.Euclidean(5),
    rm.Lorentz(2),
    rm.PoincareBall(3, curvature=-2.0),
    rm.Product(rm.Sphere(2), rm.Torus(2), rm.SPD(2)),
    rm.SPD(3, metric="log-euclidean"),
    rm.SpecialOrthogonal(3),
    rm.Sphere(1),
    rm.Sphere(2, radius=3.0),
    rm.Torus(2),
    rm.Torus(1, periods=24.0),
]


@pytest.mark.parametrize("M", MEMBERS, ids=repr)
def test_columns_are_the_entries_of_a_point_in_their_order(M: rm.Manifold) -> None:
    x = rm.default_base(M).sample((7,), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    coordinates = usual_coordinates(M)
    table = torch.from_numpy(coordinates.to_table(x))
    torch.testing.assert_close(table, x.reshape(7, -1), rtol=1e-14, atol=1e-14)
    assert len(set(coordinates.columns)) == len(coordinates.columns)
    torch.testing.assert_close(coordinates.to_points(table.numpy()), x, rtol=1e-12, atol=1e-12)
    assert coordinates_from_dict(coordinates.to_dict()) == coordinates


def test_angles_are_radians_of_one_turn() -> None:
    coordinates = usual_coordinates(rm.Torus(2))
    assert (coordinates.columns, coordinates.unit) == (("angle1", "angle2"), "radians")
    assert coordinates.to_table(torch.tensor([[math.pi + 1.0, 0.5]])).tolist()[0] == pytest.approx([math.pi + 1.0, 0.5])


def test_large_matrices_have_names_that_can_be_told_apart() -> None:
    names = usual_coordinates(rm.SPD(12)).columns
    assert names[:2] == ("a1_1", "a1_2")
    assert len(set(names)) == 144


def test_a_manifold_without_columns_is_refused() -> None:
    with pytest.raises(rm.OptionError):
        usual_coordinates(rm.ChartManifold(2, lambda x: torch.eye(2).expand(*x.shape[:-1], 2, 2)))
