"""Calculus on positive definite matrices: gradient, Laplacian, divergence, integrals, derivatives in every mode."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.func import hessian, jacfwd, jacrev, vmap

from rmatch.distributions import WrappedNormal
from rmatch.manifolds import SPD
from rmatch.manifolds.spd import MetricName

from .definite import LOG_EUCLIDEAN, both_metrics, close, every_member, pair, points, symmetric, tangents

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
