"""The heat kernel of the unit sphere S^n at every time and angle, to the last digits.

For early times the kernel is a contour integral. With ρ = (n - 1)/2 and C a curve around the half-line v >= θ²,

    K_n(t, θ) = e^{ρ²t/2} Γ((n+1)/2) (2πt)^{-n/2} e^{-θ²/2t} (1/2πi) ∫_C e^ζ ζ^{-(n+1)/2} G(v) dζ,    v = θ² - 2tζ,
    G(v) = sinc φ (sinc((φ + θ)/2) sinc((φ - θ)/2))^{-(n+1)/2},    φ = √v.

For odd n the residues at φ = ±θ + 2πk give the known theta sum (for n = 1 it is `Σ_k e^{-(θ + 2πk)²/2t}`); one more
derivative in cos θ raises n by 2, as the recurrence of `_radial_heat` wants; and collapsing the curve onto the cuts
[θ, 2π - θ] + 2πk gives McKean's integral for n = 2 (McKean, "An upper bound to the spectrum of Δ on a manifold of
negative curvature", 1970, with the sign of the curvature changed). On the parabola `ζ = μ (1 + iu)²` the integrand
decays like a normal density and all its singular points lie on Im u = 1, so some 20 steps of the trapezoid rule reach
the last digits (Weideman and Trefethen, "Parabolic and hyperbolic contours for computing the Bromwich integral",
Mathematics of Computation 76 (2007)). Nothing in it is special at θ = 0 or at the antipode, and with μ near the saddle
point there is no cancellation either.

For late times a few terms of the expansion in spherical harmonics do.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rmatch._numerics import possibly_any
from rmatch.distributions._radial_heat import SpaceForm

_BLOCK = 1 << 12  # points that are worked on together: their nodes fit in the cache
_NEGLIGIBLE = 42.0  # exp(-42) = 6e-19


class Round(SpaceForm):
    """The unit spheres."""

    sign = 1

    def scaled_log(self, n: int, angle: Tensor, rest: Tensor, t: Tensor) -> Tensor:
        """`log K_n(t, θ) + θ²/2t`, within a few roundings of the larger of 1 and the sum."""
        late = t >= (switch := _late(n))
        if not possibly_any(late):
            return _by_contour(n, angle, rest, t)
        by_series = _by_series(n, angle, rest, t.clamp_min(switch))
        if not possibly_any(~late):
            return by_series
        return torch.where(late, by_series, _by_contour(n, angle, rest, t.clamp_max(switch)))


@torch.no_grad()
def sample_angle(n: int, t: Tensor, generator: torch.Generator | None) -> Tensor:
    """Angles `(N,)` between the start and the end of independent Brownian motions on S^n, one for each time `(N,)`.

    Exact, by rejection: the length of a normal vector of R^n of variance τ, with `1/τ = 1/t + 2(n - 1)/15`, or the
    angle of a uniform point, whichever is accepted more often. The density over the proposal's is largest at angle 0:
    for uniform points as K decreases, and for the other as K (sin θ/θ)^{n-1} falls off about like a normal density of
    inverse variance 1/t + (n - 1)/6.
    """
    if n == 1:  # on a circle any angle is right, however many times it went round
        return t.sqrt() * torch.randn(len(t), generator=generator, dtype=t.dtype, device=t.device).abs()
    peak = Round().scaled_log(n, torch.zeros_like(t), torch.full_like(t, math.pi), t)  # log K at angle 0
    variance = t / (1 + 2 * (n - 1) / 15 * t)
    log_volume = math.log(2) + (n + 1) / 2 * math.log(math.pi) - math.lgamma((n + 1) / 2)
    narrow = n / 2 * (2 * math.pi * variance).log() < log_volume
    result = torch.zeros_like(t)
    open_rows = torch.arange(len(t), device=t.device)
    while len(open_rows):
        time, width, near = t[open_rows], variance[open_rows], narrow[open_rows]
        normal = torch.randn(len(open_rows), n + 1, generator=generator, dtype=t.dtype, device=t.device)
        across = torch.linalg.vector_norm(normal[:, :n], dim=-1)
        theta = torch.where(near, width.sqrt() * across, torch.atan2(across, normal[:, n]))
        inside = theta.clamp_max(math.pi)
        log_ratio = (
            Round().scaled_log(n, inside, math.pi - inside, time) - peak[open_rows] - inside.square() / (2 * time)
        )
        shape = inside.square() / (2 * width) + (n - 1) * torch.sinc(inside / math.pi).log()
        u = torch.rand(len(open_rows), generator=generator, dtype=t.dtype, device=t.device)
        accepted = (u.log() < log_ratio + torch.where(near, shape, 0.0)) & (theta < math.pi)
        result[open_rows[accepted]] = theta[accepted]
        open_rows = open_rows[~accepted]
    return result


def _late(n: int) -> float:
    """The time from which on the terms of the series, alternating at the antipode, are at most half of the first."""
    return 2 * math.log(2 * (n + 1)) / n


def _by_series(n: int, angle: Tensor, rest: Tensor, t: Tensor) -> Tensor:
    """`Σ_l d_l e^{-l(l+n-1)t/2} P_l(cos θ) / volume` with multiplicities d_l and Gegenbauer polynomials, P_l(1) = 1."""
    c = torch.where(angle < rest, angle.cos(), -rest.cos())
    volume = 2 * math.pi ** ((n + 1) / 2) / math.gamma((n + 1) / 2)
    decay = (-t / 2).exp()
    total = torch.ones_like(c)
    before, now = torch.ones_like(c), c
    for degree in range(1, _series_length(n)):
        total = total + _multiplicity(n, degree) * decay ** (degree * (degree + n - 1)) * now
        before, now = now, ((2 * degree + n - 1) * c * now - degree * before) / (degree + n - 1)
    return (total / volume).log() + angle.square() / (2 * t)


def _series_length(n: int) -> int:
    """How many degrees matter from the time `_late(n)` on."""
    length = 2
    while math.log(_multiplicity(n, length)) - length * (length + n - 1) * _late(n) / 2 > -_NEGLIGIBLE:
        length += 1
    return length


def _multiplicity(n: int, degree: int) -> int:
    """The number of independent spherical harmonics of this degree >= 1 on S^n."""
    return math.comb(n + degree, n) - (math.comb(n + degree - 2, n) if degree >= 2 else 0)


def _by_contour(n: int, angle: Tensor, rest: Tensor, t: Tensor) -> Tensor:
    """The contour integral, block by block."""
    nodes, weights = _parabola(n, angle.device)
    blocks = torch.stack([angle, rest, t], -1).reshape(-1, 3).split(_BLOCK)
    sums = [_contour_sum(n, block, nodes, weights) for block in blocks]
    value = torch.cat(sums).reshape(angle.shape)
    rho_squared = (n - 1) ** 2 / 4
    return value.log() + rho_squared * t / 2 - n / 2 * (2 * math.pi * t).log() + math.lgamma((n + 1) / 2)


def _parabola(n: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Nodes ζ, and weights that contain `e^ζ ζ^{-(n+1)/2} dζ / 2πi`; the lower half, for the other is its mirror image.

    The place and the step grow with n as the singular line Im u = 1 gains strength (of order 2n at the antipode).
    """
    mu, step = 3 + 0.8 * n, 2 * math.pi / (41 + 2.8 * n)
    count = math.ceil(math.sqrt(_NEGLIGIBLE / mu) / step)
    u = (torch.arange(count, dtype=torch.float64, device=device) + 0.5) * step
    root = torch.complex(torch.ones_like(u), -u)
    weights = 2 * step / math.pi * mu ** ((1 - n) / 2) * (mu * root * root).exp() * root ** (-n)
    return mu * root * root, weights


def _contour_sum(n: int, parts: Tensor, zeta: Tensor, weights: Tensor) -> Tensor:
    """The sum over nodes for rows of angle, rest and time, `(N, 3)`; it is positive.

    In the far half all angles are measured from π, which keeps the digits next to the antipode.
    """
    angle, rest, t = parts.split(1, -1)
    step = 2 * t * zeta  # θ² - v, [N, nodes]
    phi = (angle.square() - step).sqrt()
    plus, minus = (phi + angle) / 2, -step / (phi + angle) / 2
    far = angle > rest
    from_pi = (rest * (math.pi + angle) + step) / (math.pi + phi)  # π - φ
    sin_phi = torch.where(far, from_pi, phi).sin()
    sin_plus = torch.where(far, (rest + from_pi) / 2, plus).sin()
    sin_minus = minus.sin()
    if n % 2:
        kernel = _power(plus * minus / (sin_plus * sin_minus), (n + 1) // 2)
    else:
        root = _upper_root(sin_plus, plus) * _upper_root(sin_minus, minus)
        kernel = _power((plus.sqrt() * minus.sqrt()) / root, n + 1)
    return (weights * kernel * sin_phi / phi).real.sum(-1)


def _upper_root(sine: Tensor, z: Tensor) -> Tensor:
    """`√(sin z)` continued through the upper half-plane from (0, π) to Re z < 7π/2: its sign turns at 3π/2."""
    return torch.where(z.real > 1.5 * math.pi, -1.0, 1.0) * sine.sqrt()


def _power(z: Tensor, exponent: int) -> Tensor:
    """A positive integer power by squaring: a complex `pow` is several times slower."""
    result: Tensor | None = None
    while True:
        if exponent & 1:
            result = z if result is None else result * z
        exponent >>= 1
        if not exponent:
            return z if result is None else result
        z = z * z
