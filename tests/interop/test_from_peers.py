"""Manifolds of geoopt and geomstats as ours: the contract holds, whatever the peer left out or got wrong."""

import subprocess
import sys

import geoopt
import pytest
import torch
from torch import Tensor

import rmatch as rm

# geomstats 2.8.0 hands tensors to numpy in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def geomstats(module: str, name: str, *arguments: object) -> rm.Manifold:
    cls = getattr(rm.interop.import_geomstats(f"geometry.{module}"), name)
    return rm.interop.from_geomstats(cls(*arguments))


PEERS: list[rm.Manifold] = [
    geomstats("hypersphere", "Hypersphere", 2),
    geomstats("spd_matrices", "SPDMatrices", 2),
    geomstats("stiefel", "Stiefel", 3, 2),
    geomstats("grassmannian", "Grassmannian", 3, 1),
    geomstats("special_orthogonal", "SpecialOrthogonal", 3),
    rm.interop.from_geoopt(geoopt.Sphere(), (3,)),
    rm.interop.from_geoopt(geoopt.EuclideanStiefel(), (3, 2)),
    rm.interop.from_geoopt(geoopt.Lorentz(), (3,)),
    rm.interop.from_geoopt(geoopt.PoincareBall(), (2,)),
]
every_peer = pytest.mark.parametrize("M", PEERS, ids=repr)

every_shooter = pytest.mark.parametrize("M", [PEERS[2], PEERS[6]], ids=repr)  # whose peers have no logarithm to use

# The same geometry of ours.
TWINS: list[tuple[rm.Manifold, rm.Manifold]] = [
    (PEERS[0], rm.Sphere(2)),
    (PEERS[1], rm.SPD(2)),
    (PEERS[4], rm.SpecialOrthogonal(3)),
    (PEERS[5], rm.Sphere(2)),
    (PEERS[7], rm.Lorentz(2)),
    (PEERS[8], rm.PoincareBall(2)),
]
every_twin = pytest.mark.parametrize(("M", "ours"), TWINS, ids=repr)


def points(M: rm.Manifold, n: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Points, and two tangent vectors at each."""
    generator = torch.Generator().manual_seed(seed)
    origin = M.origin(dtype=torch.float64).expand(n, *M.point_shape)
    x = M.exp(origin, 0.5 * M.random_tangent(origin, generator=generator))
    return x, 0.5 * M.random_tangent(x, generator=generator), M.random_tangent(x, generator=generator)


@every_peer
def test_log_inverts_exp_and_transport_is_parallel(M: rm.Manifold) -> None:
    x, u, w = points(M, 4)
    y = M.exp(x, u)
    torch.testing.assert_close(M.log(x, y), u, atol=1e-9, rtol=0)
    moved = M.transport(x, y, w)
    assert M.check_tangent(y, moved) is None
    torch.testing.assert_close(M.inner(y, moved, moved), M.inner(x, w, w), atol=1e-9, rtol=0)
    point, velocity = M.geodesic_with_velocity(x, y, torch.ones(4, dtype=torch.float64))
    torch.testing.assert_close(point, y, atol=1e-9, rtol=0)
    torch.testing.assert_close(M.transport(x, y, u), velocity, atol=1e-9, rtol=0)


@every_peer
def test_gradient_pairs_to_the_differential_and_a_frame_is_orthonormal(M: rm.Manifold) -> None:
    x, u, _ = points(M, 3, seed=1)

    def f(z: Tensor) -> Tensor:
        return z.flatten(-len(M.point_shape)).sin().sum(-1)

    slope = torch.func.jvp(f, (x,), (u,))[1]
    torch.testing.assert_close(M.inner(x, M.gradient(f)(x), u), slope, atol=1e-12, rtol=0)
    e = M.frame(x)
    gram = M.inner(x.unsqueeze(1).unsqueeze(1), e.unsqueeze(2), e.unsqueeze(1))
    torch.testing.assert_close(gram, torch.eye(M.dim, dtype=x.dtype).expand(3, -1, -1), atol=1e-12, rtol=0)
    torch.testing.assert_close(M.volume_form(x, e), torch.ones(3, dtype=x.dtype), atol=1e-12, rtol=0)


@every_peer
def test_divergence_obeys_the_product_rule_and_is_that_of_the_exponential_chart(M: rm.Manifold) -> None:
    """In normal coordinates at x the volume density is 1 + O(r²), so Div V = Σ_a g(∂_a V, e_a) there."""
    x, _, _ = points(M, 1, seed=2)
    a = torch.linspace(-1, 1, x[0].numel(), dtype=torch.float64).reshape(M.point_shape)

    def f(z: Tensor) -> Tensor:
        return z.flatten(-len(M.point_shape)).sin().sum(-1)

    def field(z: Tensor) -> Tensor:
        return M.to_tangent(z, (a + z).cos())

    def scaled(z: Tensor) -> Tensor:
        return f(z).reshape(-1, *(1 for _ in M.point_shape)) * field(z)

    product = f(x) * M.divergence(field)(x) + M.inner(x, M.gradient(f)(x), field(x))
    torch.testing.assert_close(M.divergence(scaled)(x), product, atol=1e-11, rtol=0)
    h, total = 1e-4, torch.zeros(1, dtype=torch.float64)
    for e in M.frame(x).unbind(1):
        ends = [M.exp(x, s * h * e) for s in (1.0, -1.0)]
        back = [M.transport(y, x, field(y)) for y in ends]  # D_e V = lim (τV(y) - V(x)) / h
        total = total + M.inner(x, back[0] - back[1], e) / (2 * h)
    torch.testing.assert_close(M.divergence(field)(x), total, atol=1e-6, rtol=0)


@every_twin
def test_a_manifold_that_both_have_is_the_same(M: rm.Manifold, ours: rm.Manifold) -> None:
    x, u, w = points(M, 4, seed=3)
    y = M.exp(x, u)
    assert (M.dim, M.point_shape) == (ours.dim, ours.point_shape)
    torch.testing.assert_close(M.dist(x, y), ours.dist(x, y), atol=1e-7, rtol=0)
    torch.testing.assert_close(M.transport(x, y, w), ours.transport(x, y, w), atol=1e-7, rtol=0)

    def field(z: Tensor) -> Tensor:
        return ours.to_tangent(z, (1 + z).sin())

    torch.testing.assert_close(M.divergence(field)(x), ours.divergence(field)(x), atol=1e-10, rtol=0)
    difference = M.log_volume_density(x) - ours.log_volume_density(x)
    if not isinstance(ours, rm.Lorentz):  # whose reference measure is another one
        torch.testing.assert_close(difference, difference[:1].expand(4), atol=1e-10, rtol=0)


@pytest.mark.parametrize("M", [PEERS[0], PEERS[1], PEERS[4], PEERS[7]], ids=repr)
def test_the_equation_of_transport_agrees_with_the_peers_closed_form(M: rm.Manifold) -> None:
    from rmatch.interop._transport import solve_transport

    x, u, w = points(M, 3, seed=4)
    y = M.exp(x, u)
    torch.testing.assert_close(solve_transport(M, x, u, w), M.transport(x, y, w), atol=1e-7, rtol=0)


def test_the_canonical_stiefel_manifold_of_two_axes_in_space_is_that_of_rotations() -> None:
    """With the third axis a × b it is SO(3) with the angle as distance; far pairs are reached by a search."""
    M, ours = PEERS[2], rm.SpecialOrthogonal(3)

    def completed(z: Tensor) -> Tensor:
        return torch.cat([z, torch.linalg.cross(z[..., :1], z[..., 1:], dim=-2)], -1)

    x, y = (
        points(M, 12, seed=6)[0],
        M.project(torch.randn(12, 3, 2, generator=torch.Generator().manual_seed(1)).double()),
    )
    distance = ours.dist(completed(x), completed(y))
    assert float(distance.amax()) > 2.5
    torch.testing.assert_close(M.dist(x, y), distance, atol=1e-9, rtol=0)
    u, w = points(M, 12, seed=6)[1:]

    def push(z: Tensor, v: Tensor) -> Tensor:
        return torch.func.jvp(completed, (z,), (v,))[1]

    moved = M.transport(x, M.exp(x, u), w)
    expected = ours.transport(completed(x), completed(M.exp(x, u)), push(x, w))
    torch.testing.assert_close(push(M.exp(x, u), moved), expected, atol=1e-9, rtol=0)


@every_shooter
def test_log_of_a_point_next_to_its_base_and_of_the_base_itself(M: rm.Manifold) -> None:
    x, u, _ = points(M, 3, seed=7)
    for dtype, tiny in ((torch.float64, 1e-6), (torch.float32, 1e-3)):
        there, v = M.project(x.to(dtype)), tiny * u.to(dtype)
        error = M.norm(there, M.log(there, M.exp(there, v)) - v)
        rounding = 64 * torch.finfo(dtype).eps  # of points, whatever their distance
        assert float(error.amax()) < rounding
        assert float(M.norm(there, M.log(there, there)).amax()) < rounding


@every_peer
def test_project_has_a_derivative_on_the_manifold(M: rm.Manifold) -> None:
    x, u, _ = points(M, 2, seed=8)
    moved = torch.func.jvp(M.project, (x,), (u,))[1]
    torch.testing.assert_close(moved, u, atol=1e-9, rtol=0)


@every_peer
def test_one_point_and_single_precision_and_no_point_at_all(M: rm.Manifold) -> None:
    x, u, _ = (a[0] for a in points(M, 1))
    y = M.exp(x, u)
    assert y.shape == M.log(x, y).shape == M.point_shape
    assert M.exp(x.float(), u.float()).dtype == M.inner(x.float(), u.float(), u.float()).dtype == torch.float32
    nothing = M.exp(x.expand(0, *M.point_shape), u.expand(0, *M.point_shape))
    assert tuple(nothing.shape) == (0, *M.point_shape)


@every_shooter
def test_shooting_is_differentiable(M: rm.Manifold) -> None:
    """∇ ½ dist² = -log, and that from a logarithm that neither peer has a derivative of."""
    x, u, _ = points(M, 2, seed=5)
    y = M.exp(x, u).requires_grad_()
    (slope,) = torch.autograd.grad(M.dist(x, y).square().sum() / 2, y)
    torch.testing.assert_close(M.sharp(y.detach(), slope), -M.log(y.detach(), x), atol=1e-9, rtol=0)


def test_a_flow_trains_on_a_stiefel_manifold() -> None:
    M = PEERS[6]
    generator = torch.Generator().manual_seed(0)
    base = rm.default_base(M)
    centre = M.exp(M.origin(), 0.8 * M.random_tangent(M.origin(), generator=generator))
    there = centre.expand(32, 3, 2)
    data = M.exp(there, 0.1 * M.random_tangent(there, generator=generator))
    field = rm.TangentMLP(M, width=32, depth=2)
    objective = rm.FlowMatching(rm.GeodesicPath(M), base=base)
    optimiser = torch.optim.Adam(field.parameters(), lr=0.01)
    for _ in range(40):
        optimiser.zero_grad()
        objective(field, data, generator=generator).backward()
        optimiser.step()
    flow = rm.FlowPath(field, base, solver=rm.RK4(8))
    samples = flow.sample(1.0, (32,), generator=generator)
    assert M.check_point(samples) is None
    before = float(M.dist(base.sample((32,), generator=generator), centre).mean())
    after = float(M.dist(samples.detach(), centre).mean())
    assert after < before / 2
    assert bool(flow.log_prob(1.0, samples.detach()[:4]).isfinite().all())


# --------------------------------------------------------------------------- what peers get wrong


def test_a_retraction_that_is_no_geodesic_is_refused() -> None:
    with pytest.raises(rm.OptionError, match="to_tangent is the identity on tangent vectors"):
        rm.interop.from_geoopt(geoopt.CanonicalStiefel(), (3, 2))

    class Chord(geoopt.EuclideanStiefel):
        expmap = geoopt.EuclideanStiefel.retr

    with pytest.raises(rm.OptionError, match="geodesics keep their speed"):
        rm.interop.from_geoopt(Chord(), (3, 2))


def test_geomstats_leaves_the_default_dtype_and_the_environment_alone() -> None:
    code = """
import os, torch, rmatch as rm
before = dict(os.environ), torch.get_default_dtype(), torch.random.get_rng_state().tolist()
stiefel = rm.interop.import_geomstats("geometry.stiefel")
M = rm.interop.from_geomstats(stiefel.Stiefel(3, 2))
M.exp(M.origin(), M.random_tangent(M.origin(), generator=torch.Generator()))
print(before == (dict(os.environ), torch.get_default_dtype(), torch.random.get_rng_state().tolist()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True"], done.stderr


def test_another_backend_that_came_first_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["geomstats.backend"], "__name__", "geomstats.numpy")
    with pytest.raises(rm.OptionError, match="imported with its numpy backend"):
        rm.interop.import_geomstats()


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "geoopt", None)
    monkeypatch.setitem(sys.modules, "geomstats.backend", None)
    calls = [
        lambda: rm.interop.to_geoopt(rm.Sphere(2)),
        lambda: rm.interop.from_geoopt(geoopt.Sphere(), (3,)),
        lambda: rm.interop.import_geomstats(),
    ]
    for call in calls:
        with pytest.raises(rm.DependencyError, match=r"python -m pip install 'rmatch\[interop\]'"):
            call()


def test_a_missing_submodule_of_geomstats_is_not_called_a_missing_package() -> None:
    with pytest.raises(rm.OptionError, match=r"no module geometry\.spehre"):
        rm.interop.import_geomstats("geometry.spehre")
