"""Parallel transport on a submanifold of R^k with any metric, from nothing but the metric and the tangent projections.

Let P be any smooth family of projections to the tangent spaces and G(x) = Pᵀ g P. Then P D is a connection without
torsion in which Pw, for a fixed array w, has derivative 0 at x; so the Levi-Civita connection differs from it as it
differs from the partial derivatives in a chart: by C with `2 g(C(u, w), z) = ∂_u G(w, z) + ∂_w G(u, z) - ∂_z G(u, w)`.
Hence w is parallel along a curve with velocity v where `w' = (∂_v P) w - C(v, w)`.
"""

from __future__ import annotations

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
        nodes = w.expand_as(points)
        slopes = last = nodes
        for _ in range(_ITERATIONS):
            slopes = _parallel_rate(manifold, points, rates, nodes)
            new = torch.add(w, torch.tensordot(rule.integrals, slopes, 1), alpha=1 / pieces)
            nodes, last = new, (new - nodes).detach()
        change = torch.maximum(change, last.flatten(-len(manifold.point_shape)).abs().amax((0, -1)))
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


def _parallel_rate(manifold: Manifold, x: Tensor, v: Tensor, w: Tensor) -> Tensor:
    """`(∂_v P) w - C(v, w)`, the rate of a vector that is parallel along a curve through x with velocity v."""
    turn = torch.func.jvp(lambda z: manifold.to_tangent(z, w), (x,), (v,))[1]
    rank = len(manifold.point_shape)
    flat_v, flat_w = v.flatten(-rank).unsqueeze(-1), w.flatten(-rank).unsqueeze(-1)
    along_v = torch.func.jvp(manifold.metric, (x,), (v,))[1] @ flat_w
    along_w = torch.func.jvp(manifold.metric, (x,), (w,))[1] @ flat_v
    pull = cast("Callable[[Tensor], tuple[Tensor]]", torch.func.vjp(manifold.metric, x)[1])
    across = pull(flat_v @ flat_w.mT)[0]
    covector = (along_v + along_w).reshape(x.shape) - across
    return turn - manifold.sharp(x, covector) / 2
