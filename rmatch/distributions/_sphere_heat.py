"""The heat kernel of the unit sphere S^n at every time and angle, to the last digits, and its exact sampler."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rmatch._numerics import possibly_any
from rmatch.distributions._radial_heat import SpaceForm
from rmatch.distributions._sphere_contour import contour_logs

_NEGLIGIBLE = 42.0  # exp(-42) = 6e-19


class Round(SpaceForm):
    """The unit spheres: a contour integral for early times, a few spherical harmonics for late ones."""

    sign = 1

    def scaled_logs(self, n: int, levels: int, angle: Tensor, rest: Tensor, t: Tensor) -> list[Tensor]:
        """`log K_m(t, θ) + θ²/2t`, within a few roundings of the larger of 1 and the sum."""
        late = t >= (switch := _late(n))
        if not possibly_any(late):
            return contour_logs(n, levels, angle, rest, t)
        late_t = t.clamp_min(switch)
        by_series = [_by_series(m, n, angle, rest, late_t) for m in range(n, n + 2 * levels, 2)]
        if not possibly_any(~late):
            return by_series
        by_contour = contour_logs(n, levels, angle, rest, t.clamp_max(switch))
        return [torch.where(late, a, b) for a, b in zip(by_series, by_contour, strict=True)]


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


def _by_series(n: int, lowest: int, angle: Tensor, rest: Tensor, t: Tensor) -> Tensor:
    """`Σ_l d_l e^{-l(l+n-1)t/2} P_l(cos θ) / volume` with multiplicities d_l and Gegenbauer polynomials, P_l(1) = 1.

    It is long enough from the time on that is late for S^lowest.
    """
    c = torch.where(angle < rest, angle.cos(), -rest.cos())
    volume = 2 * math.pi ** ((n + 1) / 2) / math.gamma((n + 1) / 2)
    decay = (-t / 2).exp()
    total = torch.ones_like(c)
    before, now = torch.ones_like(c), c
    for degree in range(1, _series_length(n, _late(lowest))):
        total = total + _multiplicity(n, degree) * decay ** (degree * (degree + n - 1)) * now
        before, now = now, ((2 * degree + n - 1) * c * now - degree * before) / (degree + n - 1)
    return (total / volume).log() + angle.square() / (2 * t)


def _series_length(n: int, t: float) -> int:
    """How many degrees matter from the time t on."""
    length = 2
    while math.log(_multiplicity(n, length)) - length * (length + n - 1) * t / 2 > -_NEGLIGIBLE:
        length += 1
    return length


def _multiplicity(n: int, degree: int) -> int:
    """The number of independent spherical harmonics of this degree >= 1 on S^n."""
    return math.comb(n + degree, n) - (math.comb(n + degree - 2, n) if degree >= 2 else 0)
