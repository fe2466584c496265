"""Which end point a geodesic from a random base point runs to, given where it is at one time.

Each member tells how likely an end point x_i is, `w_i ∝ p_t(x | x_i)`, and the mean of `log_x x_i` under such weights.
The arrays are B × C, points by candidates, and training passes over them in every step. So what can be a sum over
coordinates, a matrix product or a product with a mask is one: a `where` or a `cdist` takes longer than a sine.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import singledispatch
from typing import NamedTuple

import torch
from torch import Tensor

from rmatch.distributions import Distribution, Uniform, WrappedNormal
from rmatch.manifolds import (
    SPD,
    Euclidean,
    HyperbolicSpace,
    Lorentz,
    Manifold,
    Product,
    SpecialOrthogonal,
    Sphere,
    Torus,
    poincare_to_lorentz,
)
from rmatch.paths.geodesic import GeodesicPath

_TINY = 1e-30  # added to an angle and its sine alike: their quotient at 0 is then 1, and nothing else changes
_FARTHEST = 40.0  # in units of the radius: e^40 is a float32, and a base point so far out has no weight
_WIDEST = 3.0  # scale of a base on a hyperbolic space up to which that is so


class EndPoints(NamedTuple):
    """What is known of the end points of each of B points among C candidates.

    Args:
        log_weights: Logarithms of unnormalised weights `(B, C)`; None where all are the same.
        factors: Numbers `(B, C)`, none negative, that multiply them, or a single 1.
        mean: The mean of `log_x x_i` `(B, *point_shape)` under weights `(B, C)` whose rows sum to 1 (or 0).
    """

    log_weights: Tensor | None
    factors: Tensor
    mean: Callable[[Tensor], Tensor]


def has_closed_form(manifold: Manifold, base: Distribution) -> bool:
    """Whether `end_points` has a formula for this base; without, it takes the change of variables for every pair."""
    if isinstance(manifold, Product):
        bases = _factor_bases(manifold, base)
        return bases is not None and all(map(has_closed_form, manifold.factors, bases))
    if isinstance(base, Uniform):
        return isinstance(manifold, Sphere | Torus | SpecialOrthogonal)
    if not isinstance(base, WrappedNormal):
        return False
    if isinstance(manifold, HyperbolicSpace):
        at_origin = torch.equal(base.mean, manifold.origin(dtype=base.mean.dtype, device=base.mean.device))
        return at_origin and float(base.scale) <= _WIDEST * manifold.radius
    return isinstance(manifold, Euclidean) or (isinstance(manifold, SPD) and manifold.metric_name == "log-euclidean")


def end_points(path: GeodesicPath, t: Tensor, x: Tensor, candidates: Tensor, base: Distribution) -> EndPoints:
    """The end points of geodesics that are at `x` at the times `t`.

    Args:
        path: The path; its manifold is where all this is.
        t: Times `(B,)`.
        x: Points `(B, *point_shape)`.
        candidates: End points `(C, *point_shape)`.
        base: The law of the base points.
    """
    manifold = path.manifold
    bases = _factor_bases(manifold, base) if isinstance(manifold, Product) else None
    if isinstance(manifold, Product) and bases is not None:
        parts = [
            end_points(GeodesicPath(factor, path.schedule), t, a, b, law)
            for factor, a, b, law in zip(
                manifold.factors, manifold.split(x), manifold.split(candidates), bases, strict=True
            )
        ]
        return _product(manifold, parts)
    if has_closed_form(manifold, base):
        rest = torch.as_tensor(1 - path.schedule.kappa(t)).unsqueeze(-1)
        return _closed_form(manifold, rest, x, candidates, base)
    return _general(path, t, x, candidates, base)


def _general(path: GeodesicPath, t: Tensor, x: Tensor, candidates: Tensor, base: Distribution) -> EndPoints:
    """The change of variables and the logarithm of every pair."""
    points, ends = x.unsqueeze(1), candidates.unsqueeze(0)
    log_weights = path.log_conditional(t.unsqueeze(1), points, ends, base)
    # late in time, the base point of a pair that is not close lies so far out that its coordinates overflow
    log_weights = torch.where(log_weights.isnan(), -math.inf, log_weights)

    def mean(weights: Tensor) -> Tensor:
        return torch.einsum("bc,bc...->b...", weights, path.manifold.log(points, ends))

    return EndPoints(log_weights, x.new_ones(()), mean)


def _factor_bases(manifold: Product, base: Distribution) -> list[Distribution] | None:
    """The laws of the parts of a base point, or None where they are not independent or not known."""
    if isinstance(base, Uniform):
        return [Uniform(factor) for factor in manifold.factors]
    if isinstance(base, WrappedNormal):
        scales = base.scale.expand(len(manifold.factors))
        parts = zip(manifold.factors, manifold.split(base.mean), scales, strict=True)
        return [WrappedNormal(factor, mean, scale) for factor, mean, scale in parts]
    return None


def _product(manifold: Product, parts: list[EndPoints]) -> EndPoints:
    """The weights of the factors multiply."""
    log_weights: Tensor | None = None
    factors = parts[0].factors
    for part in parts[1:]:
        factors = factors * part.factors
    for part in parts:
        if part.log_weights is not None:
            log_weights = part.log_weights if log_weights is None else log_weights + part.log_weights
    return EndPoints(log_weights, factors, lambda weights: manifold.join([part.mean(weights) for part in parts]))


# ---- members --------------------------------------------------------------------------------------------------------


@singledispatch
def _closed_form(manifold: Manifold, rest: Tensor, x: Tensor, candidates: Tensor, base: Distribution) -> EndPoints:
    """The end points where `1 - κ` is `rest`, a column."""
    raise NotImplementedError


@_closed_form.register
def _on_sphere(manifold: Sphere, rest: Tensor, x: Tensor, candidates: Tensor, base: Distribution) -> EndPoints:
    """The mean of log_x x_i = (r / sin r) P_x x_i is one matrix product, as P_x is linear."""
    square = _squared_gaps(x, candidates)
    if manifold.radius != 1:
        square = square / manifold.radius**2
    factors, ratio = _on_unit_sphere(manifold.dim, square, rest, math.pi)
    return EndPoints(None, factors, lambda weights: manifold.to_tangent(x, (weights * ratio) @ candidates))


@_closed_form.register
def _on_rotations(
    manifold: SpecialOrthogonal, rest: Tensor, x: Tensor, candidates: Tensor, base: Distribution
) -> EndPoints:
    """As on S³ in half angles: with quaternions (a, u) and (b, v), log is `2 (r / sin r)` times `a v - b u - u × v`."""
    p, q = manifold.to_quaternions(x), manifold.to_quaternions(candidates)
    sign = 1.0 - 2.0 * (p @ q.mT < 0)  # q and -q are one rotation; the nearer of the two counts
    gaps = zip(p.unbind(-1), q.unbind(-1), strict=True)
    square = torch.as_tensor(sum((a.unsqueeze(1) - sign * b).square() for a, b in gaps))
    factors, ratio = _on_unit_sphere(3, square, rest, math.pi / 2)

    def mean(weights: Tensor) -> Tensor:
        b, v = ((weights * ratio * sign) @ q).split([1, 3], -1)
        a, u = p.split([1, 3], -1)
        return manifold.span(x, 2 * (a * v - b * u - torch.linalg.cross(u, v)))

    return EndPoints(None, factors, mean)


@_closed_form.register
def _on_torus(manifold: Torus, rest: Tensor, x: Tensor, candidates: Tensor, base: Distribution) -> EndPoints:
    """All end points within π (1 - κ) of x in every angle, half a period for π, are as likely."""
    steps = [
        Torus(1, period).log(p.unsqueeze(1), q)
        for period, p, q in zip(manifold.periods, x.unbind(-1), candidates.unbind(-1), strict=True)
    ]  # for each angle, [B, C]
    inside = torch.ones_like(steps[0], dtype=torch.bool)
    for period, step in zip(manifold.periods, steps, strict=True):
        inside = inside & (step.abs() < period / 2 * rest)
    return EndPoints(
        None, inside.to(x.dtype), lambda weights: torch.stack([(weights * step).sum(-1) for step in steps], -1)
    )


@_closed_form.register
def _on_flat_space(manifold: Euclidean, rest: Tensor, x: Tensor, candidates: Tensor, base: Distribution) -> EndPoints:
    log_weights = _log_normal(rest, x, candidates, base.mean, base.scale)  # type: ignore[attr-defined]
    return EndPoints(
        log_weights, x.new_ones(()), lambda weights: weights @ candidates - weights.sum(-1, keepdim=True) * x
    )


@_closed_form.register
def _on_logarithms(manifold: SPD, rest: Tensor, x: Tensor, candidates: Tensor, base: Distribution) -> EndPoints:
    """With the log-Euclidean metric, as on the flat space of the logarithms."""
    z, ends = manifold.features(x), manifold.features(candidates)
    log_weights = _log_normal(rest, z, ends, manifold.features(base.mean), base.scale)  # type: ignore[attr-defined]
    origin = manifold.origin(dtype=x.dtype, device=x.device).expand_as(x)

    def mean(weights: Tensor) -> Tensor:
        target = weights @ ends + (1 - weights.sum(-1, keepdim=True)) * z
        return manifold.log(x, manifold.exp(origin, manifold.span(origin, target)))

    return EndPoints(log_weights, x.new_ones(()), mean)


@_closed_form.register
def _on_hyperbolic_space(
    manifold: HyperbolicSpace, rest: Tensor, x: Tensor, candidates: Tensor, base: Distribution
) -> EndPoints:
    """The base point lies on the geodesic from x_i through x at the distance d = r/(1 - κ) from x_i.

    Its distance s from the origin has `cosh s = (sinh d cosh |x| - sinh(d - r) cosh |x_i|) / sinh r`, and the weight is
    `exp(-s²/2 scale²) (s sinh d / (sinh s sinh r))^{n-1}`. All lengths are in units of R, and points are p and q in the
    ball, with the gaps a and b: there `sinh²(r/2) = |p - q|²/ab` and `cosh |x| - cosh |x_i| = 2 <p - q, p + q>/ab`,
    where nothing cancels. log_x x_i is, on the frame, `2 (r / sinh r) (q - p - |q - p|² p / a) / b`.
    """
    (p, a), (q, b) = _in_ball(manifold, x), _in_ball(manifold, candidates)
    a_column, b_row = a.unsqueeze(1), b.unsqueeze(0)
    square, rise = torch.zeros_like(rest), torch.zeros_like(rest)
    for left, right in zip(p.unbind(-1), q.unbind(-1), strict=True):
        gap = left.unsqueeze(1) - right
        square = torch.addcmul(square, gap, gap)
        rise = torch.addcmul(rise, gap, left.unsqueeze(1) + right)
    product = a_column * b_row
    half_square = square / product  # sinh²(r/2)
    half_sinh, half_cosh = half_square.sqrt(), (1 + half_square).sqrt()
    grown = half_sinh + half_square / (1 + half_cosh)  # exp(r/2) - 1
    r, sinh_r = 2 * grown.log1p() + _TINY, 2 * half_sinh * half_cosh + _TINY
    more = (r / rest).clamp_max(_FARTHEST).expm1()  # exp(d) - 1
    sinh_d = (more + more / (more + 1)) / 2
    shift = (more + 1) / (grown + 1)  # exp(d - r/2)
    above = (2 * sinh_d * rise / product + (shift + 1 / shift) * half_sinh * (2 / b_row - 1)) / sinh_r - 1
    above = above.clamp_min(0.0)  # cosh s - 1, which rounding may take below 0
    sinh_s = above.sqrt() * (above + 2).sqrt() + _TINY
    s = torch.log1p(above + sinh_s) + _TINY
    scale = float(base.scale) / manifold.radius  # type: ignore[attr-defined]
    log_weights = (manifold.dim - 1) * (s / sinh_s * (sinh_d / sinh_r)).log() - (s / scale).square() / 2
    ratio = r / sinh_r / b_row

    def mean(weights: Tensor) -> Tensor:
        weights = weights * ratio
        toward = weights @ q - weights.sum(-1, keepdim=True) * p
        back = (weights * square).sum(-1, keepdim=True) / a_column * p
        return manifold.span(x, 2 * manifold.radius * (toward - back))

    return EndPoints(log_weights, x.new_ones(()), mean)


# ---- helpers --------------------------------------------------------------------------------------------------------


def _squared_gaps(x: Tensor, candidates: Tensor) -> Tensor:
    """`|x - y|²` of every pair, `(B, C)`, exact where the two are close."""
    return torch.as_tensor(
        sum((p.unsqueeze(1) - q).square() for p, q in zip(x.unbind(-1), candidates.unbind(-1), strict=True))
    )


def _on_unit_sphere(n: int, square: Tensor, rest: Tensor, reach: float) -> tuple[Tensor, Tensor]:
    """The weights and `r / sin r` for squared chords, r the angle: the base point was at the angle d = r/(1 - κ).

    `w ∝ (sin d / sin r)^{n-1}` for d < reach, where the geodesic stops to be minimising.
    """
    square = square.clamp_max(4.0)
    r = 2 * torch.asin(square.sqrt() / 2) + _TINY
    sine = (square * (1 - square / 4)).sqrt() + _TINY
    d = (r / rest).clamp_max(4.0)  # out of reach is out of reach, and the sine of a large number takes ten times longer
    return (d.sin() / sine) ** (n - 1) * (d < reach), r / sine


def _log_normal(rest: Tensor, x: Tensor, candidates: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    """Where the base points `(x - κ x_i)/(1 - κ)` lie under a normal law: its logarithm up to a constant, `(B, C)`."""
    mean, scale = mean.to(x.device, x.dtype), scale.to(x.device, x.dtype).expand(x.shape[-1])
    total = torch.zeros_like(rest)
    for p, q, m, s in zip(x.unbind(-1), candidates.unbind(-1), mean, scale, strict=True):
        gap = p.unsqueeze(1) - torch.lerp(q, m, rest)
        total = torch.addcmul(total, gap / (rest * s), gap / (rest * s), value=-0.5)
    return total


def _in_ball(manifold: HyperbolicSpace, x: Tensor) -> tuple[Tensor, Tensor]:
    """The points in the unit ball, `(N, n)`, and the gaps `1 - |p|²`, `(N,)`."""
    above = x if isinstance(manifold, Lorentz) else poincare_to_lorentz(x, manifold.curvature)
    height = manifold.radius + above[..., :1]
    return above[..., 1:] / height, 2 * manifold.radius / height.squeeze(-1)
