"""The heat kernel of the unit sphere S^n as a contour integral, for times that are not late.

With ρ = (n - 1)/2 and C a curve around the half-line v >= θ²,

    K_n(t, θ) = e^{ρ²t/2} Γ((n+1)/2) (2πt)^{-n/2} e^{-θ²/2t} I_n,
    I_n = (1/2πi) ∫_C e^ζ (t/2)^{(n+1)/2} sinc φ P^{-(n+1)/2} dζ,    φ² = θ² - 2tζ,  P = (cos φ - cos θ)/2.

For odd n the residues at φ = ±θ + 2πk give the known theta sum (for n = 1 it is `Σ_k e^{-(θ + 2πk)²/2t}`); one more
derivative in cos θ raises n by 2, as the recurrence of `_radial_heat` wants; and collapsing the curve onto the cuts
[θ, 2π - θ] + 2πk gives McKean's integral for n = 2 (McKean, "An upper bound to the spectrum of Δ on a manifold of
negative curvature", 1970, with the sign of the curvature changed). On the parabola `ζ = μ (1 - iu)²` the integrand
decays like a normal density and all its singular points lie on |Im u| = 1, so some 20 steps of the trapezoid rule reach
the last digits (Weideman and Trefethen, "Parabolic and hyperbolic contours for computing the Bromwich integral",
Mathematics of Computation 76 (2007)). Nothing in it is special at θ = 0 or at the antipode, and with μ near the saddle
point there is no cancellation either.

Complex numbers are pairs of real tensors here: torch's own sine and root of them take four times as long.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

_BLOCK = 1 << 10  # points that are worked on together: their nodes fit in the cache
_NEGLIGIBLE = 42.0  # exp(-42) = 6e-19


class _Complex(NamedTuple):
    re: Tensor
    im: Tensor


def contour_logs(n: int, levels: int, angle: Tensor, rest: Tensor, t: Tensor) -> list[Tensor]:
    """`log K_m(t, θ) + θ²/2t` for m = n, n + 2, ..., as many as there are levels, block by block."""
    nodes, weights = _parabola(n + 2 * (levels - 1), angle.device)
    blocks = torch.stack([angle, rest, t], -1).reshape(-1, 3).split(_BLOCK)
    sums = torch.cat([_sums(n, levels, block, nodes, weights) for block in blocks], -1)
    return [
        value.reshape(angle.shape).log()
        + (m - 1) ** 2 / 8 * t
        - m / 2 * (2 * math.pi * t).log()
        + math.lgamma((m + 1) / 2)
        for m, value in zip(range(n, n + 2 * levels, 2), sums, strict=True)
    ]


def _parabola(n: int, device: torch.device) -> tuple[_Complex, _Complex]:
    """Nodes ζ and weights with `e^ζ dζ / 2πi`; the half with Im φ > 0, for the other is its mirror image.

    The place and the step grow with n as the singular line Im u = 1 gains strength (of order 2n at the antipode).
    """
    mu, step = 3 + 0.8 * n, 2 * math.pi / (41 + 2.8 * n)
    count = math.ceil(math.sqrt(_NEGLIGIBLE / mu) / step)
    u = (torch.arange(count, dtype=torch.float64, device=device) + 0.5) * step
    root = torch.complex(torch.ones_like(u), -u)
    weights = 2 * step * mu / math.pi * (mu * root * root).exp() * root
    return _pair(mu * root * root), _pair(weights)


def _sums(n: int, levels: int, parts: Tensor, zeta: _Complex, weights: _Complex) -> Tensor:
    """The sums over nodes for rows of angle, rest and time, `(N, 3)`: `(levels, N)`, all positive.

    In the far half angles are measured from π, which keeps the digits next to the antipode.
    """
    angle, rest, t = parts.split(1, -1)
    step = _Complex(2 * t * zeta.re, 2 * t * zeta.im)  # θ² - φ², [N, nodes]
    phi = _sqrt(_Complex(angle.square() - step.re, -step.im))
    minus = _divide(_Complex(step.re / -2, step.im / -2), _Complex(phi.re + angle, phi.im))  # (φ - θ)/2
    far = angle > rest
    # π - φ = (π² - θ² + 2tζ) / (π + φ)
    from_pi = _divide(_Complex(rest * (math.pi + angle) + step.re, step.im), _Complex(phi.re + math.pi, phi.im))
    plus = _Complex(
        torch.where(far, rest + from_pi.re, phi.re + angle) / 2, torch.where(far, from_pi.im, phi.im) / 2
    )  # (φ + θ)/2, or what is left of it to π
    sin_minus, cos_minus = _sin_and_cos(minus)
    sin_plus, cos_plus = _sin_and_cos(plus)
    mirror = torch.where(far, -1.0, 1.0)
    cos_plus = _Complex(mirror * cos_plus.re, mirror * cos_plus.im)
    sin_phi = _add(_times(sin_plus, cos_minus), _times(cos_plus, sin_minus))
    negative = _times(sin_plus, sin_minus)  # (cos θ - cos φ)/2
    ratio = _divide(_Complex(-t / 2, torch.zeros_like(t)), negative)  # t/2P
    term = _times(weights, _times(_divide(sin_phi, phi), _power(ratio, (n + 1) // 2)))
    if n % 2 == 0:
        term = _times(term, _root_of_ratio(ratio, from_pi.re))
    sums: list[Tensor] = []
    for level in range(levels):
        term = _times(term, ratio) if level else term
        sums.append(term.re.sum(-1))
    return torch.stack(sums)


def _root_of_ratio(ratio: _Complex, from_pi: Tensor) -> _Complex:
    """`√(t/2P)` continued through Im φ > 0: P crosses the negative axis where Re φ is π or 3π."""
    root = _sqrt(ratio)
    sign = torch.where((from_pi > 0) | (from_pi < -2 * math.pi), 1.0, -1.0)
    return _Complex(sign * root.re, sign * root.im)


# ---- complex numbers ------------------------------------------------------------------------------------------------


def _pair(z: Tensor) -> _Complex:
    return _Complex(z.real.contiguous(), z.imag.contiguous())


def _add(a: _Complex, b: _Complex) -> _Complex:
    return _Complex(a.re + b.re, a.im + b.im)


def _times(a: _Complex, b: _Complex) -> _Complex:
    return _Complex(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re)


def _divide(a: _Complex, b: _Complex) -> _Complex:
    scale = 1 / (b.re * b.re + b.im * b.im)
    return _Complex((a.re * b.re + a.im * b.im) * scale, (a.im * b.re - a.re * b.im) * scale)


def _power(z: _Complex, exponent: int) -> _Complex:
    """An integer power >= 1, by squaring."""
    if exponent == 1:
        return z
    half = _power(_times(z, z), exponent // 2)
    return _times(half, z) if exponent % 2 else half


def _sqrt(z: _Complex) -> _Complex:
    """The root with a real part >= 0: of its parts the larger is a sum, and the other follows from the product."""
    larger = (((z.re * z.re + z.im * z.im).sqrt() + z.re.abs()) / 2).sqrt()
    other = z.im / (2 * larger)
    right = z.re >= 0
    sign = torch.where(z.im < 0, -1.0, 1.0)
    return _Complex(torch.where(right, larger, other.abs()), torch.where(right, other, sign * larger))


def _sin_and_cos(z: _Complex) -> tuple[_Complex, _Complex]:
    """`sin(x + iy) = sin x cosh y + i cos x sinh y` and the cosine, with sinh y exact for small y."""
    growth = torch.expm1(z.im)
    decay = growth / (growth + 1)  # 1 - e^{-y}
    sinh, cosh = (growth + decay) / 2, 1 + (growth - decay) / 2
    sine, cosine = z.re.sin(), z.re.cos()
    return _Complex(sine * cosh, cosine * sinh), _Complex(cosine * cosh, -sine * sinh)
