"""The law that a flow starts from when nothing else is said."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rmatch.distributions.base import Distribution
from rmatch.distributions.uniform import Uniform, has_uniform
from rmatch.distributions.wrapped_normal import WrappedNormal
from rmatch.manifolds import Manifold, Product

__all__ = ["default_base"]


def default_base(manifold: Manifold, points: Tensor | None = None) -> Distribution:
    """The uniform law where there is one, else a wrapped normal law at the origin that is as wide as the data.

    Its scale is `sqrt(mean |log_o x|² / dim)`, with o the origin: of a normal law that is the standard deviation. On a
    product it is one for each factor.

    Args:
        manifold: Where the flow lives.
        points: Data `(N, *point_shape)` that set the scale; without any it is 1.

    Raises:
        OptionError: The manifold is compact, or has a factor that is, but no uniform law is known there.

    Example:
        >>> import torch, rmatch as rm
        >>> rm.default_base(rm.Torus(2))
        Uniform(Torus(2))
        >>> rm.default_base(rm.Euclidean(2), torch.tensor([[3.0, 0.0], [0.0, -3.0], [3.0, 3.0]]))
        WrappedNormal(Euclidean(2), [0.0, 0.0], 2.449489742783178)
    """
    if has_uniform(manifold):
        return Uniform(manifold)
    if isinstance(manifold, Product):
        parts = [None] * len(manifold.factors) if points is None else manifold.split(points)
        scales = [_scale(factor, part) for factor, part in zip(manifold.factors, parts, strict=True)]
        return WrappedNormal(manifold, manifold.origin(), torch.tensor(scales, dtype=torch.float64))
    return WrappedNormal(manifold, manifold.origin(), _scale(manifold, points))


def _scale(manifold: Manifold, points: Tensor | None) -> float:
    """The root mean square distance to the origin per dimension; 1 where all points are there, or none is."""
    if points is None or not len(points):
        return 1.0
    with torch.no_grad():
        x = points.double()
        distances = manifold.dist(manifold.origin(dtype=x.dtype, device=x.device), x)
    return math.sqrt(float(distances.square().mean()) / manifold.dim) or 1.0
