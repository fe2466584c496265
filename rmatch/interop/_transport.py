"""Parallel transport on a submanifold of R^k with any metric, from nothing but the metric and the tangent projections.

Let P be any smooth family of projections to the tangent spaces and G(x) = Pᵀ g P. Then P D is a connection without
torsion in which Pw, for a fixed array w, has derivative 0 at x; so the Levi-Civita connection differs from it as it
differs from the partial derivatives in a chart: by C with `2 g(C(u, w), z) = ∂_u G(w, z) + ∂_w G(u, z) - ∂_z G(u, w)`.
Hence w is parallel along a curve with velocity v where `w' = (∂_v P) w - C(v, w)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

from rmatch._errors import SolverError
from rmatch.manifolds import Manifold
from rmatch.manifolds._geodesic_equation import CollocationRule, OnValues, readable

_ITERATIONS = 24
_MOST_PIECES = 64


def solve_transport(manifold: Manifold, x: Tensor, velocity: Tensor, w: Tensor) -> Tensor:
    """Solve the equation of parallel transport along `exp_x(t velocity)`, by collocation in pieces of length 1."""
    rank = len(manifold.point_shape)
    length = manifold.norm(x, velocity)
    pieces = 1
    if length.numel():
        pieces = int(OnValues.apply(lambda a: torch.ceil(a.amax()).clamp(1, _MOST_PIECES), False, length.detach()))
    rule = CollocationRule.like(w)
    ones = torch.ones((), dtype=w.dtype, device=w.device)
    change = torch.zeros_like(length)
    for piece in range(pieces):
        t = ((piece + rule.times) / pieces).reshape(-1, *(1 for _ in x.shape))
        points, rates = value_and_rate(lambda s, t=t: manifold.exp(x, (s * t) * velocity), ones)
        rates = rates / t
        rate = _rate_matrix(manifold, points, rates)
        nodes = w.expand_as(points)
        slopes = last = nodes
        for _ in range(_ITERATIONS):
            slopes = (rate @ nodes.flatten(-rank).unsqueeze(-1)).reshape(points.shape)
            new = torch.add(w, torch.tensordot(rule.integrals, slopes, 1), alpha=1 / pieces)
            nodes, last = new, (new - nodes).detach()
        change = torch.maximum(change, last.flatten(-rank).abs().amax((0, -1)))
        w = torch.add(w, torch.tensordot(rule.weights, slopes, 1), alpha=1 / pieces)
    allowed = 1e4 * torch.finfo(w.dtype).eps * (1 + w.detach().abs().amax() if w.numel() else 1)
    if readable(change) and bool((change > allowed).any()):
        row = ", ".join(map(str, (change > allowed).nonzero()[0].tolist())) or "0"
        raise SolverError(
            f"on {manifold!r}, the transport of row {row} has not converged (last change {float(change.amax()):.2g}); "
            "take points that are closer"
        )
    return w


def value_and_rate(f: Callable[[Tensor], Tensor], s: Tensor) -> tuple[Tensor, Tensor]:
    """The value and the derivative; torch's own annotation leaves open how much is returned."""
    return cast("tuple[Tensor, Tensor]", torch.func.jvp(f, (s,), (torch.ones_like(s),)))


def _rate_matrix(manifold: Manifold, x: Tensor, v: Tensor) -> Tensor:
    """The matrix of `w ↦ (∂_v P) w - C(v, w)`, the rate of a parallel vector where a curve has velocity v.

    Points `(*batch, *point_shape)` of k coordinates give `(*batch, k, k)`.
    """
    rank, size = len(manifold.point_shape), math.prod(manifold.point_shape)
    units = torch.eye(size, dtype=x.dtype, device=x.device)
    units = units.reshape(size, *(1 for _ in x.shape[:-rank]), *manifold.point_shape)
    units = units.expand(size, *x.shape).clone()  # forward mode takes no views of one row
    points, flat_v = x.expand_as(units).clone(), v.flatten(-rank)
    turns = torch.func.jvp(lambda z: manifold.to_tangent(z, units), (points,), (v.expand_as(units).clone(),))[1]
    slopes = torch.func.jvp(manifold.metric, (points,), (units,))[1]  # ∂_a G as [a, ..., i, j]
    applied = (slopes @ flat_v.unsqueeze(-1)).squeeze(-1)  # (∂_a G) v as [a, ..., i]
    along_v = torch.func.jvp(manifold.metric, (x,), (v,))[1].movedim(-1, 0)  # (∂_v G) e_a
    covectors = along_v + applied - applied.transpose(0, -1)
    raised = manifold.sharp(points, covectors.reshape(units.shape))
    return (turns - raised / 2).flatten(-rank).movedim(0, -1)
