"""`check_*` returns what is wrong, `require_*` raises it: quantity, row, value, tolerance and remedy."""

import math

import pytest
import torch

from rmatch._errors import InputError, PointError, TangentError
from rmatch.manifolds import SPD, Euclidean, Lorentz, Manifold, PoincareBall, Product, Sphere, Torus

from .cases import every_dtype, every_member, points, tangents


@every_member
@every_dtype
@pytest.mark.parametrize("batch", [(), (0,), (4,), (2, 3)], ids=str)
def test_points_and_tangents_of_the_member_pass(M: Manifold, dtype: torch.dtype, batch: tuple[int, ...]) -> None:
    x = points(M, batch, 0, dtype)
    assert M.check_point(x) is None
    assert M.check_tangent(x, tangents(M, x)) is None
    assert M.check_tangent(x, 1e6 * tangents(M, x)) is None  # the tolerance is relative to the vector's size
    M.require_point(x)
    M.require_tangent(x, tangents(M, x))


@every_member
def test_a_wrong_shape_is_named_with_the_right_one(M: Manifold) -> None:
    k = M.point_shape[0]
    for shape in ((4, k + 1), (k + 1,), ()):
        problem = M.check_point(torch.zeros(shape))
        assert problem == f"points on {M!r} have shape (*batch, {k}), got {shape}"
    problem = M.check_tangent(points(M), torch.zeros(k + 1))
    assert problem == f"tangent vectors on {M!r} have shape (*batch, {k}), got ({k + 1},)"


@every_member
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.bool])
def test_integers_are_refused_with_the_conversion(M: Manifold, dtype: torch.dtype) -> None:
    problem = M.check_point(torch.zeros(3, *M.point_shape, dtype=dtype))
    assert problem == f"points on {M!r} are floating-point numbers, got {dtype}; convert with .to(torch.float64)"


@every_member
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_row_that_is_not_finite_is_named(M: Manifold, value: float) -> None:
    x = points(M, (2, 5))
    x[1, 3, 0] = value
    text = "must be finite, but row 1, 3 is not; drop or mend that row"
    assert M.check_point(x) == f"points on {M!r} {text}"
    with pytest.raises(PointError, match=text):
        M.require_point(x)
    v = torch.zeros(7, *M.point_shape)
    v[4, -1] = value
    with pytest.raises(TangentError, match=r"tangent vectors on .* must be finite, but row 4 is not"):
        M.require_tangent(points(M, (7,)), v)


@pytest.mark.parametrize("n", [1, 2, 15])
@every_dtype
def test_a_point_off_the_sphere_is_named_with_its_gap_and_the_tolerance(n: int, dtype: torch.dtype) -> None:
    M = Sphere(n)
    x = M.origin(dtype=dtype).repeat(6, 1)
    x[2] *= 1.001
    tolerance = "1e-08" if dtype == torch.float64 else "1e-05"
    problem = M.check_point(x)
    assert (
        problem == f"on {M!r}, row 2 is 0.001 off the manifold, more than {tolerance}; use project(x) if that is meant"
    )
    assert M.check_point(x, tolerance=2e-3) is None
    assert M.check_point(x[2], tolerance=1e-4) is not None
    with pytest.raises(PointError, match=r"row 2 is 0\.001 off"):
        M.require_point(x)
    M.require_point(M.project(x))
    M.require_point(x, tolerance=2e-3)


def test_the_centre_of_the_sphere_is_no_point() -> None:
    assert "is 1 off the manifold" in str(Sphere(2).check_point(torch.zeros(3)))


@every_dtype
def test_a_vector_that_is_not_tangent_is_named_with_its_normal_part(dtype: torch.dtype) -> None:
    M = Sphere(2)
    x = M.origin(dtype=dtype).repeat(4, 1)
    v = torch.zeros(4, 3, dtype=dtype)
    v[3, 2] = 1e-3
    problem = M.check_tangent(x, v)
    assert problem is not None
    assert "row 3 has a normal part of 0.001" in problem
    assert "use to_tangent(x, v)" in problem
    assert M.check_tangent(x, v, tolerance=1e-2) is None
    with pytest.raises(TangentError, match="row 3 has a normal part"):
        M.require_tangent(x, v)
    M.require_tangent(x, v, tolerance=1e-2)


@every_dtype
@pytest.mark.parametrize("value", [-1e-3, 2 * math.pi, 7.0])
def test_an_angle_outside_the_turn_is_named_with_the_range(dtype: torch.dtype, value: float) -> None:
    M = Torus(2)
    x = torch.ones(3, 2, dtype=dtype)
    x[1, 0] = value
    problem = M.check_point(x)
    assert problem is not None
    assert "lie in [0, 2π)" in problem
    assert f"{value:.6g}" in problem
    assert "use project(x)" in problem
    assert M.check_point(M.project(x)) is None
    assert M.check_point(x, tolerance=1.0) is None


def test_everything_finite_is_a_point_of_euclidean_space() -> None:
    assert Euclidean(3).check_point(1e30 * torch.ones(3)) is None


@pytest.mark.parametrize(
    ("M", "inside", "outside"),
    [
        (PoincareBall(2), [0.6, 0.7], [0.6, 0.9]),
        (PoincareBall(2, curvature=-0.25), [1.2, 1.4], [1.2, 1.8]),
        (SPD(2), [[2.0, 1.0], [1.0, 1.0]], [[2.0, 1.5], [1.5, 1.0]]),
        (Product(PoincareBall(1), Torus(1), PoincareBall(1)), [0.5, 7.0, -0.5], [0.5, 1.0, -1.5]),
    ],
    ids=repr,
)
def test_an_open_set_contains_the_rows_that_lie_in_it(
    M: Manifold, inside: list[float] | list[list[float]], outside: list[float] | list[list[float]]
) -> None:
    """Where coordinates have no boundary, as angles have none, any are taken."""
    x = torch.stack([torch.tensor(inside), torch.tensor(outside), torch.tensor(inside)])
    found = M.contains(x.expand(2, *x.shape))
    assert found is not None
    assert found.tolist() == [[True, False, True]] * 2


@pytest.mark.parametrize("M", [Euclidean(2), Sphere(2), Torus(2), Lorentz(2), Product(Sphere(2), Torus(1))], ids=repr)
def test_a_manifold_whose_projection_takes_any_coordinates_is_no_open_set(M: Manifold) -> None:
    assert M.contains(M.origin()) is None


def test_errors_are_input_errors_and_value_errors() -> None:
    for error in (PointError, TangentError):
        assert issubclass(error, InputError)
        assert issubclass(error, ValueError)
