"""The von Mises–Fisher law on S^n: its normaliser over all concentrations, and its sampler.

Its density is `C exp(κ <x, m>)`. Everything here is in terms of `1 - <x, m> = |x - m|²/2`, which keeps its precision
where the law is concentrated: `exp(-κ |x - m|²/2)` and the normaliser `C e^κ` that goes with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from rmatch.manifolds import Sphere, Torus

_TINY = 1e-280  # a Bessel function this small may have lost digits to underflow
_CONCENTRATED = 1e8  # from here on two terms of the asymptotic series are exact, and scipy's ive soon gives up


def log_normaliser(n: int, kappa: float) -> float:
    """`log(C e^κ)` on S^n, where `C e^κ = κ^ν / ((2π)^{ν+1} e^{-κ} I_ν(κ))` with ν = (n - 1)/2.

    Mardia and Jupp, "Directional Statistics", 2000, equation 9.3.4. On S² it is `κ / (2π (1 - e^{-2κ}))`.
    """
    from scipy.special import gammaln, hyp0f1, ive

    if n == 2:
        return math.log(kappa / (2 * math.pi)) - math.log(-math.expm1(-2 * kappa))
    order = (n - 1) / 2
    constant = -(order + 1) * math.log(2 * math.pi)
    if kappa > _CONCENTRATED * max(1.0, order**2):
        scaled = math.log1p(-(4 * order**2 - 1) / (8 * kappa)) - 0.5 * math.log(2 * math.pi * kappa)
        return constant + order * math.log(kappa) - scaled
    scaled = float(ive(order, kappa))
    if scaled > _TINY:
        return constant + order * math.log(kappa) - math.log(scaled)
    # I_ν(κ) = (κ/2)^ν / Γ(ν+1) 0F1(ν+1; κ²/4): the power of κ cancels, and nothing underflows
    series = float(hyp0f1(order + 1, kappa**2 / 4))
    return constant + order * math.log(2) + float(gammaln(order + 1)) - math.log(series) + kappa


def sample_on_sphere(manifold: Sphere, centres: Tensor, kappa: float, generator: torch.Generator | None) -> Tensor:
    """One point of S^n around each centre: the angle by rejection, the direction uniform."""
    angle = _sample_angle(manifold.dim, kappa, tuple(centres.shape[:-1]), generator, centres.dtype, centres.device)
    v = manifold.random_tangent(centres, generator=generator)
    direction = v / torch.linalg.vector_norm(v, dim=-1, keepdim=True)
    return manifold.project(manifold.exp(centres, (manifold.radius * angle).unsqueeze(-1) * direction))


def sample_on_torus(
    manifold: Torus, centres: Tensor, kappas: Sequence[float], generator: torch.Generator | None
) -> Tensor:
    """One point of T^d around each centre: independent von Mises angles, each with its own concentration."""
    place = centres.dtype, centres.device
    if len(set(kappas)) == 1:
        angle = _sample_angle(1, kappas[0], tuple(centres.shape), generator, *place)
    else:
        batch = tuple(centres.shape[:-1])
        angle = torch.stack([_sample_angle(1, kappa, batch, generator, *place) for kappa in kappas], -1)
    side = torch.rand(centres.shape, generator=generator, dtype=centres.dtype, device=centres.device) < 0.5
    return manifold.exp(centres, torch.where(side, -angle, angle) * centres.new_tensor(manifold.radii))


def _sample_angle(
    n: int,
    kappa: float,
    shape: tuple[int, ...],
    generator: torch.Generator | None,
    dtype: torch.dtype,
    device: torch.device | None,
) -> Tensor:
    """Angles between the mean and samples of the law on S^n, in [0, π].

    Wood, "Simulation of the von Mises Fisher distribution", Communications in Statistics 23 (1994): `1 - cos θ` is
    proposed as `2bz / (1 - (1 - b) z)` with z from Beta(n/2, n/2), and accepted in more than two of three cases.
    """
    b = n / (2 * kappa + math.hypot(2 * kappa, n))
    gap = 2 * b / (1 + b)  # 1 - x0 in the paper
    result = torch.zeros(shape, dtype=torch.float64, device=device)
    wanting = torch.ones(shape, dtype=torch.bool, device=device)
    while bool(wanting.any()):
        normal = torch.randn((*shape, n + 1), generator=generator, dtype=torch.float64, device=device)
        first = normal[..., 0] / torch.linalg.vector_norm(normal, dim=-1)  # a coordinate of a uniform point of S^n
        z = (1 + first) / 2
        proposal = 2 * b * z / (1 - (1 - b) * z)
        log_ratio = kappa * (gap - proposal) + n * ((gap + (1 - gap) * proposal) / (gap * (2 - gap))).log()
        u = torch.rand(shape, generator=generator, dtype=torch.float64, device=device)
        accepted = wanting & (u.log() <= log_ratio)
        result = torch.where(accepted, proposal, result)
        wanting = wanting & ~accepted
    return (2 * (result / 2).sqrt().clamp(max=1.0).asin()).to(dtype)
