"""The wrapped normal: mass one for every width, the series at 60 digits, samples against the density."""

import math
from typing import Any

import mpmath as mp
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad
from torch import Tensor

import rmatch as rm
from rmatch.distributions import WrappedNormal
from rmatch.manifolds import Euclidean, Manifold, Sphere, Torus
from tests.distributions.integrals import distribution_function

SCALES = [0.05, 0.3, 1.0, 2.4999, 2.5, 3.0]
F64 = torch.float64


def some_point(M: Manifold, seed: int = 0) -> Tensor:
    return M.project(torch.randn(M.point_shape, generator=torch.Generator().manual_seed(seed), dtype=F64) * 2)


def at_angle(M: Sphere, mean: Tensor, theta: float) -> Tensor:
    """A point at this angle from the mean, on a great circle in the direction of the first frame vector."""
    return M.exp(mean, theta * M.frame(mean)[0])


def exact(n: int, theta: Any, scale: float) -> Any:
    """log Σ_k N_n(|θ + 2πk|) (|θ + 2πk| / sin θ)^{n-1} at 60 digits."""
    s, total = mp.mpf(scale), mp.mpf(0)
    for k in range(-40, 41):
        r = abs(theta + 2 * mp.pi * k)
        total += mp.exp(-((r / s) ** 2) / 2) * ((r / mp.sin(theta)) ** (n - 1) if n > 1 else 1)
    return mp.log(total) - n * mp.log(s * mp.sqrt(2 * mp.pi))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_on_a_sphere_the_radial_density_has_mass_one(n: int, scale: float) -> None:
    """∫ p dV = |S^{n-1}| ∫ p(θ) sin^{n-1} θ dθ: in the angle the poles of the density are no more."""
    M = Sphere(n)
    law, area = WrappedNormal(M, some_point(M), scale), 2 * math.pi ** (n / 2) / math.gamma(n / 2)

    def ring(theta: float) -> float:
        return area * math.sin(theta) ** (n - 1) * float(law.log_prob(at_angle(M, law.mean, theta)).exp())

    middle = min(3.0, scale * math.sqrt(n))
    mass, _ = quad(ring, 0, math.pi, points=[middle / 2, middle], epsabs=1e-9, epsrel=1e-9)
    assert mass == pytest.approx(1.0, abs=1e-8)


@pytest.mark.parametrize("M", [Sphere(2), Sphere(3)], ids=repr)
@pytest.mark.parametrize("scale", [0.2, 0.35])
def test_on_a_sphere_the_density_has_mass_one_by_quadrature_about_any_mean(M: Sphere, scale: float) -> None:
    """Narrow laws, whose poles at the antipode weigh less than the tolerance."""
    law = WrappedNormal(M, some_point(M, 3), scale)
    assert float(M.integrate(lambda x: law.log_prob(x).exp(), degree=80)) == pytest.approx(1.0, abs=1e-7)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("M", [Torus(1), Torus(2), Sphere(1)], ids=repr)
def test_on_a_torus_and_a_circle_the_density_has_mass_one(M: Manifold, scale: float) -> None:
    law = WrappedNormal(M, some_point(M), scale)
    assert float(M.integrate(lambda x: law.log_prob(x).exp(), degree=250)) == pytest.approx(1.0, abs=1e-13)


def test_on_euclidean_space_it_is_the_normal_law() -> None:
    mean, scale = torch.tensor([1.0, -2.0], dtype=F64), torch.tensor([0.5, 3.0], dtype=F64)
    x = torch.randn(7, 2, dtype=F64)
    expected = torch.distributions.Normal(mean, scale).log_prob(x).sum(-1)
    torch.testing.assert_close(WrappedNormal(Euclidean(2), mean, scale).log_prob(x), expected)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("theta", [1e-5, 0.3, 1.0 - 1e-9, 1.0 + 1e-9, 2.5, math.pi - 1e-3, math.pi - 1e-6])
@pytest.mark.parametrize("n", [2, 3, 15])
def test_sphere_against_sixty_digits(n: int, theta: float, scale: float) -> None:
    """The point in float64 defines the angle: it is measured from the same two vectors, exactly."""
    with mp.workdps(60):
        M = Sphere(n)
        mean = M.origin(dtype=F64)
        x = at_angle(M, mean, theta)
        a, b = [mp.mpf(v) for v in x.tolist()], [mp.mpf(v) for v in mean.tolist()]
        size = mp.sqrt(mp.fsum(v * v for v in a))
        minus = mp.sqrt(mp.fsum((p / size - q) ** 2 for p, q in zip(a, b, strict=True)))
        plus = mp.sqrt(mp.fsum((p / size + q) ** 2 for p, q in zip(a, b, strict=True)))
        expected = exact(n, 2 * mp.atan2(minus, plus), scale)
        actual = float(WrappedNormal(M, mean, scale).log_prob(x))
        # Relative to the largest term of the logarithm; next to the mean and the antipode x is known to 1e-16 only.
        slope = (n - 1) * 1e-16 / min(theta, math.pi - theta)
        assert abs(actual - float(expected)) < 4e-14 * max(1.0, theta**2 / scale**2, n) + 4 * slope


@pytest.mark.parametrize("scale", [0.05, 0.7, 2.4999, 2.5001, 6.0])
@pytest.mark.parametrize("delta", [0.0, 1e-8, 1.3, 3.0, 3.1415, -2.0])
def test_a_wrapped_angle_against_sixty_digits(delta: float, scale: float) -> None:
    """On the torus and on the circle, by the plain sum; above scale 2.5 the code sums the Fourier series instead."""
    with mp.workdps(60):
        expected = float(exact(1, mp.mpf(delta), scale))
    tolerance = 2e-14 + 1e-14 * abs(delta) / scale**2  # the angle is known to a rounding of 2π
    torus = WrappedNormal(Torus(1), torch.tensor([3.1], dtype=F64), scale)
    at_torus = torch.tensor([3.1 + delta], dtype=F64) % (2 * math.pi)
    circle = WrappedNormal(Sphere(1), torch.tensor([1.0, 0.0], dtype=F64), scale)
    at_circle = torch.tensor([math.cos(delta), math.sin(delta)], dtype=F64)
    assert float(torus.log_prob(at_torus)) == pytest.approx(expected, abs=tolerance)
    assert float(circle.log_prob(at_circle)) == pytest.approx(expected, abs=tolerance)


def test_angles_may_have_their_own_widths_narrow_and_wide() -> None:
    mean, scale = torch.tensor([0.1, 6.0, 3.0], dtype=F64), torch.tensor([0.2, 2.5, 40.0], dtype=F64)
    x = torch.tensor([[6.2, 1.0, 0.5]], dtype=F64)
    parts = [
        WrappedNormal(Torus(1), mean[i : i + 1], float(scale[i])).log_prob(x[:, i : i + 1]) for i in range(len(mean))
    ]
    torch.testing.assert_close(WrappedNormal(Torus(3), mean, scale).log_prob(x), torch.stack(parts).sum(0))


@pytest.mark.parametrize("n", [1, 2, 3, 15])
@pytest.mark.parametrize("scale", [0.2, 1.0, 3.0])
def test_sphere_samples_follow_the_density(n: int, scale: float) -> None:
    """The angle to the mean is that of a normal vector's length, folded into [0, π]; its law by the density."""
    M = Sphere(n)
    law, area = WrappedNormal(M, some_point(M), scale), 2 * math.pi ** (n / 2) / math.gamma(n / 2)
    x = law.sample((3000,), generator=torch.Generator().manual_seed(1))
    theta = torch.linspace(1e-6, math.pi - 1e-6, 4000, dtype=F64)
    ring = area * theta.sin() ** (n - 1) * law.log_prob(M.exp(law.mean, theta[:, None] * M.frame(law.mean)[0])).exp()
    assert stats.kstest(M.dist(x, law.mean).numpy(), distribution_function(theta, ring)).pvalue > 1e-3


def test_torus_samples_follow_the_density() -> None:
    law = WrappedNormal(Torus(2), torch.tensor([0.1, 6.2], dtype=F64), torch.tensor([0.4, 2.0], dtype=F64))
    x = law.sample((3000,), generator=torch.Generator().manual_seed(1))
    grid = torch.linspace(0, 2 * math.pi - 1e-12, 4000, dtype=F64)
    for i in range(2):
        single = WrappedNormal(Torus(1), law.mean[i : i + 1], float(law.scale[i]))
        density = single.log_prob(grid.unsqueeze(-1)).exp()
        assert stats.kstest(x[:, i].numpy(), distribution_function(grid, density)).pvalue > 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, F64], ids=str)
@pytest.mark.parametrize("M", [Sphere(1), Sphere(2), Sphere(15), Torus(2), Euclidean(2)], ids=repr)
@given(scale=st.sampled_from(SCALES), place=st.sampled_from(["mean", "next to the mean", "cut", "next to the cut"]))
def test_density_and_score_are_finite_at_the_mean_and_at_the_cut(
    M: Manifold, dtype: torch.dtype, scale: float, place: str
) -> None:
    mean = some_point(M).to(dtype)
    law = WrappedNormal(M, mean, scale)
    cut = -mean if isinstance(M, Sphere) else M.project(mean + math.pi)
    x = law.mean if "mean" in place else cut
    x = M.exp(x, 1e-6 * M.random_tangent(x)) if "next" in place else x
    assert bool(law.log_prob(x).isfinite())
    score = law.score(x)
    assert bool(score.isfinite().all())
    assert M.check_tangent(x, score) is None
    if place == "mean":
        assert float(score.abs().max()) < 1e-5 / scale**2


@pytest.mark.parametrize("n", [2, 3, 15])
def test_at_the_mean_of_a_sphere_the_collapsed_shells_are_left_out(n: int) -> None:
    """There the value is that of the normal law, also for a width at which the shells around it weigh a lot."""
    law = WrappedNormal(Sphere(n), some_point(Sphere(n)), 3.0)
    expected = -n * math.log(3.0 * math.sqrt(2 * math.pi))
    assert float(law.log_prob(law.mean)) == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize("M", [Sphere(1), Sphere(2), Sphere(3), Torus(2), Euclidean(2)], ids=repr)
def test_at_the_mean_the_laplacian_of_the_log_density_is_that_of_the_normal_law(M: Manifold) -> None:
    """-n/scale² from the normal part, and -(n - 1) Δ log sinc θ = n (n - 1) / 3 from the spreading of geodesics."""
    law = WrappedNormal(M, some_point(M), 0.3)
    curved = M.dim * (M.dim - 1) / 3 if isinstance(M, Sphere) else 0.0
    assert float(M.laplacian(law.log_prob)(law.mean)) == pytest.approx(-M.dim / 0.09 + curved, rel=1e-9)


@pytest.mark.parametrize("M", [Sphere(2), Sphere(1), Torus(2)], ids=repr)
def test_the_score_is_the_slope_of_the_log_density(M: Manifold) -> None:
    law, x = WrappedNormal(M, some_point(M), 1.2), some_point(M, 1)
    v = M.random_tangent(x, generator=torch.Generator().manual_seed(0))
    slope = (law.log_prob(M.exp(x, 1e-5 * v)) - law.log_prob(M.exp(x, -1e-5 * v))) / 2e-5
    torch.testing.assert_close(M.inner(x, law.score(x), v), slope, rtol=1e-7, atol=1e-8)


def test_float32_agrees_with_float64() -> None:
    law = WrappedNormal(Sphere(2), some_point(Sphere(2)), 0.7)
    x = law.sample((200,), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(law.log_prob(x.float()).double(), law.log_prob(x), rtol=2e-6, atol=2e-5)


def test_it_works_inside_vmap() -> None:
    for M in (Sphere(2), Sphere(1), Torus(2)):
        law = WrappedNormal(M, some_point(M), 0.7)
        x = law.sample((5,), generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(torch.vmap(law.log_prob)(x), law.log_prob(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("M", [Sphere(2), Torus(2), Euclidean(2)], ids=repr)
def test_samples_move_with_the_mean_and_the_scale(M: Manifold) -> None:
    mean = some_point(M).requires_grad_()
    scale = torch.tensor(0.5, dtype=F64, requires_grad=True)
    x = WrappedNormal(M, mean, scale).sample((4,), generator=torch.Generator().manual_seed(0))
    gradients = torch.autograd.grad(x.square().sum() + x.sum(), (mean, scale))
    assert all(bool(g.isfinite().all()) and float(g.abs().max()) > 0 for g in gradients)


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf])
def test_a_scale_that_is_not_positive_is_refused(scale: float) -> None:
    with pytest.raises(rm.OptionError, match="positive number, got"):
        WrappedNormal(Sphere(2), some_point(Sphere(2)), scale)


def test_a_mean_that_is_no_point_is_refused() -> None:
    with pytest.raises(rm.PointError):
        WrappedNormal(Sphere(2), torch.tensor([1.0, 1.0, 0.0]), 1.0)
    with pytest.raises(rm.ShapeError, match="one point"):
        WrappedNormal(Torus(2), torch.zeros(3, 2), 1.0)
    with pytest.raises(rm.ShapeError, match=r"has shape \(\), got \(2,\)"):
        WrappedNormal(Sphere(2), some_point(Sphere(2)), torch.ones(2))
