"""Laws of rotations around a centre with the density `C exp(-κ (1 - cos θ))` in the angle θ from it.

As unit quaternions (w, v), of which q and -q are one rotation, 1 - cos θ is 2|v|²: a Bingham law on S³. It is also the
isotropic case of the matrix Fisher law, for |R - M|² = 4 (1 - cos θ).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_CONCENTRATED = 100.0  # from here on the asymptotic series is exact, and the Bessel functions' difference cancels


def log_rotation_normaliser(kappa: float) -> float:
    """`log C` with respect to dV = 16π sin²(θ/2) dθ, where `1/C = 8π² e^{-κ} (I_0(κ) - I_1(κ))`.

    For large κ it is `(2π/κ)^{3/2} Σ_k (1/2)_k (3/2)_k / (k! (2κ)^k)` (NIST Digital Library of Mathematical Functions,
    13.7.1, as `1/C = 8π² 1F1(3/2; 2; -2κ)`).
    """
    from scipy.special import ive

    if kappa <= _CONCENTRATED:
        return -math.log(8 * math.pi**2 * (float(ive(0, kappa)) - float(ive(1, kappa))))
    term, total = 1.0, 1.0
    for k in range(1, 20):
        term *= (k - 0.5) * (k + 0.5) / (k * 2 * kappa)
        total += term
    return -math.log(total) - 1.5 * math.log(2 * math.pi / kappa)


def sample_quaternions(
    kappa: float,
    shape: tuple[int, ...],
    generator: torch.Generator | None,
    dtype: torch.dtype,
    device: torch.device | None,
) -> Tensor:
    """Unit quaternions (w, x, y, z) of rotations from the centre, `(*shape, 4)`.

    Kent, Ganeiber and Mardia, "A new unified approach for the simulation of a wide class of directional distributions",
    Journal of Computational and Graphical Statistics 27 (2018), section 3: proposals from an angular central Gaussian
    law with the matrix Ω = 1 + 2A/b, A = diag(0, 2κ, 2κ, 2κ), of which at least half are accepted.
    """
    size = 2 * kappa
    # 1/b + 3/(b + 2 size) = 1
    b = 4 * size / (2 * size - 4 + math.hypot(2 * size - 4, math.sqrt(8 * size)))
    log_bound = (b - 4) / 2 + 2 * math.log(4 / b)
    deviation = 1 / math.sqrt(1 + 2 * size / b)
    result = torch.zeros((*shape, 4), dtype=torch.float64, device=device)
    wanting = torch.ones(shape, dtype=torch.bool, device=device)
    while bool(wanting.any()):
        normal = torch.randn((*shape, 4), generator=generator, dtype=torch.float64, device=device)
        y = torch.cat([normal[..., :1], deviation * normal[..., 1:]], -1)
        q = y / torch.linalg.vector_norm(y, dim=-1, keepdim=True)
        square = q[..., 1:].square().sum(-1)
        log_ratio = -size * square + 2 * torch.log1p(2 * size / b * square) - log_bound
        u = torch.rand(shape, generator=generator, dtype=torch.float64, device=device)
        accepted = wanting & (u.log() <= log_ratio)
        result = torch.where(accepted.unsqueeze(-1), q, result)
        wanting = wanting & ~accepted
    return result.to(dtype)
