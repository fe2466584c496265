"""The primitives of the unit hyperboloid, each with its gradient.

A gradient has no time component here: a point is known by its spatial part, and so is a tangent vector with its point.
On all vectors along which these can move it agrees with that of the plain formula; what it does to others has no
meaning.
"""

from __future__ import annotations

import torch
from torch import Tensor

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
        return torch.addcmul(dot(a, b), s, t), (a, s, b, t)

    def gradients(self, kept: Kept, grad: Tensor) -> Kept:
        """In u it is v', in v it is u', and in x, on which the time components depend, `-(t u' + s v')`."""
        a, s, b, t = kept
        by_u, by_v = grad * b, grad * a
        return _spatial(-torch.addcmul(s * by_u, t, by_v)), _spatial(by_u), _spatial(by_v)


class Project(Primitive):
    """The point over the spatial part: its time component is `sqrt(1 + |xs|²)`."""

    def formula(self, x: Tensor, *, safe: bool) -> tuple[Tensor, Kept]:  # pyright: ignore[reportIncompatibleMethodOverride]
        del safe
        spatial = first(x)[0][1:]
        time = (1 + dot(spatial, spatial)).sqrt()
        return last(time.unsqueeze(0), spatial), (spatial, time)

    def gradients(self, kept: Kept, grad: Tensor) -> Kept:
        """The time component has the gradient xs/x0."""
        spatial, time = kept
        (g,) = first(grad)
        return (_spatial(torch.addcmul(g[1:], g[0] / time, spatial)),)


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
            half, cosh = asinhc(c.square), (1 + c.square).sqrt()
            ratio, lift = half / cosh, half * (c.square / cosh)
        else:
            ratio = ratio_of(c.square)
            lift = ratio * c.square
        v = torch.addcmul(ratio * c.step, lift, p[1:], value=-2)
        return last(time_of_tangent(p, v), v), (p, q, c.square, c.across, *c.weights, *c.slopes, ratio, v)

    def gradients(self, kept: Kept, grad: Tensor) -> Kept:
        """The chain rule through h², with `v0 = <xs, vs>/x0` depending on both."""
        p, q, square, across, a, b, s, t, ratio, v = kept
        (g,) = first(grad)
        time = g[0] / p[0]
        g = torch.addcmul(g[1:], time, p[1:])
        by_y = torch.addcmul(ratio_slope(square, ratio) * dot(g, v), ratio, dot(g, p[1:]), value=-2)
        by_x = by_y - 2 * ratio * time  # v0 moves with x by <v', dx>/x0, and v' is -2 ρ times the gradient of h²
        along = ratio * g
        in_x = _covector(p, across, -b * by_x, by_x * (square - s))
        in_y = _covector(q, across, a * by_y, by_y * (square + t))
        return _spatial(torch.addcmul(in_x, 1 + 2 * square, along, value=-1)), _spatial(along + in_y)


class Exp(Primitive):
    """`exp_x v`: the spatial part is `cosh r xs + (sinh r / r) vs`."""

    def formula(self, x: Tensor, v: Tensor, *, safe: bool) -> tuple[Tensor, Kept]:  # pyright: ignore[reportIncompatibleMethodOverride]
        del safe
        p, w = first(x, v)
        a, slope = across(p, w)
        square = torch.addcmul(dot(a, a), slope, slope)
        cosh, sinhc = cosh_and_sinhc(square)
        y = torch.addcmul(cosh * p[1:], sinhc, w[1:])
        time = (1 + dot(y, y)).sqrt()
        return last(time.unsqueeze(0), y), (p, w, a, slope, square, cosh, sinhc, y, time)

    def gradients(self, kept: Kept, grad: Tensor) -> Kept:
        """The chain rule through r², whose gradient is `2 v'` in v and `-2 (v0/x0) v'` in x."""
        p, w, a, slope, square, cosh, sinhc, y, time = kept
        (g,) = first(grad)
        g = torch.addcmul(g[1:], g[0] / time, y)
        by_square = torch.addcmul(dot(g, p[1:]) * sinhc, _sinhc_slope(square, cosh, sinhc), dot(g, w[1:]), value=2)
        radial = by_square * a
        by_x = torch.addcmul(cosh * g, slope, radial, value=-1)
        return _spatial(by_x), _spatial(torch.addcmul(radial, sinhc, g))


def _spatial(gradient: Tensor) -> Tensor:
    """A gradient `(*batch, n + 1)` without a time component, as a view of its rows."""
    return torch.nn.functional.pad(gradient, [0, 0] * (gradient.dim() - 1) + [1, 0]).movedim(0, -1)


def _covector(p: Tensor, across: Tensor, weight: Tensor, product: Tensor) -> Tensor:
    """The spatial covector `weight · across` at `p`, with the right `product` with the point.

    The gradient of h² is `-y0/(x0 + y0) u` in x and `x0/(x0 + y0) u` in y, u the part `across`. Its radial part is
    smaller than what u is computed from by cosh² r, so that far out rounding leaves nothing of it. But its product with
    the point is known by itself: `h² - (y0 - x0)/(2 x0)` in x, and `h² + (y0 - x0)/(2 y0)` in y.
    """
    covector = weight * across
    error = product - dot(covector, p[1:])
    return torch.addcmul(covector, error / p[0] / p[0], p[1:])


def _sinhc_slope(square: Tensor, cosh: Tensor, sinhc: Tensor) -> Tensor:
    """The derivative `(cosh r - sinh r / r) / (2 r²)` of sinh r / r in r²."""
    if not possibly_below(square, 0.1):
        return (cosh - sinhc) / (2 * square)
    small = square < 0.1
    series = torch.full_like(square, 6 / 6227020800)  # of k s^(k-1) / (2k + 1)!
    for coefficient in (5 / 39916800, 4 / 362880, 3 / 5040, 2 / 120, 1 / 6):
        series = torch.addcmul(torch.full_like(square, coefficient), series, square)
    return torch.where(small, series, (cosh - sinhc) / (2 * torch.where(small, 1.0, square)))
