"""Solvers on a manifold that is an open set of its coordinates: errors in the metric, and no step beyond the edge."""

import math

import pytest
import torch
from torch import Tensor

import rmatch as rm
from rmatch.manifolds import FlatManifold


class HalfLine(FlatManifold):
    """The numbers x > 0 with the metric dx²/x², an isometric image of the line by x = exp s."""

    dim, point_shape, volume = 1, (1,), math.inf

    def __repr__(self) -> str:
        return "HalfLine()"

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        return (u * v / x.square()).sum(-1)

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        return x * (v / x).exp()

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        return x * (y / x).log()

    def project(self, x: Tensor) -> Tensor:
        return x

    def contains(self, x: Tensor) -> Tensor:
        return x[..., 0] > 0

    error_size = rm.Manifold.error_size  # of the metric, which is not the Euclidean one


M = HalfLine()
ONE = torch.ones(3, 1, dtype=torch.float64)


def test_the_tolerance_means_the_same_length_next_to_the_boundary() -> None:
    """At unit speed to the boundary, x = exp(-t): an absolute tolerance of 1e-6 in x would say nothing of it at 4e-18.

    The error over the whole way is that of some dozen steps, each held to the tolerance.
    """
    for start, end in ((0.0, 40.0), (40.0, 0.0)):
        x = ONE * math.exp(-start)
        found = rm.DormandPrince(rtol=1e-6, atol=1e-6).solve(M, lambda t, x: -x, x, start, end)
        error = M.dist(found.point, ONE * math.exp(-end))
        assert float(error.max()) < 1e-4
        assert found.steps > 40  # a step much longer than 1 cannot follow exp(-t)


def test_a_step_over_the_edge_is_taken_back() -> None:
    """A first step of 1 would land at -9 from the slope there alone; the flow x' = -10 x³ never gets to 0."""
    found = rm.DormandPrince(rtol=1e-1, atol=1e-1).solve(M, lambda t, x: -10 * x**3, ONE, 0.0, 1.0)
    assert float(found.point.min()) > 0
    exact = torch.rsqrt(torch.tensor(21.0, dtype=torch.float64))  # x = (1 + 20 t)^{-1/2}
    assert float(M.dist(found.point, exact.expand(3, 1)).max()) < 0.2


def test_a_flow_that_reaches_the_edge_is_refused_with_time_and_row() -> None:
    start = torch.tensor([[5.0], [1.0], [5.0]], dtype=torch.float64)
    with pytest.raises(rm.SolverError, match=r"from t=0\.9.* takes row 1 out of HalfLine\(\); take shorter steps"):
        rm.DormandPrince().solve(M, lambda t, x: -torch.ones_like(x), start, 0.0, 2.0)


@pytest.mark.parametrize("solver", [rm.Euler(1), rm.Midpoint(1), rm.RK4(1)], ids=repr)
def test_a_fixed_step_over_the_edge_is_refused(solver: rm.Solver) -> None:
    with pytest.raises(rm.SolverError, match=r"a step of 1 from t=0 takes row 0 out of HalfLine\(\)"):
        solver.solve(M, lambda t, x: -10 * x, ONE, 0.0, 1.0)


def test_fixed_steps_inside_vmap_are_taken_as_they_are() -> None:
    def end(x: Tensor) -> Tensor:
        return rm.RK4(20).solve(M, lambda t, y: -y, x, 0.0, 1.0).point

    torch.testing.assert_close(torch.func.vmap(end)(ONE), ONE * math.exp(-1), rtol=1e-6, atol=0)


def test_the_error_of_a_product_is_measured_on_each_factor() -> None:
    """Next to the edge of one factor, however large the coordinates of the other ones are."""
    product = rm.Product(M, rm.Sphere(2))
    x = product.join([ONE * 1e-12, rm.Sphere(2).origin(dtype=torch.float64)])
    change = torch.zeros_like(x)
    change[..., 0] = 1e-15  # a thousandth, in the metric
    size = product.error_size(x, x, change, rtol=0.0, atol=1e-3)
    torch.testing.assert_close(size, torch.full((3,), math.sqrt(1 / 3), dtype=torch.float64))
    inside = product.contains(torch.tensor([[1.0, 0.0, 0.0, 1.0], [-1.0, 0.0, 0.0, 1.0]]))
    assert inside is not None
    assert inside.tolist() == [True, False]
    assert rm.Product(rm.Sphere(2), rm.Torus(1)).contains(x) is None


def test_where_coordinates_have_a_size_it_is_that_of_the_larger_end_of_the_step() -> None:
    x, y = torch.tensor([[3.0, -100.0]]), torch.tensor([[-5.0, 0.0]])
    size = rm.Euclidean(2).error_size(x, y, torch.tensor([[0.6, 0.0]]), rtol=0.1, atol=0.1)
    torch.testing.assert_close(size, torch.tensor([0.6 / 0.6 / math.sqrt(2)]))
    size = rm.Sphere(2).error_size(torch.eye(3), torch.eye(3), torch.full((3, 3), 0.3), rtol=0.1, atol=0.2)
    torch.testing.assert_close(size, torch.ones(3))


# ------------------------------------------------------------------------------------------- ball and cone


def test_a_ball_is_left_by_no_step() -> None:
    """A field of unit length in the plane, outwards: too fast near the edge, in the metric it has no bound."""
    ball = rm.PoincareBall(2)
    x = torch.tensor([[0.5, 0.0], [0.0, 0.1]], dtype=torch.float64)
    with pytest.raises(rm.SolverError, match=r"takes row 0 out of PoincareBall\(2\)"):
        rm.DormandPrince().solve(ball, lambda t, y: y / y.norm(dim=-1, keepdim=True), x, 0.0, 2.0)
    with pytest.raises(rm.SolverError, match=r"a step of 0\.5 from t=0 takes row 0 out of PoincareBall\(2\)"):
        rm.RK4(4).solve(ball, lambda t, y: y / y.norm(dim=-1, keepdim=True), x, 0.0, 2.0)


@pytest.mark.parametrize("M", [rm.PoincareBall(2), rm.Lorentz(2), rm.SPD(2)], ids=repr)
def test_far_out_an_error_of_the_tolerance_is_one_of_that_length(M: rm.Manifold) -> None:
    """Along a geodesic field x' = log_x(target): exponential decay to a point at a distance of 12 from the origin."""
    origin = M.origin(dtype=torch.float64)
    target = M.exp(origin, 12.0 * M.frame(origin)[0])
    found = rm.DormandPrince(1e-6, 1e-6).solve(M, lambda t, x: M.log(x, target.expand_as(x)), origin, 0.0, 4.0)
    exact = M.geodesic(origin, target, 1 - math.exp(-4.0))
    assert float(M.dist(found.point, exact)) < 1e-5
    assert M.check_point(found.point) is None


def test_a_cone_is_left_by_no_step() -> None:
    cone = rm.SPD(2)
    x = torch.eye(2, dtype=torch.float64)[None]
    with pytest.raises(rm.SolverError, match=r"takes row 0 out of SPD\(2\)"):
        rm.DormandPrince().solve(cone, lambda t, y: -torch.eye(2, dtype=y.dtype).expand_as(y), x, 0.0, 2.0)
    with pytest.raises(rm.SolverError, match=r"takes row 0 out of SPD\(2\)"):
        rm.Euler(1).solve(cone, lambda t, y: -torch.eye(2, dtype=y.dtype).expand_as(y), x, 0.0, 2.0)


def test_a_start_just_outside_an_open_set_is_refused() -> None:
    with pytest.raises(rm.PointError, match=r"row 1 of the points to start from lies outside PoincareBall\(2\)"):
        rm.RK4(4).solve(rm.PoincareBall(2), lambda t, y: 0 * y, torch.tensor([[0.0, 0.0], [1.0005, 0.0]]), 0.0, 1.0)
