"""The marginal of a finite data set: sums over the data, the continuity equation, samples, what regression finds."""

import math
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor

import rmatch as rm
from rmatch.distributions import Distribution, Mixture, Uniform, WrappedNormal
from rmatch.manifolds import Euclidean, Lorentz, Manifold, PoincareBall, Product, SpecialOrthogonal, Sphere, Torus
from rmatch.paths import Cosine, EmpiricalPath, GeodesicPath, StochasticInterpolant

F64 = torch.float64


def some_points(M: Manifold, rows: int, seed: int = 0) -> Tensor:
    origin = M.origin(dtype=F64).expand(rows, *M.point_shape)
    return M.exp(origin, 0.7 * M.random_tangent(origin, generator=torch.Generator().manual_seed(seed)))


def base_of(M: Manifold) -> Distribution:
    return Uniform(M) if math.isfinite(M.volume) else WrappedNormal(M, M.origin(dtype=F64), 1.0)


def with_noise(M: Manifold) -> EmpiricalPath:
    return EmpiricalPath(StochasticInterpolant(M, 0.5, floor=0.3), some_points(M, 4), some_points(M, 4, 1))


GEODESIC: list[Manifold] = [Sphere(2), Torus(2), Euclidean(2), PoincareBall(2), Lorentz(3)]
NOISY: list[Manifold] = [
    SpecialOrthogonal(3),
    Sphere(2),
    Sphere(3),
    Torus(2),
    Euclidean(2),
    PoincareBall(2),
    Product(Sphere(2), Torus(1)),
]
every_geodesic = pytest.mark.parametrize("M", GEODESIC, ids=repr)
every_noisy = pytest.mark.parametrize("M", NOISY, ids=repr)


@every_geodesic
@pytest.mark.parametrize("t", [0.0, 0.3, 0.8])
def test_along_geodesics_it_is_the_mean_of_the_conditional_laws(M: Manifold, t: float) -> None:
    path, data, x = GeodesicPath(M, Cosine()), some_points(M, 4), some_points(M, 6, 2)
    marginal = EmpiricalPath(path, data, base_of(M))
    time = torch.full((6,), t, dtype=F64)
    densities = torch.stack([path.log_conditional(time, x, x1.expand_as(x), base_of(M)).exp() for x1 in data])
    velocities = torch.stack([path.velocity(time, x, x1.expand_as(x)) for x1 in data])
    torch.testing.assert_close(marginal.log_prob(t, x).exp(), densities.mean(0), rtol=1e-12, atol=1e-14)
    mean = (densities.unsqueeze(-1) * velocities).sum(0) / densities.sum(0).clamp_min(1e-300).unsqueeze(-1)
    torch.testing.assert_close(marginal.velocity(t, x), mean, rtol=1e-11, atol=1e-12)
    fast, _ = rm.posterior_velocity(path, time, x, data, base_of(M))
    torch.testing.assert_close(marginal.velocity(t, x), fast, rtol=1e-9, atol=1e-9)


def test_in_flat_space_from_a_normal_base_it_is_a_mixture_of_normal_laws() -> None:
    """x_t = (1 - t) x_0 + t x_1 is N(t x_1, (1 - t)²), and p_t and its score those of the mixture."""
    M = Euclidean(2)
    data, x, t = some_points(M, 4), some_points(M, 6, 2), 0.6
    marginal = EmpiricalPath(GeodesicPath(M), data, base_of(M))
    mixture = Mixture([WrappedNormal(M, t * x1, 1 - t) for x1 in data])
    torch.testing.assert_close(marginal.log_prob(t, x), mixture.log_prob(x), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(marginal.score(t, x), mixture.score(x), rtol=1e-10, atol=1e-10)
    # for this base the field and the score are one another's function: V = (x + (1 - t) ∇log p) / t
    torch.testing.assert_close(marginal.velocity(t, x), (x + (1 - t) * mixture.score(x)) / t, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("M", [Sphere(2), Euclidean(2), PoincareBall(2), Lorentz(3)], ids=repr)
def test_along_geodesics_density_and_field_satisfy_the_continuity_equation(M: Manifold) -> None:
    """∂ log p/∂t = -Div V - <V, ∇log p>; early, when on the sphere no point is at the edge of what a path reaches."""
    path, x, t, h = EmpiricalPath(GeodesicPath(M), some_points(M, 4), base_of(M)), some_points(M, 6, 2), 0.2, 1e-3
    k = [path.log_prob(t + step * h, x) for step in (-2, -1, 1, 2)]
    rate = (k[0] - 8 * k[1] + 8 * k[2] - k[3]) / (12 * h)
    velocity, divergence = M.value_and_divergence(lambda y: path.velocity(t, y))(x)
    torch.testing.assert_close(rate, -divergence - M.inner(x, velocity, path.score(t, x)), rtol=1e-8, atol=1e-8)


@every_noisy
def test_with_noise_density_and_field_satisfy_the_continuity_equation(M: Manifold) -> None:
    path, x, h = with_noise(M), some_points(M, 6, 2), 1e-3
    for t in (0.3, 0.8):
        k = [path.log_prob(t + step * h, x) for step in (-2, -1, 1, 2)]
        rate = (k[0] - 8 * k[1] + 8 * k[2] - k[3]) / (12 * h)
        velocity, divergence = M.value_and_divergence(lambda y, t=t: path.velocity(t, y))(x)
        expected = -divergence - M.inner(x, velocity, path.score(t, x))
        torch.testing.assert_close(rate, expected, rtol=1e-7, atol=1e-7)


@every_noisy
def test_with_noise_the_closed_score_is_the_gradient(M: Manifold) -> None:
    path, x = with_noise(M), some_points(M, 6, 2)
    expected = M.gradient(lambda y: path.log_prob(0.4, y))(x)
    torch.testing.assert_close(path.score(0.4, x), expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("t", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("M", [Sphere(2), Torus(2)], ids=repr)
def test_with_noise_it_has_mass_one(M: Manifold, t: float) -> None:
    path = with_noise(M)
    assert float(M.integrate(lambda x: path.log_prob(t, x).exp(), degree=80)) == pytest.approx(1.0, abs=1e-11)


@every_noisy
def test_with_noise_samples_follow_the_density(M: Manifold) -> None:
    path = with_noise(M)
    x = path.sample(0.4, (3000,), generator=torch.Generator().manual_seed(0))
    mixture = Mixture([path.path.kernel(torch.tensor(0.4), a, b) for a, b in zip(path.base, path.data, strict=True)])  # type: ignore[union-attr]
    y = mixture.sample((3000,), generator=torch.Generator().manual_seed(1))
    result: Any = stats.ks_2samp(path.log_prob(0.4, x).numpy(), path.log_prob(0.4, y).numpy())
    assert result.pvalue > 1e-3


def test_on_the_globe_samples_along_geodesics_follow_the_density() -> None:
    """The mean height of samples against the quadrature of the density, within 4.5 standard errors."""
    M = Sphere(2)
    path = EmpiricalPath(GeodesicPath(M), some_points(M, 3), Uniform(M))
    x = path.sample(0.4, (20_000,), generator=torch.Generator().manual_seed(0))
    for i in range(3):
        mean = float(M.integrate(lambda z, i=i: path.log_prob(0.4, z).exp() * z[..., i], degree=200))
        assert abs(float(x[:, i].mean()) - mean) < 4.5 * float(x[:, i].std()) / math.sqrt(20_000) + 1e-3


def test_its_field_is_what_the_flow_matching_loss_regresses_to() -> None:
    """E |W - u_t|² = E |W - V|² + E |V - u_t|² for any field W: the difference of two fields' losses is that to V."""
    M = Euclidean(2)
    data = some_points(M, 5)
    marginal = EmpiricalPath(GeodesicPath(M), data, base_of(M))
    generator = torch.Generator().manual_seed(0)
    count = 200_000
    x1 = data[torch.randint(5, (count,), generator=generator)]
    x0 = base_of(M).sample((count,), generator=generator)
    t = torch.rand(count, generator=generator, dtype=F64) * 0.9
    x_t, u_t = marginal.path.sample(t, x0, x1)
    v = marginal.velocity(t, x_t)
    w = torch.stack([x_t[:, 1].sin(), t], -1)
    cross = ((w - v) * (v - u_t)).sum(-1)  # its mean is zero if V is the conditional mean of u_t
    assert abs(float(cross.mean())) < 4.5 * float(cross.std()) / math.sqrt(count)


@pytest.mark.parametrize("M", [Sphere(2), Torus(2)], ids=repr)
def test_a_batch_of_times_is_one_time_for_each_point(M: Manifold) -> None:
    x, t = some_points(M, 3, 2), torch.tensor([0.1, 0.5, 0.9], dtype=F64)
    for path in (with_noise(M), EmpiricalPath(GeodesicPath(M), some_points(M, 4), Uniform(M))):
        for name in ("log_prob", "velocity", "score"):
            if name == "score" and isinstance(path.base, Uniform):
                continue
            single = torch.stack([getattr(path, name)(float(time), point) for time, point in zip(t, x, strict=True)])
            torch.testing.assert_close(getattr(path, name)(t, x), single, rtol=1e-12, atol=1e-12)


def test_where_no_path_comes_through_there_is_no_density_and_no_velocity() -> None:
    M = Torus(1)
    path = EmpiricalPath(GeodesicPath(M), torch.tensor([[1.0]], dtype=F64), Uniform(M))
    x = torch.tensor([4.0], dtype=F64)  # at t = 0.9 all points are within 0.1 π of the end point
    assert float(path.log_prob(0.9, x)) == -math.inf
    assert float(path.velocity(0.9, x)) == 0.0


def test_what_cannot_be_used_is_refused() -> None:
    M, x = Sphere(2), torch.eye(3)
    geodesic, noisy = GeodesicPath(M), StochasticInterpolant(M, 0.1)
    with pytest.raises(rm.OptionError, match="takes the law of its base points"):
        EmpiricalPath(geodesic, x, x)
    with pytest.raises(rm.OptionError, match=r"takes start points .* got Uniform"):
        EmpiricalPath(noisy, x, Uniform(M))
    with pytest.raises(rm.OptionError, match=r"the path is on Sphere\(2\) but the base on Torus\(2\)"):
        EmpiricalPath(geodesic, x, Uniform(Torus(2)))
    with pytest.raises(rm.ShapeError, match="each of the 3 data points has one start point, got 2"):
        EmpiricalPath(noisy, x, x[:2])
    with pytest.raises(rm.ShapeError, match=r"the data of an empirical path have shape \(N, 3\)"):
        EmpiricalPath(geodesic, x[0], Uniform(M))
    with pytest.raises(rm.PointError):
        EmpiricalPath(geodesic, 2 * x, Uniform(M))
    path = EmpiricalPath(geodesic, x, Uniform(M))
    with pytest.raises(rm.OptionError, match="from 0 to 1"):
        path.log_prob(1.5, x)
    with pytest.raises(rm.OptionError, match="which has no density: take t < 1"):
        path.log_prob(1.0, x)
