"""Brownian bridges: the law and what it is a law of, the fields that carry it, and points drawn from it."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest, norm
from torch import Tensor

import rmatch as rm

F64 = torch.float64
MEMBERS: list[rm.Manifold] = [
    rm.Sphere(2),
    rm.Sphere(3, radius=2.0),
    rm.Torus(2),
    rm.SpecialOrthogonal(3),
    rm.Euclidean(2),
    rm.Lorentz(2),
    rm.PoincareBall(3, curvature=-0.5),
    rm.Product(rm.Sphere(2), rm.Torus(1)),
]
every_member = pytest.mark.parametrize("M", MEMBERS, ids=repr)
X0, X1 = torch.eye(3, dtype=F64)[:2]
NEARLY_OPPOSITE = torch.tensor([-math.cos(0.3), math.sin(0.3), 0.0], dtype=F64)


def some_points(M: rm.Manifold, rows: int, seed: int = 0) -> Tensor:
    origin = M.origin(dtype=F64).expand(rows, *M.point_shape)
    return M.exp(origin, 0.7 * M.random_tangent(origin, generator=torch.Generator().manual_seed(seed)))


def many(path: rm.DiffusionBridge, t: float, x0: Tensor, x1: Tensor, count: int = 4000) -> Tensor:
    shape = (count, *path.manifold.point_shape)
    times = torch.full((count,), t, dtype=F64)
    return path.sample(times, x0.expand(shape), x1.expand(shape), generator=torch.Generator().manual_seed(0)).x_t


# ---------------------------------------------------------------------------------------------- the law


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("x1", [X1, NEARLY_OPPOSITE], ids=["quarter", "opposite"])
def test_on_the_globe_the_density_has_mass_one(t: float, x1: Tensor) -> None:
    path = rm.DiffusionBridge(rm.Sphere(2), 0.5, floor=0.2)
    time = torch.tensor(t, dtype=F64)
    mass = path.manifold.integrate(lambda x: path.pair_log_prob(time, x, X0, x1).exp(), degree=80)
    assert float(mass) == pytest.approx(1.0, abs=1e-12)


def test_averaged_over_the_ends_of_free_motions_it_is_a_free_motion() -> None:
    """∫ p_t(x | x0, y) K(a + b, x0, y) dy = K(a, x0, x): what conditioning means."""
    M, x, t = rm.Sphere(2), X1, torch.tensor(0.3, dtype=F64)
    path = rm.DiffusionBridge(M, 0.8, floor=0.3)
    whole, before = 0.8**2 + 2 * 0.3**2, 0.8**2 * 0.3 + 0.3**2

    def joint(y: Tensor) -> Tensor:
        return (path.pair_log_prob(t, x, X0, y) + rm.HeatKernel(M, X0, whole).log_prob(y)).exp()

    expected = rm.HeatKernel(M, X0, before).log_prob(x).exp()
    assert float(M.integrate(joint, degree=80)) == pytest.approx(float(expected), rel=1e-12)


def test_in_flat_space_it_is_the_normal_law_of_a_brownian_bridge() -> None:
    """Mean (b x0 + a x1)/(a + b), variance ab/(a + b), and with little floor the law of the stochastic interpolant."""
    M = rm.Euclidean(2)
    x0, x1, x = (some_points(M, 5, seed) for seed in (0, 1, 2))
    t = torch.linspace(0, 1, 5, dtype=F64)
    path = rm.DiffusionBridge(M, 0.7, floor=0.3)
    a, b = 0.09 + 0.49 * t, 0.09 + 0.49 * (1 - t)
    mean, deviation = (b[:, None] * x0 + a[:, None] * x1) / (a + b)[:, None], (a * b / (a + b)).sqrt()
    expected = norm.logpdf(x.numpy(), mean.numpy(), deviation[:, None].numpy()).sum(-1)
    velocity, log_prob, score = path.pair_fields(t, x, x0, x1)
    np.testing.assert_allclose(log_prob.numpy(), expected, rtol=1e-13, atol=1e-14)
    torch.testing.assert_close(score, (mean - x) / deviation.square()[:, None], rtol=1e-12, atol=1e-13)
    slope = 0.49 * (x1 - x0) / (a + b)[:, None]  # of the mean; the deviation grows at half the rate of log(ab)
    growth = 0.49 * (1 / a - 1 / b)[:, None] / 2
    torch.testing.assert_close(velocity, slope + growth * (x - mean), rtol=1e-12, atol=1e-13)
    bridge, other = rm.DiffusionBridge(M, 0.7, floor=1e-5), rm.StochasticInterpolant(M, 0.7, floor=1e-5)
    inside = t[1:4], x[1:4], x0[1:4], x1[1:4]
    for found, like in zip(bridge.pair_fields(*inside), other.pair_fields(*inside), strict=True):
        torch.testing.assert_close(found, like, rtol=1e-7, atol=1e-7)


# ------------------------------------------------------------------------------------------- the fields


@every_member
def test_density_and_field_satisfy_the_continuity_equation(M: rm.Manifold) -> None:
    """∂ log p/∂t = -Div u - <u, ∇log p>, the left side by a difference quotient."""
    path = rm.DiffusionBridge(M, 0.8, floor=0.3, schedule=rm.Cosine())
    x0, x1, x = (some_points(M, 4, seed) for seed in (0, 1, 2))
    t, h = torch.tensor(0.35, dtype=F64), 1e-3
    k = [path.pair_log_prob(t + step * h, x, x0, x1) for step in (-2, -1, 1, 2)]
    rate = (k[0] - 8 * k[1] + 8 * k[2] - k[3]) / (12 * h)
    velocity, divergence = M.value_and_divergence(lambda y: path.pair_velocity(t, y, x0, x1))(x)
    score = M.gradient(lambda y: path.pair_log_prob(t, y, x0, x1))(x)
    torch.testing.assert_close(path.pair_fields(t, x, x0, x1)[2], score, rtol=1e-10, atol=1e-11)
    torch.testing.assert_close(rate, -divergence - M.inner(x, velocity, score), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(
    ("M", "x0", "x1"),
    [
        (rm.Sphere(2), X0, NEARLY_OPPOSITE),
        (rm.Torus(1), torch.tensor([0.1], dtype=F64), torch.tensor([2.9], dtype=F64)),
    ],
    ids=["S²", "T¹"],
)
def test_field_and_drift_move_every_expectation(M: rm.Manifold, x0: Tensor, x1: Tensor) -> None:
    """d/dt E f = E <∇f, u> = E (<∇f, b> + ½ noise² κ' Δf), by quadrature."""
    path = rm.DiffusionBridge(M, 0.9, floor=0.2, schedule=rm.Cosine())
    t, h = torch.tensor(0.4, dtype=F64), 1e-3
    nodes, weights = M.quadrature(120)

    def f(x: Tensor) -> Tensor:
        features = M.features(x)
        return (features * features.new_tensor([0.3, -1.0, 0.7])[: features.shape[-1]]).sum(-1).exp()

    values, gradient, laplacian = f(nodes), M.gradient(f)(nodes), M.laplacian(f)(nodes)

    def mean(time: Tensor, quantity: Tensor) -> Tensor:
        return (weights * path.pair_log_prob(time, nodes, x0, x1).exp() * quantity).sum()

    k = [mean(t + step * h, values) for step in (-2, -1, 1, 2)]
    rate = (k[0] - 8 * k[1] + 8 * k[2] - k[3]) / (12 * h)
    carried = mean(t, M.inner(nodes, gradient, path.pair_velocity(t, nodes, x0, x1)))
    clock = 0.9**2 * rm.Cosine().rate(t)
    drifted = mean(t, M.inner(nodes, gradient, path.drift(t, nodes, x1)) + clock / 2 * laplacian)
    torch.testing.assert_close(carried, rate, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(drifted, rate, rtol=1e-9, atol=1e-10)


@every_member
def test_the_bridge_back_is_a_bridge(M: rm.Manifold) -> None:
    path = rm.DiffusionBridge(M, 0.5, floor=0.1)
    x0, x1, x = (some_points(M, 4, seed) for seed in (0, 1, 2))
    t = torch.tensor(0.3, dtype=F64)
    forth, back = path.pair_fields(t, x, x0, x1), path.pair_fields(1 - t, x, x1, x0)
    torch.testing.assert_close(forth[0], -back[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(forth[1], back[1], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(forth[2], back[2], rtol=1e-12, atol=1e-12)


# ------------------------------------------------------------------------------------------- the sampler


@pytest.mark.parametrize("t", [0.0, 0.4, 1.0])
def test_samples_in_flat_space_pass_kolmogorov_and_smirnov(t: float) -> None:
    M = rm.Euclidean(1)
    path = rm.DiffusionBridge(M, 0.7, floor=0.3)
    x = many(path, t, torch.tensor([-1.0], dtype=F64), torch.tensor([2.0], dtype=F64))
    a, b = 0.09 + 0.49 * t, 0.09 + 0.49 * (1 - t)
    assert kstest(x[:, 0].numpy(), norm((2 * a - b) / (a + b), math.sqrt(a * b / (a + b))).cdf).pvalue > 1e-3


@pytest.mark.parametrize("M", [rm.Torus(1), rm.Torus(1, periods=1.0)], ids=repr)
@pytest.mark.parametrize("t", [0.1, 0.5])
def test_samples_on_a_circle_pass_kolmogorov_and_smirnov(M: rm.Torus, t: float) -> None:
    """With noise for several turns on the small circle, and an end that two ways lead to on the large one."""
    path = rm.DiffusionBridge(M, 1.2, floor=0.05)
    x0, x1 = (share * torch.tensor(M.periods, dtype=F64) for share in (0.1, 0.55))
    x = many(path, t, x0, x1)
    grid = torch.linspace(0, M.periods[0], 4001, dtype=F64).unsqueeze(-1)
    density = path.pair_log_prob(torch.tensor(t, dtype=F64), grid, x0, x1).exp()
    cumulative = torch.cat([torch.zeros(1, dtype=F64), torch.cumulative_trapezoid(density, grid[:, 0])])
    assert float(cumulative[-1]) == pytest.approx(1.0, abs=1e-10)
    assert kstest(x[:, 0].numpy(), lambda y: np.interp(y, grid[:, 0].numpy(), cumulative.numpy())).pvalue > 1e-3


@pytest.mark.parametrize(
    ("M", "x0", "x1"),
    [
        (rm.Sphere(2), X0, X1),
        (rm.Sphere(2), X0, NEARLY_OPPOSITE),
        (rm.Torus(2), torch.tensor([0.1, 6.0], dtype=F64), torch.tensor([3.0, 0.5], dtype=F64)),
        (rm.SpecialOrthogonal(3), torch.eye(3, dtype=F64), torch.eye(3, dtype=F64).roll(1, 0)),
        (rm.PoincareBall(2), torch.tensor([0.5, 0.0], dtype=F64), torch.tensor([-0.2, 0.3], dtype=F64)),
    ],
    ids=["S²", "S² opposite", "T²", "SO(3)", "H²"],
)
def test_means_of_samples_are_those_of_the_density(M: rm.Manifold, x0: Tensor, x1: Tensor) -> None:
    """Of coordinates, their squares and squared distances to both ends, within 4.5 standard errors."""
    path, t = rm.DiffusionBridge(M, 0.6, floor=0.1), 0.4

    def quantities(x: Tensor) -> Tensor:
        flat = x.flatten(-len(M.point_shape))
        wrapped = flat.cos() if isinstance(M, rm.Torus) else flat
        return torch.cat([wrapped, wrapped.square(), M.dist(x, x0)[..., None] ** 2, M.dist(x, x1)[..., None] ** 2], -1)

    def weighted(x: Tensor) -> Tensor:
        return path.pair_log_prob(torch.tensor(t, dtype=F64), x, x0, x1).exp()

    nodes, weights = M.quadrature(60)
    mass = weights * weighted(nodes)
    slack = abs(float(mass.sum()) - 1)  # of the rule, which is the coarsest on SO(3)
    assert slack < 2e-4
    expected = (mass.unsqueeze(-1) * quantities(nodes)).sum(0)
    values = quantities(many(path, t, x0, x1, 3000))
    error = values.std(0) / math.sqrt(3000)
    assert bool(((values.mean(0) - expected).abs() < 4.5 * error + 5 * slack).all())


def test_samples_on_a_product_are_independent_bridges() -> None:
    """The flat factor is exact, whatever the other one does."""
    M = rm.Product(rm.Sphere(2), rm.Euclidean(1))
    path = rm.DiffusionBridge(M, 0.7, floor=0.3, steps=2)
    x0, x1 = torch.cat([X0, torch.tensor([-1.0])]), torch.cat([X1, torch.tensor([2.0])])
    x = many(path, 0.5, x0, x1, 1000)
    assert M.check_point(x) is None
    assert kstest(x[:, 3].numpy(), norm(0.5, math.sqrt((0.09 + 0.245) / 2)).cdf).pvalue > 1e-3


# ----------------------------------------------------------------------------------------------- its uses


def test_the_marginal_of_pairs_satisfies_the_continuity_equation_and_has_their_score() -> None:
    M = rm.Sphere(2)
    starts, ends, x = (some_points(M, 3, seed) for seed in (0, 1, 2))
    p = rm.EmpiricalPath(rm.DiffusionBridge(M, 0.6, floor=0.2), ends, starts)
    t, h = 0.3, 1e-3
    k = [p.log_prob(t + step * h, x) for step in (-2, -1, 1, 2)]
    rate = (k[0] - 8 * k[1] + 8 * k[2] - k[3]) / (12 * h)
    velocity, divergence = M.value_and_divergence(lambda y: p.velocity(t, y))(x)
    torch.testing.assert_close(p.score(t, x), M.gradient(lambda y: p.log_prob(t, y))(x), rtol=1e-10, atol=1e-11)
    torch.testing.assert_close(rate, -divergence - M.inner(x, velocity, p.score(t, x)), rtol=1e-7, atol=1e-7)
    assert float(M.integrate(lambda y: p.log_prob(t, y).exp())) == pytest.approx(1.0, abs=1e-9)


def test_flow_matching_can_train_on_it() -> None:
    M = rm.Sphere(2)
    loss = rm.FlowMatching(rm.DiffusionBridge(M, 0.3, floor=0.05, steps=4), rm.Uniform(M))
    x1, net = rm.Uniform(M).sample((16,)), rm.TangentMLP(M, width=8, depth=1)
    a, b, c = (float(loss(net, x1, generator=torch.Generator().manual_seed(seed)).detach()) for seed in (0, 0, 1))
    assert a == b != c
    assert math.isfinite(a)


def test_what_cannot_be_used_is_refused() -> None:
    for noise in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(rm.OptionError, match="noise of a diffusion bridge is a positive number, got"):
            rm.DiffusionBridge(rm.Sphere(2), noise)
    with pytest.raises(rm.OptionError, match=r"floor of a diffusion bridge is a positive number, got 0\.0"):
        rm.DiffusionBridge(rm.Sphere(2), 0.1, floor=0.0)
    with pytest.raises(rm.OptionError, match="at least one step, got steps=0"):
        rm.DiffusionBridge(rm.Sphere(2), 0.1, steps=0)
    with pytest.raises(rm.OptionError, match="no heat kernel is known on SPD"):
        rm.DiffusionBridge(rm.SPD(2), 0.1)
    with pytest.raises(rm.OptionError, match="takes start points"):
        rm.EmpiricalPath(rm.DiffusionBridge(rm.Sphere(2), 0.1), X0.unsqueeze(0), rm.Uniform(rm.Sphere(2)))
