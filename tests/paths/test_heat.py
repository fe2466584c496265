"""The heat path: the continuity equation, transport by its own field, entropy, exact samples, both directions."""

import math
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor

import rmatch as rm
from rmatch.distributions import HeatKernel, Mixture
from rmatch.manifolds import Euclidean, Lorentz, Manifold, PoincareBall, Product, SpecialOrthogonal, Sphere, Torus
from rmatch.paths import Cosine, FlowPath, HeatPath, Schedule
from rmatch.solvers import DormandPrince

F64 = torch.float64
MEMBERS: list[Manifold] = [
    Sphere(1),
    Sphere(2),
    Sphere(3),
    Sphere(2, radius=2.0),
    Torus(1),
    Torus(2),
    Euclidean(2),
    SpecialOrthogonal(3),
    PoincareBall(2),
    Lorentz(3, curvature=-0.5),
    Product(Sphere(2), Torus(1)),
]
DIRECTIONS = [(0.05, 0.5), (0.5, 0.05)]
every_member = pytest.mark.parametrize("M", MEMBERS, ids=repr)
both_ways = pytest.mark.parametrize(("start", "end"), DIRECTIONS, ids=["expanding", "contracting"])


def some_points(M: Manifold, rows: int, seed: int = 0) -> Tensor:
    origin = M.origin(dtype=F64).expand(rows, *M.point_shape)
    return M.exp(origin, M.random_tangent(origin, generator=torch.Generator().manual_seed(seed)))


def three_lumps(M: Manifold, start: float = 0.05, end: float = 0.5, schedule: Schedule | None = None) -> HeatPath:
    return HeatPath(M, some_points(M, 3), [1.0, 2.0, 5.0], start=start, end=end, schedule=schedule)


@every_member
@pytest.mark.parametrize("t", [0.0, 0.3, 1.0])
def test_at_each_time_it_is_the_mixture_of_heat_kernels(M: Manifold, t: float) -> None:
    path, x = three_lumps(M), some_points(M, 10, 1)
    mixture = Mixture([HeatKernel(M, mean, 0.05 + 0.45 * t) for mean in path.means], [1.0, 2.0, 5.0])
    log_prob, score = path.log_prob_and_score(t, x)
    torch.testing.assert_close(path.log_prob(t, x), mixture.log_prob(x), rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(path.score(t, x), mixture.score(x), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(log_prob, path.log_prob(t, x), rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(score, path.score(t, x), rtol=1e-13, atol=1e-13)


@every_member
@both_ways
@pytest.mark.parametrize("schedule", [None, Cosine()], ids=["linear", "cosine"])
def test_density_and_field_satisfy_the_continuity_equation(
    M: Manifold, start: float, end: float, schedule: Schedule | None
) -> None:
    """∂ log p/∂t = -Div V - <V, ∇log p>, the left side by a difference quotient."""
    path, x, t, h = three_lumps(M, start, end, schedule), some_points(M, 6, 1), 0.4, 1e-3
    k = [path.log_prob(t + step * h, x) for step in (-2, -1, 1, 2)]
    rate = (k[0] - 8 * k[1] + 8 * k[2] - k[3]) / (12 * h)
    velocity, divergence = M.value_and_divergence(lambda y: path.velocity(t, y))(x)
    torch.testing.assert_close(rate, -divergence - M.inner(x, velocity, path.score(t, x)), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("M", [Sphere(2), Torus(2), Euclidean(2)], ids=repr)
@both_ways
def test_its_field_carries_its_first_law_to_its_last(M: Manifold, start: float, end: float) -> None:
    """The flow of V from p_0 has the density p_1: the sign and the size of the field, through a solver."""
    path, x = three_lumps(M, max(start, 0.1), max(end, 0.1)), some_points(M, 3, 1)
    flow = FlowPath(path.velocity, base=path.at(0.0), solver=DormandPrince(rtol=1e-7, atol=1e-7))
    torch.testing.assert_close(flow.log_prob(1.0, x), path.log_prob(1.0, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("M", [Sphere(2), Torus(2)], ids=repr)
@both_ways
def test_entropy_changes_at_the_rate_of_the_identity(M: Manifold, start: float, end: float) -> None:
    """dH/dt = -E <V, ∇log p> = ½ s' E |∇log p|², the left side by a difference quotient of -∫ p log p."""
    path, t, h = three_lumps(M, start, end), 0.5, 1e-3

    def entropy(time: float) -> float:
        return -float(M.integrate(lambda x: path.log_prob(time, x).exp() * path.log_prob(time, x), degree=70))

    def integrand(x: Tensor) -> Tensor:
        log_prob, score = path.log_prob_and_score(t, x)
        return -log_prob.exp() * M.inner(x, path.velocity(t, x), score)

    rate = float(M.integrate(integrand, degree=70))
    assert math.copysign(1, rate) == math.copysign(1, end - start)
    assert rate == pytest.approx((entropy(t + h) - entropy(t - h)) / (2 * h), rel=1e-5)


@every_member
def test_a_batch_of_times_is_one_time_for_each_point(M: Manifold) -> None:
    path, x, t = three_lumps(M, schedule=Cosine()), some_points(M, 4, 1), torch.tensor([0.0, 0.2, 0.7, 1.0], dtype=F64)
    for name in ("log_prob", "score", "velocity"):
        single = torch.stack([getattr(path, name)(float(time), point) for time, point in zip(t, x, strict=True)])
        torch.testing.assert_close(getattr(path, name)(t, x), single, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("t", [0.0, 1.0])
@every_member
def test_samples_follow_the_density(M: Manifold, t: float) -> None:
    """By the log-density at samples: its mean is the negative entropy, by the samples of the mixture of kernels."""
    path = three_lumps(M)
    mixture = Mixture([HeatKernel(M, mean, 0.05 + 0.45 * t) for mean in path.means], [1.0, 2.0, 5.0])
    x = path.sample(t, (4000,), generator=torch.Generator().manual_seed(2))
    y = mixture.sample((4000,), generator=torch.Generator().manual_seed(3))
    assert x.dtype == F64
    result: Any = stats.ks_2samp(path.log_prob(t, x).numpy(), path.log_prob(t, y).numpy())
    assert result.pvalue > 1e-3
    result = stats.ks_2samp(M.dist(x, path.means[0]).numpy(), M.dist(y, path.means[0]).numpy())
    assert result.pvalue > 1e-3


@both_ways
def test_float32_points_and_times_keep_their_type(start: float, end: float) -> None:
    M = Sphere(2)
    path = HeatPath(M, torch.eye(3), start=start, end=end)
    x = path.sample(0.5, (2, 3), generator=torch.Generator().manual_seed(0))
    assert x.shape == (2, 3, 3)
    t = torch.tensor(0.5)
    for value in (x, path.log_prob(t, x), path.score(t, x), path.velocity(t, x)):
        assert value.dtype == torch.float32
    fine = path.velocity(0.5, M.project(x.double()))
    torch.testing.assert_close(path.velocity(t, x).double(), fine, rtol=1e-6, atol=1e-6)


def test_very_early_and_late_times_have_finite_densities_everywhere() -> None:
    """From 1e-6 to 10 on the globe, at the means, between them and at their antipodes."""
    M, means = Sphere(2), torch.eye(3, dtype=F64)
    path = HeatPath(M, means, start=1e-6, end=10.0)
    x = torch.cat([means, -means, M.project(torch.ones(1, 3, dtype=F64))])
    for t in (0.0, 1e-6, 1e-3, 1.0):
        for value in (*path.log_prob_and_score(t, x), path.velocity(t, x)):
            assert bool(value.isfinite().all())


def test_what_cannot_be_used_is_refused() -> None:
    M, means = Sphere(2), torch.eye(3)
    path = HeatPath(M, means, start=0.1, end=0.2)
    for bad in (-0.1, 1.1, math.nan, torch.tensor(2.0), torch.tensor([0.5, 1.5])):
        for call in (path.log_prob, path.score, path.velocity):
            with pytest.raises(rm.OptionError, match="a path has times from 0 to 1, got t"):
                call(bad, means[:2])
        with pytest.raises(rm.OptionError, match="from 0 to 1"):
            path.sample(float(torch.as_tensor(bad).max()))
    for start, end in ((0.0, 1.0), (1.0, -1.0), (math.nan, 1.0)):
        with pytest.raises(rm.OptionError, match=r"times of a heat path are positive numbers, got (start|end)="):
            HeatPath(M, means, start=start, end=end)
    with pytest.raises(rm.ShapeError, match=r"shape \(K, 3\) with K >= 1, got \(3,\)"):
        HeatPath(M, means[0], start=0.1, end=0.2)
    with pytest.raises(rm.ShapeError, match="weights of shape"):
        HeatPath(M, means, [1.0], start=0.1, end=0.2)
    with pytest.raises(rm.PointError):
        HeatPath(M, 2 * means, start=0.1, end=0.2)
    with pytest.raises(rm.OptionError, match="no heat kernel is known on SPD"):
        HeatPath(rm.SPD(2), torch.eye(2).unsqueeze(0), start=0.1, end=0.2)
    with pytest.raises(rm.ShapeError, match=r"points on Sphere\(2\) have shape"):
        path.log_prob(0.5, torch.zeros(4, 2))
