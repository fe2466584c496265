"""The primitives of the unit ball, each with its gradient."""

from __future__ import annotations

from torch import Tensor

import rmatch._arrays as xp
from rmatch._numerics import asinhc, possibly_below, tanhc_and_sech_square
from rmatch.manifolds._backward import Primitive
from rmatch.manifolds._hyperbolic import (
    ball_chord,
    ball_gap,
    distance,
    dot,
    first,
    gyration,
    last,
    ratio_of,
    ratio_slope,
    root_of,
)

Kept = tuple[Tensor, ...]


class Inner(Primitive):
    """`λ² <u, v>` with λ = 2/gap."""

    def formula(self, x: Tensor, u: Tensor, v: Tensor, *, safe: bool) -> tuple[Tensor, Kept]:  # pyright: ignore[reportIncompatibleMethodOverride]
        del safe
        p, a, b = first(x, u, v)
        factor = 2 / ball_gap(p)
        square = factor * factor
        value = square * dot(a, b)
        return value, (p, a, b, factor, square, value)

    def gradients(self, kept: Kept, grad: Tensor) -> Kept:
        """λ has the gradient λ² x."""
        p, a, b, factor, square, value = kept
        scaled = grad * square
        return _as_gradient((2 * grad * value * factor) * p), _as_gradient(scaled * b), _as_gradient(scaled * a)


class Dist(Primitive):
    """`θ = 2 asinh h` with `h² = |d|²/(ab)`, d = y - x, a and b the gaps."""

    def formula(self, x: Tensor, y: Tensor, *, safe: bool) -> tuple[Tensor, Kept]:  # pyright: ignore[reportIncompatibleMethodOverride]
        p, q = first(x, y)
        square, a, b, d, _ = ball_chord(p, q)
        root = root_of(square, safe)
        return distance(square, root), (p, q, square, a, b, d, root)

    def gradients(self, kept: Kept, grad: Tensor) -> Kept:
        """`dθ = d(h²) / (h sqrt(1 + h²))`, 0 at h = 0, and h² has the gradient `2 h² y/b + 2 d/(ab)` in y."""
        p, q, square, a, b, d, root = kept
        twice = 2 * grad / (root + (root == 0))
        along, weight = twice / (a * b) * d, twice * square
        return _as_gradient((weight / a) * p - along), _as_gradient((weight / b) * q + along)


class Log(Primitive):
    """`(ρ/b) w` with ρ = θ/sinh θ and `w = a d - |d|² x`."""

    def formula(self, x: Tensor, y: Tensor, *, safe: bool) -> tuple[Tensor, Kept]:  # pyright: ignore[reportIncompatibleMethodOverride]
        p, q = first(x, y)
        chord, a, b, d, square = ball_chord(p, q)
        ratio = asinhc(chord) / xp.sqrt(1 + chord) if safe else ratio_of(chord)
        scale = ratio / b
        w = xp.addcmul(a * d, square, p, value=-1)
        return last(scale * w), (p, q, chord, a, b, d, square, ratio, scale, w)

    def gradients(self, kept: Kept, grad: Tensor) -> Kept:
        """The chain rule through |d|² and the gaps, on which h² = |d|²/(ab) depends."""
        p, q, chord, a, b, d, square, ratio, scale, w = kept
        (g,) = first(grad)
        along = scale * dot(g, w)
        by_chord = along * ratio_slope(chord, ratio)
        by_square = by_chord / (a * b) - scale * dot(g, p)
        by_a = scale * dot(g, d) - by_chord * chord / a
        by_b = -(by_chord * chord + along) / b
        by_d = xp.addcmul((scale * a) * g, 2 * by_square, d)
        by_x = xp.addcmul((scale * square) * g, 2 * by_a, p)
        return _as_gradient(-(by_d + by_x)), _as_gradient(xp.addcmul(by_d, by_b, q, value=-2))


class Exp(Primitive):
    """`x + a T (w + T |w|² x) / (|z|² + a/cosh² r)` with w = v/a, r = |w|, T = tanh r / r and z = x + T w.

    This is `(|z|² x + a z)` over the same denominator, with the step apart from x: a short one moves x by itself to the
    last digit.
    """

    def formula(self, x: Tensor, v: Tensor, *, safe: bool) -> tuple[Tensor, Kept]:  # pyright: ignore[reportIncompatibleMethodOverride]
        del safe
        p, w = first(x, v)
        gap = ball_gap(p)
        w = w / gap
        length = dot(w, w)
        tanhc, sech = tanhc_and_sech_square(length)
        z = xp.addcmul(p, tanhc, w)
        square = dot(z, z)
        scale = 1 / xp.addcmul(square, gap, sech)
        y = xp.addcmul(p, gap * scale * tanhc, xp.addcmul(w, tanhc * length, p))
        return last(y), (p, w, gap, length, tanhc, sech, z, square, scale, y)

    def gradients(self, kept: Kept, grad: Tensor) -> Kept:
        """The chain rule; in r², tanh r / r has the slope of `_tanhc_slope` and 1/cosh² r has -tanh r / (r cosh² r)."""
        p, w, gap, length, tanhc, sech, z, square, scale, y = kept
        (g,) = first(grad)
        g = scale * g
        by_scale = -dot(g, y)
        by_gap = xp.addcmul(dot(g, z), by_scale, sech)
        by_z = xp.addcmul(gap * g, 2 * (dot(g, p) + by_scale), z)
        by_length = xp.addcmul(_tanhc_slope(length, tanhc, sech) * dot(by_z, w), by_scale * gap, sech * tanhc, value=-1)
        by_w = xp.addcmul(tanhc * by_z, 2 * by_length, w)
        by_v = by_w / gap
        by_gap = by_gap - dot(by_v, w)
        by_x = xp.addcmul(xp.addcmul(by_z, square, g), by_gap, p, value=-2)
        return _as_gradient(by_x), _as_gradient(by_v)


class Transport(Primitive):
    """The gyration by y and -x, times the quotient b/a of the gaps: see `PoincareBall.transport`."""

    def formula(self, x: Tensor, y: Tensor, v: Tensor, *, safe: bool) -> tuple[Tensor, Kept]:  # pyright: ignore[reportIncompatibleMethodOverride]
        del safe
        p, q, w = first(x, y, v)
        moved, kept = gyration(p, q, w)
        return last(moved), (p, q, w, moved, *kept)

    def gradients(self, kept: Kept, grad: Tensor) -> Kept:
        """The chain rule through the products <d, v> and <x, v>, |d|² and the gaps."""
        p, q, w, moved, a, b, d, square, by_d, by_x, toward_x, toward_d, twice = kept
        (g,) = first(grad)
        of_ratio = dot(g, moved)  # the gradient in log(b/a)
        g = (b / a) * g
        of_x, of_d = twice * dot(g, p), twice * dot(g, d)  # in toward_x and in -toward_d
        of_sum = (toward_d * of_d - toward_x * of_x) * (0.5 * twice)  # in |d|² + ab
        of_by_d = a * of_x - (1 - a) * of_d
        of_by_x = -(square * of_x + (b + square) * of_d)
        of_square = of_sum - by_x * (of_x + of_d)
        of_a = by_d * (of_x + of_d) + of_sum * b - of_ratio / a
        of_b = of_sum * a - by_x * of_d + of_ratio / b
        in_d = xp.addcmul(xp.addcmul(of_by_d * w, 2 * of_square, d), twice * toward_d, g, value=-1)
        in_x = xp.addcmul(xp.addcmul(of_by_x * w, twice * toward_x, g), of_a, p, value=-2) - in_d
        in_v = xp.addcmul(xp.addcmul(g, of_by_d, d), of_by_x, p)
        return _as_gradient(in_x), _as_gradient(xp.addcmul(in_d, of_b, q, value=-2)), _as_gradient(in_v)


def _as_gradient(rows: Tensor) -> Tensor:
    """A gradient `(*batch, k)` as a view of its rows: a copy would cost more than the gradient did."""
    return xp.transposed(rows) if xp.is_array(rows) else rows.movedim(0, -1)


def _tanhc_slope(square: Tensor, tanhc: Tensor, sech: Tensor) -> Tensor:
    """The derivative `(1/cosh² r - tanh r / r) / (2 r²)` of tanh r / r in r²."""
    if not possibly_below(square, 3e-3):
        return (sech - tanhc) / (2 * square)
    small = square < 3e-3
    series = xp.polynomial((43688 / 2027025, -1382 / 31185, 248 / 2835, -17 / 105, 4 / 15, -1 / 3), square)
    return xp.where(small, series, (sech - tanhc) / (2 * xp.where(small, 1.0, square)))
