"""Hyperbolic space of curvature -1 in both models, by formulas in which nothing cancels that does not cancel in truth.

On the hyperboloid a point far out is known by its spatial part, and its time component follows from it; the squared
distance of the naive formula is the small difference of numbers of the size `exp(2r)`. Here it is a sum of squares. In
the ball everything hangs on the gap `1 - |x|²`, which is computed to the last digit.

Throughout, `x0` is a time component and `xs` a spatial part, θ the distance, and `h² = sinh²(θ/2)`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rmatch._numerics import dot

# ---- hyperboloid ----------------------------------------------------------------------------------------------------


def half_chord(x: Tensor, y: Tensor) -> Tensor:
    """`sinh²(θ/2)` between two points of the hyperboloid, `(*batch, 1)`, exactly symmetric.

    In Klein's coordinates xs/x0 the chord satisfies

        4 h² = (|y0 xs - x0 ys|² + (x0 - y0)²) / (x0 y0),

    a sum of squares. Both differences are formed from d = xs - ys, which is exact for near points: with m = xs + ys,
    x0 - y0 = <d, m>/(x0 + y0), and y0 xs - x0 ys is the mean of y0 d - (x0 - y0) ys and x0 d - (x0 - y0) xs with the
    weights x0 and y0, which lets the point nearer to the origin decide.
    """
    x0, xs, y0, ys = x[..., :1], x[..., 1:], y[..., :1], y[..., 1:]
    d = xs - ys
    total = x0 + y0
    rise = dot(d, xs + ys) / total
    product = x0 * y0
    across = torch.addcmul((2 * product) * d, rise, y0 * xs + x0 * ys, value=-1) / total
    return torch.addcmul(dot(across, across), rise, rise) / (4 * product)


def rise(x: Tensor, d: Tensor, y: Tensor) -> Tensor:
    """The difference of the time components `y0 - x0` from that of the spatial parts, d = ys - xs: `(*batch, 1)`."""
    return dot(d, x[..., 1:] + y[..., 1:]) / (x[..., :1] + y[..., :1])


def with_time_of_tangent(x: Tensor, spatial: Tensor) -> Tensor:
    """The tangent vector at `x` with the given spatial part: its time component is `<xs, vs>/x0`."""
    time = dot(x[..., 1:], spatial) / x[..., :1]
    return torch.cat([time, spatial], -1)


def across(x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """The array `vs - (v0/x0) xs` and `v0/x0`, the two parts of a vector: their squares add up."""
    slope = v[..., :1] / x[..., :1]
    return torch.addcmul(v[..., 1:], slope, x[..., 1:], value=-1), slope


# ---- ball -----------------------------------------------------------------------------------------------------------


def ball_gap(x: Tensor) -> Tensor:
    """`1 - |x|²`, shape `(*batch, 1)`, to the last digit also next to the boundary.

    Each coordinate is split into a multiple of 2^-26 (2^-12 in float32) and a rest. The squares of the first parts are
    whole multiples of the unit roundoff, so their sum and its difference to 1 are exact; what the rests contribute is
    so small that its rounding does not matter. The derivative is -2x as it should be.
    """
    grid = 2.0**26 if x.dtype == torch.float64 else 2.0**12
    coarse = torch.round(x.detach() * grid) / grid
    return (1 - dot(coarse, coarse)) - dot(x - coarse, x + coarse)
