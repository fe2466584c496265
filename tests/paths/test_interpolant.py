"""The geodesic with noise: rigid motions are isometries, the field generates the law, both ends are reached."""

import math

import pytest
import torch
from torch import Tensor

import rmatch as rm
from rmatch.manifolds import Euclidean, Lorentz, Manifold, PoincareBall, Product, SpecialOrthogonal, Sphere, Torus
from rmatch.paths import Cosine, StochasticInterpolant
from rmatch.paths._isometries import rigid_motion

F64 = torch.float64
MEMBERS: list[Manifold] = [
    Sphere(1),
    Sphere(2),
    Sphere(3, radius=2.0),
    Torus(2),
    SpecialOrthogonal(3),
    Euclidean(2),
    Lorentz(2),
    PoincareBall(2),
    PoincareBall(3, curvature=-0.5),
    Product(Sphere(2), Torus(1)),
]
every_member = pytest.mark.parametrize("M", MEMBERS, ids=repr)


def some_points(M: Manifold, rows: int, seed: int = 0) -> Tensor:
    origin = M.origin(dtype=F64).expand(rows, *M.point_shape)
    return M.exp(origin, 0.7 * M.random_tangent(origin, generator=torch.Generator().manual_seed(seed)))


@every_member
def test_a_rigid_motion_starts_as_its_velocity_and_keeps_all_distances(M: Manifold) -> None:
    """<∇_w ξ, w> = 0 for every w (Killing's equation), seen as d/dt dist(x, y) = 0 when both move with ξ."""
    m, x, y = (some_points(M, 4, seed) for seed in (0, 1, 2))
    v = M.random_tangent(m, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(rigid_motion(M, m, v, m), v, rtol=1e-12, atol=1e-12)
    motions = rigid_motion(M, m, v, x), rigid_motion(M, m, v, y)
    assert M.check_tangent(x, motions[0]) is None
    change = torch.func.jvp(M.dist, (x, y), motions)[1]
    torch.testing.assert_close(change, torch.zeros(4, dtype=F64), rtol=0, atol=1e-12)
    divergence = M.divergence(lambda z: rigid_motion(M, m, v, z))(x)
    torch.testing.assert_close(divergence, torch.zeros(4, dtype=F64), rtol=0, atol=1e-12)


@every_member
@pytest.mark.parametrize("noise", [0.0, 0.8])
def test_given_both_ends_density_and_field_satisfy_the_continuity_equation(M: Manifold, noise: float) -> None:
    """∂ log p/∂t = -Div u - <u, ∇log p>, the left side by a difference quotient."""
    path = StochasticInterpolant(M, noise, floor=0.3, schedule=Cosine())
    x0, x1, x = (some_points(M, 5, seed) for seed in (0, 1, 2))
    t, h = torch.tensor(0.35, dtype=F64), 1e-3
    k = [path.kernel(t + step * h, x0, x1).log_prob(x) for step in (-2, -1, 1, 2)]
    rate = (k[0] - 8 * k[1] + 8 * k[2] - k[3]) / (12 * h)
    velocity, divergence = M.value_and_divergence(lambda y: path.pair_velocity(t, y, x0, x1))(x)
    score = path.kernel(t, x0, x1).score(x)
    torch.testing.assert_close(rate, -divergence - M.inner(x, velocity, score), rtol=1e-7, atol=1e-7)


@every_member
def test_at_the_centre_it_moves_along_the_geodesic(M: Manifold) -> None:
    path = StochasticInterpolant(M, 0.5)
    x0, x1, t = some_points(M, 3), some_points(M, 3, 1), torch.tensor([0.1, 0.5, 0.9], dtype=F64)
    centre, velocity = M.geodesic_with_velocity(x0, x1, t)
    torch.testing.assert_close(path.pair_velocity(t, centre, x0, x1), velocity, rtol=1e-9, atol=1e-9)


@every_member
def test_samples_have_the_noise_of_a_bridge(M: Manifold) -> None:
    """E d(x_t, γ)² is about dim (floor² + noise² t (1 - t)) for little noise, up to curvature."""
    path = StochasticInterpolant(M, 0.1, floor=0.02)
    x0, x1 = (some_points(M, 1, seed).expand(4000, *M.point_shape) for seed in (0, 1))
    for time in (0.0, 0.5, 1.0):
        t = torch.full((4000,), time, dtype=F64)
        x_t, u_t = path.sample(t, x0, x1, generator=torch.Generator().manual_seed(0))
        square = M.dist(x_t, M.geodesic(x0, x1, t)).square()
        expected = M.dim * (0.02**2 + 0.1**2 * time * (1 - time))
        assert float(square.mean()) == pytest.approx(expected, rel=0.1)
        torch.testing.assert_close(u_t, path.pair_velocity(t, x_t, x0, x1))


def test_flow_matching_can_train_on_it() -> None:
    M = Sphere(2)
    path = StochasticInterpolant(M, 0.2, floor=0.05)
    loss = rm.FlowMatching(path, rm.Uniform(M))
    x1, net = rm.Uniform(M).sample((16,)), rm.TangentMLP(M, width=8, depth=1)
    a, b, c = (float(loss(net, x1, generator=torch.Generator().manual_seed(seed)).detach()) for seed in (0, 0, 1))
    assert a == b != c
    with pytest.raises(rm.OptionError, match="not known from the end point alone; do without rao_blackwell"):
        rm.FlowMatching(path, rm.Uniform(M), rao_blackwell=True)(net, x1)


def test_what_cannot_be_used_is_refused() -> None:
    with pytest.raises(rm.OptionError, match=r"floor of the noise is a positive number, got 0\.0"):
        StochasticInterpolant(Sphere(2), 0.1, floor=0.0)
    with pytest.raises(rm.OptionError, match="noise is a number from 0 on, got -1"):
        StochasticInterpolant(Sphere(2), -1.0)
    with pytest.raises(rm.OptionError, match="noise is a number from 0 on, got nan"):
        StochasticInterpolant(Sphere(2), math.nan)
    with pytest.raises(rm.OptionError, match="no heat kernel is known on SPD"):
        StochasticInterpolant(rm.SPD(2), 0.1)
