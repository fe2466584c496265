"""Quadrature rules: spectral product rules where they fit in memory, randomised quasi-Monte Carlo beyond."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from rmatch._errors import OptionError
from rmatch._typing import ScalarFunction

if TYPE_CHECKING:
    from rmatch.manifolds.base import Manifold

LARGEST_RULE = 1_000_000
"""Nodes of a product rule on S^n, n > 2, beyond which quasi-Monte Carlo takes over."""

REPLICATES = 8
"""Independent scramblings in a quasi-Monte Carlo rule; their spread is the error estimate."""

_CHUNK = 1 << 16

Rule = tuple[Tensor, Tensor]


class Quadrature(NamedTuple):
    """Nodes `(N, *point_shape)` and weights `(N,)` with `Σ w_k f(x_k) ≈ ∫ f dV_g`."""

    nodes: Tensor
    weights: Tensor


class Integral(NamedTuple):
    """An integral and an estimate of its error, both in the units of the integrand times volume."""

    value: Tensor
    error: Tensor


def integrate(manifold: Manifold, f: ScalarFunction, degree: int, with_error: bool) -> Rule:
    """The integral and its error estimate (NaN where none was asked for)."""
    terms = _terms(manifold, f, degree)
    value = terms.sum()
    if not with_error:
        return value, torch.full_like(value, math.nan)
    if manifold.quadrature_is_exact(degree):
        return value, (value - _terms(manifold, f, max(1, 2 * degree // 3)).sum()).abs()
    blocks = terms.reshape(REPLICATES, -1).sum(-1) * REPLICATES
    return value, blocks.std() / math.sqrt(REPLICATES)


def _terms(manifold: Manifold, f: ScalarFunction, degree: int) -> Tensor:
    nodes, weights = manifold.quadrature(degree)
    values = torch.cat([f(block) for block in nodes.split(_CHUNK)])
    return values.to(weights.dtype) * weights


# ---- spectral rules -------------------------------------------------------------------------------------------------


def sphere_rule_size(n: int, degree: int) -> int:
    """Number of nodes of the product rule on S^n."""
    return (degree // 2 + 1) ** (n - 1) * (degree + 1)


def sphere_rule(n: int, degree: int, dtype: torch.dtype, device: torch.device | None) -> Rule:
    """Exact for spherical harmonics up to `degree`: x = (sqrt(1 - z²) x', z) with x' on S^{n-1}, n down to 1.

    The measure is (1 - z²)^{(n-2)/2} dz dV(x'): a Gauss–Gegenbauer rule in z, the trapezoid rule on the last circle.
    """
    _check_degree(degree)
    from scipy.special import roots_gegenbauer

    phi = torch.arange(degree + 1, dtype=torch.float64) * (2 * math.pi / (degree + 1))
    nodes = torch.stack([phi.cos(), phi.sin()], -1)
    weights = torch.full((degree + 1,), 2 * math.pi / (degree + 1), dtype=torch.float64)
    for k in range(2, n + 1):
        roots, root_weights = _as_tensors(*roots_gegenbauer(degree // 2 + 1, (k - 1) / 2))
        radius = ((1 - roots) * (1 + roots)).sqrt()
        ring = radius[:, None, None] * nodes  # [m, N, k]
        height = roots[:, None, None].expand(*ring.shape[:2], 1)
        nodes = torch.cat([ring, height], -1).reshape(-1, k + 1)
        weights = (root_weights[:, None] * weights).reshape(-1)
    return nodes.to(device, dtype), weights.to(device, dtype)


def torus_rule(d: int, degree: int, dtype: torch.dtype, device: torch.device | None) -> Rule:
    """Exact for trigonometric polynomials up to `degree` in every angle: degree + 1 equal steps in each."""
    _check_degree(degree)
    step = 2 * math.pi / (degree + 1)
    angles = torch.arange(degree + 1, dtype=torch.float64) * step
    nodes = torch.cartesian_prod(*[angles] * d).reshape(-1, d)
    weights = torch.full((len(nodes),), step**d, dtype=torch.float64)
    return nodes.to(device, dtype), weights.to(device, dtype)


def rotation_rule(degree: int, dtype: torch.dtype, device: torch.device | None) -> Rule:
    """Exact for Wigner's D functions up to `degree`: R = R_z(α) R_y(β) R_z(γ) with dV = dα d(cos β) dγ.

    D^l_{mn} is e^{-imα} d^l_{mn}(β) e^{-inγ}: the trapezoid rule in α and γ leaves only m = n = 0, where d^l is a
    Legendre polynomial in cos β.
    """
    _check_degree(degree)
    from scipy.special import roots_legendre

    step = 2 * math.pi / (degree + 1)
    angles = torch.arange(degree + 1, dtype=torch.float64) * step
    heights, height_weights = _as_tensors(*roots_legendre(degree // 2 + 1))
    alpha, height, gamma = torch.meshgrid(angles, heights, angles, indexing="ij")
    (a, b, c), sine = (alpha.cos(), height, gamma.cos()), ((1 - height) * (1 + height)).sqrt()
    sin_a, sin_c = alpha.sin(), gamma.sin()
    rows = [
        [a * b * c - sin_a * sin_c, -a * b * sin_c - sin_a * c, a * sine],
        [sin_a * b * c + a * sin_c, -sin_a * b * sin_c + a * c, sin_a * sine],
        [-sine * c, sine * sin_c, b],
    ]
    nodes = torch.stack([torch.stack(row, -1) for row in rows], -2).reshape(-1, 3, 3)
    weights = (step**2 * height_weights[None, :, None]).expand(alpha.shape).reshape(-1)
    return nodes.to(device, dtype), weights.to(device, dtype)


def normal_rule(n: int, degree: int, dtype: torch.dtype, device: torch.device | None) -> Rule:
    """Exact for a polynomial up to `degree` times the standard normal density: Gauss–Hermite in every coordinate."""
    _check_degree(degree)
    from scipy.special import roots_hermitenorm

    roots, root_weights = _as_tensors(*roots_hermitenorm(degree // 2 + 1))
    log_weights = root_weights.log() + roots.square() / 2  # against dx: the rule's own weight exp(-x²/2) taken out
    keep = root_weights > 0  # the outermost weights underflow, and with them the density there
    nodes = torch.cartesian_prod(*[roots[keep]] * n).reshape(-1, n)
    weights = torch.cartesian_prod(*[log_weights[keep]] * n).reshape(-1, n).sum(-1).exp()
    return nodes.to(device, dtype), weights.to(device, dtype)


# ---- quasi-Monte Carlo ----------------------------------------------------------------------------------------------


def sphere_sequence(n: int, degree: int, dtype: torch.dtype, device: torch.device | None) -> Rule:
    """Equal weights on Sobol points, made normal in R^{n+1} and projected to S^n."""
    normal = _normal_points(n + 1, degree)
    nodes = normal / torch.linalg.vector_norm(normal, dim=-1, keepdim=True)
    volume = 2 * math.pi ** ((n + 1) / 2) / math.gamma((n + 1) / 2)
    return nodes.to(device, dtype), torch.full((len(nodes),), volume / len(nodes), dtype=dtype, device=device)


def torus_sequence(d: int, degree: int, dtype: torch.dtype, device: torch.device | None) -> Rule:
    """Equal weights on Sobol points of the cube."""
    nodes = 2 * math.pi * sobol(d, degree)
    weight = (2 * math.pi) ** d / len(nodes)
    return nodes.to(device, dtype), torch.full((len(nodes),), weight, dtype=dtype, device=device)


def normal_sequence(n: int, degree: int, dtype: torch.dtype, device: torch.device | None) -> Rule:
    """Sobol points made standard normal, weighted by the inverse of their density."""
    nodes = _normal_points(n, degree)
    weights = _inverse_normal_density(nodes) / len(nodes)
    return nodes.to(device, dtype), weights.to(device, dtype)


def sequence_rule(manifold: Manifold, degree: int, dtype: torch.dtype, device: torch.device | None) -> Quadrature:
    """Sobol points of the unit cube, carried to the manifold by `from_cube`."""
    nodes, weights = manifold.from_cube(sobol(manifold.cube_size, degree))
    return Quadrature(nodes.to(device, dtype), (weights / len(nodes)).to(device, dtype))


def importance_points(manifold: Manifold, u: Tensor) -> Quadrature:
    """Points of the cube made standard normal in the tangent space at the origin and carried to the manifold by `exp`.

    The weights are those of importance sampling, for a mean over the points.
    """
    origin = manifold.origin(dtype=torch.float64)
    coefficients = torch.special.ndtri(u)
    flat = manifold.frame(origin).reshape(manifold.dim, -1)
    tangents = (coefficients @ flat).reshape(-1, *manifold.point_shape)
    weights = _inverse_normal_density(coefficients) * manifold.log_det_exp(origin, tangents).exp()
    nodes = manifold.exp(origin, tangents)
    reached_first = manifold.dist(origin, nodes) > (1 - 1e-6) * manifold.norm(origin, tangents)
    return Quadrature(nodes, weights * reached_first)  # each point counts once


def sobol(d: int, degree: int) -> Tensor:
    """Independently scrambled Sobol sets in (0, 1)^d, one after the other, more of them for a higher degree."""
    _check_degree(degree)
    exponent = max(9, math.ceil(math.log2(256 * degree / REPLICATES)))
    sets = [
        torch.quasirandom.SobolEngine(d, scramble=True, seed=seed).draw_base2(exponent, dtype=torch.float64)
        for seed in range(REPLICATES)
    ]
    return torch.cat(sets).clamp(2.0**-32, 1 - 2.0**-32)


def _normal_points(d: int, degree: int) -> Tensor:
    return torch.special.ndtri(sobol(d, degree))


def _inverse_normal_density(z: Tensor) -> Tensor:
    return (z.square().sum(-1) / 2 + z.shape[-1] / 2 * math.log(2 * math.pi)).exp()


def _check_degree(degree: int) -> None:
    if degree < 1:
        raise OptionError(f"the degree of a quadrature rule is at least 1, got degree={degree}")


def _as_tensors(nodes: Any, weights: Any) -> Rule:
    return torch.as_tensor(nodes, dtype=torch.float64), torch.as_tensor(weights, dtype=torch.float64)
