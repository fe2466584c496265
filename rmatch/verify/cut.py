"""Where geodesics stop to be shortest: points next to the cut locus by bisection, and at it where it is known."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rmatch.manifolds import Manifold, Product, SpecialOrthogonal, Sphere, Torus

_FARTHEST = 6.0
"""Where the search for a cut locus ends, in usual lengths for every dimension's square root."""


def usual_length(M: Manifold) -> float:
    """A length that goes well around on the manifold: a third of the side of a cube of the same volume, or 1."""
    return M.volume ** (1 / M.dim) / 3 if math.isfinite(M.volume) else 1.0


def near_cut_points(M: Manifold, x: Tensor, v: Tensor, length: float) -> tuple[Tensor, Tensor]:
    """Points just before the cut locus of `x` in the directions `v`, and whether there is one.

    It is looked for up to several times the given length, which is a usual one.

    A geodesic from x has met it where the distance from x falls behind the length of the way; the place is found by
    bisection to about 1e-9.
    """
    shape = (-1, *(1 for _ in M.point_shape))
    unit = v / M.norm(x, v).reshape(shape)

    def behind(length: Tensor) -> Tensor:
        return M.dist(x, M.exp(x, length.reshape(shape) * unit)) < length * (1 - 1e-9)

    low = torch.zeros(len(x), dtype=x.dtype)
    farthest = _FARTHEST * length * (math.sqrt(M.dim) if math.isfinite(M.volume) else 1.0)
    high = torch.full((len(x),), farthest, dtype=x.dtype)
    found = behind(high)
    for _ in range(34):
        middle = (low + high) / 2
        beyond = behind(middle)
        low, high = torch.where(beyond, low, middle), torch.where(beyond, middle, high)
    return M.project(M.exp(x, low.reshape(shape) * unit)), found


def exact_cut_points(M: Manifold, x: Tensor) -> Tensor | None:
    """A point of the cut locus of each point, to the last digit, where it is known."""
    if isinstance(M, Sphere):
        return -x
    if isinstance(M, Torus):
        return M.exp(x, math.pi * x.new_tensor(M.radii).expand(x.shape))
    if isinstance(M, SpecialOrthogonal):
        return x * x.new_tensor([1.0, -1.0, -1.0])  # half a turn about the first axis
    if isinstance(M, Product):
        parts = M.split(x)
        there = [exact_cut_points(factor, part) for factor, part in zip(M.factors, parts, strict=True)]
        known = any(cut is not None for cut in there)
        return M.join([a if b is None else b for a, b in zip(parts, there, strict=True)]) if known else None
    return None
