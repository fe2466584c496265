"""The heat kernel of hyperbolic space: 60 digits, the heat equation, mass one, the semigroup, samples, both models."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import mpmath as mp
import pytest
import torch
from scipy import stats
from torch import Tensor

import rmatch as rm
from rmatch.distributions import HeatKernel
from rmatch.distributions._hyperbolic_heat import Hyperbolic, sample_distance
from rmatch.manifolds import HyperbolicSpace, Lorentz, PoincareBall, poincare_to_lorentz
from tests.distributions.integrals import distribution_function
from tests.distributions.reference_heat import Number, hyperbolic_plane, odd_hyperbolic

F64 = torch.float64
MEMBERS: list[HyperbolicSpace] = [
    Lorentz(2),
    PoincareBall(2),
    Lorentz(3, curvature=-0.4),
    PoincareBall(3, curvature=-2.0),
    Lorentz(1),
    PoincareBall(4),
]
every_member = pytest.mark.parametrize("M", MEMBERS, ids=repr)
TIMES = [1e-6, 1e-2, 0.35, 0.37, 1.8, 2.0, 9.0, 11.0, 35.0, 300.0]


def some_points(M: HyperbolicSpace, rows: int, seed: int = 0) -> Tensor:
    origin = M.origin(dtype=F64).expand(rows, *M.point_shape)
    return M.exp(origin, M.random_tangent(origin, generator=torch.Generator().manual_seed(seed)))


def reference(n: int) -> Callable[[Number, Number], Number]:
    return hyperbolic_plane if n == 2 else partial(odd_hyperbolic, n)


@pytest.mark.parametrize("t", TIMES)
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_without_its_exponent_the_logarithm_has_sixty_digits_rounded(n: int, t: float) -> None:
    """`log K + ρ²/2t`, up to a few roundings of its largest term."""
    rho = torch.tensor([1e-7, 0.5, 0.79, 0.81, 3.0, 20.0, 200.0], dtype=F64)
    actual = Hyperbolic().scaled_log(n, rho, rho, torch.full_like(rho, t))
    for value, distance in zip(actual.tolist(), rho.tolist(), strict=True):
        size = n * distance + (n - 1) ** 2 * t / 8 + abs(math.log(t)) * n
        assert abs(value - reference(n)(distance, t)) < 5e-15 + 5e-16 * size, distance


@pytest.mark.parametrize("t", [1e-2, 0.5, 4.0])
@pytest.mark.parametrize("n", [4, 6, 7])
def test_higher_dimensions_are_derivatives_of_lower_ones(n: int, t: float) -> None:
    """`K_{n+2} = e^{-nt/2} / 2π (-dK_n/dc)`, c = cosh ρ, in one or two numerical derivatives of the exact kernels."""
    lower, orders = {4: (2, 1), 6: (2, 2), 7: (5, 1)}[n]
    for distance in (0.06, 0.3, 0.9, 4.0):
        centre = mp.cosh(distance)

        def kernel(c: Number, lower: int = lower) -> Number:
            return mp.exp(reference(lower)(mp.acosh(c), t) - mp.acosh(c) ** 2 / (2 * mp.mpf(t)))

        h = mp.mpf(10) ** -9 * min(t, 1) * mp.sinh(distance)
        k = [kernel(centre + step * h) for step in (-1, 0, 1)]
        derivative = (k[0] - k[2]) / (2 * h) if orders == 1 else (k[0] - 2 * k[1] + k[2]) / h**2
        dimensions = [lower + 2 * i for i in range(orders)]
        expected = mp.log(derivative) - orders * mp.log(2 * mp.pi) - sum(dimensions) * mp.mpf(t) / 2
        rho = torch.tensor([distance], dtype=F64)
        actual = float(Hyperbolic().scaled_log(n, rho, rho, torch.full_like(rho, t)))
        assert abs(actual - (expected + mp.mpf(distance) ** 2 / (2 * mp.mpf(t)))) < 1e-13


@pytest.mark.parametrize("t", [1e-4, 0.5, 5.0])
@pytest.mark.parametrize("M", [Lorentz(2), PoincareBall(2), Lorentz(3), PoincareBall(3)], ids=repr)
def test_density_and_score_at_a_distance_from_the_origin_against_sixty_digits(M: HyperbolicSpace, t: float) -> None:
    """The distance from the origin is exact: 2 artanh|x| in the ball, arsinh|xs| on the hyperboloid."""
    origin = M.origin(dtype=F64)
    for distance in (1e-6, 0.02, 1.0, 6.0):
        x = M.exp(origin, distance * M.frame(origin)[0])
        size = mp.mpf(float(x[0 if isinstance(M, PoincareBall) else 1]))
        rho = 2 * mp.atanh(size) if isinstance(M, PoincareBall) else mp.asinh(size)
        exponent, h = rho**2 / (2 * mp.mpf(t)), mp.mpf(10) ** -12 * mp.sqrt(t)
        law = HeatKernel(M, origin, t)
        expected = reference(M.dim)(rho, t) - exponent
        assert abs(float(law.log_prob(x)) - expected) < 1e-14 + 5e-16 * float(exponent + 3 * abs(mp.log(t)) + 2 * rho)
        k = [reference(M.dim)(rho + step, t) - (rho + step) ** 2 / (2 * mp.mpf(t)) for step in (-h, h)]
        slope = float((k[1] - k[0]) / (2 * h))
        outward = -M.log(x, origin) / M.dist(x, origin)
        assert float(M.inner(x, law.score(x), outward)) == pytest.approx(slope, rel=2e-13)


@every_member
@pytest.mark.parametrize("t", [0.03, 0.5, 4.0])
def test_it_solves_the_heat_equation(M: HyperbolicSpace, t: float) -> None:
    """∂ log K/∂t = ½ (Δ log K + |∇ log K|²), also at the mean, the left side by a difference quotient."""
    x, h = some_points(M, 6), 1e-4 * t
    law = HeatKernel(M, x[0], t)
    k = [HeatKernel(M, x[0], t + step * h).log_prob(x) for step in (-2, -1, 1, 2)]
    rate = (k[0] - 8 * k[1] + 8 * k[2] - k[3]) / (12 * h)
    score = law.score(x)
    expected = (M.laplacian(law.log_prob)(x) + M.inner(x, score, score)) / 2
    torch.testing.assert_close(rate, expected, rtol=1e-9, atol=1e-9 / t)


@every_member
def test_the_closed_score_is_the_gradient_and_time_can_be_differentiated(M: HyperbolicSpace) -> None:
    x = some_points(M, 8)
    for t in (0.03, 0.5, 4.0):
        law = HeatKernel(M, x[0], t)
        torch.testing.assert_close(law.score(x), M.gradient(law.log_prob)(x), rtol=1e-11, atol=1e-12 / t)
        torch.testing.assert_close(M.divergence(law.score)(x), M.laplacian(law.log_prob)(x), rtol=1e-9, atol=1e-9 / t)
    time = torch.tensor(0.4, dtype=F64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: HeatKernel(M, x[0], t).log_prob(x), (time,))
    assert torch.autograd.gradgradcheck(lambda t: HeatKernel(M, x[0], t).log_prob(x), (time,))


def test_both_models_have_one_density_and_curvature_is_a_unit_of_length() -> None:
    ball, hyperboloid = PoincareBall(2), Lorentz(2)
    x = some_points(ball, 5)
    law = HeatKernel(ball, x[0], 0.7)
    there = HeatKernel(hyperboloid, poincare_to_lorentz(x[0]), 0.7)
    torch.testing.assert_close(there.log_prob(poincare_to_lorentz(x)), law.log_prob(x), rtol=1e-12, atol=1e-12)
    large = HeatKernel(PoincareBall(2, curvature=-1 / 9), 3 * x[0], 9 * 0.7)
    torch.testing.assert_close(large.log_prob(3 * x), law.log_prob(x) - 2 * math.log(3), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("t", [1e-4, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("M", [PoincareBall(2), Lorentz(3), Lorentz(3, curvature=-0.4), Lorentz(4)], ids=repr)
def test_the_density_has_mass_one(M: HyperbolicSpace, t: float) -> None:
    """|S^{n-1}| ∫ K (R sinh r/R)^{n-1} dr by Gauss–Legendre over the distances that matter."""
    from scipy.special import roots_legendre

    nodes, weights = (torch.from_numpy(part) for part in roots_legendre(200))
    n, r, origin = M.dim, M.radius, M.origin(dtype=F64)
    end = (n - 1) / 2 * t / r + math.sqrt(t) * (math.sqrt(n) + 9)
    distance = end * (nodes + 1) / 2
    x = M.exp(origin, distance.unsqueeze(-1) * M.frame(origin)[0])
    area = 2 * math.pi ** (n / 2) / math.gamma(n / 2)
    ring = area * (r * (distance / r).sinh()) ** (n - 1) * HeatKernel(M, origin, t).log_prob(x).exp()
    assert float((ring * weights).sum() * end / 2) == pytest.approx(1.0, abs=1e-11)


@pytest.mark.parametrize("M", [PoincareBall(2), Lorentz(3)], ids=repr)
def test_two_motions_one_after_the_other_are_one_motion(M: HyperbolicSpace) -> None:
    """The semigroup law ∫ K(s, x, z) K(t, z, y) dV(z) = K(s + t, x, y), with x at the centre of the quadrature."""
    origin = M.origin(dtype=F64)
    for distance in (0.0, 0.3, 0.8):
        y = M.exp(origin, distance * M.frame(origin)[0])
        first, second = HeatKernel(M, origin, 0.1), HeatKernel(M, y, 0.3)
        value = M.integrate(lambda z, p=first, q=second: (p.log_prob(z) + q.log_prob(z)).exp(), degree=60)
        expected = float(HeatKernel(M, origin, 0.4).log_prob(y).exp())
        assert float(value) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("t", [1e-3, 0.5, 6.0])
@pytest.mark.parametrize("M", [PoincareBall(2), Lorentz(2), Lorentz(3, curvature=-0.4), Lorentz(6)], ids=repr)
def test_samples_follow_the_density(M: HyperbolicSpace, t: float) -> None:
    """Kolmogorov–Smirnov on the distance to the mean, at 1e5 points once, and no preferred side."""
    count = 100_000 if (M, t) == (Lorentz(2), 0.5) else 10_000
    mean = some_points(M, 1)[0]
    law = HeatKernel(M, mean, t)
    x = law.sample((count,), generator=torch.Generator().manual_seed(M.dim))
    n, r = M.dim, M.radius
    distance = torch.linspace(0, (n - 1) / 2 * t / r + math.sqrt(t) * (math.sqrt(n) + 7), 4000, dtype=F64)
    points = M.exp(mean, distance.unsqueeze(-1) * M.frame(mean)[0])
    area = 2 * math.pi ** (n / 2) / math.gamma(n / 2)
    ring = area * (r * (distance / r).sinh()) ** (n - 1) * law.log_prob(points).exp()
    result: Any = stats.kstest(M.dist(x, mean).numpy(), distribution_function(distance, ring))
    assert result.pvalue > 1e-3
    v = M.log(mean, x)
    for across in M.frame(mean):
        side = M.inner(mean, v, across) / M.norm(mean, v)
        assert abs(float(side.mean())) < 4.5 * float(side.std()) / math.sqrt(count)


@pytest.mark.parametrize("n", [2, 3, 4, 7, 12])
def test_the_sampler_never_proposes_too_little(n: int) -> None:
    """The ratio of densities of `sample_distance` stays below the bound that it uses, at 2000 distances."""
    from scipy.special import gammaln, ive

    for t in (1e-4, 0.1, 1.0, 10.0, 100.0):
        rho = torch.linspace(0.0, (n - 1) * t + 12 * math.sqrt(n * t), 2000, dtype=F64)
        z = (n - 1) / 2 * rho[1:]
        drift = torch.from_numpy(ive(n / 2 - 1, z.numpy())).log() + z + gammaln(n / 2) - (n / 2 - 1) * (z / 2).log()
        times = torch.full_like(rho, t)
        log_ratio = Hyperbolic().scaled_log(n, rho, rho, times)[1:] - drift
        log_ratio = log_ratio + (n - 1) * (rho[1:].sinh().log() - rho[1:].log()).nan_to_num(posinf=0.0)
        at_zero = float(Hyperbolic().scaled_log(n, rho[:1], rho[:1], times[:1]))
        bound = math.log(math.pi / 2) / 2 - t / 8 - math.log(2 * math.pi * t) if n == 2 else at_zero
        assert float(log_ratio[rho[1:] < 600].max()) <= bound + 1e-10


def test_samples_at_their_own_times_have_their_own_spread() -> None:
    times = torch.tensor([0.01, 1.0, 9.0], dtype=F64)
    distance = sample_distance(3, times.repeat(4000), torch.Generator().manual_seed(0)).reshape(4000, 3)
    for k, t in enumerate(times.tolist()):  # on H³ E ρ² = 3t + t²: a normal vector of variance t around one of length t
        second = distance[:, k].square()
        assert abs(float(second.mean()) - (3 * t + t * t)) < 4.5 * float(second.std()) / math.sqrt(4000)


@every_member
def test_batches_types_and_transforms(M: HyperbolicSpace) -> None:
    means, times = some_points(M, 3), torch.tensor([0.01, 0.4, 3.0], dtype=F64)
    law = HeatKernel(M, means, times)
    x = law.sample((5,), generator=torch.Generator().manual_seed(0))
    assert x.shape == (5, 3, *M.point_shape)
    assert M.check_point(x) is None
    singles = [HeatKernel(M, mean, float(t)) for mean, t in zip(means, times, strict=True)]
    expected = torch.stack([single.log_prob(x[:, k]) for k, single in enumerate(singles)], 1)
    torch.testing.assert_close(law.log_prob(x), expected, rtol=1e-13, atol=1e-13)
    single, y = singles[1], x[:, 1]
    torch.testing.assert_close(torch.vmap(single.log_prob)(y), single.log_prob(y), rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(torch.vmap(single.score)(y), single.score(y), rtol=1e-12, atol=1e-12)
    coarse = M.project(y.float())
    assert single.log_prob(coarse).dtype == single.score(coarse).dtype == torch.float32
    fine = single.log_prob(M.project(coarse.double()))
    torch.testing.assert_close(single.log_prob(coarse).double(), fine, rtol=1e-6, atol=1e-6)


def test_far_out_density_and_score_are_finite() -> None:
    """At distances where cosh ρ is 1e65, and next to the boundary of the ball."""
    M = Lorentz(2)
    origin = M.origin(dtype=F64)
    x = M.exp(origin, torch.tensor([[10.0], [60.0], [150.0]], dtype=F64) * M.frame(origin)[0])
    for t in (0.1, 10.0, 1000.0):
        law = HeatKernel(M, origin, t)
        assert bool(law.log_prob(x).isfinite().all() and law.score(x).isfinite().all())
        assert bool(M.gradient(law.log_prob)(x).isfinite().all())
    ball = PoincareBall(3)
    edge = ball.project(torch.tensor([2.0, 0.0, 0.0], dtype=F64))
    assert bool(HeatKernel(ball, ball.origin(dtype=F64), 1.0).score(edge).isfinite().all())


def test_where_no_kernel_is_known_it_says_so() -> None:
    with pytest.raises(rm.OptionError, match=r"no heat kernel is known on SPD\(2\); use Sphere, .*Lorentz"):
        HeatKernel(rm.SPD(2), torch.eye(2), 1.0)
