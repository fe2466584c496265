"""The law that a flow starts from when nothing else is said."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rmatch.distributions.base import Distribution
from rmatch.distributions.uniform import Uniform, has_uniform
from rmatch.distributions.wrapped_normal import WrappedNormal
from rmatch.manifolds import Manifold

__all__ = ["default_base"]


def default_base(manifold: Manifold, points: Tensor | None = None) -> Distribution:
    """The uniform law where there is one, else a wrapped normal law at the origin that is as wide as the data.

    Its scale is `sqrt(mean |log_o x|² / dim)`, with o the origin: of a normal law that is the standard deviation.

    Args:
        manifold: Where the flow lives.
        points: Data `(N, *point_shape)` that set the scale; without any it is 1.

    Raises:
        OptionError: The manifold is compact, but no uniform law is known on it.

    Example:
        >>> import torch, rmatch as rm
        >>> rm.default_base(rm.Torus(2))
        Uniform(Torus(2))
        >>> rm.default_base(rm.Euclidean(2), torch.tensor([[3.0, 0.0], [0.0, -3.0], [3.0, 3.0]]))
        WrappedNormal(Euclidean(2), [0.0, 0.0], 2.449489742783178)
    """
    if has_uniform(manifold):
        return Uniform(manifold)
    return WrappedNormal(manifold, manifold.origin(), 1.0 if points is None else _scale(manifold, points))


def _scale(manifold: Manifold, points: Tensor) -> float:
    """The root mean square distance to the origin per dimension; 1 where all points are there, or none is."""
    with torch.no_grad():
        x = points.double()
        distances = manifold.dist(manifold.origin(dtype=x.dtype, device=x.device), x)
    return math.sqrt(float(distances.square().mean()) / manifold.dim) or 1.0 if len(points) else 1.0
