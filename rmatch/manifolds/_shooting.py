"""The logarithm by shooting: Newton's method on `exp_x(v) = y`, continued from x to y where it does not converge."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Shot = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Given row numbers `(n,)`, coefficients `(n, d)` and how far to aim `(n,)`: the miss `(n, d)`, its Jacobian."""

_CORRECTIONS = 6
_DESCENTS = 40
_HOPELESS = 1e6
"""Damping at which a descent has come to rest somewhere else than at a solution."""


class Aim(NamedTuple):
    """Coefficients that hit, their Jacobians, and how far from `x` to `y` each row came: 1 where it hit."""

    coefficients: Tensor
    jacobian: Tensor
    reached: Tensor


def shoot(fire: Shot, first: Tensor, floor: float = 0.0, shortest_stride: float = 1 / 64) -> Aim:
    """Solve `miss(c, 1) = 0` for the coefficients c of the initial velocity on an orthonormal frame, row by row.

    The target moves from x (time 0, c = 0) to y (time 1). The first stride goes all the way; where Newton's method does
    not contract, the stride is cut to a quarter, and the solution so far, stretched, is the next first guess.

    Args:
        fire: The miss and its Jacobian.
        first: Coefficients of the straight line to y, `(N, d)`.
        floor: The rounding error of a miss; 0 where it is relative to the length.
        shortest_stride: The part of the way at which a row is given up; 1 tries the whole way only.
    """
    c = torch.zeros_like(first)
    jacobian = torch.eye(first.shape[-1], dtype=first.dtype, device=first.device).expand(*first.shape, -1).clone()
    time, stride = first.new_zeros(len(first)), first.new_ones(len(first))
    while len(rows := ((time < 1) & (stride >= shortest_stride)).nonzero().squeeze(-1)):
        now = time[rows]
        goal = (now + stride[rows]).clamp_max(1.0)
        started = (now > 0).unsqueeze(-1)
        guess = torch.where(started, c[rows] * (goal / torch.where(now > 0, now, 1.0)).unsqueeze(-1), 0.0)
        guess = torch.where(started, guess, first[rows] * goal.unsqueeze(-1))
        found, there, hit = _newton(fire, rows, guess, goal, floor)
        done, missed = rows[hit], rows[~hit]
        c[done], jacobian[done], time[done] = found[hit], there[hit], goal[hit]
        stride[missed] /= 4
    return Aim(c, jacobian, time)


def search(fire: Shot, rows: Tensor, starts: Tensor, floor: float) -> tuple[Tensor, Tensor]:
    """Solve `miss(c, 1) = 0` from many first guesses by the method of Levenberg and Marquardt; the shortest hit counts.

    Args:
        fire: The miss, which may have more entries than there are coefficients, and its Jacobian.
        rows: Numbers of the rows to solve for, `(n,)`.
        starts: First guesses, `(k, d)`, the same for every row.
        floor: The rounding error of a miss.

    Returns:
        Coefficients `(n, d)`, and which of them hit.

    Reference: Nocedal and Wright, "Numerical optimization", section 10.3.
    """
    n, k = len(rows), len(starts)
    each, c = rows.repeat_interleave(k), starts.repeat(n, 1)
    damping = c.new_ones(len(c), 1)
    miss, slope = fire(each, c, c.new_ones(len(c)))
    close = torch.finfo(c.dtype).eps ** 0.65
    for _ in range(_DESCENTS):
        live = ~_hits(c, miss, close, floor) & (damping.squeeze(-1) < _HOPELESS)
        live = live.nonzero().squeeze(-1)
        if not len(live):
            break
        trial = c[live] - _damped(slope[live], miss[live], damping[live])
        new_miss, new_slope = fire(each[live], trial, c.new_ones(len(live)))
        better = torch.linalg.vector_norm(new_miss, dim=-1) < torch.linalg.vector_norm(miss[live], dim=-1)
        damping[live] = torch.where(better.unsqueeze(-1), damping[live] / 10, 4 * damping[live])
        taken = live[better]
        c[taken], miss[taken], slope[taken] = trial[better], new_miss[better], new_slope[better]
    length = torch.linalg.vector_norm(c, dim=-1)
    hit = _hits(c, miss, close, floor)
    best = torch.where(hit, length, torch.inf).reshape(n, k).argmin(-1) + k * torch.arange(n, device=c.device)
    return c[best], hit[best]


def _hits(c: Tensor, miss: Tensor, close: float, floor: float) -> Tensor:
    return torch.linalg.vector_norm(miss, dim=-1) <= close * torch.linalg.vector_norm(c, dim=-1) + floor


def _damped(slope: Tensor, miss: Tensor, damping: Tensor) -> Tensor:
    """The step `(JᵀJ + λ)⁻¹ Jᵀ r`."""
    normal = slope.mT @ slope + torch.diag_embed(damping.expand(-1, slope.shape[-1]))
    return torch.linalg.solve_ex(normal, slope.mT @ miss.unsqueeze(-1))[0].squeeze(-1)


def _newton(fire: Shot, rows: Tensor, c: Tensor, goal: Tensor, floor: float) -> tuple[Tensor, Tensor, Tensor]:
    """Newton's method; a row is hit when its correction is small, and missed when its corrections do not shrink."""
    hit = torch.zeros_like(rows, dtype=torch.bool)
    last = torch.full_like(goal, torch.inf)
    jacobian = c.new_zeros(*c.shape, c.shape[-1])
    live = torch.arange(len(rows), device=rows.device)
    close = torch.finfo(c.dtype).eps ** 0.65  # then the Jacobian at hand is as good as the one at the end
    for _ in range(_CORRECTIONS):
        miss, slope = fire(rows[live], c[live], goal[live])
        correction, _ = torch.linalg.solve_ex(slope, miss)
        size = torch.linalg.vector_norm(correction, dim=-1)
        length = torch.linalg.vector_norm(c[live], dim=-1)
        small = size <= close * length + floor
        shrinks = (size < 0.5 * last[live]) & (size <= 2 * length) | small
        c[live] = torch.where(shrinks.unsqueeze(-1), c[live] - correction, c[live])
        jacobian[live], last[live] = slope, size
        hit[live] = small
        live = live[shrinks & ~hit[live]]
        if not len(live):
            break
    return c, jacobian, hit
