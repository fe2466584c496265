"""The heat kernel of rotations: characters and theta sums at 60 digits, the heat equation, mass one, samples."""

import math
from typing import Any

import mpmath as mp
import pytest
import torch
from scipy import stats
from torch import Tensor

from rmatch.distributions import HeatKernel
from rmatch.manifolds import SpecialOrthogonal
from tests.distributions.integrals import distribution_function
from tests.distributions.reference_heat import Number, odd_sphere

F64 = torch.float64
M = SpecialOrthogonal(3)
PI = math.pi
ANGLES = [1e-7, 0.4, 2.0, 3.0, PI - 1e-3, PI - 1e-7]
TIMES = [1e-3, 0.1, 1.0, 5.0, 7.0, 40.0]


def some_points(rows: int, seed: int = 0) -> Tensor:
    origin = M.origin(dtype=F64).expand(rows, 3, 3)
    return M.exp(origin, M.random_tangent(origin, generator=torch.Generator().manual_seed(seed)))


def turned(mean: Tensor, angles: list[float]) -> Tensor:
    return M.exp(mean, torch.tensor(angles, dtype=F64).reshape(-1, 1, 1) * M.frame(mean)[0])


def exact(angle: Number, t: float) -> Number:
    """`log K + ω²/2t` by the theta sum of S³ over both quaternions, of radius 2."""
    half, time = mp.mpf(angle) / 2, mp.mpf(t) / 4
    near = odd_sphere(3, half, time)
    far = odd_sphere(3, mp.pi - half, time) - ((mp.pi - half) ** 2 - half**2) / (2 * time)
    return mp.log(mp.exp(near) + mp.exp(far)) - 3 * mp.log(2)


@pytest.mark.parametrize("t", TIMES)
def test_density_and_score_against_sixty_digits(t: float) -> None:
    mean = some_points(1)[0]
    law, x = HeatKernel(M, mean, t), turned(some_points(1)[0], ANGLES)
    outward = -M.log(x, mean) / M.dist(x, mean).reshape(-1, 1, 1)
    for row, point in enumerate(x):
        angle = mp.mpf(float(M.dist(mean, point)))  # known to 1e-16, which counts ω/t times
        exponent, h = angle**2 / (2 * mp.mpf(t)), mp.mpf(10) ** -14
        assert abs(float(law.log_prob(point)) - (exact(angle, t) - exponent)) < 1e-14 + 1e-15 * PI / t + 5e-16 * float(
            exponent
        )
        k = [exact(angle + step, t) - (angle + step) ** 2 / (2 * mp.mpf(t)) for step in (-h, h)]
        slope = float((k[1] - k[0]) / (2 * h))
        # next to half a turn the slope changes its sign within t/π, and the rounding of the angle counts (π/t)² times
        actual = float(M.inner(point, law.score(point), outward[row]))
        assert actual == pytest.approx(slope, rel=1e-12, abs=1e-15 * (PI / t) ** 2)


@pytest.mark.parametrize("t", [0.5, 2.0, 9.0])
def test_it_is_the_sum_of_characters(t: float) -> None:
    """`Σ_l (2l + 1) e^{-l(l+1)t/2} sin((l + ½)ω) / sin(ω/2) / 8π²` (Nikolayev and Savyolova, 1997)."""
    mean = some_points(1)[0]
    for angle, point in zip((0.4, 2.0, 3.0), turned(mean, [0.4, 2.0, 3.0]), strict=True):
        terms = [
            (2 * k + 1) * mp.exp(-k * (k + 1) * mp.mpf(t) / 2) * mp.sin((k + 0.5) * angle) / mp.sin(angle / 2)
            for k in range(60)
        ]
        expected = float(mp.fsum(terms) / (8 * mp.pi**2))
        assert float(HeatKernel(M, mean, t).log_prob(point).exp()) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("t", [0.05, 0.7, 6.0])
def test_it_solves_the_heat_equation_also_at_half_a_turn(t: float) -> None:
    mean, h = some_points(1)[0], 1e-4 * t
    x = torch.cat([some_points(4, 1), turned(mean, [0.0, *ANGLES])])
    law = HeatKernel(M, mean, t)
    k = [HeatKernel(M, mean, t + step * h).log_prob(x) for step in (-2, -1, 1, 2)]
    rate = (k[0] - 8 * k[1] + 8 * k[2] - k[3]) / (12 * h)
    score = law.score(x)
    torch.testing.assert_close(score, M.gradient(law.log_prob)(x), rtol=1e-9, atol=1e-12 / t**2)
    torch.testing.assert_close(M.divergence(law.score)(x), M.laplacian(law.log_prob)(x), rtol=1e-8, atol=1e-8 / t)
    expected = (M.laplacian(law.log_prob)(x) + M.inner(x, score, score)) / 2
    torch.testing.assert_close(rate, expected, rtol=1e-8, atol=1e-8 / t)


@pytest.mark.parametrize("t", [0.05, 1.0, 20.0])
def test_mass_samples_and_the_uniform_limit(t: float) -> None:
    mean = some_points(1)[0]
    law = HeatKernel(M, mean, t)
    assert float(M.integrate(lambda x: law.log_prob(x).exp(), degree=60)) == pytest.approx(1.0, abs=1e-11)
    x = law.sample((10_000,), generator=torch.Generator().manual_seed(0))
    assert M.check_point(x) is None
    omega = torch.linspace(0, PI, 4000, dtype=F64)
    ring = 16 * PI * (omega / 2).sin().square() * law.log_prob(turned(mean, omega.tolist())).exp()
    result: Any = stats.kstest(M.dist(x, mean).numpy(), distribution_function(omega, ring))
    assert result.pvalue > 1e-3
    if t == 20.0:
        torch.testing.assert_close(
            law.log_prob(x), torch.full((10_000,), -math.log(8 * PI**2), dtype=F64), rtol=1e-6, atol=0
        )


def test_batches_types_and_transforms() -> None:
    means, times = some_points(3), torch.tensor([0.01, 0.4, 9.0], dtype=F64)
    law = HeatKernel(M, means, times)
    x = law.sample((5,), generator=torch.Generator().manual_seed(0))
    assert x.shape == (5, 3, 3, 3)
    singles = [HeatKernel(M, mean, float(t)) for mean, t in zip(means, times, strict=True)]
    expected = torch.stack([single.log_prob(x[:, k]) for k, single in enumerate(singles)], 1)
    torch.testing.assert_close(law.log_prob(x), expected, rtol=1e-13, atol=1e-13)
    single, y = singles[1], x[:, 1]
    torch.testing.assert_close(torch.vmap(single.log_prob)(y), single.log_prob(y), rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(torch.vmap(single.score)(y), single.score(y), rtol=1e-12, atol=1e-12)
    coarse = M.project(y.float())
    fine = single.log_prob(M.project(coarse.double()))
    torch.testing.assert_close(single.log_prob(coarse).double(), fine, rtol=1e-6, atol=1e-6)
