"""The logarithm by shooting: Newton's method on `exp_x(v) = y`, continued from x to y where it does not converge."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Shot = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Given row numbers `(n,)`, coefficients `(n, d)` and how far to aim `(n,)`: the miss `(n, d)`, its Jacobian."""

_CORRECTIONS = 6
_SHORTEST_STRIDE = 1 / 64


class Aim(NamedTuple):
    """Coefficients that hit, their Jacobians, and how far from `x` to `y` each row came: 1 where it hit."""

    coefficients: Tensor
    jacobian: Tensor
    reached: Tensor


def shoot(fire: Shot, first: Tensor) -> Aim:
    """Solve `miss(c, 1) = 0` for the coefficients c of the initial velocity on an orthonormal frame, row by row.

    The target moves from x (time 0, c = 0) to y (time 1). The first stride goes all the way; where Newton's method does
    not contract, the stride is cut to a quarter, and the solution so far, stretched, is the next first guess.

    Args:
        fire: The miss and its Jacobian.
        first: Coefficients of the straight line to y, `(N, d)`.
    """
    c = torch.zeros_like(first)
    jacobian = torch.eye(first.shape[-1], dtype=first.dtype, device=first.device).expand(*first.shape, -1).clone()
    time, stride = first.new_zeros(len(first)), first.new_ones(len(first))
    while len(rows := ((time < 1) & (stride >= _SHORTEST_STRIDE)).nonzero().squeeze(-1)):
        now = time[rows]
        goal = (now + stride[rows]).clamp_max(1.0)
        started = (now > 0).unsqueeze(-1)
        guess = torch.where(started, c[rows] * (goal / torch.where(now > 0, now, 1.0)).unsqueeze(-1), 0.0)
        guess = torch.where(started, guess, first[rows] * goal.unsqueeze(-1))
        found, there, hit = _newton(fire, rows, guess, goal)
        done, missed = rows[hit], rows[~hit]
        c[done], jacobian[done], time[done] = found[hit], there[hit], goal[hit]
        stride[missed] /= 4
    return Aim(c, jacobian, time)


def _newton(fire: Shot, rows: Tensor, c: Tensor, goal: Tensor) -> tuple[Tensor, Tensor, Tensor]:
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
        shrinks = (size < 0.5 * last[live]) & (size <= 2 * length) | (size <= close * length)
        c[live] = torch.where(shrinks.unsqueeze(-1), c[live] - correction, c[live])
        jacobian[live], last[live] = slope, size
        hit[live] = shrinks & (size <= close * length)
        live = live[shrinks & ~hit[live]]
        if not len(live):
            break
    return c, jacobian, hit
