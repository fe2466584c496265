"""How far rounding may move a result: the unit that the tolerances of the pointwise laws are made of.

A coordinate that is rounded moves its point by up to eps |x| in the coordinates, which the metric at the point turns
into a length: next to the boundary of the Poincaré ball, or at a badly conditioned matrix, the same rounding is a long
way. Distances are 1-Lipschitz in their points, parallel transport and the metric vary at unit rate over a unit length,
so a few of these lengths, times the size of what is compared, is what a backward stable formula may miss a law by.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rmatch.manifolds import Manifold

_OPERATIONS = 32.0
"""Roundings that a law's two sides accumulate for each dimension's square root: some twenty operations each."""


def rounding(M: Manifold, *points: Tensor) -> Tensor:
    """The length by which rounding may move the points, with the roundings of a number near 1: `(*batch)`."""
    eps = torch.finfo(points[0].dtype).eps
    total = torch.ones((), dtype=torch.float64)
    for x in points:
        total = total + _coordinate_size(M, x)
    return _OPERATIONS * math.sqrt(M.dim) * eps * total


def _coordinate_size(M: Manifold, x: Tensor) -> Tensor:
    """The largest coordinate of each point, as a length: times the root of the trace of the metric."""
    rank = len(M.point_shape)
    point = x.detach()
    largest = point.flatten(-rank).abs().amax(-1)
    trace = M.metric(point).detach().diagonal(dim1=-2, dim2=-1).sum(-1)
    return (largest * trace.abs().sqrt()).to(torch.float64)


def norm(M: Manifold, x: Tensor, v: Tensor) -> Tensor:
    """The length of `v` for measuring a residual: of |g(v, v)|, so that a wrong sign shows too."""
    return M.inner(x, v, v).abs().sqrt()


def gap(M: Manifold, x: Tensor, y: Tensor) -> Tensor:
    """How far apart two points that should be equal are, by the tangent part of the coordinates' difference.

    Where coordinates wrap around, the same point has two of them: there the length of `log` is the smaller.
    """
    direct = norm(M, x, M.to_tangent(x, y - x)) + norm_of_normal_part(M, x, y - x)
    return torch.minimum(direct, norm(M, x, M.log(x, y)))


def norm_of_normal_part(M: Manifold, x: Tensor, v: Tensor) -> Tensor:
    """The largest entry of the part of an array that is not tangent: `(*batch)`."""
    return (v - M.to_tangent(x, v)).flatten(-len(M.point_shape)).abs().amax(-1)
