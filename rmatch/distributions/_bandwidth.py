"""The bandwidth of a kernel density estimate, by the likelihood of held-out points."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from rmatch.distributions._kernels import Kernel

_MOST_POINTS = 100_000
_FEWEST_QUERIES, _MOST_QUERIES = 200, 2000
_PAIRS = 20_000_000
_BLOCK = 1 << 18  # pairs that are worked on together: they fit in the cache
_NARROWEST, _WIDEST, _GRID = 1e-3, 3.0, 9
_PRECISION = 1e-2  # of the logarithm of the bandwidth; the likelihood is flat at its maximum


class _Block(NamedTuple):
    """S and J of some queries with all centres, less those of the nearest centre, which need all their digits."""

    nearest: Tensor  # [Q]
    squares: Tensor  # [Q, N], float32
    log_factor: Tensor | None  # [Q, N], float32


@torch.no_grad()
def best_bandwidth(kernel: Kernel, points: Tensor, validation: Tensor, unit: float) -> float:
    """The h that maximises the mean log-density of held-out points.

    Args:
        kernel: The kernels.
        points: The points `(N, *point_shape)` that carry them.
        validation: Held-out points `(K, *point_shape)`.
        unit: The width in which the range of widths is measured.
    """
    from scipy.optimize import minimize_scalar

    centres = _draw(points, _MOST_POINTS).double()
    queries = _draw(validation, min(_MOST_QUERIES, max(_FEWEST_QUERIES, _PAIRS // len(centres)))).double()
    columns = kernel.embed(centres).T.contiguous()
    rows = kernel.embed(queries).split(max(1, _BLOCK // len(centres)))
    blocks = [_block(kernel, part, columns) for part in rows]

    def loss(log_h: float) -> float:
        h = math.exp(log_h)
        rate = -0.5 / h**2
        total = 0.0
        for nearest, squares, log_factor in blocks:
            exponent = squares * rate if log_factor is None else torch.add(log_factor, squares, alpha=rate)
            total += float((nearest * rate + exponent.exp().sum(-1).log()).sum())
        return -total / len(queries) - kernel.log_normaliser(h)

    grid = torch.linspace(math.log(_NARROWEST * unit), math.log(_WIDEST * unit), _GRID, dtype=torch.float64).tolist()
    losses = [loss(log_h) for log_h in grid]
    best = losses.index(min(losses))
    bounds = (grid[max(best - 1, 0)], grid[min(best + 1, _GRID - 1)])
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": _PRECISION})
    return math.exp(float(found.x) if float(found.fun) < losses[best] else grid[best])


def _block(kernel: Kernel, queries: Tensor, columns: Tensor) -> _Block:
    squares, log_factor = kernel.pairs(queries, columns)
    nearest, which = squares.min(-1, keepdim=True)
    if log_factor is not None:  # what is taken off does not depend on the width
        log_factor = (log_factor - log_factor.gather(-1, which)).float()
    return _Block(nearest.squeeze(-1), (squares - nearest).float(), log_factor)


def _draw(rows: Tensor, most: int) -> Tensor:
    """At most so many rows, drawn with a fixed seed."""
    if len(rows) <= most:
        return rows
    chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:most]
    return rows[chosen.to(rows.device)]
