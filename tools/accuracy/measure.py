"""The errors of a library at one case, and how often what it computes is not finite."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import torch
from torch import Tensor

from tools.accuracy.peers import Library, Primitive
from tools.accuracy.space import Exact, Number, Space, generator

ERRORS = ("dist", "log", "exp", "∇dist")
SEEDS = 8
RAISED = (ArithmeticError, RuntimeError, ValueError)  # what peers raise where they would divide by zero


@dataclass
class Truth:
    """Floats x and y, the floats v nearest to the logarithm, and what is true of them."""

    x: Tensor
    y: Tensor
    v: Tensor
    at: Exact
    dist: Number
    log: Exact
    end: Exact


def truths(space: Space, case: tuple[Any, ...], dtype: torch.dtype) -> list[Truth]:
    """The pairs of a case."""
    found: list[Truth] = []
    for seed in range(SEEDS):
        x, y = space.pair(case, seed, dtype)
        at, to = space.point(x), space.point(y)
        log = space.log(at, to)
        v = space.tensor(at, log, dtype)
        found.append(Truth(x, y, v, at, space.dist(at, to), log, space.exp(at, space.vector(at, v))))
    return found


def worst_errors(space: Space, pairs: list[Truth], f: Library) -> list[float]:
    """The largest errors in the order of `ERRORS`; NaN where one is, or the library raises."""
    try:
        columns = zip(*[errors(space, pair, f) for pair in pairs], strict=True)
    except RAISED:
        return [math.nan] * len(ERRORS)
    return [math.nan if any(map(math.isnan, column)) else max(column) for column in columns]


def errors(space: Space, true: Truth, f: Library) -> list[float]:
    """Errors in the order of `ERRORS`.

    Of `dist` relative to it; of `log` in the metric, relative to its length; of `exp` as the distance of its end from
    the right one; of the gradient of `dist` in x in the metric, where the right one, -log_x y / dist, has the length 1.
    """
    x = true.x.clone().requires_grad_()
    dist = f["dist"](x, true.y).reshape(())
    (gradient,) = torch.autograd.grad(dist, x)
    dist = dist.detach()
    log, end = f["log"](true.x, true.y), f["exp"](true.x, true.v)

    def off(vector: Any, factor: Number) -> float:
        """How long the difference of a vector and `factor log_x y` is."""
        return float(space.length(true.at, space.combine(1, vector, -factor, true.log)))

    return [
        float(abs(mp.mpf(float(dist)) / true.dist - 1)) if bool(dist.isfinite()) else math.nan,
        off(space.vector(true.at, log), 1) / float(true.dist) if _finite(log) else math.nan,
        _distance(space, true.end, end) if _finite(end) else math.nan,
        off(space.raised(true.at, gradient), -1 / true.dist) if _finite(gradient) else math.nan,
    ]


def floors(space: Space, pairs: list[Truth]) -> list[float]:
    """What half a rounding of the numbers of y (for `exp` of v), or of those of the result, changes: as in `errors`.

    No formula that sees rounded numbers, or returns them, can be better, but by chance.
    """
    worst = [0.0] * len(ERRORS)
    for seed, true in enumerate(pairs):
        at, to = true.at, space.point(neighbour(true.y, seed))
        dist, log = space.dist(at, to), space.log(at, to)
        v, rounded_v = space.vector(at, true.v), space.vector(at, neighbour(true.v, seed))
        end = space.floats(true.end, true.x.dtype)
        covector = space.lowered(at, space.combine(1 / true.dist, true.log, 0, true.log), true.x.dtype)
        gradient, rounded_gradient = (space.raised(at, c) for c in (covector, neighbour(covector, seed)))
        changes = [
            max(abs(dist / true.dist - 1), torch.finfo(true.x.dtype).eps / 2),
            max(
                space.length(at, space.combine(1, log, -1, true.log)),
                space.length(at, space.combine(1, rounded_v, -1, v)),
            )
            / true.dist,
            max(
                space.dist(true.end, space.exp(at, rounded_v)),
                space.dist(space.point(end), space.point(neighbour(end, seed))),
            ),
            max(
                space.length(at, space.combine(1 / dist, log, -1 / true.dist, true.log)),
                space.length(at, space.combine(1, rounded_gradient, -1, gradient)),
            ),
        ]
        worst = [max(old, float(new) / 2) for old, new in zip(worst, changes, strict=True)]
    return worst


def not_finite(f: Library, x: Tensor, y: Tensor, v: Tensor) -> list[float]:
    """The shares of rows that are not finite: values of dist, log or exp, their gradients, their second derivatives."""
    bad = torch.zeros(3, len(x), dtype=torch.bool)
    for name, second in (("dist", y), ("log", y), ("exp", v)):
        try:
            bad |= _bad_rows(f[name], x, second)
        except RAISED:  # all rows because of one
            bad[:] = True
    return [float(share) for share in bad.double().mean(1)]


def _bad_rows(f: Primitive, x: Tensor, second: Tensor) -> Tensor:
    """Which rows of value, gradient and second derivative are not finite: `(3, rows)`."""
    leaves = (x.clone().requires_grad_(), second.clone().requires_grad_())
    value = f(*leaves)
    alone = torch.autograd.grad(value.sum(), leaves, retain_graph=True, materialize_grads=True)
    first = torch.autograd.grad(value.sum(), leaves, create_graph=True, materialize_grads=True)
    total = torch.stack([(g * torch.linspace(0.5, 1.5, g[0].numel()).view_as(g[0])).sum() for g in first]).sum()
    twice = torch.autograd.grad(total, leaves, materialize_grads=True) if total.requires_grad else first
    return torch.stack([_any_bad(value), _any_bad(*alone, *first), _any_bad(*twice)])


def _any_bad(*tensors: Tensor) -> Tensor:
    """The rows in which a number is not finite."""
    flat = torch.cat([t.detach().reshape(len(t), -1) for t in tensors], 1)
    return ~flat.isfinite().all(1)


def _distance(space: Space, true: Exact, got: Tensor) -> float:
    """The distance of a computed point from the true one; infinite where it has left the space."""
    return float(space.dist(true, space.point(got))) if space.holds(got) else math.inf


def _finite(a: Tensor) -> bool:
    return bool(a.isfinite().all())


def neighbour(a: Tensor, seed: int) -> Tensor:
    """Each number replaced by the float next to it, up or down at random."""
    up = torch.rand(a.shape, generator=generator(seed)) < 0.5
    return torch.nextafter(a, torch.where(up, torch.inf, -torch.inf).to(a.dtype))
