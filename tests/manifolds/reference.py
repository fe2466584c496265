"""Closed forms at 60 digits: what the fast code is measured against.

Inputs are lists of floats (or tensors) taken as exact numbers. A point of the sphere is the given array divided by its
true norm. Gradients are those along the manifold: the tangent part, which no extension off it can change.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import mpmath as mp
import torch
from torch import Tensor

mp.mp.dps = 60

ONE = mp.mpf(1)
Number: TypeAlias = Any  # mpmath.mpf, which comes without types
Vector: TypeAlias = list[Number]


def exact(values: Tensor | Sequence[float]) -> Vector:
    """The floats as numbers of 60 digits."""
    return [mp.mpf(value) for value in torch.as_tensor(values, dtype=torch.float64).detach().tolist()]


def dot(a: Vector, b: Vector) -> Number:
    return mp.fsum(p * q for p, q in zip(a, b, strict=True))


def norm(a: Vector) -> Number:
    return mp.sqrt(dot(a, a))


def combine(a: Number, u: Vector, b: Number, v: Vector) -> Vector:
    return [a * p + b * q for p, q in zip(u, v, strict=True)]


def unit(a: Vector) -> Vector:
    r = norm(a)
    return [p / r for p in a]


def tangent(x: Vector, v: Vector) -> Vector:
    return combine(ONE, v, -dot(x, v), x)


def error(value: Tensor | Vector, wanted: Vector, scale: Number | None = None) -> float:
    """|value - wanted| / scale in the Euclidean norm, in exact arithmetic; relative to |wanted| without a scale."""
    value = exact(value.reshape(-1)) if isinstance(value, Tensor) else value
    return float(norm(combine(ONE, value, -ONE, wanted)) / (norm(wanted) if scale is None else scale))


# ---- sphere ---------------------------------------------------------------------------------------------------------


def sphere_angle(x: Vector, y: Vector) -> Number:
    return 2 * mp.atan2(norm(combine(ONE, x, -ONE, y)), norm(combine(ONE, x, ONE, y)))


def sphere_log(x: Vector, y: Vector) -> Vector:
    """θ/sin θ (y - cos θ x)."""
    angle = sphere_angle(x, y)
    return [angle / mp.sin(angle) * p for p in tangent(x, y)]


def sphere_exp(x: Vector, v: Vector) -> Vector:
    r = norm(v)
    return combine(mp.cos(r), x, mp.sinc(r), v)


def sphere_dist_gradients(x: Vector, y: Vector) -> tuple[Vector, Vector]:
    """-log_x y / θ and -log_y x / θ."""
    angle = sphere_angle(x, y)
    return [-p / angle for p in sphere_log(x, y)], [-p / angle for p in sphere_log(y, x)]


def sphere_log_gradients(x: Vector, y: Vector, w: Vector) -> tuple[Vector, Vector]:
    """Tangent gradients in x and y of <w, log_x y>, with log_x y = f(c) (y - c x), c = <x, y>, f = θ / sin θ.

    With f'(c) = (θ cos θ / sin θ - 1) / sin² θ, the differential is
    f' <dc> <w, y - c x> + f (<w, dy> - dc <w, x> - c <w, dx>) with dc = <dx, y> + <x, dy>.
    """
    angle = sphere_angle(x, y)
    sine, c = mp.sin(angle), mp.cos(angle)
    f = angle / sine
    slope = (angle * c / sine - 1) / sine**2
    per_dc = slope * dot(w, tangent(x, y)) - f * dot(w, x)
    return tangent(x, combine(per_dc, y, -f * c, w)), tangent(y, combine(per_dc, x, f, w))


def sphere_exp_gradients(x: Vector, v: Vector, w: Vector) -> tuple[Vector, Vector]:
    """Gradients of <w, exp_x v>: as x moves and v is carried along in parallel, and as v moves in the tangent space.

    The differential in v is -sinc(r) <v, h> x + cos r <e, h> e + sinc(r) (h - <e, h> e) with e = v/r; as x moves along
    k, v turns by -<v, k> x, so the point moves by cos r k - sinc(r) <v, k> x.
    """
    r = norm(v)
    sinc = mp.sinc(r)
    by_point = combine(mp.cos(r), w, -sinc * dot(w, x), v)
    along = dot(w, v) * (mp.cos(r) - sinc) / r**2 if r else mp.mpf(0)
    by_vector = combine(sinc, w, along - sinc * dot(w, x), v)
    return tangent(x, by_point), tangent(x, by_vector)


# ---- torus ----------------------------------------------------------------------------------------------------------


def torus_log(x: Vector, y: Vector) -> Vector:
    """y - x - 2πk, in [-π, π], with the real number π."""
    period = 2 * mp.pi
    return [q - p - period * mp.nint((q - p) / period) for p, q in zip(x, y, strict=True)]


def torus_wrap(x: Vector) -> Vector:
    period = 2 * mp.pi
    return [p - period * mp.floor(p / period) for p in x]


# ---- inputs ---------------------------------------------------------------------------------------------------------


def sphere_pair(n: int, angle: Number, seed: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Two points of S^n as arrays of floats, `angle` apart up to their rounding."""
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.randn(2, n + 1, generator=generator, dtype=torch.float64)
    x = torch.tensor([float(p) for p in unit(exact(first))], dtype=torch.float64).to(dtype)
    base = unit(exact(x))
    direction = unit(tangent(base, exact(second)))
    y = combine(mp.cos(angle), base, mp.sin(angle), direction)
    return x, torch.tensor([float(q) for q in y], dtype=torch.float64).to(dtype)
