"""Hyperbolic space of curvature -1 in both models, by formulas in which nothing cancels that does not cancel in truth.

On the hyperboloid a point far out is known by its spatial part, and its time component follows from it; the squared
distance of the naive formula is the small difference of numbers of the size `exp(2r)`. Here it is a sum of squares. In
the ball everything hangs on the gap `1 - |x|²`, which is computed to the last digit.

Coordinates come first here, `(k, *batch)`: then a sum over them is a sum of long rows, several times faster than one
over a short last axis. Throughout, `x0` is a time component and `xs` a spatial part, θ the distance, h² = sinh²(θ/2).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

import rmatch._arrays as xp
from rmatch._numerics import possibly_below, sqrt

_WORTH_COPYING = 1 << 13  # entries; below it strides cost less than a copy
_FEW = 16  # coordinates; up to here copying them one by one is faster than a transposed copy


def first(*arrays: Tensor, time: Tensor | float = 0.0) -> tuple[Tensor, ...]:
    """The arrays `(*batch, k)` as `(k, *batch)`, with so many batch axes that they broadcast, also with a time."""
    if xp.is_array(arrays[0]):
        return tuple(xp.rows_of(a) for a in arrays)
    rank = max(a.dim() for a in arrays)
    if isinstance(time, Tensor):
        rank = max(rank, time.dim() + 1)
    return tuple(_first(a if a.dim() == rank else a.reshape(*[1] * (rank - a.dim()), *a.shape)) for a in arrays)


def _first(a: Tensor) -> Tensor:
    if a.numel() < _WORTH_COPYING:
        return a.movedim(-1, 0)
    return torch.stack(a.unbind(-1)) if a.shape[-1] <= _FEW else a.movedim(-1, 0).contiguous()


def last(*rows: Tensor) -> Tensor:
    """The rows `(*batch)` or stacks of rows `(k, *batch)`, one after the other, as one array `(*batch, k)`."""
    if xp.is_array(rows[0]):
        return xp.columns_of(rows)
    if sum(len(r) for r in rows) > _FEW:
        return torch.cat(rows).movedim(0, -1).contiguous()
    return torch.stack([row for stack in rows for row in stack.unbind(0)], -1)


def dot(u: Tensor, v: Tensor) -> Tensor:
    """The Euclidean product over the first axis: `(*batch)`."""
    product = u * v
    return xp.first_sum(product) if xp.is_array(product) else product.sum(0)


# ---- hyperboloid ----------------------------------------------------------------------------------------------------


class Chord(NamedTuple):
    """`h² = sinh²(θ/2)` of two points, and what distance, logarithm and gradients share with it: see `chord`."""

    square: Tensor  # h², (*batch)
    step: Tensor  # ys - xs, (n, *batch)
    across: Tensor  # u, (n, *batch)
    weights: tuple[Tensor, Tensor]  # x0/(x0 + y0) and y0/(x0 + y0)
    slopes: tuple[Tensor, Tensor]  # (y0 - x0)/(2 x0) and (y0 - x0)/(2 y0)


def chord(x: Tensor, y: Tensor) -> Chord:
    """The chord between two points of the hyperboloid, exactly symmetric.

    In Klein's coordinates xs/x0 it satisfies

        4 h² = (|x0 ys - y0 xs|² + (y0 - x0)²) / (x0 y0),

    a sum of squares. Both differences are formed from d = ys - xs, which is exact for near points: with m = xs + ys,
    y0 - x0 = <d, m>/(x0 + y0), and x0 ys - y0 xs is the mean of y0 d - (y0 - x0) ys and x0 d - (y0 - x0) xs with the
    weights x0 and y0, which lets the point nearer to the origin decide. That mean is 2 x0 y0/(x0 + y0) times

        u = d - (y0 - x0)/2 (xs/x0 + ys/y0),

    and no number on the way is larger than the squares of the coordinates.
    """
    x0, xs, y0, ys = x[0], x[1:], y[0], y[1:]
    d = ys - xs
    total = x0 + y0
    half = 0.5 * dot(d, xs + ys) / total
    p, q, a, b = half / x0, half / y0, x0 / total, y0 / total
    u = d - (p * xs + q * ys)
    return Chord(xp.addcmul(p * q, a * b, dot(u, u)), d, u, (a, b), (p, q))


def root_of(square: Tensor, safe: bool) -> Tensor:
    """`h sqrt(1 + h²)` from h², which does not overflow; with finite derivatives at 0 where that has to be safe."""
    return (sqrt(square) if safe else xp.sqrt(square)) * xp.sqrt(1 + square)


def distance(square: Tensor, root: Tensor) -> Tensor:
    """θ from h² and `h sqrt(1 + h²)`: `exp θ - 1` is twice their sum."""
    return xp.log1p(2 * (square + root))


def ratio_of(square: Tensor) -> Tensor:
    """θ/sinh θ, from sinh θ = 2 h sqrt(1 + h²); 1 at h = 0, where its derivative would be infinite."""
    root = root_of(square, False)
    zero = root == 0
    return (distance(square, root) + zero) / (2 * root + zero)


def ratio_slope(square: Tensor, ratio: Tensor) -> Tensor:
    """The derivative of log ρ, ρ = θ/sinh θ, in h²: `(1/ρ - (1 + 2 h²)) / (2 h² (1 + h²))`.

    That of ρ itself would underflow far out.
    """
    if not possibly_below(square, 3e-3):
        return (1 / ratio - (1 + 2 * square)) / (2 * square) / (1 + square)
    small = square < 3e-3
    series = xp.polynomial((2048 / 1001, -1280 / 693, 512 / 315, -48 / 35, 16 / 15, -2 / 3), square)
    safe = xp.where(small, 1.0, square)
    return xp.where(small, series / ratio, (1 / ratio - (1 + 2 * safe)) / (2 * safe) / (1 + safe))


def time_of_tangent(x: Tensor, spatial: Tensor) -> Tensor:
    """The time component `<xs, vs>/x0` of the tangent vector at `x` with the given spatial part, `(1, *batch)`."""
    return (dot(x[1:], spatial) / x[0])[None]


def across(x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """The array `vs - (v0/x0) xs` and `v0/x0`, the two parts of a vector: their squares add up."""
    slope = v[0] / x[0]
    return xp.addcmul(v[1:], slope, x[1:], value=-1), slope


# ---- ball -----------------------------------------------------------------------------------------------------------


def ball_gap(x: Tensor) -> Tensor:
    """`1 - |x|²`, shape `(*batch)`, to the last digit also next to the boundary.

    In float32 it is computed in float64. In float64 each coordinate is split into a multiple of 2^-26 and a rest. The
    squares of the first parts are multiples of 2^-52, so their sum and its difference to 1 are exact; what the rests
    contribute is so small that its rounding does not matter. The derivative is -2x as it should be.
    """
    if xp.is_array(x):
        return xp.ball_gap(x)
    if x.dtype == torch.float32 and x.device.type != "mps":  # which has no float64
        wide = x.double()
        return (1 - dot(wide, wide)).float()
    grid = 2.0**26 if x.dtype == torch.float64 else 2.0**12
    coarse = torch.round(x.detach() * grid) / grid
    return (1 - dot(coarse, coarse)) - dot(x - coarse, x + coarse)


def ball_chord(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """`h² = |d|²/(ab)`, the gaps a and b, `d = y - x` and `|d|²` of two points of the ball."""
    d = y - x
    if xp.is_array(x):
        a, b = ball_gap(x), ball_gap(y)
    else:  # both in one go: each takes many calls
        a, b = ball_gap(torch.stack(torch.broadcast_tensors(x, y), 1)).unbind(0)
    square = dot(d, d)
    return square / (a * b), a, b, d, square


def gyrate(x: Tensor, y: Tensor, v: Tensor) -> Tensor:
    """Parallel transport of `v` from `x` to `y` in the unit ball, `(n, *batch)`; see `PoincareBall.transport`."""
    return gyration(x, y, v)[0]


def gyration(x: Tensor, y: Tensor, v: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """What `gyrate` gives, and the numbers on the way to it."""
    _, a, b, d, square = ball_chord(x, y)
    by_d, by_x = dot(d, v), dot(x, v)
    toward_x = a * by_d - square * by_x
    toward_d = (1 - a) * by_d + (b + square) * by_x
    twice = 2 / (square + a * b)
    moved = (b / a) * xp.addcmul(xp.addcmul(v, twice * toward_x, x), twice * toward_d, d, value=-1)
    return moved, (a, b, d, square, by_d, by_x, toward_x, toward_d, twice)
