"""The bandwidth of a kernel density estimate, by the likelihood of held-out points."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

_MOST_POINTS = 100_000
_FEWEST_QUERIES, _MOST_QUERIES = 200, 2000
_PAIRS = 20_000_000
_BLOCK = 1 << 18  # pairs that are worked on together: they fit in the cache
_NARROWEST, _WIDEST, _GRID = 1e-3, 3.0, 9
_PRECISION = 1e-2  # of the logarithm of the bandwidth; the likelihood is flat at its maximum


@torch.no_grad()
def best_bandwidth(centres: Tensor, queries: Tensor, log_normaliser: Callable[[float], float], unit: float) -> float:
    """The h that maximises the mean of `log Σ_i exp(-|q - c_i|² / 2h²) + log_normaliser(h)` over queries q.

    Args:
        centres: Features `(N, k)` of the points that carry kernels.
        queries: Features `(K, k)` of held-out points.
        log_normaliser: The logarithm of one over the kernel's integral, as a function of h.
        unit: The length in which the range of bandwidths is measured.
    """
    from scipy.optimize import minimize_scalar

    centres = _draw(centres, _MOST_POINTS)
    queries = _draw(queries, min(_MOST_QUERIES, max(_FEWEST_QUERIES, _PAIRS // len(centres))))
    columns = centres.double().T.contiguous()
    blocks: list[tuple[Tensor, Tensor]] = []
    for part in queries.double().split(max(1, _BLOCK // len(centres))):
        squares = squared_distances(part, columns)
        nearest = squares.amin(-1)
        blocks.append((nearest, (squares - nearest.unsqueeze(-1)).float()))

    def loss(log_h: float) -> float:
        h = math.exp(log_h)
        rate = -0.5 / h**2
        total = sum(float((nearest * rate + (rest * rate).exp().sum(-1).log()).sum()) for nearest, rest in blocks)
        return -total / len(queries) - log_normaliser(h)

    grid = torch.linspace(math.log(_NARROWEST * unit), math.log(_WIDEST * unit), _GRID, dtype=torch.float64).tolist()
    losses = [loss(log_h) for log_h in grid]
    best = losses.index(min(losses))
    bounds = (grid[max(best - 1, 0)], grid[min(best + 1, _GRID - 1)])
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": _PRECISION})
    return math.exp(float(found.x) if float(found.fun) < losses[best] else grid[best])


def squared_distances(x: Tensor, columns: Tensor) -> Tensor:
    """`|x_i - y_j|²` from differences, exact for close rows: `(N, k), (k, M) -> (N, M)`, with y given by columns."""
    total = x.new_zeros(())
    for a, b in zip(x.split(1, -1), columns.unbind(0), strict=True):
        gap = a - b
        total = torch.addcmul(total, gap, gap)
    return total


def _draw(rows: Tensor, most: int) -> Tensor:
    """At most so many rows, drawn with a fixed seed."""
    if len(rows) <= most:
        return rows
    chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:most]
    return rows[chosen.to(rows.device)]
