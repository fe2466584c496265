"""The adaptive pair: it keeps its tolerance for every point, forward and backward, and finds the price of it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rmatch.manifolds import Euclidean, Manifold, Sphere, Torus
from rmatch.solvers import RK4, DormandPrince, Solution, Status
from tests.solvers.flows import FLOWS, Flow, climb, points, rotation, swing

BATCHES = [(), (0,), (1,), (5,), (2, 3)]


def change(solution: Solution) -> Tensor:
    assert solution.log_density_change is not None
    return solution.log_density_change


@pytest.mark.parametrize("name", FLOWS)
@settings(max_examples=12)
@given(
    t0=st.floats(-1.0, 1.0),
    t1=st.floats(-1.0, 1.0),
    exponent=st.integers(3, 9),
    batch=st.sampled_from(BATCHES),
)
def test_the_error_is_of_the_size_of_the_tolerance(
    name: str, t0: float, t1: float, exponent: int, batch: tuple[int, ...]
) -> None:
    """Both ways in time, for points and log-density; local errors add up, and these fields stretch them by e^4."""
    flow, tolerance = FLOWS[name], 10.0**-exponent
    x = points(flow.manifold, batch)
    solution = DormandPrince(tolerance, tolerance).solve(flow.manifold, flow.field, x, t0, t1, divergence="exact")
    size = 1.0 + float(x.abs().amax()) if x.numel() and isinstance(flow.manifold, Euclidean) else 1.0
    torch.testing.assert_close(
        flow.manifold.dist(solution.point, flow.carry(x, t0, t1)),
        x.new_zeros(batch),
        rtol=0,
        atol=60 * size * tolerance,
    )
    torch.testing.assert_close(change(solution), flow.log_density(x, t0, t1), rtol=0, atol=60 * tolerance)
    assert solution.constraint_violation < 1e-15
    assert solution.status is Status.SUCCESS
    assert solution.time == t1


@pytest.mark.parametrize("name", FLOWS)
def test_forward_then_backward_returns_points_and_density(name: str) -> None:
    flow, solver = FLOWS[name], DormandPrince(1e-9, 1e-9)
    x = points(flow.manifold)
    there = solver.solve(flow.manifold, flow.field, x, 0.0, 1.0, divergence="exact")
    back = solver.solve(flow.manifold, flow.field, there.point, 1.0, 0.0, divergence="exact")
    torch.testing.assert_close(flow.manifold.dist(back.point, x), torch.zeros(20, dtype=x.dtype), rtol=0, atol=1e-7)
    torch.testing.assert_close(change(there) + change(back), torch.zeros(20, dtype=x.dtype), rtol=0, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("batch", BATCHES, ids=str)
@pytest.mark.parametrize("name", FLOWS)
def test_shape_and_type_are_those_of_the_points(name: str, batch: tuple[int, ...], dtype: torch.dtype) -> None:
    flow = FLOWS[name]
    x = points(flow.manifold, batch, dtype)
    seen: list[Tensor] = []

    def field(t: Tensor, y: Tensor) -> Tensor:
        seen.append(t)
        return flow.field(t, y)

    solution = DormandPrince().solve(flow.manifold, field, x, 0.0, 1.0, divergence="exact")
    assert solution.point.shape == x.shape
    assert change(solution).shape == batch
    assert solution.point.dtype == change(solution).dtype == dtype
    assert all(t.dim() == 0 and t.dtype == dtype for t in seen)
    assert len(seen) == solution.evaluations
    wanted = flow.carry(x.double(), 0.0, 1.0).to(dtype)
    torch.testing.assert_close(flow.manifold.dist(solution.point, wanted), x.new_zeros(batch), rtol=0, atol=1e-3)


@pytest.mark.parametrize("flow", [climb, swing], ids=["climb", "swing"])
def test_against_scipy(flow: Flow) -> None:
    """A known field with a twist, which has no closed form, by the eighth-order method in the plain coordinates."""
    from scipy.integrate import solve_ivp

    M = flow.manifold

    def field(t: Tensor, x: Tensor) -> Tensor:
        return flow.field(t, x) + M.to_tangent(x, (2 * x.flip(-1) + t).sin())

    x = points(M, (4,))

    def right_hand_side(t: float, flat: np.ndarray) -> np.ndarray:
        y = torch.from_numpy(flat[: x.numel()]).reshape(x.shape)
        divergence = M.divergence(lambda z: field(torch.tensor(t, dtype=x.dtype), z))(y)
        return np.concatenate([field(torch.tensor(t, dtype=x.dtype), y).numpy().ravel(), -divergence.numpy()])

    start = np.concatenate([x.numpy().ravel(), np.zeros(4)])
    end = solve_ivp(right_hand_side, (0.0, 1.0), start, method="DOP853", rtol=1e-9, atol=1e-9).y[:, -1]
    solution = DormandPrince(1e-8, 1e-8).solve(M, field, x, 0.0, 1.0, divergence="exact")
    expected = M.project(torch.from_numpy(end[: x.numel()]).reshape(x.shape))
    torch.testing.assert_close(M.dist(solution.point, expected), torch.zeros(4, dtype=x.dtype), rtol=0, atol=1e-6)
    torch.testing.assert_close(change(solution), torch.from_numpy(end[x.numel() :]), rtol=0, atol=1e-6)


def test_each_point_meets_the_tolerance_however_many_easy_ones_are_with_it() -> None:
    """One point on a fast circle among 2000 that hardly move: a mean over the batch would drown its error."""
    M = Sphere(2)
    x = points(M, (2000,))
    rate = torch.full((2000, 1), 1e-3, dtype=x.dtype)
    rate[0] = 10.0

    def field(t: Tensor, y: Tensor) -> Tensor:
        return (rate if y.shape[0] == 2000 else rate[:1]) * rotation.field(t, y)

    solver = DormandPrince(1e-6, 1e-6)
    crowd = solver.solve(M, field, x, 0.0, 1.0)
    alone = solver.solve(M, field, x[:1], 0.0, 1.0)
    exact = rotation.carry(x[:1], 0.0, 10.0)
    assert float(M.dist(alone.point, exact)) < 60e-6
    assert float(M.dist(crowd.point[:1], exact)) < 60e-6
    assert crowd.steps == alone.steps


def test_a_point_does_not_depend_on_its_batch() -> None:
    x = points(Sphere(2), (20,))
    solver = DormandPrince(1e-8, 1e-8)
    whole = solver.solve(Sphere(2), climb.field, x, 0.0, 1.0, divergence="exact")
    parts = [solver.solve(Sphere(2), climb.field, part, 0.0, 1.0, divergence="exact") for part in x.split(7)]
    torch.testing.assert_close(torch.cat([p.point for p in parts]), whole.point, rtol=0, atol=1e-7)
    torch.testing.assert_close(torch.cat([change(p) for p in parts]), change(whole), rtol=0, atol=1e-7)


def test_a_smaller_tolerance_costs_what_the_fifth_order_says() -> None:
    """Ten thousand times less error takes 10^{4/5} = 6.3 times the steps."""
    x = points(Sphere(2))
    loose, tight = (
        DormandPrince(tolerance, tolerance).solve(Sphere(2), rotation.field, x, 0.0, 3.0).steps
        for tolerance in (1e-6, 1e-10)
    )
    assert 5.0 < tight / loose < 8.0


def test_evaluations_are_six_a_step_and_two_to_start() -> None:
    solution = DormandPrince().solve(Sphere(2), climb.field, points(Sphere(2)), 0.0, 1.0, divergence="exact")
    assert solution.evaluations == 2 + 6 * (solution.steps + solution.rejected)


def test_a_sudden_turn_is_found_and_stepped_over_carefully() -> None:
    def field(t: Tensor, x: Tensor) -> Tensor:
        return ((20 * t).cos() + 10 * torch.exp(-((t - 0.5) * 50).square())) * torch.ones_like(x)

    x = points(Torus(2))
    solution = DormandPrince(1e-8, 1e-8).solve(Torus(2), field, x, 0.0, 1.0)
    expected = Torus(2).project(x + math.sin(20.0) / 20 + 10 * math.sqrt(math.pi) / 50)
    torch.testing.assert_close(Torus(2).dist(solution.point, expected), x.new_zeros(20), rtol=0, atol=1e-6)
    assert solution.rejected > 0


def test_a_field_that_vanishes_takes_one_step() -> None:
    x = points(Sphere(2))
    solution = DormandPrince().solve(Sphere(2), lambda t, y: torch.zeros_like(y), x, 0.0, 1.0, divergence="exact")
    assert (solution.steps, solution.rejected) == (1, 0)
    torch.testing.assert_close(solution.point, x, rtol=0, atol=1e-15)
    assert bool((change(solution) == 0).all())


def test_no_time_is_no_work() -> None:
    x = points(Sphere(2))
    solution = DormandPrince().solve(Sphere(2), climb.field, x, 0.4, 0.4, divergence="exact")
    assert (solution.evaluations, solution.steps) == (0, 0)
    torch.testing.assert_close(solution.point, x, rtol=0, atol=1e-15)
    assert bool((change(solution) == 0).all())


def test_a_trajectory_passes_through_the_closed_form() -> None:
    x = points(Sphere(2))
    times = [0.0, 0.3, 1.0, 0.6]
    path = DormandPrince(1e-9, 1e-9).trajectory(Sphere(2), climb.field, x, torch.tensor(times, dtype=torch.float64))
    assert path.shape == (4, 20, 3)
    for t, y in zip(times, path, strict=True):
        torch.testing.assert_close(y, climb.carry(x, 0.0, t), rtol=0, atol=1e-7)


@pytest.mark.parametrize("solver", [DormandPrince(1e-10, 1e-10), RK4(40)], ids=repr)
def test_gradients_through_the_solve_are_those_of_the_closed_form(solver: DormandPrince | RK4) -> None:
    """With respect to the start and to a parameter of the field, for the points and for the log-density."""
    x = points(Sphere(2), (6,)).requires_grad_()
    speed = torch.ones((), dtype=torch.float64, requires_grad=True)
    solution = solver.solve(Sphere(2), lambda t, y: speed * climb.field(t, y), x, 0.0, 1.0, divergence="exact")
    weights = torch.arange(3, dtype=torch.float64)
    total = (solution.point * weights).sum() + change(solution).sum()
    actual = torch.autograd.grad(total, (x, speed))

    def closed(y: Tensor, s: Tensor) -> Tensor:  # speed multiplies t²
        u = torch.atanh((y * torch.tensor([0.6, 0.0, 0.8], dtype=y.dtype)).sum(-1, keepdim=True))
        a, h, new = torch.tensor([0.6, 0.0, 0.8], dtype=y.dtype), torch.tanh(u), torch.tanh(u + s)
        point = new * a + ((1 - new**2) / (1 - h**2)).sqrt() * (y - h * a)
        return (point * weights).sum() + 2 * (torch.cosh(u + s).log() - torch.cosh(u).log()).sum()

    by_point, by_speed = torch.autograd.grad(closed(x, speed), (x, speed))
    torch.testing.assert_close(actual[0], Sphere(2).to_tangent(x, by_point).detach(), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(actual[1], by_speed, rtol=1e-6, atol=1e-6)


def test_no_graph_is_kept_where_gradients_are_off() -> None:
    speed = torch.ones((), dtype=torch.float64, requires_grad=True)
    with torch.no_grad():
        solution = DormandPrince().solve(
            Sphere(2), lambda t, y: speed * climb.field(t, y), points(Sphere(2)), 0.0, 1.0, divergence="exact"
        )
    assert not solution.point.requires_grad
    assert not change(solution).requires_grad


@pytest.mark.parametrize("manifold", [Sphere(2), Torus(2)], ids=repr)
def test_hutchinson_is_unbiased_and_repeats_with_its_generator(manifold: Manifold) -> None:
    flow = climb if isinstance(manifold, Sphere) else swing
    x = points(manifold, (1,)).expand(4000, -1)

    def solve(seed: int) -> Tensor:
        return change(
            RK4(4).solve(
                manifold,
                flow.field,
                x,
                0.0,
                1.0,
                divergence="hutchinson",
                generator=torch.Generator().manual_seed(seed),
            )
        )

    exact = change(RK4(4).solve(manifold, flow.field, x[:1], 0.0, 1.0, divergence="exact"))
    estimates = solve(0)
    assert torch.equal(estimates, solve(0))
    assert not torch.equal(estimates, solve(1))
    assert abs(float(estimates.mean() - exact)) < 4 * float(estimates.std()) / math.sqrt(4000)


@pytest.mark.parametrize("manifold", [Sphere(2), Torus(2)], ids=repr)
def test_probes_stay_the_same_during_a_solve(manifold: Manifold) -> None:
    """The estimate is then as smooth in time as the field, across the equator too, where a frame would jump."""
    flow = climb if isinstance(manifold, Sphere) else swing
    x = points(manifold)
    solver = DormandPrince(1e-7, 1e-7)
    exact = solver.solve(manifold, flow.field, x, 0.0, 1.0, divergence="exact")
    estimate = solver.solve(manifold, flow.field, x, 0.0, 1.0, divergence="hutchinson")
    assert estimate.steps + estimate.rejected < 2 * (exact.steps + exact.rejected)


def test_a_solve_uses_other_probes_than_the_one_before() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = (
        change(
            RK4(4).solve(
                Torus(2), swing.field, points(Torus(2)), 0.0, 1.0, divergence="hutchinson", generator=generator
            )
        )
        for _ in range(2)
    )
    assert not torch.equal(first, second)
