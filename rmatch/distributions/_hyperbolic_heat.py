"""The heat kernel of hyperbolic space H^n of curvature -1 at every time and distance, to the last digits.

With v(c) = arccosh² c, a function of c = cosh ρ whose derivatives alternate in sign, and D = -d/dc, the recurrence of
`_radial_heat` makes the kernel of odd dimension n = 2m + 1 from that of the line,

    K_n = e^{-m²t/2} (2π)^{-m} (2πt)^{-1/2} D^m e^{-v/2t},

and the kernel of even dimension n = 2m is an integral of the one above it (Davies and Mandouvalos, "Heat kernel bounds
on hyperbolic space and Kleinian groups", 1988; for n = 2 it is McKean's),

    K_n = √2 e^{-(2m-1)²t/8} (2π)^{-m} (2πt)^{-1/2} ∫_0^∞ (D^m e^{-v/2t})(c + y) y^{-1/2} dy.

`D^m e^{-v/2t}` is `e^{-v/2t}` times the complete Bell polynomial of the numbers `-(-d/dc)^j v / 2t`, all of them
positive, so nothing cancels. The integral is taken in w with `cosh φ = c + y, φ² = ρ² + w²`: there the integrand is
even, and analytic in the strip |Im w| < π, and the trapezoid rule reaches the last digits with 14 nodes for t < 1/3 and
with 40 at any time.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rmatch._numerics import log_sinhc, possibly_any, possibly_reaches
from rmatch.distributions._radial_heat import SpaceForm

_BLOCK = 1 << 15  # nodes that are worked on together: they fit in the cache
_NEAR = 0.8  # below it the derivatives of arccosh² are summed as a series, above it taken from a recurrence
_TERMS = 30  # of that series: (sinh² 0.4)^30 = 6e-24 times a power


class Hyperbolic(SpaceForm):
    """The hyperbolic spaces of curvature -1."""

    sign = -1

    def scaled_logs(self, n: int, levels: int, angle: Tensor, rest: Tensor, t: Tensor) -> list[Tensor]:
        """`log K_m(t, ρ) + ρ²/2t`, within a few roundings of the larger of 1 and the sum; `rest` is not used."""
        orders = range(n // 2, n // 2 + levels)
        if n % 2:
            parts = _scaled_bell(orders, angle, t)
            exponent, factor = 0.0, 1.0
        else:
            count = _count(t)
            blocks = torch.stack([angle, t], -1).reshape(-1, 2).split(max(1, _BLOCK // count))
            integrals = torch.cat([torch.stack(_integrals(orders, count, block)) for block in blocks], -1)
            parts = [integral.reshape(angle.shape) for integral in integrals]
            exponent, factor = 0.5, 2.0
        common = math.log(factor) - (2 * math.pi * t).log() / 2 + exponent * angle
        return [
            part.log() + common - m * (math.log(2 * math.pi) + angle) - (n - 1 + 2 * i) ** 2 / 8 * t
            for i, (m, part) in enumerate(zip(orders, parts, strict=True))
        ]


@torch.no_grad()
def sample_distance(n: int, t: Tensor, generator: torch.Generator | None) -> Tensor:
    """Distances `(N,)` between the start and the end of independent Brownian motions on H^n, one for each time `(N,)`.

    Exact, by rejection from the length of a normal vector of R^n of variance t around a mean of length (n - 1)t/2, how
    far the motion drifts. On H³ that is the law itself. The ratio of the densities is, up to a constant,

        e^{ρ²/2t} K_n (sinh ρ/ρ)^{n-1} / Σ_k (z²/4)^k Γ(n/2) / (k! Γ(n/2 + k)),    z = (n - 1)ρ/2.

    For n > 2 it is largest at ρ = 0. For n = 2 it stays below `√(π/2) e^{-t/8} / 2πt`: the kernel is at most
    `e^{-t/8} / 2πt √(ρ/sinh ρ) e^{-ρ²/2t}`, and `√(sinh ρ/ρ) / I_0(ρ/2)` increases to √(π/2).
    """
    if n == 1:
        return t.sqrt() * torch.randn(len(t), generator=generator, dtype=t.dtype, device=t.device).abs()
    form, zero = Hyperbolic(), torch.zeros_like(t)
    peak = math.log(math.pi / 2) / 2 - t / 8 - (2 * math.pi * t).log() if n == 2 else form.scaled_log(n, zero, zero, t)
    result = torch.zeros_like(t)
    open_rows = torch.arange(len(t), device=t.device)
    while len(open_rows):
        time = t[open_rows]
        normal = time.sqrt().unsqueeze(-1) * torch.randn(
            len(open_rows), n, generator=generator, dtype=t.dtype, device=t.device
        )
        normal[:, 0] += (n - 1) / 2 * time
        rho = torch.linalg.vector_norm(normal, dim=-1)
        log_ratio = form.scaled_log(n, rho, rho, time) + (n - 1) * log_sinhc(rho.square()) - _log_drift(n, rho)
        u = torch.rand(len(open_rows), generator=generator, dtype=t.dtype, device=t.device)
        accepted = u.log() < log_ratio - peak[open_rows]
        result[open_rows[accepted]] = rho[accepted]
        open_rows = open_rows[~accepted]
    return result


def _log_drift(n: int, rho: Tensor) -> Tensor:
    """The logarithm of the sum in `sample_distance`, `Γ(n/2) (2/z)^{n/2-1} I_{n/2-1}(z)`."""
    from scipy.special import gammaln, ive

    order, z = n / 2 - 1, (n - 1) / 2 * rho.clamp_min(1e-6)  # below it the sum is 1 to 1e-12
    scaled = torch.as_tensor(ive(order, z.cpu().numpy())).to(z)
    return scaled.log() + z + float(gammaln(n / 2)) - order * (z / 2).log()


def _integrals(orders: range, count: int, parts: Tensor) -> list[Tensor]:
    """`e^{(m-1/2)ρ} ∫_0^∞ e^{-w²/2t} B_m sinhc φ / √(sinhc((φ+ρ)/2) sinhc((φ-ρ)/2)) dw` for rows of ρ and t, `(N, 2)`.

    In w the integrand is analytic up to where φ = iπ, or `cosh φ = cosh ρ` for another φ than ±ρ. The nodes are
    `w = a sinh u` with equal steps in u: so many in the normal density of an early time, and reaching far out for a
    late one, with a the distance of that strip's edge times 4/π.
    """
    rho, t = parts.split(1, -1)
    width = (rho.square() + math.pi**2).sqrt()
    stretch = 4 / math.pi * torch.minimum(width, (2 * math.pi * (width + math.pi)).sqrt())
    step = (0.7 * t.sqrt() / stretch).clamp_max(0.1)
    u = step * (torch.arange(count, dtype=t.dtype, device=t.device) + 0.5)  # [N, count]
    w = stretch * u.sinh()
    square = w.square()
    phi = (rho.square() + square).sqrt()
    ahead = square / (phi + rho)  # φ - ρ
    sinhc_phi, _ = _scaled_sinhc(phi)
    root = (_scaled_sinhc((phi + rho) / 2)[0] * _scaled_sinhc(ahead / 2)[0]).sqrt()  # e^{-φ/2} taken out
    common = (-square / (2 * t) + ahead / 2).exp() * sinhc_phi / root * u.cosh() * (step * stretch)
    fall = (-ahead).exp()
    return [(common * fall**m * bell).sum(-1) for m, bell in zip(orders, _scaled_bell(orders, phi, t), strict=True)]


def _count(t: Tensor) -> int:
    """How many nodes reach the end of the integrand, from the latest time: at last it is e^{-φ/2} that ends it."""
    for count, latest in ((14, 0.36), (20, 1.9), (28, 10.0)):
        if not possibly_reaches(t, latest):
            return count
    return 40


def _scaled_bell(orders: range, phi: Tensor, t: Tensor) -> list[Tensor]:
    """`e^{mφ + φ²/2t} D^m e^{-φ²/2t}` for each order m: complete Bell polynomials, by their recurrence."""
    highest = orders[-1]
    derivatives = [v / (2 * t) for v in _scaled_derivatives(highest, phi)]
    bell = [torch.ones_like(phi)]
    for k in range(highest):
        terms = [math.comb(k, j) * bell[k - j] * derivatives[j] for j in range(k + 1)]
        bell.append(torch.stack(terms).sum(0) if k else terms[0])
    return [bell[m] for m in orders]


def _scaled_derivatives(m: int, phi: Tensor) -> list[Tensor]:
    """`V_j e^{jφ}` for j = 1, ..., m with `V_j = -(-d/dc)^j arccosh² c > 0` at c = cosh φ.

    By `(c² - 1) v'' + c v' = 2`, `(c² - 1) V_2 = c V_1 - 2` and `(c² - 1) V_{j+2} = (2j + 1) c V_{j+1} - j² V_j`, where
    terms cancel for small φ. There it is the series `v = 2 Σ_k (-1)^{k-1} (4x)^k / (k² C(2k, k))`, x = (c - 1)/2.
    """
    far = phi.clamp_min(_NEAR)
    sinhc, cosh = _scaled_sinhc(far)
    square = (far * sinhc).square()  # (c² - 1) e^{-2φ}
    result = [2 / sinhc]
    if m > 1:
        result.append((cosh * result[0] - 2) / square)
    for j in range(1, m - 1):
        result.append(((2 * j + 1) * cosh * result[j] - j**2 * result[j - 1]) / square)
    near = phi < _NEAR
    if not possibly_any(near):
        return result
    inside = phi.clamp_max(_NEAR)
    x = (inside / 2).sinh().square()
    return [
        torch.where(near, _series(j, x) * (j * inside).exp(), by_recurrence)
        for j, by_recurrence in enumerate(result, 1)
    ]


def _series(j: int, x: Tensor) -> Tensor:
    """The series of V_j, by Horner's rule."""
    total = torch.zeros_like(x)
    for k in range(j + _TERMS, j - 1, -1):
        coefficient = 2 ** (1 - j) * 4**k * math.perm(k, j) / (k**2 * math.comb(2 * k, k))
        total = (-1) ** (k - j) * coefficient + total * x
    return total


def _scaled_sinhc(r: Tensor) -> tuple[Tensor, Tensor]:
    """`e^{-r} sinh r / r` and `e^{-r} cosh r`, for r >= 0 of any size."""
    zero = r == 0
    twice = torch.where(zero, 1.0, 2 * r)
    return torch.where(zero, 1.0, -torch.expm1(-twice) / twice), (1 + (-2 * r).exp()) / 2
