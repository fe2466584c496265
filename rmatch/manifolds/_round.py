"""The primitives of the sphere of any radius, each with its gradient in the ambient coordinates."""

from __future__ import annotations

import math

import torch
from torch import Tensor

import rmatch._arrays as xp
from rmatch._numerics import MANY, cos_and_sinc, dot, last_sum, norm, perpendicular, possibly_below
from rmatch.manifolds._backward import Primitive

Kept = tuple[Tensor, ...]


class RoundPrimitive(Primitive):
    """A formula on the sphere of a radius R.

    Args:
        radius: Length of the points.
    """

    def __init__(self, radius: float) -> None:
        self.radius = radius
        self.square = None if radius == 1 else radius**2  # None: the unit sphere does without a division

    def dot(self, u: Tensor, v: Tensor) -> Tensor:
        """`<u, v> / R²`, the last axis kept."""
        product = dot(u, v)
        return product if self.square is None else product / self.square

    def length(self, v: Tensor, safe: bool) -> Tensor:
        """`|v| / R`, the last axis kept; with finite derivatives at 0 where that has to be safe."""
        length = norm(v) if safe else _length(v)
        return length if self.square is None else length / self.radius

    def across(self, x: Tensor, v: Tensor) -> Tensor:
        """The part of `v` that is orthogonal to `x`."""
        return xp.addcmul(v, self.dot(x, v), x, value=-1)

    def is_delicate(self, sine: Tensor) -> bool:
        """Whether x and ±y may agree to a few roundings somewhere, so that a direction must be purified or chosen."""
        return possibly_below(sine, 1e3 * torch.finfo(xp.dtype_of(sine)).eps)

    def gradients_of_formula(self, inputs: Kept, grad: Tensor) -> Kept:
        """The gradients as autograd finds them, for a batch with a row on which a closed form would break."""
        with torch.enable_grad():
            leaves = tuple(a.detach().requires_grad_() for a in inputs)
            value = self.formula(*leaves, safe=True)[0]
            return torch.autograd.grad(value, leaves, grad, materialize_grads=True)


class Dist(RoundPrimitive):
    """`2 R atan2(p, q)` with p = |x - y|/R and q = |x + y|/R."""

    def formula(self, x: Tensor, y: Tensor, *, safe: bool) -> tuple[Tensor, Kept]:  # pyright: ignore[reportIncompatibleMethodOverride]
        d, s = x - y, x + y
        if xp.is_array(d):
            tangent = xp.sqrt(last_sum(d * d) / last_sum(s * s))  # of θ/2
            return xp.atan(tangent) * (2 * self.radius), (d, s, tangent)
        p, q = self.length(d, safe), self.length(s, safe)
        return (2 * self.radius) * torch.atan2(p, q).squeeze(-1), (d, s, (p / q).squeeze(-1))

    def gradients(self, kept: Kept, grad: Tensor) -> Kept:
        """`2 (q dp - p dq) / (p² + q²)` with dp = <d, dx - dy>/p and dq = <s, dx + dy>/q; nothing where p or q is 0.

        On the sphere p² + q² is 4.
        """
        d, s, tangent = kept
        least = math.sqrt(torch.finfo(xp.dtype_of(tangent)).tiny)  # there d or s is zero
        tangent = xp.clip(tangent, least, 1 / least)
        weight = grad * (0.5 / self.radius)
        along = (weight / tangent)[..., None] * d
        across = (weight * tangent)[..., None] * s
        return along - across, -(along + across)


class Project(RoundPrimitive):
    """`R x / |x|`; the last axis' point for x = 0."""

    def formula(self, x: Tensor, *, safe: bool) -> tuple[Tensor, Kept]:  # pyright: ignore[reportIncompatibleMethodOverride]
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True) if safe else _length(x)
        r = length if self.square is None else length / self.radius
        if not possibly_below(r, torch.finfo(xp.dtype_of(r)).tiny):
            y = x / r
            return y, (y, r)
        xp.require_tensor(r)
        zero = r == 0
        origin = torch.zeros_like(x[..., :1]).expand(x.shape).clone()
        origin[..., -1] = self.radius
        y = torch.where(zero, origin, x / (r + zero))
        return y, (y, r + zero)

    def gradients(self, kept: Kept, grad: Tensor) -> Kept:
        """The part across, divided by |x|/R."""
        y, r = kept
        return (self.across(y, grad) / r,)


class Exp(RoundPrimitive):
    """`cos θ x + (sin θ / θ) v` with θ = |v|/R."""

    def formula(self, x: Tensor, v: Tensor, *, safe: bool) -> tuple[Tensor, Kept]:  # pyright: ignore[reportIncompatibleMethodOverride]
        del safe
        square = self.dot(v, v)
        cosine, sinc = cos_and_sinc(square)
        return xp.addcmul(cosine * x, sinc, v), (x, v, square, cosine, sinc)

    def gradients(self, kept: Kept, grad: Tensor) -> Kept:
        """The chain rule through θ², of which cos θ has the derivative `-sinc/2`."""
        x, v, square, cosine, sinc = kept
        by_sinc = 2 * sinc_slope(square, cosine, sinc)
        slope = xp.addcmul(by_sinc * self.dot(grad, v), sinc, self.dot(grad, x), value=-1)
        return cosine * grad, xp.addcmul(sinc * grad, slope, v)


class Log(RoundPrimitive):
    """`φ c` with the part c of y across x, sin θ = |c|/R, cos θ = <x, y>/R² and φ = θ / sin θ."""

    def formula(self, x: Tensor, y: Tensor, *, safe: bool) -> tuple[Tensor, Kept]:  # pyright: ignore[reportIncompatibleMethodOverride]
        c, sine, cosine = self.departure(x, y, safe)
        if not self.is_delicate(sine):
            ratio = xp.atan2(sine, cosine) / sine
            return c * ratio, (x, y, c, sine, cosine, ratio)
        xp.require_tensor(c)
        c = self.across(x, c)  # what is left of c may be mostly round-off: once more is enough
        sine = self.length(c, True)
        zero = sine == 0
        ratio = torch.where(zero, 1.0, xp.atan2(sine, cosine) / (sine + zero))
        v = torch.where(zero & (cosine < 0), math.pi * self.radius * perpendicular(x), ratio * c)
        return v, (x, y)

    def departure(self, x: Tensor, y: Tensor, safe: bool) -> Kept:
        """The part c of `y` across `x`, and sine and cosine of the angle between them.

        It is taken of y - x in the near half and of y + x in the far half: there these differences are exact, so the
        direction keeps full relative precision next to x and next to its antipode.
        """
        cosine = self.dot(x, y)
        c = self.across(x, xp.addcmul(y, xp.sign(cosine), x, value=-1))
        return c, self.length(c, safe), cosine

    def gradients(self, kept: Kept, grad: Tensor) -> Kept:
        """With G = <g, c>/R²: `g dc` weighs φ g + b c, b = G (cos θ - φ)/sin²θ, and the cosine weighs -G."""
        if len(kept) == 2:
            return self.gradients_of_formula(kept, grad)
        x, y, c, sine, cosine, ratio = kept
        by_cosine, along = self.dot(grad, c), ratio * self.dot(grad, x)
        bend = by_cosine * (cosine - ratio) / (sine * sine)
        by_c = xp.addcmul(ratio * grad, bend, c)
        rest = along + by_cosine
        by_x = xp.addcmul(2 * xp.sign(cosine) * along * x, cosine, by_c, value=-1)
        return xp.addcmul(by_x, rest, y, value=-1), xp.addcmul(by_c, rest, x, value=-1)


class Transport(RoundPrimitive):
    """`v - 2 <s, v>/|s|² s` with s = x + y: the reflection along s takes x to -y, so it takes what is across to across.

    Next to the antipode s is short, and a rounding of |x| or |y| turns it. On the sphere <s, x> is |s|²/2, and that
    gives its part along `x` anew.
    """

    def formula(self, x: Tensor, y: Tensor, v: Tensor, *, safe: bool) -> tuple[Tensor, Kept]:  # pyright: ignore[reportIncompatibleMethodOverride]
        s = x + y
        square = self.dot(s, s)
        near = possibly_below(square, 1e-2)
        if near:
            xp.require_tensor(s)
            s = xp.addcmul(s, (square / 2 - self.dot(s, x)).detach(), x)  # 0 all over the sphere
            square = self.dot(s, s)
        if not (near and possibly_below(square, 1e-16)):
            double = 2 / square
            turn = double * self.dot(s, v)
            return xp.addcmul(v, turn, s, value=-1), (s, v, double, turn)
        length = self.length(s, True)
        zero = length == 0
        s = torch.where(zero, self.radius * perpendicular(x), s / (length + zero))
        turn = 2 * self.dot(s, v)
        return xp.addcmul(v, turn, s, value=-1), (x, y, v)

    def gradients(self, kept: Kept, grad: Tensor) -> Kept:
        """The reflection is its own transpose."""
        if len(kept) == 3:
            return self.gradients_of_formula(kept, grad)
        s, v, double, turn = kept
        back = double * self.dot(grad, s)
        by_v = xp.addcmul(grad, back, s, value=-1)
        by_s = -xp.addcmul(back * v, turn, by_v)
        return by_s, by_s, by_v


def _length(v: Tensor) -> Tensor:
    """`|v|`, the last axis kept, in one operation for a small batch and in four for a large one: the faster way."""
    if xp.is_array(v):
        return xp.sqrt(dot(v, v))
    return torch.linalg.vector_norm(v, dim=-1, keepdim=True) if v.numel() < MANY else dot(v, v).sqrt()


def sinc_slope(square: Tensor, cosine: Tensor, sinc: Tensor) -> Tensor:
    """The derivative `(cos θ - sin θ / θ) / (2 θ²)` of sin θ / θ in θ²."""
    if not possibly_below(square, 0.1):
        return (cosine - sinc) / (2 * square)
    small = square < 0.1
    # of (-1)^k k s^(k-1) / (2k + 1)!
    series = xp.polynomial((6 / 6227020800, -5 / 39916800, 4 / 362880, -3 / 5040, 2 / 120, -1 / 6), square)
    return xp.where(small, series, (cosine - sinc) / (2 * xp.where(small, 1.0, square)))
