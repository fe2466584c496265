"""The flow of a field: samples and densities against flows that are known in closed form."""

import math

import pytest
import torch
from torch import Tensor

import rmatch as rm
from rmatch.distributions import Uniform
from rmatch.manifolds import Sphere, Torus
from rmatch.paths import FlowPath
from rmatch.solvers import DormandPrince

NORTH = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
PRECISE = DormandPrince(rtol=1e-10, atol=1e-10)


def climb(t: Tensor, x: Tensor) -> Tensor:
    """The gradient of the height, 2t n - 2t <n, x> x; its flow moves artanh(height) by t²."""
    return 2 * t * (NORTH.to(x.dtype) - x[..., 2:] * x)


def climbed_log_density(t: float, x: Tensor) -> Tensor:
    """Height h started at h0 = tanh(artanh h - t²), and areas scale as dh0/dh = (1 - h0²)/(1 - h²)."""
    h = x[..., 2]
    h0 = torch.tanh(torch.atanh(h) - t**2)
    return -math.log(4 * math.pi) + torch.log((1 - h0**2) / (1 - h**2))


def points(n: int) -> Tensor:
    return Uniform(Sphere(2)).sample((n,), generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("t", [0.0, 0.5, 1.0])
def test_log_density_against_the_closed_form(t: float) -> None:
    path, x = FlowPath(climb, base=Uniform(Sphere(2)), solver=PRECISE), points(50)
    torch.testing.assert_close(path.log_prob(t, x), climbed_log_density(t, x), rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(path.at(t).log_prob(x), climbed_log_density(t, x), rtol=1e-8, atol=1e-8)


def test_the_density_has_mass_one() -> None:
    path = FlowPath(climb, base=Uniform(Sphere(2)), solver=PRECISE)
    mass = Sphere(2).integrate(lambda x: path.log_prob(1.0, x).exp(), degree=40)
    assert float(mass) == pytest.approx(1.0, abs=1e-8)


def test_the_score_is_the_gradient_of_the_closed_form() -> None:
    path, x = FlowPath(climb, base=Uniform(Sphere(2)), solver=PRECISE), points(4)
    expected = Sphere(2).gradient(lambda y: climbed_log_density(1.0, y))(x)
    torch.testing.assert_close(path.score(1.0, x), expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(path.at(1.0).score(x), expected, rtol=1e-6, atol=1e-6)


def test_forward_then_backward_returns_point_and_density() -> None:
    path, x = FlowPath(climb, base=Uniform(Sphere(2)), solver=PRECISE), points(20)
    there = path.solve(x, 0.0, 1.0, divergence="exact")
    back = path.solve(there.point, 1.0, 0.0, divergence="exact")
    torch.testing.assert_close(back.point, x, rtol=1e-8, atol=1e-8)
    assert there.log_density_change is not None
    assert back.log_density_change is not None
    torch.testing.assert_close(there.log_density_change, -back.log_density_change, rtol=1e-8, atol=1e-8)


def test_samples_follow_the_flow() -> None:
    """The mean height of the climbed uniform law is coth a - a / sinh² a with a = 1, here within 4 standard errors."""
    path = FlowPath(climb, base=Uniform(Sphere(2)))
    x = path.at(1.0).sample((4000,), generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    expected = 1 / math.tanh(1) - 1 / math.sinh(1) ** 2
    assert abs(float(x[:, 2].mean()) - expected) < 4 * float(x[:, 2].std()) / 4000**0.5


def test_a_constant_drift_on_the_torus_moves_points_and_keeps_the_density() -> None:
    path = FlowPath(lambda t, x: torch.ones_like(x), base=Uniform(Torus(2)))
    x = torch.tensor([[6.0, 1.0]], dtype=torch.float64)
    moved = path.solve(x, 0.0, 1.0).point
    torch.testing.assert_close(moved, torch.tensor([[7.0 - 2 * math.pi, 2.0]], dtype=torch.float64))
    assert float(path.log_prob(1.0, x)) == pytest.approx(-2 * math.log(2 * math.pi))


def test_velocity_is_the_field() -> None:
    path, x = FlowPath(climb, base=Uniform(Sphere(2))), points(3)
    assert torch.equal(path.velocity(0.5, x), climb(torch.tensor(0.5, dtype=torch.float64), x))


@pytest.mark.parametrize("t", [-0.1, 1.5])
def test_a_time_outside_the_path_is_refused(t: float) -> None:
    with pytest.raises(rm.OptionError, match="from 0 to 1"):
        FlowPath(climb, base=Uniform(Sphere(2))).log_prob(t, points(2))
