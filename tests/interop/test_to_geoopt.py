"""A manifold of ours under geoopt's names: in its parameters and optimisers, in flow_matching's path and solver."""

import math
from typing import Any

import geoopt
import pytest
import torch
from torch import Tensor

import rmatch as rm

MEMBERS: list[rm.Manifold] = [
    rm.Euclidean(3),
    rm.Sphere(2),
    rm.Torus(2),
    rm.PoincareBall(2),
    rm.Lorentz(2),
    rm.SPD(2),
    rm.SpecialOrthogonal(3),
    rm.Product(rm.Sphere(2), rm.Torus(1)),
]
every_member = pytest.mark.parametrize("M", MEMBERS, ids=repr)


def cloud(M: rm.Manifold, n: int, seed: int, spread: float) -> Tensor:
    """Points around one that is not the origin."""
    generator = torch.Generator().manual_seed(seed)
    origin = M.origin(dtype=torch.float64)
    centre = M.exp(origin, 0.5 * M.random_tangent(origin, generator=generator))
    around = centre.expand(n, *M.point_shape)
    return M.exp(around, spread * M.random_tangent(around, generator=generator))


@every_member
def test_riemannian_adam_finds_the_frechet_mean(M: rm.Manifold) -> None:
    points = cloud(M, 12, 0, 0.3)
    parameter: Any = geoopt.ManifoldParameter  # its stub knows no manifold
    mean = parameter(points[0].clone(), manifold=rm.interop.to_geoopt(M))
    optimiser = geoopt.optim.RiemannianAdam([mean], lr=0.1, betas=(0.8, 0.9), stabilize=10)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, 0.96)
    for _ in range(150):
        optimiser.zero_grad()
        M.dist(mean.as_subclass(Tensor), points).square().mean().backward()
        optimiser.step()
        schedule.step()
    result = mean.detach().as_subclass(Tensor)
    assert M.check_point(result) is None
    pull = M.norm(result, M.log(result, points).mean(0))  # the mean is where the logarithms cancel
    assert float(pull) < 1e-4


@every_member
def test_every_method_is_ours_under_geoopts_name(M: rm.Manifold) -> None:
    G = rm.interop.to_geoopt(M)
    x, y = cloud(M, 5, 1, 0.3), cloud(M, 5, 2, 0.3)
    u, v = M.log(x, y), M.random_tangent(x)
    rank = len(M.point_shape)
    assert torch.equal(G.expmap(x, u), M.exp(x, u))
    assert torch.equal(G.retr(x, u), M.exp(x, u))
    assert torch.equal(G.logmap(x, y), M.log(x, y))
    assert torch.equal(G.dist(x, y), M.dist(x, y))
    assert torch.equal(G.dist2(x, y), M.dist(x, y) ** 2)
    assert torch.equal(G.inner(x, u, v), M.inner(x, u, v))
    assert torch.equal(G.inner(x, u), M.inner(x, u, u))
    assert tuple(G.inner(x, u, v, keepdim=True).shape) == (5, *[1] * rank)
    assert tuple(G.component_inner(x, u).shape) == (5, *[1] * rank)
    assert torch.equal(G.norm(x, u), M.norm(x, u))
    assert torch.equal(G.transp(x, y, v), M.transport(x, y, v))
    assert torch.equal(G.retr_transp(x, u, v)[1], M.transport(x, G.retr(x, u), v))
    assert torch.equal(G.proju(x, y), M.to_tangent(x, y))
    assert torch.equal(G.egrad2rgrad(x, y), M.sharp(x, y))
    assert torch.equal(G.projx(x + 0.01), M.project(x + 0.01))
    assert G.check_point_on_manifold(x, explain=True) == (True, None)
    assert G.check_vector_on_tangent(x, u, explain=True) == (True, None)
    assert not G.check_point(x[..., :1])
    assert tuple(G.random(4, *M.point_shape).shape) == (4, *M.point_shape)
    assert G.check_point_on_manifold(G.random(4, *M.point_shape, dtype=torch.float64))
    assert torch.equal(G.origin(3, *M.point_shape)[1].as_subclass(Tensor), M.origin())
    assert repr(M) in repr(G)


def test_a_point_off_the_manifold_is_refused_with_our_words() -> None:
    G = rm.interop.to_geoopt(rm.Sphere(2))
    with pytest.raises(ValueError, match="off the manifold"):
        G.assert_check_point_on_manifold(torch.tensor([0.0, 0.0, 2.0]))


@every_member
def test_flow_matchings_path_is_our_geodesic_path(M: rm.Manifold) -> None:
    flow_matching = pytest.importorskip("flow_matching.path")
    schedules = pytest.importorskip("flow_matching.path.scheduler")

    x0, x1 = cloud(M, 4, 3, 0.4), cloud(M, 4, 4, 0.4)
    t = torch.linspace(0.1, 0.9, 4, dtype=torch.float64)
    path = flow_matching.GeodesicProbPath(schedules.CondOTScheduler(), rm.interop.to_geoopt(M, flat=True))
    theirs = path.sample(x_0=x0.flatten(1), x_1=x1.flatten(1), t=t)
    ours = rm.GeodesicPath(M).sample(t, x0, x1)
    torch.testing.assert_close(theirs.x_t, ours.x_t.flatten(1), atol=1e-10, rtol=0)
    torch.testing.assert_close(theirs.dx_t, ours.u_t.flatten(1), atol=1e-10, rtol=0)


@every_member
def test_flow_matchings_solver_stays_on_the_manifold(M: rm.Manifold) -> None:
    solver = pytest.importorskip("flow_matching.solver")
    models = pytest.importorskip("flow_matching.utils")

    x0 = cloud(M, 4, 5, 0.3)
    goal = cloud(M, 1, 6, 0.3)

    class Homing(models.ModelWrapper):
        def forward(self, x: Tensor, t: Tensor, **extras: object) -> Tensor:
            point = x.unflatten(-1, M.point_shape)
            return M.log(point, goal).flatten(1)

    G = rm.interop.to_geoopt(M, flat=True)
    end = solver.RiemannianODESolver(G, Homing(torch.nn.Identity())).sample(x0.flatten(1), step_size=0.01, method="rk4")
    point = end.unflatten(-1, M.point_shape)
    assert M.check_point(point) is None
    expected = math.exp(-1) * M.dist(x0, goal)  # x' = log_x(goal) comes closer at the rate of the distance
    torch.testing.assert_close(M.dist(point, goal), expected, atol=1e-4, rtol=0)
