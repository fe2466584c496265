"""Spheres of any radius and tori of any periods are the unit ones in another unit of length."""

import math
from collections.abc import Callable

import mpmath as mp
import pytest
import torch
from torch import Tensor

import rmatch as rm
from rmatch.manifolds import Sphere, Torus

from . import reference as ref
from .cases import every_dtype, points, tangents

close = torch.testing.assert_close
F64 = torch.float64

RADII = [2.0, 0.1, 6371.0]
PERIODS: list[float | tuple[float, ...]] = [24.0, 360.0, math.pi, (1.0, 24.0, 2 * math.pi)]

every_radius = pytest.mark.parametrize("radius", RADII)
every_dimension = pytest.mark.parametrize("n", [1, 2, 5])
every_period = pytest.mark.parametrize("periods", PERIODS, ids=str)


@every_dimension
@every_radius
def test_a_sphere_is_the_unit_sphere_in_another_unit_of_length(n: int, radius: float) -> None:
    """Each method by its dimension: lengths scale with the radius, angles and volumes of frames do not."""
    one, M = Sphere(n), Sphere(n, radius=radius)
    x, y = points(one, (20,), 0), points(one, (20,), 1)
    v = tangents(one, x)
    at, to, along = radius * x, radius * y, radius * v
    vectors = torch.stack([tangents(one, x, seed) for seed in range(n)], -2)
    t = torch.rand(20, dtype=F64)
    same: list[tuple[Tensor, Tensor]] = [
        (M.exp(at, along), radius * one.exp(x, v)),
        (M.log(at, to), radius * one.log(x, y)),
        (M.log(at, -at), radius * one.log(x, -x)),
        (M.dist(at, to), radius * one.dist(x, y)),
        (M.inner(at, along, along), radius**2 * one.inner(x, v, v)),
        (M.transport(at, to, v), one.transport(x, y, v)),
        (M.to_tangent(at, y), one.to_tangent(x, y)),
        (M.sharp(at, y), one.sharp(x, y)),
        (M.frame(at), one.frame(x)),
        (M.project(3 * x + y), radius * one.project(3 * x + y)),
        (M.origin(dtype=F64), radius * one.origin(dtype=F64)),
        (M.features(at), one.features(x)),
        (M.span(at, y), radius * one.span(x, y)),
        (M.log_det_exp(at, along), one.log_det_exp(x, v)),
        (M.volume_form(at, vectors), one.volume_form(x, vectors)),
        (M.geodesic(at, to, t), radius * one.geodesic(x, y, t)),
        (M.geodesic_with_velocity(at, to, t)[0], radius * one.geodesic_with_velocity(x, y, t)[0]),
        (M.geodesic_with_velocity(at, to, t)[1], radius * one.geodesic_with_velocity(x, y, t)[1]),
    ]
    for actual, wanted in same:
        close(actual, wanted, rtol=1e-12, atol=1e-13 * float(wanted.abs().max()))
    assert torch.equal(M.is_minimising(at, along), one.is_minimising(x, v))
    assert math.isclose(M.volume, radius**n * one.volume, rel_tol=1e-15)


@every_dimension
@every_radius
@pytest.mark.parametrize("angle", [mp.mpf("1e-12"), mp.mpf("1e-6"), mp.mpf(1), mp.pi - mp.mpf("1e-6")], ids=str)
def test_dist_and_log_keep_full_relative_precision_at_every_radius(n: int, radius: float, angle: ref.Number) -> None:
    """From the floats that the points are; at 1e-12 two points of length 1 ± 1e-16 cannot tell `dist` better."""
    M = Sphere(n, radius=radius)
    for seed in range(4):
        x, y = (radius * a for a in ref.sphere_pair(n, angle, seed))
        at, to = ref.exact(x), ref.exact(y)
        true = ref.sphere_angle(ref.unit(at), ref.unit(to))
        off = float(((ref.norm(at) - ref.norm(to)) / radius / angle) ** 2)
        assert ref.error(M.dist(x, y), [radius * true]) <= 1e-14 + off
        log = [radius * p for p in ref.sphere_log(ref.unit(at), ref.unit(to))]
        assert ref.error(M.log(x, y), log) <= 2e-14


@every_radius
def test_calculus_on_a_sphere_scales_as_its_orders_do(radius: float) -> None:
    """A harmonic of degree 2 has the eigenvalue -6/radius²; |∇z|² = 1 - z²/radius²; Div of a projected constant."""
    M = Sphere(2, radius=radius)
    x = points(M, (9,))
    z = x[:, 2]
    close(M.laplacian(lambda p: p[..., 0] * p[..., 1])(x), -6 / radius**2 * x[:, 0] * x[:, 1], rtol=1e-11, atol=1e-10)
    gradient = M.gradient(lambda p: p[..., 2])(x)
    close(M.inner(x, gradient, gradient), 1 - z**2 / radius**2, rtol=1e-11, atol=1e-12)
    a = torch.tensor([0.3, -1.0, 2.0], dtype=F64)
    close(M.divergence(lambda p: M.to_tangent(p, a))(x), -2 * (x @ a) / radius**2, rtol=1e-11, atol=1e-12)


@every_dimension
@every_radius
def test_sphere_quadrature_has_its_volume_and_its_points(n: int, radius: float) -> None:
    M = Sphere(n, radius=radius)
    nodes, weights = M.quadrature(6)
    assert M.check_point(nodes) is None
    assert float(weights.sum()) == pytest.approx(M.volume, rel=1e-12)
    second = float(M.integrate(lambda x: x[..., 0] ** 2, degree=6))
    assert second == pytest.approx(radius**2 * M.volume / (n + 1), rel=1e-12)


@every_dtype
def test_checks_on_a_sphere_are_relative_to_its_radius(dtype: torch.dtype) -> None:
    M = Sphere(2, radius=6371.0)
    x = points(M, (5,), dtype=dtype)
    assert M.check_point(x) is None
    problem = M.check_point(torch.cat([x, 1.001 * x[:1]]))
    assert problem is not None
    assert "row 5 is 0.00" in problem
    assert "in units of the radius" in problem


@every_period
def test_a_torus_is_that_of_turns_in_another_unit_for_each_angle(periods: float | tuple[float, ...]) -> None:
    one, M = Torus(3), Torus(3, periods)
    radii = torch.tensor(M.radii, dtype=F64)
    x, y = points(one, (50,), 0), points(one, (50,), 1)
    v, t = 3 * tangents(one, x), torch.rand(50, dtype=F64)
    at, to, along = x * radii, y * radii, v * radii
    same: list[tuple[Tensor, Tensor]] = [
        (M.log(at, to), one.log(x, y) * radii),
        (M.to_angles(at), x),
        (M.features(at), one.features(x)),
        (M.span(at, v), one.span(x, v) * radii),
        (M.geodesic_with_velocity(at, to, t)[1], one.geodesic_with_velocity(x, y, t)[1] * radii),
        (M.dist(at, to), (one.log(x, y) * radii).norm(dim=-1)),
    ]
    for actual, wanted in same:
        close(actual, wanted, rtol=1e-12, atol=1e-12)
    for actual, wanted in [
        (M.exp(at, along), one.exp(x, v) * radii),
        (M.geodesic(at, to, t), one.geodesic(x, y, t) * radii),
        (M.geodesic_with_velocity(at, to, t)[0], one.geodesic(x, y, t) * radii),
    ]:
        assert M.check_point(actual) is None
        close(M.log(actual, M.project(wanted)), torch.zeros_like(actual), rtol=0, atol=1e-11)
    assert torch.equal(M.is_minimising(at, along), one.is_minimising(x, v))
    assert math.isclose(M.volume, math.prod(M.periods), rel_tol=1e-15)


@every_dtype
@every_period
def test_log_is_exact_modulo_the_period_on_both_sides_of_the_seam(
    dtype: torch.dtype, periods: float | tuple[float, ...]
) -> None:
    """A period is the float that it is, but π and 2π are the real numbers."""
    M = Torus(3, periods)
    real = [p / math.pi * mp.pi if p in (math.pi, 2 * math.pi) else mp.mpf(p) for p in M.periods]
    lengths = torch.tensor(M.periods, dtype=F64)
    step = 10.0 ** (-14 * torch.rand(200, 3, dtype=F64, generator=torch.Generator().manual_seed(0)))
    x, y = (M.project((side * 0.3 * lengths * step).to(dtype)) for side in (1, -1))
    bound = 1e-14 if dtype == F64 else 1e-6
    log = M.log(x, y)
    for row in range(len(x)):
        for i, period in enumerate(real):
            gap = mp.mpf(float(y[row, i])) - mp.mpf(float(x[row, i]))
            wanted = gap - period * mp.nint(gap / period)
            assert abs(float(log[row, i]) - wanted) <= bound * abs(wanted)


@every_dtype
@every_period
def test_project_lands_below_every_period(dtype: torch.dtype, periods: float | tuple[float, ...]) -> None:
    M = Torus(3, periods)
    tiny = torch.tensor([-1e-20, 0.0, -1e-30], dtype=dtype).unsqueeze(-1).expand(3, 3)
    x = torch.cat([tiny, 1e4 * torch.randn(10_000, 3, dtype=dtype)])
    for batch in (x, x[:1], x[0]):
        wrapped = M.project(batch)
        assert M.check_point(wrapped) is None
        assert torch.equal(M.project(wrapped), wrapped)
    problem = M.check_point(torch.tensor(M.periods, dtype=dtype).expand(2, 3))
    assert problem is not None
    assert "use project(x)" in problem


@every_period
def test_torus_quadrature_integrates_waves_of_its_periods(periods: float | tuple[float, ...]) -> None:
    M = Torus(3, periods)
    rates = torch.tensor([2 * math.pi * k / period for k, period in zip((1, 2, 3), M.periods, strict=True)], dtype=F64)
    assert float(M.integrate(lambda x: (x @ rates).cos() ** 2, degree=8)) == pytest.approx(M.volume / 2, rel=1e-12)


@pytest.mark.parametrize("M", [Sphere(2, radius=3.0), Torus(2, (1.0, 24.0)), Torus(2, 24.0)], ids=repr)
@every_dtype
def test_rows_do_not_depend_on_their_batch_nor_on_the_device(M: rm.Manifold, dtype: torch.dtype) -> None:
    x, y = points(M, (6,), 0, dtype), points(M, (6,), 1, dtype)
    v = tangents(M, x)
    methods: list[Callable[[Tensor, Tensor, Tensor], Tensor]] = [
        lambda x, y, v: M.exp(x, v),
        lambda x, y, v: M.log(x, y),
        lambda x, y, v: M.dist(x, y),
        lambda x, y, v: M.transport(x, y, v),
        lambda x, y, v: M.geodesic_with_velocity(x, y, 0.3)[1],
        lambda x, y, v: M.project(x + y),
        lambda x, y, v: M.features(x),
        lambda x, y, v: M.span(x, M.features(y)[..., : M.span_size]),
    ]
    eps = torch.finfo(dtype).eps
    for f in methods:
        together = f(x, y, v)
        assert together.dtype == dtype
        close(torch.func.vmap(f)(x, y, v), together, rtol=32 * eps, atol=256 * eps)
        close(f(x[1], y[1], v[1]), together[1], rtol=32 * eps, atol=256 * eps)
        assert f(x[:0], y[:0], v[:0]).shape == (0, *together.shape[1:])
        assert f(x.to("meta"), y.to("meta"), v.to("meta")).device.type == "meta"


@pytest.mark.parametrize(
    ("text", "manifold"),
    [
        ("Sphere(2)", Sphere(2, radius=1)),
        ("Sphere(2, radius=2.0)", Sphere(2, radius=2)),
        ("Torus(2)", Torus(2, 2 * math.pi)),
        ("Torus(2, periods=24.0)", Torus(2, [24, 24])),
        ("Torus(2, periods=(1.0, 24.0))", Torus(2, [1, 24])),
    ],
)
def test_repr_is_the_shortest_call_and_tells_equality(text: str, manifold: rm.Manifold) -> None:
    assert repr(manifold) == text
    assert eval(text, {"Sphere": Sphere, "Torus": Torus}) == manifold
    assert manifold not in (Sphere(2, 3.0), Torus(2, 3.0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sphere(2, radius=0.0), "radius of a sphere is a positive number, got radius=0.0"),
        (lambda: Sphere(2, radius=math.inf), "positive number"),
        (lambda: Torus(2, periods=-1.0), "positive numbers"),
        (lambda: Torus(2, periods=[1.0, math.nan]), "positive numbers"),
        (lambda: Torus(2, periods=[1.0, 2.0, 3.0]), "2 angles has one period or 2 of them, got 3"),
    ],
)
def test_sizes_that_are_none_are_refused(make: Callable[[], rm.Manifold], message: str) -> None:
    with pytest.raises(rm.OptionError, match=message):
        make()
