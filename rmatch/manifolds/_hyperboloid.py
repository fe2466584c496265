"""The primitives of the unit hyperboloid, each with its gradient.

A gradient has no time component here: a point is known by its spatial part, and so is a tangent vector with its point.
On all vectors along which these can move it agrees with that of the plain formula; what it does to others has no
meaning.
"""

from __future__ import annotations

import torch
from torch import Tensor

import rmatch._arrays as xp
from rmatch._numerics import asinhc, cosh_and_sinhc, possibly_below
from rmatch.manifolds._backward import Primitive
from rmatch.manifolds._hyperbolic import (
    across,
    chord,
    distance,
    dot,
    first,
    last,
    ratio_of,
    ratio_slope,
    root_of,
    time_of_tangent,
)

Kept = tuple[Tensor, ...]


class Inner(Primitive):
    """`g_x(u, v)`: with the parts `(u', s)` and `(v', t)` of `across`, `<u', v'> + s t`."""

    def formula(self, x: Tensor, u: Tensor, v: Tensor, *, safe: bool) -> tuple[Tensor, Kept]:  # pyright: ignore[reportIncompatibleMethodOverride]
        del safe
        p, a, b = first(x, u, v)
        a, s = across(p, a)
        b, t = across(p, b)
        return xp.addcmul(dot(a, b), s, t), (a, s, b, t)

    def gradients(self, kept: Kept, grad: Tensor) -> Kept:
        """In u it is v', in v it is u', and in x, on which the time components depend, `-(t u' + s v')`."""
        a, s, b, t = kept
        by_u, by_v = grad * b, grad * a
        return _spatial(-xp.addcmul(s * by_u, t, by_v)), _spatial(by_u), _spatial(by_v)


class Project(Primitive):
    """The point over the spatial part: its time component is `sqrt(1 + |xs|²)`."""

    def formula(self, x: Tensor, *, safe: bool) -> tuple[Tensor, Kept]:  # pyright: ignore[reportIncompatibleMethodOverride]
        del safe
        spatial = first(x)[0][1:]
        time = xp.sqrt(1 + dot(spatial, spatial))
        return last(time[None], spatial), (spatial, time)

    def gradients(self, kept: Kept, grad: Tensor) -> Kept:
        """The time component has the gradient xs/x0."""
        spatial, time = kept
        (g,) = first(grad)
        return (_spatial(xp.addcmul(g[1:], g[0] / time, spatial)),)


class Dist(Primitive):
    """`θ = 2 asinh h`."""

    def formula(self, x: Tensor, y: Tensor, *, safe: bool) -> tuple[Tensor, Kept]:  # pyright: ignore[reportIncompatibleMethodOverride]
        p, q = first(x, y)
        c = chord(p, q)
        root = root_of(c.square, safe)
        return distance(c.square, root), (p, q, c.square, c.across, *c.weights, *c.slopes, root)

    def gradients(self, kept: Kept, grad: Tensor) -> Kept:
        """`dθ = d(h²) / (h sqrt(1 + h²))`, and 0 at h = 0."""
        p, q, square, across, a, b, s, t, root = kept
        by_square = grad / (root + (root == 0))
        in_x = _covector(p, across, -b * by_square, by_square * (square - s))
        in_y = _covector(q, across, a * by_square, by_square * (square + t))
        return _spatial(in_x), _spatial(in_y)


class Log(Primitive):
    """`log_x y`: the spatial part is `ρ (ys - xs - 2 h² xs)` with ρ = θ/sinh θ."""

    def formula(self, x: Tensor, y: Tensor, *, safe: bool) -> tuple[Tensor, Kept]:  # pyright: ignore[reportIncompatibleMethodOverride]
        p, q = first(x, y)
        c = chord(p, q)
        if safe:  # ρ and ρ h² apart from one another: a derivative of one by the other would overflow far out
            half, cosh = asinhc(c.square), xp.sqrt(1 + c.square)
            ratio, lift = half / cosh, half * (c.square / cosh)
        else:
            ratio = ratio_of(c.square)
            lift = ratio * c.square
        v = xp.addcmul(ratio * c.step, lift, p[1:], value=-2)
        return last(time_of_tangent(p, v), v), (p, q, c.square, c.across, *c.weights, *c.slopes, ratio, v)

    def gradients(self, kept: Kept, grad: Tensor) -> Kept:
        """The chain rule through h², with `v0 = <xs, vs>/x0` depending on both."""
        p, q, square, across, a, b, s, t, ratio, v = kept
        (g,) = first(grad)
        time = g[0] / p[0]
        g = xp.addcmul(g[1:], time, p[1:])
        by_y = xp.addcmul(ratio_slope(square, ratio) * dot(g, v), ratio, dot(g, p[1:]), value=-2)
        by_x = by_y - 2 * ratio * time  # v0 moves with x by <v', dx>/x0, and v' is -2 ρ times the gradient of h²
        along = ratio * g
        in_x = _covector(p, across, -b * by_x, by_x * (square - s))
        in_y = _covector(q, across, a * by_y, by_y * (square + t))
        return _spatial(xp.addcmul(in_x, 1 + 2 * square, along, value=-1)), _spatial(along + in_y)


class Exp(Primitive):
    """`exp_x v`: the spatial part is `cosh r xs + (sinh r / r) vs`."""

    def formula(self, x: Tensor, v: Tensor, *, safe: bool) -> tuple[Tensor, Kept]:  # pyright: ignore[reportIncompatibleMethodOverride]
        del safe
        p, w = first(x, v)
        a, slope = across(p, w)
        square = xp.addcmul(dot(a, a), slope, slope)
        cosh, sinhc = cosh_and_sinhc(square)
        y = xp.addcmul(cosh * p[1:], sinhc, w[1:])
        time = xp.sqrt(1 + dot(y, y))
        return last(time[None], y), (p, w, a, slope, square, cosh, sinhc, y, time)

    def gradients(self, kept: Kept, grad: Tensor) -> Kept:
        """The chain rule through r², whose gradient is `2 v'` in v and `-2 (v0/x0) v'` in x."""
        p, w, a, slope, square, cosh, sinhc, y, time = kept
        (g,) = first(grad)
        g = xp.addcmul(g[1:], g[0] / time, y)
        by_square = xp.addcmul(dot(g, p[1:]) * sinhc, _sinhc_slope(square, cosh, sinhc), dot(g, w[1:]), value=2)
        radial = by_square * a
        by_x = xp.addcmul(cosh * g, slope, radial, value=-1)
        return _spatial(by_x), _spatial(xp.addcmul(radial, sinhc, g))


class Transport(Primitive):
    """`vs + c (xs + ys)` with c = L/D, L the Minkowski product of y and v and D = 2 (1 + h²), that of x and y off 1.

    With u of `chord` and the parts (v', s) of `across`, L is `2 y0/(x0 + y0) <u, v'> + s ((y0 - x0)/x0 - 2 h²)`: it is
    made of y - x, so that nothing cancels for near points.
    """

    def formula(self, x: Tensor, y: Tensor, v: Tensor, *, safe: bool) -> tuple[Tensor, Kept]:  # pyright: ignore[reportIncompatibleMethodOverride]
        del safe
        p, q, w = first(x, y, v)
        c = chord(p, q)
        a, s = across(p, w)
        product = 2 * (c.weights[1] * dot(c.across, a) + s * (c.slopes[0] - c.square))
        factor = product / (2 + 2 * c.square)
        moved = xp.addcmul(w[1:], factor, p[1:] + q[1:])
        time = time_of_tangent(q, moved)
        kept = (p, q, w, c.square, c.across, *c.weights, *c.slopes, a, s, product, factor, moved, time[0])
        return last(time, moved), kept

    def gradients(self, kept: Kept, grad: Tensor) -> Kept:
        """Those of L are `-(y0/x0) v'`, `vs - (v0/y0) ys` and -2 times that of h² in x; D has twice those of h²."""
        p, q, w, square, u, weight_x, weight_y, slope_x, slope_y, a, s, product, factor, moved, time = kept
        (g,) = first(grad)
        slope = g[0] / q[0]
        g = xp.addcmul(g[1:], slope, q[1:])
        by_product = dot(g, p[1:] + q[1:]) / (2 + 2 * square)
        by_square = -2 * by_product * factor
        of_x = _covector(p, u, -weight_y, square - slope_x)  # of h²
        of_y = _covector(q, u, weight_x, square + slope_y)
        both = factor * g
        turn = -by_product * q[0] / p[0]
        in_x = xp.addcmul(both, by_square, of_x) + _covector(p, a, turn, turn * s)
        rise, climb = s * p[0] / q[0], time / q[0]  # v0/y0, before and after
        bend = by_product * xp.addcmul(w[1:], rise, q[1:], value=-1)
        bend = xp.addcmul(bend, slope, xp.addcmul(moved, climb, q[1:], value=-1))
        in_y = xp.addcmul(both, by_square, of_y) + _covector(
            q, bend, 1.0, by_product * (product + rise) + slope * climb
        )
        return _spatial(in_x), _spatial(in_y), _spatial(xp.addcmul(g, by_product, of_x, value=-2))


def _spatial(gradient: Tensor) -> Tensor:
    """A gradient `(*batch, n + 1)` without a time component, as a view of its rows."""
    if xp.is_array(gradient):
        return xp.under_zeros(gradient)
    return torch.nn.functional.pad(gradient, [0, 0] * (gradient.dim() - 1) + [1, 0]).movedim(0, -1)


def _covector(p: Tensor, across: Tensor, weight: Tensor | float, product: Tensor) -> Tensor:
    """The spatial covector `weight · across` at `p`, with the right `product` with the point.

    The gradient of h² is `-y0/(x0 + y0) u` in x and `x0/(x0 + y0) u` in y, u the part `across`. Its radial part is
    smaller than what u is computed from by cosh² r, so that far out rounding leaves nothing of it. But its product with
    the point is known by itself: `h² - (y0 - x0)/(2 x0)` in x, and `h² + (y0 - x0)/(2 y0)` in y.
    """
    covector = weight * across
    error = product - dot(covector, p[1:])
    return xp.addcmul(covector, error / p[0] / p[0], p[1:])


def _sinhc_slope(square: Tensor, cosh: Tensor, sinhc: Tensor) -> Tensor:
    """The derivative `(cosh r - sinh r / r) / (2 r²)` of sinh r / r in r²."""
    if not possibly_below(square, 0.1):
        return (cosh - sinhc) / (2 * square)
    small = square < 0.1
    # of k s^(k-1) / (2k + 1)!
    series = xp.polynomial((6 / 6227020800, 5 / 39916800, 4 / 362880, 3 / 5040, 2 / 120, 1 / 6), square)
    return xp.where(small, series, (cosh - sinhc) / (2 * xp.where(small, 1.0, square)))
