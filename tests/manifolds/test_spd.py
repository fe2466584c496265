"""Positive definite matrices: 80 digits, geomstats and scipy, invariances, calculus, volume, and bad input."""

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor
from torch.func import hessian, jacfwd, jacrev, vmap

from rmatch._errors import OptionError, PointError, TangentError
from rmatch.distributions import WrappedNormal
from rmatch.manifolds import SPD, Manifold
from rmatch.manifolds.spd import MetricName

from . import reference_spd as reference

AFFINE: MetricName = "affine-invariant"
LOG_EUCLIDEAN: MetricName = "log-euclidean"
MEMBERS = [SPD(n, metric) for metric in (AFFINE, LOG_EUCLIDEAN) for n in (1, 2, 3, 5)]
every_member = pytest.mark.parametrize("M", MEMBERS, ids=repr)
both_metrics = pytest.mark.parametrize("metric", [AFFINE, LOG_EUCLIDEAN])


def points(M: SPD, batch: tuple[int, ...] = (), seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    origin = M.origin(dtype=dtype).expand(*batch, *M.point_shape)
    return M.exp(origin, 0.7 * M.random_tangent(origin, generator=torch.Generator().manual_seed(seed)))


def tangents(M: SPD, x: Tensor, seed: int = 0) -> Tensor:
    return M.random_tangent(x, generator=torch.Generator().manual_seed(1000 + seed))


def symmetric(a: Tensor) -> Tensor:
    return (a + a.mT) / 2


def close(found: Tensor, wanted: Tensor, size: float = 1e-12) -> None:
    torch.testing.assert_close(found, wanted.expand_as(found), rtol=size, atol=size)


# ---- values ---------------------------------------------------------------------------------------------------------

# Relative errors of dist, of log by entries, and of log and exp in the norm of the metric at x. An entry's rounding of
# 1.1e-16 moves the smallest eigenvalue by that times the condition: no method that sees only the entries can do better.
ACCURACY = {
    1.0: (3e-15, 3e-15, 3e-15, 3e-15),
    1e3: (3e-14, 4e-14, 1e-13, 1e-12),
    1e6: (1e-11, 1e-11, 3e-10, 1e-8),
    1e10: (5e-8, 2e-7, 3e-6, 1e-4),
}


def pair(condition: float, seed: int) -> tuple[Tensor, Tensor]:
    x = reference.matrix_of_condition(3, condition, seed)
    return x, reference.matrix_of_condition(3, condition, seed + 100) if condition > 1 else points(SPD(3), (), seed)


@pytest.mark.parametrize("condition", ACCURACY)
def test_dist_log_and_exp_agree_with_80_digits(condition: float) -> None:
    M = SPD(3)
    for seed in range(6):
        x, y = pair(condition, seed)
        dist_error, entry_error, log_error, exp_error = ACCURACY[condition]
        assert abs(float(M.dist(x, y) / float(reference.dist(x, y))) - 1) <= dist_error
        v = M.log(x, y)
        assert reference.error(v, reference.log(x, y)) <= entry_error
        assert reference.whitened_error(x, v, reference.log(x, y)) <= log_error
        assert reference.whitened_error(x, M.exp(x, v), reference.exp(x, v)) <= exp_error


@pytest.mark.parametrize(("condition", "allowed"), [(1.0, 1e-6), (1e3, 3e-4)])
def test_float32_keeps_the_digits_that_the_condition_leaves(condition: float, allowed: float) -> None:
    M = SPD(3)
    for seed in range(6):
        x, y = (a.float() for a in pair(condition, seed))
        assert abs(float(M.dist(x, y)) / float(reference.dist(x, y)) - 1) <= allowed
        v = M.log(x, y)
        assert v.dtype == torch.float32
        assert reference.whitened_error(x, v, reference.log(x, y)) <= allowed
        assert reference.whitened_error(x, M.exp(x, v), reference.exp(x, v)) <= allowed


@pytest.mark.parametrize("separation", [1e-12, 1e-8, 1e-3, 0.1, 0.4])
@pytest.mark.parametrize(("condition", "allowed"), [(1.0, 4e-15), (1e3, 3e-13), (1e6, 3e-10), (1e10, 3e-6)])
def test_near_points_keep_all_digits_that_the_condition_leaves(
    separation: float, condition: float, allowed: float
) -> None:
    """Relative to the distance: as exact numbers, floats have a difference that is known to its last digit."""
    M = SPD(3)
    for seed in range(3):
        x = reference.matrix_of_condition(3, condition, seed)
        y = M.exp(x, separation * tangents(M, x, seed))
        if torch.equal(x, y):  # the largest entries of a large condition hide a step of 1e-12
            continue
        wanted = reference.dist(x, y)
        far = reference.matrix_of_condition(3, 100.0, seed)
        dist = M.dist(torch.stack([x, far]), torch.stack([y, y]))  # one row near, the other not
        assert abs(float(dist[0]) / float(wanted) - 1) <= allowed
        assert reference.whitened_error(x, M.log(x, y), reference.log(x, y)) <= allowed
        leaf = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(M.dist(leaf, y), leaf)
        raised = M.sharp(x, gradient)
        assert reference.whitened_error(x, raised, reference.log(x, y) / -wanted) <= 3 * allowed


@pytest.mark.parametrize(("condition", "allowed"), [(1e3, 3e-13), (1e6, 3e-10), (1e10, 1e-5)])
def test_raising_a_covector_loses_the_condition_once(condition: float, allowed: float) -> None:
    """The gradient of a distance, whose entries span the square of the condition, in the norm at x."""
    M = SPD(3)
    for seed in range(6):
        x, y = pair(condition, seed)
        leaf = x.clone().requires_grad_()
        (covector,) = torch.autograd.grad(M.dist(leaf, y), leaf)
        raised = M.sharp(x, covector)
        assert reference.whitened_error(x, raised, reference.log(x, y) / -reference.dist(x, y)) <= allowed


def test_log_euclidean_agrees_with_scipys_logarithm_and_exponential() -> None:
    M = SPD(4, LOG_EUCLIDEAN)
    x, y = points(M, (), 0), points(M, (), 1)
    log_x, log_y = (np.asarray(scipy.linalg.logm(a.numpy())) for a in (x, y))
    assert float(M.dist(x, y)) == pytest.approx(np.linalg.norm(log_x - log_y), rel=1e-13)
    close(M.geodesic(x, y, 0.3), torch.as_tensor(scipy.linalg.expm(0.7 * log_x + 0.3 * log_y)))
    close(M.log(x, y), torch.as_tensor(scipy.linalg.expm_frechet(log_x, log_y - log_x)[1]))


def test_affine_invariant_agrees_with_scipys_generalised_eigenvalues() -> None:
    M = SPD(6)
    x, y = points(M, (), 0), points(M, (), 1)
    values = scipy.linalg.eigh(y.numpy(), x.numpy(), eigvals_only=True)
    assert float(M.dist(x, y)) == pytest.approx(math.sqrt((np.log(values) ** 2).sum()), rel=1e-13)
    root = np.asarray(scipy.linalg.sqrtm(x.numpy()))
    inner = np.linalg.solve(root, np.linalg.solve(root, y.numpy()).T)
    close(M.log(x, y), torch.as_tensor(root @ np.asarray(scipy.linalg.logm(inner)) @ root))


def geomstats_metric(n: int, metric: MetricName) -> Any:
    """geomstats with its numpy backend, whatever the environment says."""
    before = os.environ.get("GEOMSTATS_BACKEND")
    os.environ["GEOMSTATS_BACKEND"] = "numpy"
    try:
        spd = pytest.importorskip("geomstats.geometry.spd_matrices")
        space = spd.SPDMatrices(n, equip=False)
        space.equip_with_metric(spd.SPDAffineMetric if metric == AFFINE else spd.SPDLogEuclideanMetric)
        if not isinstance(space.random_point(), np.ndarray):
            pytest.skip("geomstats was imported with another backend before")
        return space.metric
    finally:
        os.environ.pop("GEOMSTATS_BACKEND")
        if before is not None:
            os.environ["GEOMSTATS_BACKEND"] = before


@both_metrics
@pytest.mark.parametrize("n", [2, 3, 5])
def test_geomstats_gives_the_same_inner_product_exp_log_distance_and_transport(n: int, metric: MetricName) -> None:
    M, theirs = SPD(n, metric), geomstats_metric(n, metric)
    x, y = points(M, (4,), 0), points(M, (4,), 1)
    u, v = tangents(M, x, 0), tangents(M, x, 1)
    x_, y_, u_, v_ = (a.numpy() for a in (x, y, u, v))
    for found, wanted in (
        (M.inner(x, u, v), theirs.inner_product(u_, v_, x_)),
        (M.exp(x, v), theirs.exp(v_, x_)),
        (M.log(x, y), theirs.log(y_, x_)),
        (M.dist(x, y), theirs.dist(x_, y_)),
    ):
        close(found, torch.tensor(wanted), 1e-9)
    if metric == AFFINE:
        close(M.transport(x, y, v), torch.tensor(theirs.parallel_transport(v_, x_, end_point=y_)), 1e-9)


# ---- laws -----------------------------------------------------------------------------------------------------------


@every_member
def test_exp_and_log_are_inverse(M: SPD) -> None:
    x, y = points(M, (5,), 0), points(M, (5,), 1)
    v = tangents(M, x)
    close(M.exp(x, M.log(x, y)), y)
    close(M.log(x, M.exp(x, v)), v)
    close(M.norm(x, M.log(x, y)), M.dist(x, y))


@every_member
def test_transport_is_an_isometry_along_the_geodesic(M: SPD) -> None:
    x, y = points(M, (5,), 0), points(M, (5,), 1)
    u, v = tangents(M, x, 0), tangents(M, x, 1)
    close(M.inner(y, M.transport(x, y, u), M.transport(x, y, v)), M.inner(x, u, v))
    close(M.transport(x, y, M.log(x, y)), -M.log(y, x))
    close(M.transport(y, x, M.transport(x, y, v)), v)
    half = M.geodesic(x, y, 0.5)
    close(M.transport(half, y, M.transport(x, half, v)), M.transport(x, y, v))


@pytest.mark.parametrize("n", [2, 3])
def test_transport_has_no_covariant_derivative(n: int) -> None:
    """Along γ, V' = (V γ⁻¹ γ' + γ' γ⁻¹ V) / 2: the Christoffel symbols of the affine-invariant metric."""
    M = SPD(n)
    x, y = points(M, (), 0), points(M, (), 1)
    v = tangents(M, x)
    t = torch.tensor(0.4, dtype=x.dtype)

    def carried(s: Tensor) -> Tensor:
        return M.transport(x, M.geodesic(x, y, s), v)

    one = torch.ones_like(t)
    here, velocity = M.geodesic_with_velocity(x, y, t)
    turned = carried(t) @ torch.linalg.solve(here, velocity)
    close(torch.func.jvp(carried, (t,), (one,))[1], symmetric(turned))


@every_member
def test_geodesic_with_velocity_agrees_with_the_default(M: SPD) -> None:
    x, y = points(M, (5,), 0), points(M, (5,), 1)
    for t in (0.0, 0.3, 1.0, -0.5, torch.linspace(0, 1, 5, dtype=x.dtype)):
        for found, wanted in zip(
            M.geodesic_with_velocity(x, y, t), Manifold.geodesic_with_velocity(M, x, y, t), strict=True
        ):
            close(found, wanted)


@every_member
def test_distance_is_invariant(M: SPD) -> None:
    """Under every congruence a x aᵀ and inversion; log-Euclidean under rotation, scaling and inversion."""
    x, y = points(M, (5,), 0), points(M, (5,), 1)
    a = torch.randn(M.n, M.n, dtype=x.dtype)
    if M.metric_name == LOG_EUCLIDEAN:
        a = 3 * torch.linalg.qr(a)[0]
    close(M.dist(symmetric(a @ x @ a.T), symmetric(a @ y @ a.T)), M.dist(x, y), 1e-10)
    close(M.dist(torch.linalg.inv(x), torch.linalg.inv(y)), M.dist(x, y), 1e-10)
    close(M.dist(x, y), M.dist(y, x))


@every_member
def test_closed_forms_agree_with_the_defaults(M: SPD) -> None:
    x = points(M, (4,), 0)
    v = 0.5 * tangents(M, x)
    close(M.log_det_exp(x, v), Manifold.log_det_exp(M, x, v))
    close(M.metric(x), Manifold.metric(M, x), 1e-11)
    drift = Manifold.density_drift(M, x, v)
    assert drift is not None
    found = M.density_drift(x, v)
    assert found is not None
    close(found, drift)
    coefficients = torch.randn(4, M.dim, dtype=x.dtype)
    close(M.span(x, coefficients), Manifold.span(M, x, coefficients))
    frame = M.frame(x)
    close(M.inner(x[:, None, None], frame[:, :, None], frame[:, None]), torch.eye(M.dim, dtype=x.dtype))
    close(M.volume_form(x, frame), torch.ones(4, dtype=x.dtype))


@every_member
def test_volume_density_is_the_volume_form_of_the_coordinate_frame(M: SPD) -> None:
    x = points(M, (4,), 0)
    close(M.log_volume_density(x), M.volume_form(x, M.coordinate_frame(x)).log())
    gram = M.inner(x[:, None, None], M.coordinate_frame(x)[:, :, None], M.coordinate_frame(x)[:, None])
    close(2 * M.log_volume_density(x), torch.logdet(gram), 1e-11)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_volume_falls_with_the_determinant(n: int) -> None:
    """dV = det(x)^{-(n+1)/2} dx: at 4 I the volume of a coordinate cube is 4^{-n(n+1)/2}, and not its inverse."""
    M = SPD(n)
    assert float(M.log_volume_density(4 * M.origin(dtype=torch.float64))) == pytest.approx(-M.dim * math.log(4))
    entries = torch.stack([symmetric(b) * 2 for b in torch.eye(n * n, dtype=torch.float64).reshape(-1, n, n)])
    off = [entries[i * n + j] for i in range(n) for j in range(i, n)]
    cube = torch.stack([b / (2 if torch.count_nonzero(b) == 1 else 1) for b in off])
    # against Π_{i<=j} dx_ij the density at the identity is 2^{n(n-1)/4}
    assert float(M.volume_form(M.origin(dtype=torch.float64), cube)) == pytest.approx(2 ** (n * (n - 1) / 4))


# ---- calculus -------------------------------------------------------------------------------------------------------


@every_member
def test_gradient_of_half_the_squared_distance_is_minus_log(M: SPD) -> None:
    x, y = points(M, (4,), 0), points(M, (4,), 1)
    close(M.gradient(lambda z: M.dist(z, y).square() / 2)(x), -M.log(x, y), 1e-11)


@every_member
def test_sharp_pairs_like_the_covector(M: SPD) -> None:
    x = points(M, (4,), 0)
    df, v = torch.randn_like(x), tangents(M, x)
    close(M.inner(x, M.sharp(x, df), v), (df * v).sum((-2, -1)), 1e-11)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_laplacians_of_the_affine_invariant_metric(n: int) -> None:
    """Δ log det x = 0, for ∇ log det x = x has divergence n(n+1)/2 - (n+1)/2 tr(x⁻¹ x) = 0; Δ tr x = (n+1)/2 tr x.

    ∇ tr x = x², whose divergence is the sum over the basis of 2 tr(B x B) = (n+1) tr x less (n+1)/2 tr(x⁻¹ x²).
    """
    M = SPD(n)
    x = points(M, (4,), 0)
    close(M.gradient(torch.logdet)(x), x)
    close(M.laplacian(torch.logdet)(x), torch.zeros(4, dtype=x.dtype), 1e-11)
    trace = x.diagonal(dim1=-2, dim2=-1).sum(-1)
    close(M.laplacian(lambda z: z.diagonal(dim1=-2, dim2=-1).sum(-1))(x), (n + 1) / 2 * trace, 1e-11)
    close(M.laplacian(lambda z: torch.logdet(z) ** 2)(x), torch.full((4,), 2.0 * n, dtype=x.dtype), 1e-11)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_log_euclidean_laplacian_is_that_of_the_coordinates_of_the_logarithm(n: int) -> None:
    M = SPD(n, LOG_EUCLIDEAN)
    x = points(M, (4,), 0)
    k = torch.linspace(0.5, 1.5, M.dim, dtype=x.dtype)
    wave = M.laplacian(lambda z: torch.cos(M.features(z) @ k))(x)
    close(wave, -k.square().sum() * torch.cos(M.features(x) @ k), 1e-10)


@every_member
def test_divergence_is_that_of_coordinates(M: SPD) -> None:
    """Σ ∂_k (ρ V^k) / ρ in Frobenius-orthonormal coordinates, by the trace of a whole Jacobian."""
    x = points(M, (3,), 0)
    basis = M.coordinate_frame(x[0])

    def field(z: Tensor) -> Tensor:
        return symmetric(z @ z.sin()) + z @ z

    def weighted(c: Tensor) -> Tensor:
        z = torch.einsum("k,kij->ij", c, basis)
        return torch.einsum("kij,ij->k", basis, field(z)) * M.log_volume_density(z).exp()

    for row, found in zip(x, M.divergence(field)(x), strict=True):
        c = torch.einsum("kij,ij->k", basis, row)
        close(found, torch.trace(jacrev(weighted)(c)) / M.log_volume_density(row).exp(), 1e-10)


@both_metrics
def test_integration_by_parts(metric: MetricName) -> None:
    """∫ Div V = 0, ∫ f Div V = -∫ <∇f, V>, ∫ f Δg = ∫ g Δf on SPD(2), for f, g like a normal density."""
    M = SPD(2, metric)
    origin = M.origin(dtype=torch.float64)
    a, b = (M.exp(origin, 0.3 * tangents(M, origin, seed)) for seed in (1, 2))
    turn = torch.tensor([[0.3, 1.0], [0.2, -0.5]], dtype=torch.float64)

    def f(z: Tensor) -> Tensor:
        return torch.exp(-M.dist(z, a).square() / 2) * (1 + M.features(z)[..., 1])

    def g(z: Tensor) -> Tensor:
        return torch.exp(-0.35 * M.dist(z, b).square())

    def field(z: Tensor) -> Tensor:
        return g(z)[..., None, None] * (z + symmetric(z @ turn))

    def by_parts(z: Tensor) -> Tensor:
        return f(z) * M.divergence(field)(z) + M.inner(z, M.gradient(f)(z), field(z))

    def green(z: Tensor) -> Tensor:
        return f(z) * M.laplacian(g)(z) - g(z) * M.laplacian(f)(z)

    for zero in (M.divergence(field), by_parts, green):
        assert abs(float(M.integrate(zero, degree=46))) <= 1e-8  # the integral of f alone is about 20


# ---- integration and laws of probability ----------------------------------------------------------------------------


@both_metrics
@pytest.mark.parametrize(("n", "allowed"), [(1, 1e-13), (2, 1e-11)])
def test_a_gaussian_of_the_distance_has_its_known_integral(n: int, allowed: float, metric: MetricName) -> None:
    """∫ exp(-dist(x, I)²/2) dV over the eigenvalues of log x: (2π)^{1/2}; on SPD(2) in polar coordinates, by mpmath."""
    import mpmath as mp

    M = SPD(n, metric)
    origin = M.origin(dtype=torch.float64)
    found = float(M.integrate(lambda x: torch.exp(-M.dist(origin, x).square() / 2)))
    if metric == LOG_EUCLIDEAN or n == 1:
        wanted = (2 * math.pi) ** (M.dim / 2)
    else:  # log x = s I/√2 + a traceless matrix of length w: dV = ds sinh(w/√2)/(w/√2) w dw d(2θ)
        radial = mp.quad(lambda w: mp.exp(-(w**2) / 2) * mp.sinh(w / mp.sqrt(2)) * mp.sqrt(2), [0, 5, 30])
        wanted = float(mp.sqrt(2 * mp.pi) * 2 * mp.pi * radial)
    assert found == pytest.approx(wanted, rel=allowed)


def test_quadrature_in_more_dimensions_knows_its_error() -> None:
    M = SPD(3, LOG_EUCLIDEAN)
    origin = M.origin(dtype=torch.float64)
    value, error = M.integrate(lambda x: torch.exp(-M.dist(origin, x).square()), degree=40, with_error=True)
    wanted = math.pi**3
    assert 0 < float(error) < 0.01 * wanted
    assert abs(float(value) - wanted) <= 5 * float(error)


@both_metrics
def test_wrapped_normal_has_mass_one_and_its_own_samples(metric: MetricName) -> None:
    M = SPD(2, metric)
    p = WrappedNormal(M, torch.tensor([[1.5, 0.4], [0.4, 0.8]], dtype=torch.float64), 0.6)
    assert float(M.integrate(lambda x: p.log_prob(x).exp(), degree=80)) == pytest.approx(1.0, abs=1e-8)
    x = p.sample((20_000,), generator=torch.Generator().manual_seed(0))
    # dist²/scale² is chi-squared of dim degrees of freedom
    squares = M.dist(p.mean, x).square() / 0.6**2
    assert float(squares.mean()) == pytest.approx(M.dim, abs=5 * math.sqrt(2 * M.dim / 20_000))
    entropy = (
        M.dim * (0.5 * math.log(2 * math.pi * math.e) + math.log(0.6)) + M.log_det_exp(p.mean, M.log(p.mean, x)).mean()
    )
    assert float(-p.log_prob(x).mean()) == pytest.approx(float(entropy), abs=5 * math.sqrt(M.dim / 2 / 20_000))


# ---- derivatives ----------------------------------------------------------------------------------------------------

Map = Callable[[Tensor, Tensor], Tensor]
MAPS: dict[str, Callable[[SPD], Map]] = {
    "dist": lambda M: M.dist,
    "log": lambda M: M.log,
    "exp": lambda M: lambda x, y: M.exp(x, symmetric(y - x)),
    "exp of zero": lambda M: lambda x, y: M.exp(x, symmetric(y - y.detach())),
    "transport": lambda M: lambda x, y: M.transport(x, y, M.to_tangent(x, torch.ones_like(x))),
    "geodesic": lambda M: lambda x, y: M.geodesic(x, y, 0.3),
    "velocity": lambda M: lambda x, y: M.geodesic_with_velocity(x, y, 0.3)[1],
    "log_det_exp": lambda M: lambda x, y: M.log_det_exp(x, symmetric(y - x)),
    "log_volume_density": lambda M: lambda x, y: M.log_volume_density(x),
    "norm": lambda M: lambda x, y: M.norm(x, symmetric(y - x)),
    "frame": lambda M: lambda x, y: M.frame(x),
    "features": lambda M: lambda x, y: M.features(x),
}


def delicate_pairs(M: SPD, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Equal points, equal eigenvalues of each and of the pencil, and steps of all sizes from there."""
    eye = M.origin(dtype=dtype)
    x = points(M, (), 0, dtype)
    pairs = [(eye, eye), (x, x), (2 * eye, eye), (x, 3 * x), (eye, x), (x, eye)]
    for size in (1e-20, 1e-12, 1e-8, 1e-4, 1e-2):
        pairs += [(x, M.exp(x, size * tangents(M, x, 1))), (eye, M.exp(eye, size * tangents(M, eye, 2)))]
    return torch.stack([a for a, _ in pairs]), torch.stack([b for _, b in pairs])


@pytest.mark.parametrize("M", [SPD(3), SPD(2, LOG_EUCLIDEAN)], ids=repr)
@pytest.mark.parametrize("name", MAPS)
def test_derivatives_are_finite_and_the_same_in_every_mode(M: SPD, name: str) -> None:
    def f(x: Tensor, y: Tensor) -> Tensor:
        return MAPS[name](M)(symmetric(x), symmetric(y)).sum()

    for dtype in (torch.float64, torch.float32):
        x, y = delicate_pairs(M, dtype)
        first = vmap(jacrev(f, (0, 1)))(x, y)
        second = vmap(jacrev(jacrev(f, (0, 1)), (0, 1)))(x, y)
        assert all(bool(block.isfinite().all()) for block in first)
        assert all(bool(block.isfinite().all()) for row in second for block in row)
        if dtype == torch.float64:
            for other in (jacfwd(jacfwd(f, (0, 1)), (0, 1)), hessian(f, (0, 1))):
                for row, wanted in zip(vmap(other)(x, y), second, strict=True):
                    for block, target in zip(row, wanted, strict=True):
                        torch.testing.assert_close(
                            block, target, rtol=1e-8, atol=1e-8 * (1 + float(target.abs().max()))
                        )


@pytest.mark.parametrize("condition", [1e3, 1e6, 1e10])
@both_metrics
def test_derivatives_are_finite_at_large_condition(condition: float, metric: MetricName) -> None:
    M = SPD(3, metric)
    for seed in range(2):
        x, y = pair(condition, seed)
        for name in ("dist", "log", "transport", "geodesic", "velocity"):
            f = MAPS[name](M)
            for a, b in ((x, y), (x, x), (x, 2 * x)):
                a, b = a.clone().requires_grad_(), b.clone().requires_grad_()
                first = torch.autograd.grad(f(a, b).sum(), (a, b), create_graph=True)
                second = torch.autograd.grad(first[0].sum() + first[1].sum(), (a, b), allow_unused=True)
                assert all(bool(g.isfinite().all()) for g in (*first, *second) if g is not None), name


@both_metrics
def test_hessian_of_half_the_squared_distance_is_the_identity_at_the_point_itself(metric: MetricName) -> None:
    M = SPD(3, metric)
    y = points(M)
    frame = M.frame(y)

    def energy(c: Tensor) -> Tensor:
        return M.dist(M.exp(y, torch.einsum("k,kij->ij", c, frame)), y).square() / 2

    at = torch.full((M.dim,), 1e-3, dtype=y.dtype)
    torch.testing.assert_close(hessian(energy)(at), torch.eye(M.dim, dtype=y.dtype), atol=1e-9, rtol=0)


# ---- projection and bad input ---------------------------------------------------------------------------------------


def test_project_keeps_points_and_takes_the_nearest_elsewhere() -> None:
    M = SPD(3)
    x = reference.matrix_of_condition(3, 1e10, 0)
    assert torch.equal(M.project(x), x)
    q = torch.linalg.qr(torch.randn(3, 3, dtype=x.dtype))[0]
    a = q @ torch.diag(torch.tensor([2.0, 1.0, -3.0], dtype=x.dtype)) @ q.T
    skew = torch.tensor([[0.0, 1.0, 2.0], [-1.0, 0.0, 3.0], [-2.0, -3.0, 0.0]], dtype=x.dtype)
    near = M.project(torch.stack([a + skew, torch.zeros_like(a), x]))
    assert M.check_point(near) is None
    close(near[0], q @ torch.diag(torch.tensor([2.0, 1.0, 0.0], dtype=x.dtype)) @ q.T, 1e-12)
    assert torch.equal(near[2], x)
    floor = 32 * 3 * torch.finfo(x.dtype).eps
    assert float(torch.linalg.eigvalsh(near[0])[0]) == pytest.approx(3 * floor, rel=0.1)
    close(near[1], floor * M.origin(dtype=x.dtype), 1e-16)


def test_derivative_of_the_projection_is_that_of_the_positive_part() -> None:
    """Against differences, at a matrix with eigenvalues of both signs."""
    M = SPD(3)
    q = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0]
    a = symmetric(q @ torch.diag(torch.tensor([2.0, 1.0, -3.0], dtype=q.dtype)) @ q.T)
    h, step = symmetric(torch.randn(3, 3, dtype=q.dtype)), 1e-5
    differences = (M.project(a + step * h) - M.project(a - step * h)) / (2 * step)
    close(torch.func.jvp(M.project, (a,), (h,))[1], differences, 1e-8)


def test_a_matrix_that_is_not_symmetric_or_not_positive_definite_is_named() -> None:
    M = SPD(2)
    x = M.origin(dtype=torch.float64).repeat(2, 3, 1, 1)
    assert M.check_point(x) is None
    x[1, 2, 0, 1] = 0.1
    problem = M.check_point(x)
    assert problem is not None
    assert "SPD(2), row 1, 2 is not symmetric: entries across the diagonal differ by 0.1 of the largest" in problem
    assert "use project(x)" in problem
    x[1, 2, 1, 0] = x[1, 2, 0, 1] = 2.0
    problem = M.check_point(x)
    assert problem is not None
    assert "row 1, 2 is not positive definite: its smallest eigenvalue is -1;" in problem
    with pytest.raises(PointError, match="smallest eigenvalue is -1"):
        M.require_point(x)
    with pytest.raises(PointError, match=r"row 0 is not positive definite: its smallest eigenvalue is 0;"):
        M.require_point(torch.diag(torch.tensor([1.0, 0.0])))
    with pytest.raises(TangentError, match="normal part"):
        M.require_tangent(M.origin(), torch.tensor([[0.0, 1.0], [0.0, 0.0]]))
    assert "have shape (*batch, 2, 2), got (3, 2)" in str(M.check_point(torch.ones(3, 2)))


def test_bad_options_are_refused() -> None:
    with pytest.raises(OptionError, match=r"size 1 or more, got SPD\(0\)"):
        SPD(0)
    with pytest.raises(OptionError, match="unknown metric 'stein'"):
        SPD(2, metric="stein")  # type: ignore[arg-type]


def test_members_are_equal_when_size_and_metric_are() -> None:
    assert SPD(2) == SPD(2)
    assert SPD(2) != SPD(3)
    assert SPD(2) != SPD(2, LOG_EUCLIDEAN)
    assert repr(SPD(2, LOG_EUCLIDEAN)) == 'SPD(2, metric="log-euclidean")'
