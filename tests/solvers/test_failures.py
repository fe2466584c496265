"""What a solver says when it cannot go on: the quantity, the time, the row and the remedy."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import rmatch as rm
from rmatch.manifolds import Euclidean, Sphere, Torus
from rmatch.solvers import RK4, DormandPrince, Euler, Midpoint, Solver, Status
from tests.solvers.flows import climb, points, rotation

EVERY_SOLVER = [Euler(10), Midpoint(10), RK4(10), DormandPrince()]


def test_the_step_cap_names_the_time_reached_and_the_remedy() -> None:
    with pytest.raises(rm.SolverError, match=r"stopped at t=0\.\d+ on the way from 0 to 1 after 7 steps; raise max_st"):
        DormandPrince(1e-10, 1e-10, max_steps=7).solve(Sphere(2), rotation.field, points(Sphere(2)), 0.0, 1.0)


@pytest.mark.parametrize("solver", EVERY_SOLVER, ids=repr)
@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("divergence", [None, "exact"])
def test_a_field_that_is_not_finite_is_named_with_time_and_row(
    solver: Solver, value: float, divergence: str | None
) -> None:
    def field(t: Tensor, x: Tensor) -> Tensor:
        bad = torch.zeros_like(x)
        bad[3] = value
        return climb.field(t, x) + torch.where(t > 0.55, bad, 0.0)

    with pytest.raises(rm.SolverError, match=r"not finite at t=0\.[56]\d*, row 3; look at the field"):
        solver.solve(Sphere(2), field, points(Sphere(2)), 0.0, 1.0, divergence=divergence)


@pytest.mark.parametrize("solver", EVERY_SOLVER, ids=repr)
def test_a_field_that_is_not_finite_at_the_start_is_named(solver: Solver) -> None:
    x = points(Sphere(2), (2, 3))
    with pytest.raises(rm.SolverError, match=r"the field is not finite at t=0.25, row 0, 0;"):
        solver.solve(Sphere(2), lambda t, y: y / 0.0, x, 0.25, 1.0)
    with pytest.raises(rm.SolverError, match=r"the field is not finite at t=0.25, row 0;"):
        solver.solve(Sphere(2), lambda t, y: y / 0.0, x[0, 0], 0.25, 1.0)


@pytest.mark.parametrize("solver", EVERY_SOLVER, ids=repr)
def test_a_divergence_that_is_not_finite_is_named(solver: Solver) -> None:
    """The square root has the value 0 and an infinite slope at 0."""
    x = torch.zeros(2, 1, dtype=torch.float64)
    with pytest.raises(rm.SolverError, match="the divergence of the field is not finite at t=0, row 0"):
        solver.solve(Euclidean(1), lambda t, y: y.sqrt(), x, 0.0, 1.0, divergence="exact")


def test_a_pole_ends_in_a_message_and_not_in_a_loop() -> None:
    """x' = x² from 1 reaches infinity at t = 1."""
    x = torch.ones(1, 1, dtype=torch.float64)
    with pytest.raises(rm.SolverError, match=r"t=1\b|t=0\.99\d*"):
        DormandPrince().solve(Euclidean(1), lambda t, y: y.square(), x, 0.0, 2.0)


def test_a_jump_that_is_too_large_for_the_tolerance_is_refused_with_the_remedy() -> None:
    """In float32 times are known to 6e-8, and the error of a step over a jump is its length times the jump."""
    x = points(Torus(2), (20,), torch.float32)
    with pytest.raises(rm.SolverError, match=r"would need a step of .* at t=0\.4.*; raise rtol and atol, use float64"):
        DormandPrince(1e-7, 1e-7).solve(Torus(2), lambda t, y: 1e4 * (t > 0.4) * torch.ones_like(y), x, 0.0, 1.0)


def test_a_step_into_a_region_where_the_field_is_not_finite_is_tried_again_with_less() -> None:
    """x' = -30x never reaches 0, but a long step leaps over it, and there the logarithm is NaN."""
    x = torch.full((1, 1), 1.0, dtype=torch.float64)
    solution = DormandPrince(1e-3, 1e-3).solve(Euclidean(1), lambda t, y: -30 * y + 0 * y.log(), x, 0.0, 0.5)
    assert float(solution.point) == pytest.approx(math.exp(-15), abs=1e-3)
    assert solution.rejected > 0


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Euler(0), "steps=0"),
        (lambda: RK4(-3), "steps=-3"),
        (lambda: DormandPrince(rtol=-1e-5), "rtol=-1e-05"),
        (lambda: DormandPrince(atol=0.0), "atol=0.0"),
        (lambda: DormandPrince(atol=math.nan), "atol=nan"),
        (lambda: DormandPrince(max_steps=0), "got 0"),
    ],
)
def test_an_option_out_of_range_is_refused(make: Callable[[], Solver], text: str) -> None:
    with pytest.raises(rm.OptionError, match=text):
        make()


def test_options_of_a_solve_are_checked() -> None:
    x = points(Sphere(2))
    with pytest.raises(rm.OptionError, match="unknown divergence method 'exakt'"):
        RK4(1).solve(Sphere(2), climb.field, x, 0.0, 1.0, divergence="exakt")
    with pytest.raises(rm.OptionError, match="probes=0"):
        RK4(1).solve(Sphere(2), climb.field, x, 0.0, 1.0, divergence="hutchinson", probes=0)
    with pytest.raises(rm.OptionError, match="t1=nan"):
        RK4(1).solve(Sphere(2), climb.field, x, 0.0, math.nan)
    with pytest.raises(rm.OptionError, match="at least one time"):
        RK4(1).trajectory(Sphere(2), climb.field, x, [])


def test_a_start_off_the_manifold_is_refused_and_a_rounding_away_is_taken_to_it() -> None:
    x = points(Sphere(2))
    with pytest.raises(rm.PointError, match="off the manifold"):
        RK4(1).solve(Sphere(2), climb.field, 1.01 * x, 0.0, 1.0)
    with pytest.raises(rm.PointError, match="shape"):
        RK4(1).solve(Sphere(2), climb.field, x[:, :2], 0.0, 1.0)
    near = RK4(4).solve(Sphere(2), climb.field, (1 + 1e-6) * x, 0.0, 1.0)
    assert near.constraint_violation < 1e-15
    torch.testing.assert_close(near.point, RK4(4).solve(Sphere(2), climb.field, x, 0.0, 1.0).point)


@pytest.mark.parametrize("divergence", [None, "exact"])
def test_a_field_of_the_wrong_shape_or_type_is_refused(divergence: str | None) -> None:
    x = points(Torus(2))
    with pytest.raises(rm.ShapeError, match=r"shape \(20, 1\) at points of shape \(20, 2\)"):
        RK4(1).solve(Torus(2), lambda t, y: y[:, :1], x, 0.0, 1.0, divergence=divergence)
    with pytest.raises(rm.InputError, match=r"returned torch.float32 at points of torch.float64"):
        RK4(1).solve(Torus(2), lambda t, y: y.float(), x, 0.0, 1.0, divergence=divergence)


def test_a_field_that_is_not_tangent_is_reported() -> None:
    x = points(Sphere(2))
    solution = RK4(1).solve(Sphere(2), lambda t, y: climb.field(t, y) + 0.1 * y, x, 0.0, 1.0)
    assert solution.normal_part == pytest.approx(0.1 * float(x.abs().max()))
    assert RK4(1).solve(Sphere(2), climb.field, x, 0.0, 1.0).normal_part < 1e-15


def test_the_adaptive_solver_says_that_vmap_hides_its_errors() -> None:
    with pytest.raises(rm.SolverError, match=r"inside torch\.vmap"):
        torch.vmap(lambda y: DormandPrince().solve(Sphere(2), climb.field, y, 0.0, 1.0).point)(points(Sphere(2)))


def test_the_text_of_a_status_is_the_remedy() -> None:
    assert "max_steps" in Status.MAX_STEPS.value
    assert "rtol" in Status.STEP_TOO_SMALL.value
