"""Hyperbolic geometry at 60 digits, on the hyperboloid of curvature -1: a point is what its spatial part makes it."""

import mpmath as mp
import torch
from torch import Tensor

from .reference import ONE, Number, Vector, combine, dot, exact, unit


def minkowski(a: Vector, b: Vector) -> Number:
    return dot(a[1:], b[1:]) - a[0] * b[0]


def length(v: Vector) -> Number:
    return mp.sqrt(abs(minkowski(v, v)))


def over(spatial: Vector) -> Vector:
    """The point of the hyperboloid over a spatial part."""
    return [mp.sqrt(1 + dot(spatial, spatial)), *spatial]


def tangent_over(x: Vector, spatial: Vector) -> Vector:
    """The tangent vector at x with the given spatial part."""
    return [dot(x[1:], spatial) / x[0], *spatial]


def dist(x: Vector, y: Vector) -> Number:
    return 2 * mp.asinh(length(combine(ONE, x, -ONE, y)) / 2)


def log(x: Vector, y: Vector) -> Vector:
    """θ/sinh θ (y - cosh θ x)."""
    angle = dist(x, y)
    ratio = angle / mp.sinh(angle)
    return combine(ratio, y, -ratio * mp.cosh(angle), x)


def exp(x: Vector, v: Vector) -> Vector:
    r = length(v)
    return combine(mp.cosh(r), x, mp.sinh(r) / r if r else ONE, v)


def transport(x: Vector, y: Vector, v: Vector) -> Vector:
    """v + <y, v> (x + y) / (1 - <x, y>)."""
    return combine(ONE, v, minkowski(y, v) / (1 - minkowski(x, y)), combine(ONE, x, ONE, y))


# ---- the ball -------------------------------------------------------------------------------------------------------


def from_ball(x: Vector) -> Vector:
    gap = 1 - dot(x, x)
    return [(2 - gap) / gap, *(2 * p / gap for p in x)]


def vector_from_ball(x: Vector, v: Vector) -> Vector:
    """The image of the tangent vector v at x under the differential of `from_ball`."""
    gap, along = 1 - dot(x, x), dot(x, v)
    return [4 * along / gap**2, *(2 * q / gap + 4 * along * p / gap**2 for p, q in zip(x, v, strict=True))]


def to_ball(x: Vector) -> Vector:
    return [p / (1 + x[0]) for p in x[1:]]


# ---- what a tensor of either model means ----------------------------------------------------------------------------


def point(model: str, x: Tensor) -> Vector:
    return over(exact(x)[1:]) if model == "Lorentz" else from_ball(exact(x))


def vector(model: str, x: Tensor, v: Tensor) -> Vector:
    if model == "Lorentz":
        return tangent_over(point(model, x), exact(v)[1:])
    return vector_from_ball(exact(x), exact(v))


def as_tensor(model: str, x: Vector, dtype: torch.dtype) -> Tensor:
    """The floats nearest to a point of the hyperboloid, in either model."""
    numbers = x if model == "Lorentz" else to_ball(x)
    return torch.tensor([float(p) for p in numbers], dtype=torch.float64).to(dtype)


def pair(n: int, radius: float, separation: float, direction: str, seed: int) -> tuple[Vector, Vector]:
    """A point at a distance `radius` from the origin, and one `separation` away from it.

    The second lies in a random direction, back toward the origin (and beyond), or farther out.
    """
    generator = torch.Generator().manual_seed(seed)
    first, second = (unit(exact(a)) for a in torch.randn(2, n, generator=generator, dtype=torch.float64))
    x = [mp.cosh(radius), *(mp.sinh(radius) * p for p in first)]
    heading = {"any": second, "inward": [-p for p in first], "outward": first}[direction]
    time = dot(x[1:], heading)  # the boost from the origin to x, applied to the direction
    v = [time, *(q + time / (1 + x[0]) * p for p, q in zip(x[1:], heading, strict=True))]
    return x, combine(mp.cosh(separation), x, mp.sinh(separation), v)
