"""The marginal velocity of a finite set of end points: the posterior mean of the conditional velocity."""

from __future__ import annotations

import torch
from torch import Tensor

from rmatch.distributions import Distribution, Uniform
from rmatch.manifolds import SpecialOrthogonal, Sphere, Torus
from rmatch.paths.base import ConditionalPath
from rmatch.paths.geodesic import GeodesicPath

_TINY = 1e-30  # added to an angle and its sine alike: their quotient at 0 is then 1, and nothing else changes


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
    if isinstance(path, GeodesicPath) and isinstance(base, Uniform):
        if isinstance(path.manifold, Sphere):
            return _on_sphere(path, path.manifold, t, x, candidates)
        if isinstance(path.manifold, Torus):
            return _on_torus(path, path.manifold, t, x, candidates)
        if isinstance(path.manifold, SpecialOrthogonal):
            return _on_rotations(path, path.manifold, t, x, candidates)
    points, ends = x.unsqueeze(1), candidates.unsqueeze(0)
    log_weights = path.log_conditional(t.unsqueeze(1), points, ends, base)  # [B, C]
    reached = log_weights.isfinite().any(-1)
    weights = torch.softmax(torch.where(reached.unsqueeze(-1), log_weights, 0.0), -1)
    velocities = path.velocity(t.unsqueeze(1), points, ends)  # [B, C, *point]
    mean = torch.einsum("bc,bc...->b...", weights, velocities)
    return torch.where(reached.reshape(-1, *(1 for _ in path.manifold.point_shape)), mean, 0.0), reached


def _on_sphere(path: GeodesicPath, manifold: Sphere, t: Tensor, x: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
    """At distance r from an end point the base point was at d = r/(1 - κ): w ∝ (sin d / sin r)^{n-1} for d < π.

    The mean of log_x x_i = (r / sin r) P_x x_i is one matrix product, as P_x is linear. The arrays are B × C: what can
    be a sum over coordinates or a product with a mask is, for a `where` or a `cdist` takes longer than a sine.
    """
    rest, factor = _rest_and_factor(path, t)
    square = sum(
        (p.unsqueeze(1) - q).square() for p, q in zip(x.unbind(-1), candidates.unbind(-1), strict=True)
    )  # of the chord, [B, C]
    if manifold.radius != 1:
        square = square / manifold.radius**2
    square = torch.as_tensor(square).clamp_max(4.0)
    r = 2 * torch.asin(square.sqrt() / 2) + _TINY
    sine = (square * (1 - square / 4)).sqrt() + _TINY
    d = (r / rest).clamp_max(4.0)  # out of reach is out of reach, and the sine of a large number takes ten times longer
    weights = (d.sin() / sine) ** (manifold.dim - 1) * (d < torch.pi)
    weights, reached = _normalised(weights)
    mean = manifold.to_tangent(x, (weights * (r / sine)) @ candidates)
    return factor * mean, reached


def _on_torus(path: GeodesicPath, manifold: Torus, t: Tensor, x: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
    """The posterior is uniform over the end points within π (1 - κ) of x in every angle, half a period for π."""
    rest, factor = _rest_and_factor(path, t)
    steps = [
        Torus(1, period).log(p.unsqueeze(1), q)
        for period, p, q in zip(manifold.periods, x.unbind(-1), candidates.unbind(-1), strict=True)
    ]  # for each angle, [B, C]
    inside = torch.ones_like(steps[0], dtype=torch.bool)
    for period, step in zip(manifold.periods, steps, strict=True):
        inside = inside & (step.abs() < period / 2 * rest)
    weights, reached = _normalised(inside.to(x.dtype))
    return factor * torch.stack([(weights * step).sum(-1) for step in steps], -1), reached


def _on_rotations(
    path: GeodesicPath, manifold: SpecialOrthogonal, t: Tensor, x: Tensor, candidates: Tensor
) -> tuple[Tensor, Tensor]:
    """As on S³, in half angles: rotations are unit quaternions up to sign, and the nearer of two signs is meant.

    With r half the angle to an end point, w ∝ (sin d / sin r)² for d = r/(1 - κ) < π/2, and the rotation vector of
    log_x x_i is 2r/sin r times the vector part of q̄ q_i.
    """
    rest, factor = _rest_and_factor(path, t)
    q, ends = manifold.to_quaternions(x), manifold.to_quaternions(candidates)
    side = torch.where(q @ ends.mT < 0, -1.0, 1.0).to(x.dtype)  # [B, C]
    square = sum(
        (p.unsqueeze(1) - side * e).square() for p, e in zip(q.unbind(-1), ends.unbind(-1), strict=True)
    )  # of the chord
    square = torch.as_tensor(square)
    r = 2 * torch.asin(square.sqrt() / 2) + _TINY
    sine = (square * (1 - square / 4)).sqrt() + _TINY
    d = (r / rest).clamp_max(4.0)
    weights, reached = _normalised((d.sin() / sine) ** 2 * (d < torch.pi / 2))
    mean = (weights * side * (2 * r / sine)) @ ends  # [B, 4]
    w, v = q[..., :1], q[..., 1:]
    omega = w * mean[..., 1:] - mean[..., :1] * v - torch.linalg.cross(v, mean[..., 1:], dim=-1)
    return manifold.span(x, factor * omega), reached


def _normalised(weights: Tensor) -> tuple[Tensor, Tensor]:
    """Rows scaled to sum 1, rows of zeros left, and which rows are not zero."""
    total = weights.sum(-1, keepdim=True)
    reached = total > 0
    return weights / torch.where(reached, total, 1.0), reached.squeeze(-1)


def _rest_and_factor(path: GeodesicPath, t: Tensor) -> tuple[Tensor, Tensor]:
    """1 - κ and κ'/(1 - κ) as columns."""
    rest = 1 - path.schedule.kappa(t)
    return rest.unsqueeze(-1), (path.schedule.rate(t) / rest).unsqueeze(-1)
