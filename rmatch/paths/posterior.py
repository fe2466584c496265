"""The marginal velocity of a finite set of end points: the posterior mean of the conditional velocity."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rmatch.distributions import Distribution
from rmatch.paths._end_points import end_points, has_closed_form
from rmatch.paths.base import ConditionalPath
from rmatch.paths.geodesic import GeodesicPath

__all__ = ["has_closed_form", "posterior_velocity"]


def posterior_velocity(
    path: ConditionalPath, t: Tensor, x: Tensor, candidates: Tensor, base: Distribution
) -> tuple[Tensor, Tensor]:
    """The mean of `u_t(x | x_1)` over end points with posterior weights `w_i ∝ p_t(x | x_i)`.

    For end points drawn uniformly from the candidates, independently of the base point, this is the marginal velocity:
    the field that generates the marginal path and that flow matching regresses to.

    Args:
        path: The conditional path.
        t: Times `(B,)`, each less than 1.
        x: Points `(B, *point_shape)`.
        candidates: End points `(C, *point_shape)`.
        base: The law of the base points.

    Returns:
        The mean velocity `(B, *point_shape)` and booleans `(B,)` that are False where no candidate can reach the point
        (the velocity there is 0).

    References:
        Lipman et al., "Flow matching for generative modeling", ICLR 2023, equation 8.

    Example:
        >>> import torch, rmatch as rm
        >>> M = rm.Torus(1)
        >>> x = torch.tensor([[1.0]])
        >>> rm.posterior_velocity(
        ...     rm.GeodesicPath(M), torch.tensor([0.5]), x, torch.tensor([[2.0], [1.5], [4.0]]), rm.Uniform(M)
        ... )
        (tensor([[1.5000]]), tensor([True]))
    """
    if not isinstance(path, GeodesicPath):
        points, ends = x.unsqueeze(1), candidates.unsqueeze(0)
        weights, reached = _normalised(path.log_conditional(t.unsqueeze(1), points, ends, base), x.new_ones(()))
        return torch.einsum("bc,bc...->b...", weights, path.velocity(t.unsqueeze(1), points, ends)), reached
    found = end_points(path, t, x, candidates, base)
    weights, reached = _normalised(found.log_weights, found.factors)
    factor = path.schedule.rate(t) / (1 - path.schedule.kappa(t))
    return factor.reshape(-1, *(1 for _ in path.manifold.point_shape)) * found.mean(weights), reached


def _normalised(log_weights: Tensor | None, factors: Tensor) -> tuple[Tensor, Tensor]:
    """Rows scaled to sum 1, rows of zeros left, and which rows are not zero."""
    if log_weights is not None:
        allowed = torch.where(factors > 0, log_weights, -math.inf) if factors.dim() else log_weights
        largest = allowed.amax(-1, keepdim=True)
        factors = factors * (allowed - torch.where(largest.isfinite(), largest, 0.0)).exp()
    total = factors.sum(-1, keepdim=True)
    reached = total > 0
    return factors / torch.where(reached, total, 1.0), reached.squeeze(-1)
