"""The geodesic interpolant: end points, velocity, and the conditional density that it carries."""

import math

import pytest
import torch

from rmatch.distributions import Uniform
from rmatch.manifolds import Euclidean, Manifold, Sphere, Torus
from rmatch.paths import Cosine, GeodesicPath, Linear, Polynomial, Schedule

MEMBERS = [Sphere(1), Sphere(2), Sphere(15), Torus(1), Torus(2), Torus(7), Euclidean(3)]
SCHEDULES = [Linear(), Cosine(), Polynomial(2.0)]


def pairs(manifold: Manifold, n: int, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    raw = torch.randn(2, n, *manifold.point_shape, dtype=dtype, generator=torch.Generator().manual_seed(2))
    x = manifold.project(3 * raw)
    return x[0], x[1]


@pytest.mark.parametrize("manifold", MEMBERS, ids=repr)
@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_the_velocity_is_the_time_derivative_of_the_point(manifold: Manifold, schedule: Schedule) -> None:
    path = GeodesicPath(manifold, schedule)
    x0, x1 = pairs(manifold, 20)
    t = torch.linspace(0.05, 0.95, 20, dtype=torch.float64)
    sample = path.sample(t, x0, x1)
    derivative = torch.func.jvp(lambda s: path.sample(s, x0, x1).x_t, (t,), (torch.ones_like(t),))[1]
    torch.testing.assert_close(sample.u_t, derivative, rtol=1e-12, atol=1e-12)
    assert manifold.check_point(sample.x_t) is None
    assert manifold.check_tangent(sample.x_t, sample.u_t) is None


@pytest.mark.parametrize("manifold", MEMBERS, ids=repr)
@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_the_velocity_depends_on_the_end_point_alone(manifold: Manifold, schedule: Schedule) -> None:
    path = GeodesicPath(manifold, schedule)
    x0, x1 = pairs(manifold, 20)
    t = torch.linspace(0.05, 0.9, 20, dtype=torch.float64)
    sample = path.sample(t, x0, x1)
    torch.testing.assert_close(path.velocity(t, sample.x_t, x1), sample.u_t, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("manifold", MEMBERS, ids=repr)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_path_runs_from_base_to_data(manifold: Manifold, dtype: torch.dtype) -> None:
    x0, x1 = pairs(manifold, 20, dtype)
    path = GeodesicPath(manifold)
    tolerance = 50 * torch.finfo(dtype).eps
    for t, end in ((0.0, x0), (1.0, x1)):
        gap = manifold.dist(path.sample(torch.full((20,), t, dtype=dtype), x0, x1).x_t, end)
        assert gap.max() <= tolerance


@pytest.mark.parametrize("n", [1, 2, 15])
def test_between_antipodes_the_speed_is_pi(n: int) -> None:
    """A peer returns a speed of at most 0.011 here."""
    manifold = Sphere(n)
    x0, _ = pairs(manifold, 20)
    t = torch.linspace(0, 1, 20, dtype=torch.float64)
    x_t, u_t = GeodesicPath(manifold).sample(t, x0, -x0)
    torch.testing.assert_close(manifold.norm(x_t, u_t), torch.full((20,), math.pi, dtype=torch.float64))
    torch.testing.assert_close(manifold.dist(x0, x_t), math.pi * t, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("manifold", [Sphere(2), Torus(2)], ids=repr)
def test_equal_end_points_stay_at_rest(manifold: Manifold) -> None:
    x0, _ = pairs(manifold, 5)
    x_t, u_t = GeodesicPath(manifold).sample(torch.tensor(0.3, dtype=torch.float64), x0, x0)
    torch.testing.assert_close(x_t, x0, rtol=0, atol=1e-15)
    assert u_t.abs().max() == 0


@pytest.mark.parametrize("t", [0.0, 0.3, 0.8])
def test_the_conditional_density_on_the_sphere_has_mass_one(t: float) -> None:
    """∫ p_t(x | x_1) dV = 1; the density has a kink where base points run out, so quadrature is good to 1e-4."""
    manifold = Sphere(2)
    nodes, weights = manifold.quadrature(degree=200)
    x1 = manifold.project(torch.tensor([0.3, -0.5, 0.8], dtype=torch.float64))
    log_density = GeodesicPath(manifold).log_conditional(
        torch.tensor(t, dtype=torch.float64), nodes, x1, Uniform(manifold)
    )
    assert float((log_density.exp() * weights).sum()) == pytest.approx(1.0, abs=1e-4)


def test_the_conditional_density_on_the_torus_is_uniform_on_a_box() -> None:
    manifold, t = Torus(2), torch.tensor(0.5, dtype=torch.float64)
    x1 = torch.tensor([0.1, 6.0], dtype=torch.float64)
    x = torch.tensor([[0.1, 6.0], [1.6, 6.0], [1.8, 6.0], [6.2, 4.5], [6.2, 1.4]], dtype=torch.float64)
    log_density = GeodesicPath(manifold).log_conditional(t, x, x1, Uniform(manifold))
    inside = -2 * math.log(math.pi)  # half the circle in each angle
    expected = torch.tensor([inside, inside, -math.inf, inside, -math.inf], dtype=torch.float64)
    torch.testing.assert_close(log_density, expected)


@pytest.mark.parametrize("batch", [(), (0,), (2, 3)])
def test_batch_shapes(batch: tuple[int, ...]) -> None:
    manifold = Sphere(2)
    x0 = manifold.project(torch.randn(*batch, 3))
    x1 = manifold.project(torch.randn(*batch, 3))
    x_t, u_t = GeodesicPath(manifold).sample(torch.rand(batch), x0, x1)
    assert x_t.shape == u_t.shape == (*batch, 3)
