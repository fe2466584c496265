"""The sphere against numbers of 60 digits, from tiny angles to the antipode, gradients included."""

import math

import mpmath as mp
import pytest
import torch
from torch import Tensor

from rmatch.manifolds import Sphere

from . import reference as ref

SEEDS = range(4)
ANGLES = {
    "1e-12": mp.mpf("1e-12"),
    "1e-8": mp.mpf("1e-8"),
    "1e-6": mp.mpf("1e-6"),
    "1e-4": mp.mpf("1e-4"),
    "1e-2": mp.mpf("1e-2"),
    "1": mp.mpf(1),
    "pi/2": mp.pi / 2,
    "3": mp.mpf(3),
    "pi-1e-2": mp.pi - mp.mpf("1e-2"),
    "pi-1e-4": mp.pi - mp.mpf("1e-4"),
    "pi-1e-6": mp.pi - mp.mpf("1e-6"),
    "pi-1e-8": mp.pi - mp.mpf("1e-8"),
}
# float32 has no pair of unit vectors much less than 1e-4 apart whose distance means anything: each is off the sphere by
# 6e-8, and that shows in |x - y| as (6e-8 / angle)² / 2.
CASES = [
    *(pytest.param(torch.float64, 1e-14, angle, id=f"float64-{name}") for name, angle in ANGLES.items()),
    *(
        pytest.param(torch.float32, 1e-6, angle, id=f"float32-{name}")
        for name, angle in ANGLES.items()
        if name not in ("1e-12", "1e-8", "1e-6", "pi-1e-6", "pi-1e-8")
    ),
]
every_angle = pytest.mark.parametrize(("dtype", "bound", "angle"), CASES)
every_sphere = pytest.mark.parametrize("n", [1, 2, 15], ids=lambda n: f"S{n}")


def off_the_sphere(x: Tensor, y: Tensor, angle: ref.Number) -> float:
    """What `dist` may lose at tiny angles because the floats x and y are not exactly unit vectors: (gap / angle)²."""
    gap = ref.norm(ref.exact(x)) - ref.norm(ref.exact(y))
    return float((gap / angle) ** 2)


def some_vector(n: int, seed: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(n + 1, generator=torch.Generator().manual_seed(100 + seed), dtype=dtype)


@every_sphere
@every_angle
def test_dist_and_its_gradient_have_full_relative_precision(
    n: int, dtype: torch.dtype, bound: float, angle: ref.Number
) -> None:
    M = Sphere(n)
    for seed in SEEDS:
        x, y = ref.sphere_pair(n, angle, seed, dtype)
        at, to = ref.unit(ref.exact(x)), ref.unit(ref.exact(y))
        for leaf in (x, y):
            leaf.requires_grad_()
        allowed = bound + off_the_sphere(x, y, angle)
        dist = M.dist(x, y)
        assert ref.error(dist, [ref.sphere_angle(at, to)]) <= allowed
        for point, gradient, wanted in zip(
            (at, to), torch.autograd.grad(dist, (x, y)), ref.sphere_dist_gradients(at, to), strict=True
        ):
            assert ref.error(ref.tangent(point, ref.exact(gradient)), wanted) <= allowed


@every_sphere
@every_angle
def test_log_has_full_relative_precision(n: int, dtype: torch.dtype, bound: float, angle: ref.Number) -> None:
    for seed in SEEDS:
        x, y = ref.sphere_pair(n, angle, seed, dtype)
        at, to = ref.unit(ref.exact(x)), ref.unit(ref.exact(y))
        assert ref.error(Sphere(n).log(x, y), ref.sphere_log(at, to)) <= bound


@every_sphere
@every_angle
def test_gradient_of_log_is_accurate_to_the_size_of_its_differential(
    n: int, dtype: torch.dtype, bound: float, angle: ref.Number
) -> None:
    """The differential of log has norm 1 along the geodesic and θ/sin θ across, so <w, log> is judged by |w| θ/sin θ.

    On S¹ nothing lies across, but the formula does not know: next to the antipode its gradient, of size 1, is the
    difference of terms of that size.
    """
    for seed in SEEDS:
        x, y = ref.sphere_pair(n, angle, seed, dtype)
        w = some_vector(n, seed, dtype)
        at, to = ref.unit(ref.exact(x)), ref.unit(ref.exact(y))
        for leaf in (x, y):
            leaf.requires_grad_()
        gradients = torch.autograd.grad(Sphere(n).log(x, y) @ w, (x, y))
        true_angle = ref.sphere_angle(at, to)
        scale = ref.norm(ref.exact(w)) * true_angle / mp.sin(true_angle)
        wanted = ref.sphere_log_gradients(at, to, ref.exact(w))
        for point, gradient, exact in zip((at, to), gradients, wanted, strict=True):
            assert ref.error(ref.tangent(point, ref.exact(gradient)), exact, scale) <= bound


@every_sphere
@every_angle
def test_exp_and_its_gradient_have_full_precision(n: int, dtype: torch.dtype, bound: float, angle: ref.Number) -> None:
    """The differential of exp has norm at most 1, so the gradient of <w, exp> is judged by |w|."""
    M = Sphere(n)
    for seed in SEEDS:
        x, y = ref.sphere_pair(n, angle, seed, dtype)
        v = M.log(x, y)
        w = some_vector(n, seed, dtype)
        at = ref.unit(ref.exact(x))
        along = ref.tangent(at, ref.exact(v))
        for leaf in (x, v):
            leaf.requires_grad_()
        point = M.exp(x, v)
        assert ref.error(point, ref.sphere_exp(at, along)) <= bound
        by_point, by_vector = map(ref.exact, torch.autograd.grad(point @ w, (x, v)))
        by_point = ref.combine(ref.ONE, by_point, -ref.dot(by_vector, at), along)  # v stays tangent as x moves
        scale = ref.norm(ref.exact(w))
        wanted = ref.sphere_exp_gradients(at, along, ref.exact(w))
        assert ref.error(ref.tangent(at, by_point), wanted[0], scale) <= bound
        assert ref.error(ref.tangent(at, by_vector), wanted[1], scale) <= bound


@every_sphere
@pytest.mark.parametrize("angle", ["1e-12", "1e-6", "1", "pi/2"])
def test_exp_has_full_relative_precision_in_its_step_too(n: int, angle: str) -> None:
    """What `exp` adds to a base point with room below it (an axis) keeps the relative precision of the step."""
    M = Sphere(n)
    x = M.origin(dtype=torch.float64)
    v = torch.zeros(n + 1, dtype=torch.float64)
    v[0] = float(ANGLES[angle])
    assert ref.error(M.exp(x, v)[:1], [mp.sin(mp.mpf(float(v[0])))]) <= 1e-15


@every_sphere
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_antipode_is_at_distance_pi_in_one_fixed_direction(n: int, dtype: torch.dtype) -> None:
    M = Sphere(n)
    eps = torch.finfo(dtype).eps
    x = M.project(torch.randn(200, n + 1, dtype=dtype))
    x = torch.cat([x, torch.eye(n + 1, dtype=dtype), -torch.eye(n + 1, dtype=dtype)])
    v = M.log(x, -x)
    lengths = v.double().square().sum(-1).sqrt()
    assert float((lengths - math.pi).abs().max()) <= 8 * eps
    assert float((M.dist(x, -x).double() - math.pi).abs().max()) <= 2 * eps
    assert M.check_tangent(x, v, tolerance=8 * eps) is None
    assert torch.equal(v, M.log(x.flip(0), -x.flip(0)).flip(0))
    torch.testing.assert_close(M.exp(x, v), -x, atol=8 * eps, rtol=0)


@every_sphere
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_log_next_to_the_antipode_is_about_pi_long(n: int, dtype: torch.dtype) -> None:
    """Points a few roundings off -x, where the direction is all but undefined: length π, tangent, not NaN, not 0."""
    M = Sphere(n)
    eps = torch.finfo(dtype).eps
    x = M.project(torch.randn(500, n + 1, dtype=dtype))
    for size in (0.3, 1.0, 10.0, 1e3, 1e5):
        y = -x + size * eps * torch.randn(x.shape, dtype=dtype)
        v = M.log(x, y)
        assert bool(((v.norm(dim=-1) - math.pi).abs() <= 10 * (size + 1) * eps * math.sqrt(n + 1)).all())
        assert M.check_tangent(x, v, tolerance=8 * eps) is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_project_sends_the_centre_to_the_origin_and_scales_the_rest(dtype: torch.dtype) -> None:
    M = Sphere(2)
    x = torch.tensor([[0.0, 0.0, 0.0], [3.0, 0.0, 4.0]], dtype=dtype, requires_grad=True)
    projected = M.project(x)
    torch.testing.assert_close(projected[0], M.origin(dtype=dtype))
    torch.testing.assert_close(projected[1], torch.tensor([0.6, 0.0, 0.8], dtype=dtype))
    (gradient,) = torch.autograd.grad(projected.sum(), x)
    assert bool(gradient.isfinite().all())


def test_volumes_are_the_known_ones() -> None:
    known = {1: 2 * math.pi, 2: 4 * math.pi, 3: 2 * math.pi**2, 4: 8 * math.pi**2 / 3, 7: math.pi**4 / 3}
    for n, volume in known.items():
        assert math.isclose(Sphere(n).volume, volume, rel_tol=1e-15)
