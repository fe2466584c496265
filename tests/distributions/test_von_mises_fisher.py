"""The von Mises–Fisher law: scipy's densities, its own mean direction, mass one, exact digits where it is narrow."""

import math
from typing import Any

import mpmath as mp
import pytest
import torch
from scipy import stats
from torch import Tensor

import rmatch as rm
from rmatch.distributions import VonMisesFisher
from rmatch.manifolds import Euclidean, Manifold, Sphere, Torus

F64 = torch.float64
MEMBERS: list[Manifold] = [Sphere(1), Sphere(2), Sphere(3), Torus(1), Torus(2)]
KAPPAS: list[Any] = [0.01, 1.0, 7.5, 400.0]  # scipy annotates it as an integer


def some_points(M: Manifold, rows: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return M.project(torch.randn(rows, *M.point_shape, generator=generator, dtype=F64) * 2)


@pytest.mark.parametrize("kappa", KAPPAS)
@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_on_a_sphere_it_is_the_law_of_scipy(n: int, kappa: Any) -> None:
    mean, x = some_points(Sphere(n), 1)[0], some_points(Sphere(n), 20, 1)
    expected = stats.vonmises_fisher.logpdf(x.numpy(), mean.numpy(), kappa)
    torch.testing.assert_close(VonMisesFisher(Sphere(n), mean, kappa).log_prob(x), torch.from_numpy(expected))


@pytest.mark.parametrize("kappa", KAPPAS)
def test_on_a_torus_it_is_a_product_of_laws_of_scipy(kappa: Any) -> None:
    mean, x = some_points(Torus(2), 1)[0], some_points(Torus(2), 20, 1)
    expected = stats.vonmises.logpdf(x.numpy(), kappa, loc=mean.numpy()).sum(-1)
    torch.testing.assert_close(VonMisesFisher(Torus(2), mean, kappa).log_prob(x), torch.from_numpy(expected))


@pytest.mark.parametrize("kappa", [1e-3, 1.0, 30.0])
@pytest.mark.parametrize("M", MEMBERS, ids=repr)
def test_the_density_has_mass_one(M: Manifold, kappa: float) -> None:
    law = VonMisesFisher(M, some_points(M, 1)[0], kappa)
    assert float(M.integrate(lambda x: law.log_prob(x).exp(), degree=80)) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("kappa", [1e2, 1e6, 1e10])
def test_a_narrow_law_on_the_globe_against_sixty_digits(kappa: float) -> None:
    """log(κ / 4π sinh κ) + κ cos θ at a point three widths away, with θ from the two vectors as they are."""
    M = Sphere(2)
    mean = torch.tensor([0.0, 0.0, 1.0], dtype=F64)
    x = M.exp(mean, torch.tensor([3 / math.sqrt(kappa), 0.0, 0.0], dtype=F64))
    with mp.workdps(60):
        sine, cosine = mp.mpf(float(x[0])), mp.mpf(float(x[2]))
        k, c = mp.mpf(kappa), cosine / mp.sqrt(sine**2 + cosine**2)
        expected = mp.log(k / (2 * mp.pi)) - mp.log(1 - mp.exp(-2 * k)) - k * (1 - c)
        # the length of x, rounded to 1e-16, may move |x - m|² by that much
        assert abs(float(VonMisesFisher(M, mean, kappa).log_prob(x)) - float(expected)) < 1e-14 + 3e-16 * math.sqrt(
            kappa
        )


@pytest.mark.parametrize("M", MEMBERS, ids=repr)
def test_the_closed_score_is_the_gradient_of_the_log_density(M: Manifold) -> None:
    law, x = VonMisesFisher(M, some_points(M, 1)[0], 3.0), some_points(M, 20, 1)
    torch.testing.assert_close(law.score(x), M.gradient(law.log_prob)(x), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("kappa", [0.3, 4.0, 1e6])
@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_the_mean_cosine_of_samples_is_the_quotient_of_bessel_functions(n: int, kappa: float) -> None:
    """E<x, m> = I_{ν+1}(κ) / I_ν(κ) with ν = (n - 1)/2, here through 1 - E<x, m>, within 4.5 standard errors."""
    M = Sphere(n)
    law = VonMisesFisher(M, some_points(M, 1)[0], kappa)
    x = law.sample((20_000,), generator=torch.Generator().manual_seed(n))
    gap = (x - law.mean).square().sum(-1) / 2
    expected = float(1 - mp.besseli((n + 1) / mp.mpf(2), kappa) / mp.besseli((n - 1) / mp.mpf(2), kappa))
    assert abs(float(gap.mean()) - expected) < 4.5 * float(gap.std()) / math.sqrt(20_000)


def test_torus_samples_are_independent_von_mises_angles() -> None:
    law = VonMisesFisher(Torus(2), torch.tensor([0.1, 6.2], dtype=F64), 2.0)
    angles = Torus(2).log(law.mean, law.sample((5000,), generator=torch.Generator().manual_seed(0)))
    for i in range(2):
        assert stats.kstest(angles[:, i].numpy(), stats.vonmises(2.0).cdf).pvalue > 1e-3
    assert abs(float(torch.corrcoef(angles.T)[0, 1])) < 4.5 / math.sqrt(5000)


def test_what_cannot_be_used_is_refused() -> None:
    x = torch.tensor([0.0, 0.0, 1.0])
    with pytest.raises(rm.OptionError, match="a Sphere or a Torus, got Euclidean"):
        VonMisesFisher(Euclidean(3), x, 1.0)
    with pytest.raises(rm.OptionError, match=r"positive number, got 0\.0; .*Uniform"):
        VonMisesFisher(Sphere(2), x, 0.0)
    with pytest.raises(rm.OptionError, match="positive number, got nan"):
        VonMisesFisher(Sphere(2), x, math.nan)
    with pytest.raises(rm.PointError):
        VonMisesFisher(Sphere(2), 2 * x, 1.0)
    with pytest.raises(rm.ShapeError, match=r"one point of shape \(3,\), got \(2, 3\)"):
        VonMisesFisher(Sphere(2), torch.stack([x, x]), 1.0)
