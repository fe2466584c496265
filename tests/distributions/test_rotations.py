"""Laws of rotations: the uniform law by its moments, the wrapped normal by its mass, 60 digits and its samples."""

import math
from typing import Any

import mpmath as mp
import pytest
import torch
from scipy import stats
from scipy.integrate import quad
from torch import Tensor

from rmatch.distributions import Uniform, WrappedNormal
from rmatch.manifolds import SpecialOrthogonal
from tests.distributions.integrals import distribution_function

M = SpecialOrthogonal(3)
F64 = torch.float64
SCALES = [0.05, 0.3, 1.0, 3.0]


def some_mean(seed: int = 0) -> Tensor:
    return Uniform(M).sample((), generator=torch.Generator().manual_seed(seed), dtype=F64)


def at_angle(mean: Tensor, theta: Tensor) -> Tensor:
    return M.exp(
        mean, M.span(mean.expand(*theta.shape, 3, 3), theta[..., None] * torch.tensor([0.6, 0.0, -0.8], dtype=F64))
    )


def ring(law: WrappedNormal, theta: Tensor) -> Tensor:
    """The density of the angle: the sphere of radius θ has the area 4π (2 sin(θ/2))²."""
    return 16 * math.pi * (theta / 2).sin() ** 2 * law.log_prob(at_angle(law.mean, theta)).exp()


def test_uniform_samples_have_the_moments_of_haar_measure() -> None:
    """Entries have mean 0 and variance 1/3, and the angle the distribution function (θ - sin θ)/π."""
    x = Uniform(M).sample((20_000,), generator=torch.Generator().manual_seed(0), dtype=F64)
    assert M.check_point(x, tolerance=1e-15) is None
    assert float(x.mean(0).abs().max()) < 5 / math.sqrt(3 * 20_000)
    covariance = x.flatten(1).T @ x.flatten(1) / 20_000
    assert float((covariance - torch.eye(9) / 3).abs().max()) < 5 * 0.4 / math.sqrt(20_000)
    angle = M.dist(some_mean(), x).numpy()
    assert stats.kstest(angle, lambda t: (t - torch.sin(torch.as_tensor(t)).numpy()) / math.pi).pvalue > 1e-3
    assert float(Uniform(M).log_prob(x[0])) == pytest.approx(-math.log(8 * math.pi**2), abs=1e-15)


@pytest.mark.parametrize("scale", SCALES)
def test_the_radial_density_has_mass_one(scale: float) -> None:
    law = WrappedNormal(M, some_mean(), scale)
    points = [min(3.0, scale), min(3.1, 3 * scale)]
    mass, _ = quad(lambda t: float(ring(law, torch.tensor(t, dtype=F64))), 0, math.pi, points=points, epsabs=1e-10)
    assert mass == pytest.approx(1.0, abs=1e-8)


def test_the_density_has_mass_one_by_quadrature_about_any_mean() -> None:
    """A width at which half turns weigh e^{-10} and the pole at the mean e^{-40}."""
    law = WrappedNormal(M, some_mean(3), 0.7)
    assert float(M.integrate(lambda x: law.log_prob(x).exp(), degree=40)) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("theta", [1e-5, 0.3, 2 - 1e-9, 2 + 1e-9, 3.0, math.pi - 1e-9])
def test_density_against_sixty_digits(theta: float, scale: float) -> None:
    """`Σ_k N_3(|θ + 2πk|) (|θ + 2πk| / 2 sin(θ/2))²` at the angle that the floats of the point have."""
    mean = torch.eye(3, dtype=F64)
    x = at_angle(mean, torch.tensor(theta, dtype=F64))
    with mp.workdps(60):
        exact = mp.matrix([[mp.mpf(p) for p in row] for row in x.tolist()])
        for _ in range(8):
            exact = (exact + (exact.T) ** -1) / 2
        squares: Any = mp.fsum((exact[i, j] - (i == j)) ** 2 for i in range(3) for j in range(3))
        half = (
            mp.asin(mp.sqrt(squares / 8))
            if theta < 3
            else mp.acos((exact[0, 0] + exact[1, 1] + exact[2, 2] - 1) / 2) / 2
        )
        s, total = mp.mpf(scale), mp.mpf(0)
        for k in range(-20, 21):
            r = abs(2 * half + 2 * mp.pi * k)
            total += mp.exp(-((r / s) ** 2) / 2) * (r / (2 * mp.sin(half))) ** 2
        expected = float(mp.log(total) - 3 * mp.log(s * mp.sqrt(2 * mp.pi)))
    actual = float(WrappedNormal(M, mean, scale).log_prob(x))
    # relative to the largest term; next to the mean the point is known to 1e-16 only
    assert abs(actual - expected) < 4e-14 * max(1.0, theta**2 / scale**2) + 2e-15 / theta


@pytest.mark.parametrize("scale", [0.2, 1.0, 3.0])
def test_samples_follow_the_density(scale: float) -> None:
    law = WrappedNormal(M, some_mean(), scale)
    x = law.sample((3000,), generator=torch.Generator().manual_seed(1))
    assert M.check_point(x) is None
    theta = torch.linspace(1e-6, math.pi - 1e-9, 4000, dtype=F64)
    assert stats.kstest(M.dist(x, law.mean).numpy(), distribution_function(theta, ring(law, theta))).pvalue > 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, F64], ids=str)
@pytest.mark.parametrize("scale", SCALES)
def test_density_and_score_are_finite_at_the_mean_and_at_half_turns(dtype: torch.dtype, scale: float) -> None:
    law = WrappedNormal(M, some_mean().to(dtype), scale)
    for angle in (0.0, 1e-6, 1e-3, math.pi - 1e-6, math.pi):
        x = at_angle(law.mean.to(F64), torch.tensor(angle, dtype=F64)).to(dtype)
        x = law.mean if angle == 0 else x
        score = law.score(x)
        assert bool(law.log_prob(x).isfinite())
        assert bool(score.isfinite().all())
        assert M.check_tangent(x, score, tolerance=1e-4) is None


def test_the_score_is_the_slope_of_the_log_density() -> None:
    law, x = WrappedNormal(M, some_mean(), 1.2), some_mean(1)
    v = M.random_tangent(x, generator=torch.Generator().manual_seed(0))
    slope = (law.log_prob(M.exp(x, 1e-5 * v)) - law.log_prob(M.exp(x, -1e-5 * v))) / 2e-5
    torch.testing.assert_close(M.inner(x, law.score(x), v), slope, rtol=1e-7, atol=1e-8)
