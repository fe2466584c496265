"""Spectral distances: their sums against other sums, closed forms and quadratures, their gradients, their limits."""

import math
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import torch
from scipy.special import eval_gegenbauer, eval_legendre, sph_harm_y
from torch import Tensor

import rmatch as rm

F64 = torch.float64
WEDGE = rm.Torus(2, periods=(2.0, 5.0))
DISTANCES: list[rm.Premetric] = [
    rm.BiharmonicDistance(rm.Sphere(1)),
    rm.BiharmonicDistance(rm.Sphere(2)),
    rm.BiharmonicDistance(rm.Sphere(3, radius=2.0)),
    rm.BiharmonicDistance(rm.Torus(1, periods=3.0)),
    rm.BiharmonicDistance(rm.Torus(2)),
    rm.BiharmonicDistance(WEDGE),
    rm.BiharmonicDistance(rm.Torus(3)),
    rm.DiffusionDistance(rm.Sphere(2), 0.25),
    rm.DiffusionDistance(rm.Sphere(5, radius=2.0), 0.1),
    rm.DiffusionDistance(rm.Torus(1), 0.1),
    rm.DiffusionDistance(WEDGE, 0.02),
    rm.DiffusionDistance(rm.Torus(7), 0.5),
    rm.SpectralDistance(rm.Sphere(2), lambda eigenvalue: (-eigenvalue / 4).exp(), degree=12),
    rm.SpectralDistance(rm.Torus(2), lambda eigenvalue: (-eigenvalue / 4).exp(), degree=12),
]
every_distance = pytest.mark.parametrize("d", DISTANCES, ids=repr)


def on_sphere(n: int, angle: float, radius: float = 1.0) -> tuple[Tensor, Tensor]:
    """The origin and a point at an angle from it, exact for tiny angles."""
    M = rm.Sphere(n, radius=radius)
    y = M.origin(dtype=F64)
    v = torch.zeros(n + 1, dtype=F64)
    v[0] = angle * radius
    return M.exp(y, v), y


def exact_angle(x: Tensor, y: Tensor) -> Any:
    """The angle between two float vectors, as real numbers."""
    a, b = ([mp.mpf(float(c)) for c in v] for v in (x, y))
    a, b = ([c / mp.sqrt(mp.fsum(k * k for k in v)) for c in v] for v in (a, b))
    return 2 * mp.atan2(
        mp.sqrt(mp.fsum((p - q) ** 2 for p, q in zip(a, b, strict=True))),
        mp.sqrt(mp.fsum((p + q) ** 2 for p, q in zip(a, b, strict=True))),
    )


def globe_biharmonic(theta: Any) -> Any:
    """(π²/6 - Li₂(cos²(θ/2))) / 2π, at 40 digits: the reflected form of what the library computes."""
    return mp.sqrt((mp.pi**2 / 6 - mp.polylog(2, mp.cos(theta / 2) ** 2)) / (2 * mp.pi))


CLOSED_FORMS: dict[int, Callable[[Any], Any]] = {
    1: lambda theta: theta * (2 * mp.pi - theta) / mp.sqrt(24 * mp.pi),
    2: globe_biharmonic,
    3: lambda theta: mp.sqrt(theta * (2 * mp.pi - theta) / (8 * mp.pi**2)),
}


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("angle", [1e-8, 1e-3, 0.5, 1.57, 1.58, 3.0, math.pi - 1e-6])
def test_biharmonic_on_spheres_is_its_closed_form_to_the_last_digits(n: int, angle: float) -> None:
    with mp.workdps(40):
        x, y = on_sphere(n, angle)
        d = rm.BiharmonicDistance(rm.Sphere(n))
        theta, form = exact_angle(x, y), CLOSED_FORMS[n]
        dist, gradient = d.dist_and_gradient(x, y)
        assert float(dist) == pytest.approx(float(form(theta)), rel=2e-15, abs=0)
        assert float(gradient.norm()) == pytest.approx(abs(float(mp.diff(form, theta))), rel=5e-15, abs=0)
        found = d.profile(torch.tensor(angle, dtype=F64))
        assert found is not None
        assert [float(a) for a in found] == pytest.approx(
            [float(form(mp.mpf(angle))), float(mp.diff(form, mp.mpf(angle)))], rel=5e-15
        )


@pytest.mark.parametrize("angle", [0.3, 2.0])
def test_biharmonic_on_spheres_is_the_sum_over_harmonics(angle: float) -> None:
    """By scipy's polynomials; from degree 2000 on only the sum of the weights, which telescopes on S², is added."""
    degree = np.arange(1, 2001)
    legendre = (
        np.sum((2 * degree + 1) / (degree * (degree + 1.0)) ** 2 * (1 - eval_legendre(degree, math.cos(angle))))
        + 1 / 2001**2
    )
    value = float(rm.BiharmonicDistance(rm.Sphere(2)).dist(*on_sphere(2, angle)).square())
    assert value == pytest.approx(legendre / (2 * math.pi), abs=1e-11)
    many = np.arange(2001, 2000001)
    rest = np.sum(((many + 1) / (many * (many + 2.0))) ** 2) + 1 / 2000001.5
    chebyshev = eval_gegenbauer(degree, 1.0, math.cos(angle)) / (degree + 1)
    gegenbauer = np.sum(((degree + 1) / (degree * (degree + 2.0))) ** 2 * (1 - chebyshev)) + rest
    value = float(rm.BiharmonicDistance(rm.Sphere(3)).dist(*on_sphere(3, angle)).square())
    assert value == pytest.approx(gegenbauer / math.pi**2, abs=1e-9)
    cosines = np.sum((1 - np.cos(degree * angle)) / degree**4.0) * 2 / math.pi + 2 / (3 * math.pi * 2000.5**3)
    value = float(rm.BiharmonicDistance(rm.Sphere(1)).dist(*on_sphere(1, angle)).square())
    assert value == pytest.approx(cosines, rel=1e-12, abs=0)


def heat_drop(M: rm.Torus, delta: Tensor, s: np.ndarray) -> np.ndarray:
    """`Σ_k e^{-sλ_k} (1 - cos k·δ)` as a product over the angles of theta functions, each by its shorter series."""
    log_ratio, top = np.zeros_like(s), np.ones_like(s)
    m = np.arange(1, 13)[:, None]
    for x, radius in zip(delta.tolist(), M.radii, strict=True):
        q, turns = s / radius**2, 2 * np.pi * radius * m
        waves = 1 + 2 * np.exp(-m * m * q).sum(0), 4 * (np.exp(-m * m * q) * np.sin(m * x / radius / 2) ** 2).sum(0)
        images = [np.exp(-((x + turn) ** 2) / (4 * s)) for turn in (turns, -turns)]
        drop = -np.expm1(-(x**2) / (4 * s)) + sum((np.exp(-(turns**2) / (4 * s)) - image).sum(0) for image in images)
        gauss = 1 + 2 * np.exp(-(turns**2) / (4 * s)).sum(0), drop
        scale = radius * np.sqrt(np.pi / s)
        here, gone = (np.where(q > 0.3, wave, scale * g) for wave, g in zip(waves, gauss, strict=True))
        with np.errstate(divide="ignore"):  # where all is gone, to e^{-40}
            log_ratio, top = log_ratio + np.log1p(-gone / here), top * here
    return -top * np.expm1(log_ratio)


@pytest.mark.parametrize("M", [rm.Torus(1), rm.Torus(2), rm.Torus(3), WEDGE], ids=repr)
@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-7])
def test_biharmonic_on_tori_is_the_integral_of_theta_functions(M: rm.Torus, scale: float) -> None:
    """`λ⁻² = ∫ s e^{-sλ} ds`, by Gauss' rule on octaves of s; below them the other points do not matter."""
    y = torch.zeros(M.dim, dtype=F64)
    x = scale * torch.tensor([0.7, 1.1, 2.3][: M.dim], dtype=F64)
    start = 0.7**2 * scale**2 / 160  # e^{-40}
    nodes, weights = np.polynomial.legendre.leggauss(24)
    octaves = start * 2.0 ** np.arange(math.ceil(math.log2(80 * max(M.radii) ** 2 / start)))
    s = (octaves[:, None] * (1 + (1 + nodes) / 2)).ravel()
    integral = np.sum((octaves[:, None] * weights / 2).ravel() * s * heat_drop(M, x, s))
    power = 2 - M.dim / 2
    integral += math.prod(M.radii) * math.pi ** (M.dim / 2) * start**power / power
    value = math.sqrt(2 * integral / M.volume)
    assert float(rm.BiharmonicDistance(M).dist(x, y)) == pytest.approx(value, rel=1e-14, abs=0)


@pytest.mark.parametrize("M", [rm.Torus(1), rm.Torus(2), WEDGE, rm.Torus(4)], ids=repr)
@pytest.mark.parametrize("time", [0.05, 1.0])
@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_diffusion_on_tori_is_by_theta_functions(M: rm.Torus, time: float, scale: float) -> None:
    x = scale * torch.tensor([0.7, 1.1, 2.3, 0.0][: M.dim], dtype=F64)
    value = math.sqrt(2 * float(heat_drop(M, x, np.array([2 * time]))[0]) / M.volume)
    assert float(rm.DiffusionDistance(M, time).dist(x, torch.zeros_like(x))) == pytest.approx(value, rel=1e-14, abs=0)


@pytest.mark.parametrize("time", [0.02, 0.25, 2.0])
@pytest.mark.parametrize("angle", [1e-7, 0.4, 2.0, 3.1])
def test_diffusion_on_the_globe_is_the_sum_over_harmonics(time: float, angle: float) -> None:
    """By mpmath's Legendre polynomials at 60 digits; the gradient too, where its terms cancel to e^{-48}."""
    with mp.workdps(60):
        theta = exact_angle(*on_sphere(2, angle))

        def form(theta: Any) -> Any:
            terms = (
                (2 * k + 1) * mp.exp(-2 * mp.mpf(time) * k * (k + 1)) * (1 - mp.legendre(k, mp.cos(theta)))
                for k in range(1, math.ceil(math.sqrt(75 / time)))
            )
            return mp.sqrt(mp.fsum(terms) / (2 * mp.pi))

        dist, gradient = rm.DiffusionDistance(rm.Sphere(2), time).dist_and_gradient(*on_sphere(2, angle))
        assert float(dist) == pytest.approx(float(form(theta)), rel=1e-14, abs=0)
        slope = mp.diff(form, theta, h=mp.mpf(10) ** -20)
        assert float(gradient.norm()) == pytest.approx(float(slope), rel=2e-13, abs=0)  # two digits and a few roundings


@pytest.mark.parametrize("M", [rm.Sphere(2, radius=2.0), rm.Sphere(4), WEDGE], ids=repr)
def test_diffusion_is_the_drop_of_the_heat_kernel(M: rm.Manifold) -> None:
    """`d² = 2 (p_{2τ}(x, x) - p_{2τ}(x, y))`, with generator Δ for p and ½Δ for HeatKernel."""
    x, y = (rm.Uniform(M).sample((5,), generator=torch.Generator().manual_seed(k), dtype=F64) for k in (0, 1))
    kernel = rm.HeatKernel(M, y, 4 * 0.3)
    square = 2 * (kernel.log_prob(y).exp() - kernel.log_prob(x).exp())
    torch.testing.assert_close(rm.DiffusionDistance(M, 0.3).dist(x, y), square.sqrt(), rtol=1e-13, atol=0)


def test_spectral_distance_is_the_sum_over_eigenfunctions() -> None:
    """Spherical harmonics from scipy, and waves on the torus, one by one."""
    M = rm.Sphere(2, radius=2.0)
    x, y = (rm.Uniform(M).sample((), generator=torch.Generator().manual_seed(k), dtype=F64) for k in (0, 1))
    total = 0.0
    for k in range(1, 6):
        for m in range(-k, k + 1):
            a, b = (sph_harm_y(k, m, math.acos(float(p[2]) / 2), math.atan2(float(p[1]), float(p[0]))) for p in (x, y))
            total += math.exp(-k * (k + 1) / 4 / 3) * abs(a - b) ** 2 / 4
    d = rm.SpectralDistance(M, lambda eigenvalue: (-eigenvalue / 3).exp(), degree=5)
    assert float(d.dist(x, y)) == pytest.approx(math.sqrt(total), rel=1e-14, abs=0)
    x, y = torch.tensor([0.3, 4.0], dtype=F64), torch.tensor([1.9, 0.5], dtype=F64)
    total = 0.0
    for k in range(-4, 5):
        for m in range(-4, 5):
            eigenvalue = k**2 * (math.pi) ** 2 + m**2 * (2 * math.pi / 5) ** 2
            a, b = (np.exp(1j * (k * math.pi * float(p[0]) + m * 2 * math.pi / 5 * float(p[1]))) for p in (x, y))
            total += math.exp(-eigenvalue / 3) * abs(a - b) ** 2 / WEDGE.volume
    d = rm.SpectralDistance(WEDGE, lambda eigenvalue: (-eigenvalue / 3).exp(), degree=4)
    assert float(d.dist(x, y)) == pytest.approx(math.sqrt(total), rel=1e-14, abs=0)


@every_distance
def test_it_is_a_metric(d: rm.Premetric) -> None:
    x, y, z = (
        rm.Uniform(d.manifold).sample((64,), generator=torch.Generator().manual_seed(k), dtype=F64) for k in range(3)
    )
    torch.testing.assert_close(d.dist(x, y), d.dist(y, x), rtol=1e-13, atol=0)
    assert bool((d.dist(x, y) > 0).all())
    assert bool((d.dist(x, x) == 0).all())
    assert bool((d.dist(x, z) <= d.dist(x, y) + d.dist(y, z) + 1e-14).all())
    assert bool((d.dist(x, y) <= d.largest * (1 + 1e-14)).all())


@every_distance
def test_the_gradient_is_that_of_the_distance(d: rm.Premetric) -> None:
    x, y = (rm.Uniform(d.manifold).sample((16,), generator=torch.Generator().manual_seed(k), dtype=F64) for k in (0, 1))
    expected = d.manifold.gradient(lambda z: d.dist(z, y))(x)
    dist, gradient = d.dist_and_gradient(x, y)
    torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(dist, d.dist(x, y), rtol=1e-14, atol=0)
    h = 1e-5
    v = d.manifold.random_tangent(x, generator=torch.Generator().manual_seed(2))
    there, back = (d.dist(d.manifold.exp(x, step * v), y) for step in (h, -h))
    torch.testing.assert_close((there - back) / (2 * h), d.manifold.inner(x, gradient, v), rtol=1e-6, atol=1e-8)


@every_distance
def test_the_profile_is_the_distance_along_a_geodesic(d: rm.Premetric) -> None:
    M = d.manifold
    r = torch.linspace(0.05, 0.95, 7, dtype=F64) * min(d.reach, 1.0)
    found = d.profile(r)
    if found is None:
        assert isinstance(M, rm.Torus)
        assert M.dim > 1
        return
    o = M.origin(dtype=F64).expand(7, *M.point_shape)
    v = M.frame(o)[:, 0] * r.unsqueeze(-1)
    dist, gradient = d.dist_and_gradient(M.exp(o, v), o)
    torch.testing.assert_close(found[0], dist, rtol=1e-13, atol=0)
    torch.testing.assert_close(found[1], M.norm(o, gradient), rtol=1e-12, atol=0)


@every_distance
def test_all_derivatives_are_finite_where_points_agree_and_where_they_are_farthest(d: rm.Premetric) -> None:
    M = d.manifold
    y = M.origin(dtype=F64).expand(2, *M.point_shape)
    far = M.project(-y) if isinstance(M, rm.Sphere) else y + y.new_tensor(getattr(M, "periods", 0.0)) / 2
    x = torch.stack([y[0], far[0]]).requires_grad_()
    dist, gradient = d.dist_and_gradient(x, y)
    assert bool((gradient[0] == 0).all())
    assert float(gradient[1].detach().norm()) < 1e-14
    for value in (dist.sum(), gradient.sum(), d.dist(x, y).sum()):
        (slope,) = torch.autograd.grad(value, x, retain_graph=True)
        assert bool(slope.isfinite().all())


@every_distance
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # by torch, of its own tracing
def test_it_is_the_same_under_vmap_grad_and_compile(d: rm.Premetric) -> None:
    M = d.manifold
    x, y = (rm.Uniform(M).sample((4,), generator=torch.Generator().manual_seed(k), dtype=F64) for k in (0, 1))
    torch.testing.assert_close(torch.func.vmap(d.dist)(x, y), d.dist(x, y), rtol=1e-14, atol=0)
    slope = torch.func.vmap(torch.func.grad(d.dist))(x, y)
    torch.testing.assert_close(M.sharp(x, slope), d.gradient(x, y), rtol=1e-9, atol=1e-12)
    torch._dynamo.reset()
    compiled = torch.compile(d.dist, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, y), d.dist(x, y), rtol=1e-14, atol=0)


def test_what_cannot_be_used_is_refused() -> None:
    for make in (rm.BiharmonicDistance, lambda M: rm.DiffusionDistance(M, 1.0), lambda M: rm.SpectralDistance(M, abs)):
        with pytest.raises(rm.OptionError, match="no eigenfunctions are known on Lorentz"):
            make(rm.Lorentz(2))
    for M in (rm.Sphere(4), rm.Torus(4)):
        with pytest.raises(rm.OptionError, match="infinite from dimension 4 on"):
            rm.BiharmonicDistance(M)
    for time in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(rm.OptionError, match="time of a diffusion distance is a positive number, got"):
            rm.DiffusionDistance(rm.Sphere(2), time)
    with pytest.raises(rm.OptionError, match="got degree=0"):
        rm.SpectralDistance(rm.Sphere(2), torch.reciprocal, degree=0)
    with pytest.raises(rm.OptionError, match="are more than 1000000; take a lower degree"):
        rm.SpectralDistance(rm.Torus(6), torch.reciprocal)
    with pytest.raises(rm.OptionError, match=r"numbers from 0 on, got -2\.0 at the eigenvalue 2\.0"):
        rm.SpectralDistance(rm.Sphere(2), torch.neg)
    with pytest.raises(rm.ShapeError, match="have shape"):
        rm.BiharmonicDistance(rm.Sphere(2)).dist(torch.zeros(2), torch.zeros(2))
