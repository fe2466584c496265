"""The heat kernel: 60 digits at every time and angle, the heat equation, mass one, the semigroup, exact samples."""

import math
from functools import partial
from typing import Any

import mpmath as mp
import pytest
import torch
from scipy import stats
from torch import Tensor

import rmatch as rm
from rmatch.distributions import HeatKernel, Uniform
from rmatch.distributions._sphere_heat import Round
from rmatch.manifolds import Euclidean, Manifold, Product, Sphere, Torus
from tests.distributions.integrals import distribution_function
from tests.distributions.reference_heat import Number, globe_by_integral, odd_sphere, sphere_by_harmonics
from tests.manifolds.reference import exact, sphere_angle, unit

F64 = torch.float64
PI = math.pi
SMOOTH: list[Manifold] = [Sphere(1), Sphere(2, radius=0.7), Sphere(3), Torus(2), Torus(2, (1.5, 8.0)), Euclidean(2)]
MEMBERS = [*SMOOTH, Sphere(2), Sphere(4), Torus(1), Product(Sphere(2), Torus(1))]


def some_points(M: Manifold, rows: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return M.project(torch.randn(rows, *M.point_shape, generator=generator, dtype=F64) * 2)


def at_angle(M: Sphere, mean: Tensor, theta: float) -> Tensor:
    return M.project(M.exp(mean, theta * M.frame(mean)[0]))


def true_angle(x: Tensor, y: Tensor) -> Number:
    """The angle between two arrays of floats, as they are."""
    return sphere_angle(unit(exact(x)), unit(exact(y)))


def close(actual: float, scaled: Number, theta: Number, t: float, digits: float = 2e-14) -> bool:
    """Whether log K is right up to `digits` and two roundings of its largest term, θ²/2t."""
    exponent = theta**2 / (2 * mp.mpf(t))
    return abs(mp.mpf(actual) - (scaled - exponent)) < digits + 5e-16 * float(exponent)


def same_law(a: Tensor, b: Tensor) -> bool:
    """Whether two sets of numbers could come from one law (Kolmogorov–Smirnov)."""
    result: Any = stats.ks_2samp(a.numpy(), b.numpy())
    return result.pvalue > 1e-3


# ---------------------------------------------------------------------------------------------- the sphere, in digits

EARLY = [1e-6, 1e-4, 1e-2, 0.1]
LATE = [0.5, 1.0, 1.79, 1.8, 3.0, 10.0]
NEAR_ANTIPODE = [PI - 1e-2, PI - 1e-6, PI]


@pytest.mark.parametrize("t", EARLY)
def test_on_the_globe_at_early_times_it_is_mckeans_integral(t: float) -> None:
    M, mean = Sphere(2), some_points(Sphere(2), 1)[0]
    for theta in [1e-8, math.sqrt(t), 1.5, PI - 1e-6, PI]:
        x = -mean if theta == PI else at_angle(M, mean, theta)
        angle = true_angle(x, mean)
        assert close(float(HeatKernel(M, mean, t).log_prob(x)), globe_by_integral(angle, t), angle, t), theta


@pytest.mark.parametrize("t", LATE)
@pytest.mark.parametrize("n", [1, 2, 3, 6, 15])
def test_on_a_sphere_at_late_times_it_is_the_sum_of_harmonics(n: int, t: float) -> None:
    M, mean = Sphere(n), some_points(Sphere(n), 1)[0]
    for theta in [0.0, 1e-8, 0.6, 1.5, 1.6, 2.5, *NEAR_ANTIPODE]:
        x = -mean if theta == PI else at_angle(M, mean, theta)
        angle = true_angle(x, mean)
        assert close(float(HeatKernel(M, mean, t).log_prob(x)), sphere_by_harmonics(n, angle, t), angle, t), theta


@pytest.mark.parametrize("t", [0.03, 0.2])
@pytest.mark.parametrize("n", [1, 2, 4, 7, 15])
def test_on_a_sphere_at_early_times_it_is_the_sum_of_harmonics_too(n: int, t: float) -> None:
    M, mean = Sphere(n), some_points(Sphere(n), 1)[0]
    for theta in [0.0, 0.3, 1.6, PI - 1e-2, PI]:
        x = -mean if theta == PI else at_angle(M, mean, theta)
        angle = true_angle(x, mean)
        assert close(float(HeatKernel(M, mean, t).log_prob(x)), sphere_by_harmonics(n, angle, t), angle, t, 4e-14)


@pytest.mark.parametrize("t", [1e-8, 1e-4, 0.3, 1.5])
@pytest.mark.parametrize("n", [1, 3, 5])
def test_on_odd_spheres_it_is_the_derivative_of_a_theta_sum(n: int, t: float) -> None:
    M, mean = Sphere(n), some_points(Sphere(n), 1)[0]
    for theta in [1e-6, 0.7, 2.0, PI - 1e-2, PI - 1e-6]:
        x = at_angle(M, mean, theta)
        angle = true_angle(x, mean)
        assert close(float(HeatKernel(M, mean, t).log_prob(x)), odd_sphere(n, angle, t), angle, t), theta


@pytest.mark.parametrize("t", [1e-10, 1e-6, 1e-2])
def test_without_its_exponent_the_logarithm_is_right_to_the_last_digits(t: float) -> None:
    """`log K + θ²/2t`, from which scores are made: there a rounding of θ²/2t = 5e6 would be seen."""
    rests = [mp.mpf(1), 10 * mp.mpf(t), mp.mpf(t) / 10]
    angles = [mp.mpf(10) ** -9, *(mp.pi - rest for rest in rests)]
    theta, rest = (torch.tensor([float(v) for v in part], dtype=F64) for part in (angles, [mp.pi - a for a in angles]))
    for n, expected in ((2, globe_by_integral), (3, partial(odd_sphere, 3))):
        actual = Round().scaled_log(n, theta, rest, torch.full_like(theta, t))
        for value, angle in zip(actual.tolist(), angles, strict=True):
            assert abs(value - expected(angle, t)) < 2e-14


def test_the_references_agree_with_each_other() -> None:
    for theta, t in ((0.5, 0.1), (3.0, 0.3)):
        assert abs(globe_by_integral(theta, t) - sphere_by_harmonics(2, theta, t)) < 1e-25
        for n in (1, 3, 5):
            assert abs(odd_sphere(n, theta, t) - sphere_by_harmonics(n, theta, t)) < 1e-40


@pytest.mark.parametrize("t", [1e-6, 1e-2, 0.5, 3.0])
@pytest.mark.parametrize("theta", [1e-3, 0.6, 2.5, PI - 1e-6])
@pytest.mark.parametrize("n", [2, 3])
def test_the_score_on_a_sphere_against_sixty_digits(n: int, theta: float, t: float) -> None:
    """-∂_θ log K, by a difference quotient of 25 digits, along the geodesic to the mean."""
    M, mean = Sphere(n), some_points(Sphere(n), 1)[0]
    x = at_angle(M, mean, theta)
    angle, h = true_angle(x, mean), mp.mpf(10) ** -14 * mp.sqrt(t)

    def log_density(a: Number) -> Number:
        globe = globe_by_integral(a, t) if t < 0.1 else sphere_by_harmonics(2, a, t)
        return (odd_sphere(3, a, t) if n == 3 else globe) - a * a / (2 * mp.mpf(t))

    expected = float((log_density(angle - h) - log_density(angle + h)) / (2 * h))
    score = HeatKernel(M, mean, t).score(x)
    toward = M.log(x, mean) / M.dist(x, mean)
    assert float(score @ toward) == pytest.approx(expected, rel=1e-12)
    assert float((score - (score @ toward) * toward).norm()) < 1e-12 * abs(expected)


@pytest.mark.parametrize("t", [1e-6, 0.1, 5.0])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_at_the_mean_and_at_the_antipode_the_score_is_zero_and_the_curvature_finite(n: int, t: float) -> None:
    M, mean = Sphere(n), some_points(Sphere(n), 1)[0]
    law = HeatKernel(M, mean, t)
    for x in (law.mean, -law.mean):
        assert float(law.score(x).norm()) < 1e-15 / t
        assert bool(M.laplacian(law.log_prob)(x).isfinite())


# ------------------------------------------------------------------------------------------- torus and flat space


@pytest.mark.parametrize("t", [1e-8, 1e-2, 1.0, 2.49, 2.5, 2.51, 8.0, 60.0])
@pytest.mark.parametrize("delta", [0.0, 1e-9, 0.7, -2.5, 3.14159])
def test_on_a_circle_density_and_score_against_sixty_digits(delta: float, t: float) -> None:
    """By the sum over turns, also where the code sums the Fourier series. Next to the cut the score turns round by 2π/t
    within t/π, so there the rounding of the angle counts (π/t)² times."""
    law = HeatKernel(Torus(1), torch.tensor([3.1], dtype=F64), t)
    x = torch.tensor([3.1 + delta], dtype=F64)
    angle = mp.mpf(float(x)) - mp.mpf(float(law.mean))
    turns = [angle + 2 * mp.pi * k for k in range(-30, 31)]
    weights = [mp.exp(-(a * a - angle**2) / (2 * mp.mpf(t))) for a in turns]
    scaled = mp.log(mp.fsum(weights)) - mp.log(2 * mp.pi * mp.mpf(t)) / 2
    slope = -mp.fsum(a * w for a, w in zip(turns, weights, strict=True)) / mp.fsum(weights) / mp.mpf(t)
    assert close(float(law.log_prob(x)), scaled, angle, t, 4e-15)
    assert float(law.score(x)) == pytest.approx(float(slope), rel=1e-13, abs=1e-14 / t + 4e-16 * (PI / t) ** 2)


def test_on_a_torus_the_angles_are_independent() -> None:
    mean, x = some_points(Torus(3), 1)[0], some_points(Torus(3), 5, 1)
    parts = [HeatKernel(Torus(1), mean[i : i + 1], 0.7).log_prob(x[:, i : i + 1]) for i in range(3)]
    torch.testing.assert_close(HeatKernel(Torus(3), mean, 0.7).log_prob(x), torch.stack(parts).sum(0))


def test_a_radius_or_a_period_is_a_unit_of_length() -> None:
    """Brownian motion of time t on a space r times as large is r times that of time t/r²."""
    for small, large in ((Sphere(2), Sphere(2, radius=3.0)), (Torus(2), Torus(2, 6 * PI))):
        mean, x = some_points(small, 2)
        law, enlarged = HeatKernel(small, mean, 0.5), HeatKernel(large, 3 * mean, 4.5)
        torch.testing.assert_close(enlarged.log_prob(3 * x), law.log_prob(x) - 2 * math.log(3))
        torch.testing.assert_close(enlarged.score(3 * x), law.score(x) / 3)
        y = enlarged.sample((4000,), generator=torch.Generator().manual_seed(0))
        z = law.sample((4000,), generator=torch.Generator().manual_seed(1))
        assert same_law(large.dist(y, 3 * mean) / 3, small.dist(z, mean))


def test_on_a_product_the_factors_are_independent() -> None:
    M = Product(Sphere(2), Torus(1))
    mean, x = some_points(M, 2)
    law, parts = HeatKernel(M, mean, 0.4), list(zip(M.factors, M.split(mean), M.split(x), strict=True))
    singles = [(HeatKernel(factor, m, 0.4), y) for factor, m, y in parts]
    torch.testing.assert_close(law.log_prob(x), torch.stack([single.log_prob(y) for single, y in singles]).sum(0))
    torch.testing.assert_close(law.score(x), M.join([single.score(y) for single, y in singles]))
    y = law.sample((4000,), generator=torch.Generator().manual_seed(0))
    for factor, m, part in zip(M.factors, M.split(mean), M.split(y), strict=True):
        z = HeatKernel(factor, m, 0.4).sample((4000,), generator=torch.Generator().manual_seed(1))
        assert same_law(factor.dist(part, m), factor.dist(z, m))


def test_in_space_it_is_the_normal_law() -> None:
    mean, x = some_points(Euclidean(3), 1)[0], some_points(Euclidean(3), 5, 1)
    normal = torch.distributions.Normal(mean, torch.tensor(math.sqrt(0.7), dtype=F64))
    law = HeatKernel(Euclidean(3), mean, 0.7)
    torch.testing.assert_close(law.log_prob(x), normal.log_prob(x).sum(-1))
    torch.testing.assert_close(law.score(x), (mean - x) / 0.7)


# ------------------------------------------------------------------------------------------------------------- laws


@pytest.mark.parametrize("t", [0.03, 0.4, 1.8, 2.6, 9.0])
@pytest.mark.parametrize("M", [*SMOOTH, Sphere(4)], ids=repr)
def test_it_solves_the_heat_equation(M: Manifold, t: float) -> None:
    """∂ log K/∂t = ½ (Δ log K + |∇ log K|²), the left side by a difference quotient of the values."""
    mean, x = some_points(M, 1)[0], some_points(M, 6, 1)
    x = torch.cat([x, mean.unsqueeze(0), -mean.unsqueeze(0)]) if isinstance(M, Sphere) else x
    law, h = HeatKernel(M, mean, t), 1e-4 * t
    k = [HeatKernel(M, mean, t + step * h).log_prob(x) for step in (-2, -1, 1, 2)]
    rate = (k[0] - 8 * k[1] + 8 * k[2] - k[3]) / (12 * h)
    score = law.score(x)
    expected = (M.laplacian(law.log_prob)(x) + M.inner(x, score, score)) / 2
    torch.testing.assert_close(rate, expected, rtol=1e-9, atol=1e-10 / t)


@pytest.mark.parametrize("M", SMOOTH, ids=repr)
def test_time_can_be_differentiated_and_is_right_twice(M: Manifold) -> None:
    mean, x = some_points(M, 1)[0], some_points(M, 3, 1)

    def log_prob(time: Tensor, y: Tensor, m: Tensor) -> Tensor:
        return HeatKernel(M, M.project(m), time).log_prob(M.project(y))

    inputs = (torch.tensor(0.3, dtype=F64).requires_grad_(), x.requires_grad_(), mean.requires_grad_())
    assert torch.autograd.gradcheck(log_prob, inputs)
    assert torch.autograd.gradgradcheck(log_prob, inputs)


@pytest.mark.parametrize("t", [0.02, 0.5, 3.0])
@pytest.mark.parametrize("M", MEMBERS, ids=repr)
def test_the_closed_score_is_the_gradient_of_the_log_density(M: Manifold, t: float) -> None:
    law, x = HeatKernel(M, some_points(M, 1)[0], t), some_points(M, 20, 1)
    torch.testing.assert_close(law.score(x), M.gradient(law.log_prob)(x), rtol=1e-12, atol=1e-13 / t)
    torch.testing.assert_close(M.divergence(law.score)(x), M.laplacian(law.log_prob)(x), rtol=1e-11, atol=1e-12 / t)


@pytest.mark.parametrize("t", [0.02, 0.3, 2.0, 20.0])
@pytest.mark.parametrize("M", [Sphere(1), Sphere(2), Torus(1), Torus(2)], ids=repr)
def test_the_density_has_mass_one_by_quadrature(M: Manifold, t: float) -> None:
    law = HeatKernel(M, some_points(M, 1)[0], t)
    assert float(M.integrate(lambda x: law.log_prob(x).exp(), degree=120)) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("t", [1e-6, 1e-3, 0.1, 1.0])
@pytest.mark.parametrize("n", [2, 3, 8, 15])
def test_the_radial_density_has_mass_one(n: int, t: float) -> None:
    """|S^{n-1}| ∫ K sin^{n-1} θ dθ by Gauss–Legendre over the angles that matter."""
    M = Sphere(n)
    nodes, weights = (torch.as_tensor(part) for part in torch_legendre(120))
    end = min(PI, math.sqrt(t) * (math.sqrt(n) + 9))
    theta = end * (nodes + 1) / 2
    x = M.exp(M.origin(dtype=F64), theta.unsqueeze(-1) * M.frame(M.origin(dtype=F64))[0])
    area = 2 * PI ** (n / 2) / math.gamma(n / 2)
    ring = area * theta.sin() ** (n - 1) * HeatKernel(M, M.origin(dtype=F64), t).log_prob(x).exp()
    assert float((ring * weights).sum() * end / 2) == pytest.approx(1.0, abs=1e-12)


def torch_legendre(count: int) -> tuple[Tensor, Tensor]:
    from scipy.special import roots_legendre

    nodes, weights = roots_legendre(count)
    return torch.from_numpy(nodes), torch.from_numpy(weights)


@pytest.mark.parametrize(("s", "t"), [(0.01, 0.02), (0.05, 0.6)])
@pytest.mark.parametrize("M", [Sphere(2), Torus(2), Sphere(1)], ids=repr)
def test_two_motions_one_after_the_other_are_one_motion(M: Manifold, s: float, t: float) -> None:
    """The semigroup law ∫ K(s, x, z) K(t, z, y) dV(z) = K(s + t, x, y), next to each other and far apart."""
    x = some_points(M, 1)[0]
    for y in (x, M.exp(x, 0.3 * M.frame(x)[0]), M.exp(x, 1.0 * M.frame(x)[0])):
        first, second = HeatKernel(M, x, s), HeatKernel(M, y, t)
        value = M.integrate(lambda z, p=first, q=second: (p.log_prob(z) + q.log_prob(z)).exp(), degree=150)
        expected = float(HeatKernel(M, x, s + t).log_prob(y).exp())
        assert float(value) == pytest.approx(expected, abs=1e-12 / s)


def test_it_tends_to_the_uniform_law() -> None:
    for M in (Sphere(2), Torus(2)):
        x = some_points(M, 5)
        law = HeatKernel(M, some_points(M, 1, 1)[0], 100.0)
        torch.testing.assert_close(law.log_prob(x), Uniform(M).log_prob(x), rtol=1e-15, atol=1e-15)


@pytest.mark.parametrize("M", [Sphere(2), Sphere(3), Torus(2)], ids=repr)
def test_mean_and_point_can_change_places(M: Manifold) -> None:
    x, y = some_points(M, 1)[0], some_points(M, 1, 1)[0]
    assert float(HeatKernel(M, x, 0.4).log_prob(y)) == pytest.approx(
        float(HeatKernel(M, y, 0.4).log_prob(x)), rel=1e-14
    )


# ---------------------------------------------------------------------------------------------------------- samples


@pytest.mark.parametrize("t", [1e-4, 0.3, 1.5, 4.0])
@pytest.mark.parametrize("n", [1, 2, 3, 15])
def test_sphere_samples_follow_the_density(n: int, t: float) -> None:
    """Kolmogorov–Smirnov on the angle to the mean: 10,000 points, and 100,000 once on the globe."""
    M, mean = Sphere(n), some_points(Sphere(n), 1)[0]
    law, count = HeatKernel(M, mean, t), 100_000 if (n, t) == (2, 0.3) else 10_000
    x = law.sample((count,), generator=torch.Generator().manual_seed(n))
    end = min(PI, math.sqrt(t) * (math.sqrt(n) + 8))
    theta = torch.linspace(0, end, 4000, dtype=F64)
    area = 2 * PI ** (n / 2) / math.gamma(n / 2)
    points = M.exp(law.mean, theta.unsqueeze(-1) * M.frame(law.mean)[0])
    ring = area * theta.sin() ** (n - 1) * law.log_prob(points).exp()
    assert stats.kstest(M.dist(x, law.mean).numpy(), distribution_function(theta, ring)).pvalue > 1e-3
    for across in M.frame(law.mean):
        side = x @ across
        assert abs(float(side.mean())) < 4.5 * float(side.std()) / math.sqrt(count)


@pytest.mark.parametrize("n", [2, 3, 7, 15, 20])
def test_the_sampler_never_proposes_too_little(n: int) -> None:
    """The acceptance probability of `sample_angle` is at most 1: the ratio of the densities is largest at angle 0."""
    theta = torch.linspace(0, PI, 400, dtype=F64)
    for t in torch.logspace(-5, 0.7, 30, dtype=F64):
        log_kernel = Round().scaled_log(n, theta, PI - theta, t.expand_as(theta)) - theta.square() / (2 * t)
        assert float(log_kernel.max() - log_kernel[0]) <= 1e-13
        width = t / (1 + 2 * (n - 1) / 15 * t)
        if n / 2 * math.log(2 * PI * width) < math.log(Sphere(n).volume):
            ratio = log_kernel + theta.square() / (2 * width) + (n - 1) * torch.sinc(theta / PI).log()
            assert float(ratio.max() - ratio[0]) <= 1e-13


@pytest.mark.parametrize("t", [0.05, 2.0])
def test_torus_and_normal_samples_follow_the_density(t: float) -> None:
    law = HeatKernel(Torus(2), torch.tensor([0.1, 6.2], dtype=F64), t)
    x = law.sample((20_000,), generator=torch.Generator().manual_seed(0))
    grid = torch.linspace(0, 2 * PI - 1e-12, 4000, dtype=F64)
    for i in range(2):
        density = HeatKernel(Torus(1), law.mean[i : i + 1], t).log_prob(grid.unsqueeze(-1)).exp()
        assert stats.kstest(x[:, i].numpy(), distribution_function(grid, density)).pvalue > 1e-3
    y = HeatKernel(Euclidean(1), torch.tensor([2.0], dtype=F64), t).sample((20_000,))
    assert stats.kstest(y[:, 0].numpy(), stats.norm(2.0, math.sqrt(t)).cdf).pvalue > 1e-3


# ------------------------------------------------------------------------------------------------- batches and types


@pytest.mark.parametrize("M", SMOOTH, ids=repr)
def test_batches_of_means_and_times_are_one_law_each(M: Manifold) -> None:
    means, times = some_points(M, 4), torch.tensor([0.01, 0.4, 2.6, 1.9], dtype=F64)
    law = HeatKernel(M, means, times)
    x = law.sample((5,), generator=torch.Generator().manual_seed(0))
    assert x.shape == (5, 4, *M.point_shape)
    singles = [HeatKernel(M, mean, float(t)) for mean, t in zip(means, times, strict=True)]
    expected = torch.stack([single.log_prob(x[:, k]) for k, single in enumerate(singles)], 1)
    torch.testing.assert_close(law.log_prob(x), expected, rtol=1e-14, atol=1e-14)
    scores = torch.stack([single.score(x[:, k]) for k, single in enumerate(singles)], 1)
    torch.testing.assert_close(law.score(x), scores, rtol=1e-13, atol=1e-13)
    one_mean = HeatKernel(M, means[0], times)
    assert one_mean.log_prob(x[0]).shape == (4,)
    assert one_mean.sample((5,)).shape == (5, 4, *M.point_shape)


def test_samples_at_their_own_times_have_their_own_spread() -> None:
    """Each angle, through the distribution function of its time on S³, is uniform."""
    M = Sphere(3)
    times = torch.tensor([0.02, 0.2, 1.0, 3.0], dtype=F64)
    x = HeatKernel(M, M.origin(dtype=F64), times).sample((5000,), generator=torch.Generator().manual_seed(0))
    theta = torch.linspace(0, PI, 6000, dtype=F64)
    points = M.exp(M.origin(dtype=F64), theta.unsqueeze(-1) * M.frame(M.origin(dtype=F64))[0])
    for k, t in enumerate(times.tolist()):
        ring = 4 * PI * theta.sin() ** 2 * HeatKernel(M, M.origin(dtype=F64), t).log_prob(points).exp()
        angles = M.dist(x[:, k], M.origin(dtype=F64)).numpy()
        assert stats.kstest(angles, distribution_function(theta, ring)).pvalue > 1e-3


@pytest.mark.parametrize("M", SMOOTH, ids=repr)
def test_float32_keeps_six_digits(M: Manifold) -> None:
    """Against float64 at the same points, which are those that float32 can represent."""
    for t in (1e-3, 0.5, 4.0):
        mean = some_points(M, 1)[0].float()
        law, fine = HeatKernel(M, mean, t), HeatKernel(M, mean.double(), t)
        x = law.sample((200,), generator=torch.Generator().manual_seed(0))
        assert x.dtype == law.log_prob(x).dtype == law.score(x).dtype == torch.float32
        there = M.project(x.double())
        torch.testing.assert_close(law.log_prob(x).double(), fine.log_prob(there), rtol=1e-6, atol=1e-6)
        scale = float(fine.score(there).norm(dim=-1).mean())
        torch.testing.assert_close(law.score(x).double(), fine.score(there), rtol=1e-6, atol=1e-6 * scale)


@pytest.mark.parametrize("M", SMOOTH, ids=repr)
def test_it_works_inside_vmap_jvp_and_hessian(M: Manifold) -> None:
    law, x = HeatKernel(M, some_points(M, 1)[0], 0.7), some_points(M, 4, 1)
    torch.testing.assert_close(torch.vmap(law.log_prob)(x), law.log_prob(x), rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(torch.vmap(law.score)(x), law.score(x), rtol=1e-14, atol=1e-14)
    v = M.random_tangent(x)
    slope = torch.func.jvp(law.log_prob, (x,), (v,))[1]
    torch.testing.assert_close(slope, M.inner(x, law.score(x), v), rtol=1e-12, atol=1e-12)
    forward = torch.vmap(torch.func.jacfwd(torch.func.jacrev(law.log_prob)))(x)
    backward = torch.vmap(torch.func.jacrev(torch.func.jacrev(law.log_prob)))(x)
    torch.testing.assert_close(forward, backward, rtol=1e-12, atol=1e-12)


def test_what_cannot_be_used_is_refused() -> None:
    M, x = Sphere(2), torch.tensor([0.0, 0.0, 1.0])
    for time in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(rm.OptionError, match="time of a heat kernel is a positive number"):
            HeatKernel(M, x, time)
    with pytest.raises(rm.PointError):
        HeatKernel(M, 2 * x, 1.0)
    with pytest.raises(rm.ShapeError, match=r"batch \(2,\) and times \(3,\) do not fit"):
        HeatKernel(M, torch.stack([x, x]), torch.ones(3))
    with pytest.raises(rm.ShapeError, match=r"points on Sphere\(2\) have shape \(\*batch, 3\), got \(5, 2\)"):
        HeatKernel(M, x, 1.0).log_prob(torch.zeros(5, 2))
