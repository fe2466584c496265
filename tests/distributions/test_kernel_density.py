"""Kernel density estimates: the von Mises–Fisher kernel against scipy, mass one, samples, and the chosen width."""

import math
import time
from typing import Any

import mpmath as mp
import pytest
import torch
from scipy import stats
from scipy.stats import vonmises_fisher
from torch import Tensor

import rmatch as rm
import rmatch.distributions._bandwidth
import rmatch.distributions.kernel_density
from rmatch.distributions import KernelDensity, Uniform, WrappedNormal
from rmatch.distributions._von_mises_fisher import log_normaliser
from rmatch.manifolds import EmbeddedManifold, Euclidean, Manifold, Sphere, Torus
from tests.distributions.integrals import distribution_function

F64 = torch.float64
MEMBERS: list[Manifold] = [Sphere(1), Sphere(2), Sphere(3), Torus(1), Torus(2)]


def spread(M: Manifold, n: int, seed: int = 0) -> Tensor:
    if isinstance(M, Euclidean):
        return torch.randn(n, M.dim, generator=torch.Generator().manual_seed(seed), dtype=F64)
    return Uniform(M).sample((n,), generator=torch.Generator().manual_seed(seed), dtype=F64)


def two_lumps(M: Manifold, n: int, seed: int) -> Tensor:
    """Half of the points around one place, half around another, with width 0.2."""
    generator = torch.Generator().manual_seed(seed)
    first, second = spread(M, 2, 99)
    parts = [WrappedNormal(M, mean, 0.2).sample((n // 2,), generator=generator) for mean in (first, second)]
    return torch.cat(parts)[torch.randperm(n, generator=generator)]


def exact_log_normaliser(n: int, kappa: float) -> float:
    with mp.workdps(60):
        k, order = mp.mpf(kappa), mp.mpf(n - 1) / 2
        return float(order * mp.log(k) - (order + 1) * mp.log(2 * mp.pi) - mp.log(mp.besseli(order, k)) + k)


@pytest.mark.parametrize("kappa", [1e-12, 1e-3, 1.0, 50.0, 1e4, 0.99e8, 1.01e8, 1e12])
@pytest.mark.parametrize("n", [1, 2, 3, 15, 200])
def test_the_normaliser_against_sixty_digits(n: int, kappa: float) -> None:
    expected = exact_log_normaliser(n, kappa)
    assert log_normaliser(n, kappa) == pytest.approx(expected, abs=3e-13 * max(1.0, n))


@pytest.mark.parametrize("bandwidth", [0.05, 0.4, 3.0])
@pytest.mark.parametrize("n", [2, 3, 5])
def test_one_point_on_a_sphere_is_the_von_mises_fisher_law_of_scipy(n: int, bandwidth: float) -> None:
    mean, x = spread(Sphere(n), 1), spread(Sphere(n), 20, 1)
    kappa: Any = bandwidth**-2  # scipy annotates it as an integer
    expected = vonmises_fisher.logpdf(x.numpy(), mean[0].numpy(), kappa)
    actual = KernelDensity(Sphere(n), mean, bandwidth).log_prob(x)
    torch.testing.assert_close(actual, torch.from_numpy(expected), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("bandwidth", [0.05, 0.4, 3.0])
def test_one_point_on_a_torus_is_a_product_of_von_mises_laws_of_scipy(bandwidth: float) -> None:
    mean, x = spread(Torus(2), 1), spread(Torus(2), 20, 1)
    expected = stats.vonmises.logpdf(x.numpy(), bandwidth**-2, loc=mean[0].numpy()).sum(-1)
    actual = KernelDensity(Torus(2), mean, bandwidth).log_prob(x)
    torch.testing.assert_close(actual, torch.from_numpy(expected), rtol=1e-11, atol=1e-11)


def test_one_point_in_space_is_the_normal_law() -> None:
    mean, x = spread(Euclidean(3), 1), spread(Euclidean(3), 20, 1)
    expected = torch.distributions.Normal(mean, torch.tensor(0.3, dtype=F64)).log_prob(x).sum(-1)
    torch.testing.assert_close(KernelDensity(Euclidean(3), mean, 0.3).log_prob(x), expected)


def test_many_points_are_the_mean_of_their_kernels() -> None:
    points, x = spread(Sphere(2), 7), spread(Sphere(2), 5, 1)
    kernels = torch.stack([KernelDensity(Sphere(2), point.unsqueeze(0), 0.5).log_prob(x).exp() for point in points])
    torch.testing.assert_close(KernelDensity(Sphere(2), points, 0.5).log_prob(x), kernels.mean(0).log())


@pytest.mark.parametrize("M", MEMBERS, ids=repr)
def test_the_density_has_mass_one(M: Manifold) -> None:
    law = KernelDensity(M, spread(M, 30), 0.3)
    assert float(M.integrate(lambda x: law.log_prob(x).exp(), degree=90 if M.dim < 3 else 60)) == pytest.approx(
        1.0, abs=1e-9
    )


def test_a_narrow_kernel_keeps_its_precision() -> None:
    """At bandwidth 1e-4 the density one width away is a normal law's to 1e-8; by the inner product it is not."""
    M = Sphere(2)
    mean = spread(M, 1)
    x = M.exp(mean[0], 1e-4 * M.frame(mean[0])[0])
    expected = -0.5 - math.log(2 * math.pi) + 8 * math.log(10)
    assert float(KernelDensity(M, mean, 1e-4).log_prob(x)) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, F64], ids=str)
@pytest.mark.parametrize("batch", [(), (0,), (4,), (2, 3)], ids=str)
@pytest.mark.parametrize("M", [*MEMBERS, Euclidean(2)], ids=repr)
def test_shapes_types_and_repetition(M: Manifold, batch: tuple[int, ...], dtype: torch.dtype) -> None:
    law = KernelDensity(M, spread(M, 50).to(dtype), 0.2)
    x = law.sample(batch, generator=torch.Generator().manual_seed(0))
    assert x.shape == (*batch, *M.point_shape)
    assert x.dtype == law.log_prob(x).dtype == law.score(x).dtype == dtype
    assert law.log_prob(x).shape == batch
    assert M.check_point(x) is None
    assert torch.equal(x, law.sample(batch, generator=torch.Generator().manual_seed(0)))
    assert bool(law.score(x).isfinite().all())


@pytest.mark.parametrize("bandwidth", [1e-3, 0.1, 0.7, 5.0])
@pytest.mark.parametrize("n", [1, 2, 3, 15])
def test_sphere_samples_have_the_right_angle_to_their_centre(n: int, bandwidth: float) -> None:
    """The density of the angle is proportional to exp(κ cos θ) sin^{n-1} θ."""
    M, kappa = Sphere(n), bandwidth**-2
    mean = spread(M, 1)
    x = KernelDensity(M, mean, bandwidth).sample((3000,), generator=torch.Generator().manual_seed(n))
    theta = M.dist(x, mean[0])
    grid = torch.linspace(0, min(math.pi, bandwidth * (math.sqrt(n) + 8)), 4000, dtype=F64)
    log_ring = (n - 1) * grid.sin().clamp_min(1e-300).log() - 2 * kappa * (grid / 2).sin().square()
    ring = (log_ring - log_ring.max()).exp()
    ring = ring / torch.trapezoid(ring, grid)
    assert stats.kstest(theta.numpy(), distribution_function(grid, ring)).pvalue > 1e-3


@pytest.mark.parametrize("M", [Sphere(2), Sphere(3)], ids=repr)
def test_sphere_samples_have_no_preferred_side(M: Manifold) -> None:
    mean = spread(M, 1)
    x = KernelDensity(M, mean, 0.5).sample((4000,), generator=torch.Generator().manual_seed(0))
    for across in M.frame(mean[0]):
        side = x @ across
        assert abs(float(side.mean())) < 4 * float(side.std()) / math.sqrt(4000)


def test_torus_samples_are_von_mises_on_both_sides() -> None:
    mean = torch.tensor([[0.2]], dtype=F64)
    x = KernelDensity(Torus(1), mean, 0.5).sample((4000,), generator=torch.Generator().manual_seed(0))
    signed = Torus(1).log(mean[0], x).squeeze(-1)
    assert stats.kstest(signed.numpy(), stats.vonmises(4.0).cdf).pvalue > 1e-3


def test_samples_choose_their_centres_evenly() -> None:
    points = torch.tensor([[0.5], [2.0], [4.0]], dtype=F64)
    x = KernelDensity(Torus(1), points, 0.01).sample((3000,), generator=torch.Generator().manual_seed(0))
    counts = [int(((x - p).abs() < 0.2).sum()) for p in points]
    assert sum(counts) == 3000
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("M", [Sphere(2), Torus(2), Euclidean(2)], ids=repr)
def test_the_score_is_the_slope_of_the_log_density(M: Manifold) -> None:
    law, x = KernelDensity(M, spread(M, 20), 0.4), spread(M, 1, 5)[0]
    v = M.random_tangent(x, generator=torch.Generator().manual_seed(0))
    slope = (law.log_prob(M.exp(x, 1e-5 * v)) - law.log_prob(M.exp(x, -1e-5 * v))) / 2e-5
    torch.testing.assert_close(M.inner(x, law.score(x), v), slope, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("M", [Sphere(2), Torus(2), Euclidean(2), Sphere(3)], ids=repr)
def test_the_chosen_width_beats_its_neighbours_and_generalises(M: Manifold) -> None:
    points, validation, test = two_lumps(M, 600, 0), two_lumps(M, 200, 1), two_lumps(M, 400, 2)
    law = KernelDensity.fit(M, points, validation)

    def nll(bandwidth: float, x: Tensor) -> float:
        return -float(KernelDensity(M, points, bandwidth).log_prob(x).mean())

    best = nll(law.bandwidth, validation)
    for factor in (0.5, 0.9, 1.1, 2.0):
        assert best <= nll(law.bandwidth * factor, validation)
    assert best <= min(nll(1e-3 * 1.3**k, validation) for k in range(30)) + 1e-4
    lumps = torch.stack([WrappedNormal(M, mean, 0.2).log_prob(test) for mean in spread(M, 2, 99)])
    truth = -float((lumps.logsumexp(0) - math.log(2)).mean())
    assert truth - 0.1 < nll(law.bandwidth, test) < truth + 0.3


def test_the_width_shrinks_with_the_size_of_the_data_and_scales_with_it_in_space() -> None:
    M = Euclidean(2)
    x, validation = two_lumps(M, 2000, 0), two_lumps(M, 200, 1)
    few, many = KernelDensity.fit(M, x[:100], validation), KernelDensity.fit(M, x, validation)
    assert many.bandwidth < 0.8 * few.bandwidth
    large = KernelDensity.fit(M, 1000 * x, 1000 * validation)
    assert large.bandwidth == pytest.approx(1000 * many.bandwidth, rel=0.02)


def test_repeated_rows_do_not_stop_the_choice() -> None:
    x = spread(Sphere(2), 100)
    assert KernelDensity.fit(Sphere(2), x, x[:50]).bandwidth > 0
    same = x[:1].expand(30, 3)
    assert KernelDensity.fit(Sphere(2), same, same).bandwidth >= 1e-3
    line = torch.zeros(5, 2, dtype=F64)
    assert math.isfinite(KernelDensity.fit(Euclidean(2), line, line + 1).bandwidth)


def test_the_width_is_looked_for_up_to_three_times_the_size_of_the_data() -> None:
    """The likelihood of points 50 units off grows with the width as far as that."""
    points = spread(Euclidean(2), 50)
    size = float((points - points.mean(0)).square().mean().sqrt())
    assert KernelDensity.fit(Euclidean(2), points, points + 50).bandwidth == pytest.approx(3 * size, rel=0.02)


@pytest.mark.parametrize("block", [1, 3, 30])
def test_the_density_does_not_depend_on_how_many_pairs_are_worked_on_together(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One query at a time where a block holds fewer pairs than there are points."""
    law, x = KernelDensity(Sphere(2), spread(Sphere(2), 7), 0.5), spread(Sphere(2), 10, 1)
    wanted, width = law.log_prob(x), KernelDensity.fit(Sphere(2), x, law.points).bandwidth
    for module in (rmatch.distributions.kernel_density, rmatch.distributions._bandwidth):
        monkeypatch.setattr(module, "_BLOCK", block)
    torch.testing.assert_close(law.log_prob(x), wanted)
    assert KernelDensity.fit(Sphere(2), x, law.points).bandwidth == pytest.approx(width, rel=1e-4)


def test_a_large_table_takes_seconds() -> None:
    """The work is capped: 30,000 points here need 3 million pairs, and 100,000 would need 20 million."""
    x = two_lumps(Torus(2), 30_000, 0)
    begin = time.process_time()
    law = KernelDensity.fit(Torus(2), x, x[:100] + 1e-3)
    assert time.process_time() - begin < 10.0
    assert law.points is x


def test_what_cannot_be_used_is_refused() -> None:
    class Blob(EmbeddedManifold):
        volume = 3.0
        __repr__ = object.__repr__
        exp = log = origin = project = to_tangent = transport = None  # type: ignore[assignment]

    x = spread(Sphere(2), 3)
    with pytest.raises(rm.OptionError, match="no kernel is known"):
        KernelDensity(Blob(), x, 0.1)
    with pytest.raises(rm.OptionError, match="no kernel is known"):
        KernelDensity.fit(Blob(), x, x)
    with pytest.raises(rm.OptionError, match=r"positive number, got -0\.1"):
        KernelDensity(Sphere(2), x, -0.1)
    with pytest.raises(rm.PointError):
        KernelDensity(Sphere(2), 2 * x, 0.1)
    with pytest.raises(rm.ShapeError, match=r"shape \(N, 3\), got \(3,\)"):
        KernelDensity(Sphere(2), x[0], 0.1)
    with pytest.raises(rm.DataError, match="at least one of the validation points"):
        KernelDensity.fit(Sphere(2), x, x[:0])
