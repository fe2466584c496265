"""The geodesic equation in a chart, solved to round-off.

Hamilton's form of it needs one derivative of the metric and no Christoffel symbol: with H = ½ g^{ij} p_i p_j,

    x' = g⁻¹ p = v,        p'_l = ½ ∂_l g_ij v^i v^j,

and a covector w that is carried along in parallel obeys w'_l = ½ (∂_v g_lm w^m + ∂_l g_ij v^i w^j - ∂_w g_lm v^m).
The state holds the displacement from the start and not the point, so that a short geodesic keeps its precision.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

MetricFunction = Callable[[Tensor], Tensor]
"""The metric in a chart: points `(*batch, d)` to symmetric positive definite matrices `(*batch, d, d)`."""

Inside = Callable[[Tensor], Tensor]
"""Whether points `(*batch, d)` belong to the chart: booleans `(*batch)`."""

Steps = list[tuple[float, int]]
"""The lengths of the pieces that a solution was put together from, and the iterations that each took."""

SHORTEST_STEP = 1e-5
"""A geodesic that needs a step below this part of its length has met the edge of its chart."""

_MOST_STEPS = 2000
_NODES = 16
_MOST_ITERATIONS = 28
_EASY = 20  # a piece that takes more iterations is too long to be followed by a longer one


class Solution(NamedTuple):
    """The state at the end, NaN in the rows that were lost; how far each row came; and the steps that were taken."""

    state: Tensor
    reached: Tensor  # (*batch), 1 where the end was reached
    steps: Steps


class GeodesicEquation:
    """The right-hand side for states `(*batch, m, d)`: displacement, momentum, and m - 2 covectors carried along.

    Args:
        metric: The metric in the chart.
        start: Points `(*batch, d)` from which displacements count.
        plain: Whether no transform of `torch.func` is active and no derivative wanted, which makes it faster.
    """

    def __init__(self, metric: MetricFunction, start: Tensor, *, plain: bool = False) -> None:
        self.metric = metric
        self.start = start
        self.plain = plain

    def __call__(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """The slope, and the Cholesky factor of the metric; NaN in rows where there is none."""
        x = self.start + state[..., 0, :]
        alone = state.shape[-2] == 2
        g, pull = self._metric_and_pull(x if alone else x.expand(_pairs(x.shape[-1]), *x.shape).clone())
        factor, info = torch.linalg.cholesky_ex(g if alone else g[0])
        factor = torch.where((info == 0)[..., None, None], factor, torch.nan)
        vectors = torch.cholesky_solve(state[..., 1:, :].mT, factor).mT  # (*batch, m - 1, d)
        v = vectors[..., 0, :]
        if alone:
            force = pull(v.unsqueeze(-1) * v.unsqueeze(-2) / 2)
            return torch.stack([v, force], -2), factor
        d = _all_derivatives(pull, g)  # [..., i, j, k] = ∂_k g_ij
        slopes = [v, torch.einsum("...ijl,...i,...j->...l", d, v, v) / 2]
        for w in vectors[..., 1:, :].unbind(-2):
            turn = torch.einsum("...ljk,...k,...j->...l", d, v, w) - torch.einsum("...ljk,...k,...j->...l", d, w, v)
            slopes.append((turn + torch.einsum("...ijl,...i,...j->...l", d, v, w)) / 2)
        return torch.stack(slopes, -2), factor

    def _metric_and_pull(self, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The metric, and what takes matrices M to `∂_l g_ij M_ij`."""
        if not self.plain:
            g, pull = cast("tuple[Tensor, Callable[[Tensor], tuple[Tensor]]]", torch.func.vjp(self.metric, x))
            return g, lambda weights: pull(weights)[0]
        with torch.enable_grad():
            there = x.detach().requires_grad_()
            value = self.metric(there) + 0 * there.unsqueeze(-1)  # a constant metric has a derivative too
        return value.detach(), lambda weights: torch.autograd.grad(value, there, weights)[0]


def integrate(equation: GeodesicEquation, state: Tensor, inside: Inside, steps: Steps | None = None) -> Solution:
    """The state at time 1, by Gauss' collocation method of order 32 with step control.

    A piece of the solution is a polynomial of degree 16 that obeys the equation at 16 nodes, found by Picard's
    iteration at all of them at once; so a piece costs some 15 evaluations for all rows and nodes together. Its error is
    judged by the last coefficients of its slope in Legendre polynomials, measured in the metric and relative to the
    length of the geodesic, so that it means the same in every chart. All rows share the pieces, which the most
    demanding row decides. A row that would need pieces below `SHORTEST_STEP`, because its metric blows up or the
    geodesic leaves the chart, is given up and becomes NaN. Derivatives are those of the iteration, with the lengths of
    the pieces as constants.

    Args:
        equation: The right-hand side.
        state: Where it starts, `(*batch, m, d)`.
        inside: Whether points `(*batch, d)` belong to the chart.
        steps: Pieces to take without control, for values that cannot be looked at (inside `torch.vmap`).

    Reference: Hairer, Lubich and Wanner, "Geometric numerical integration", sections II.1.3 and VIII.6.
    """
    rule = CollocationRule.like(state)
    slope, factor = equation(state)
    reached = torch.ones(state.shape[:-2], dtype=state.dtype, device=state.device)
    if steps is not None:
        for h, count in steps:
            state, slope = _repeat(equation, rule, state, slope, h, count)
        return Solution(state, reached, steps)
    t, taken, h = 0.0, Steps(), _first_step(slope.detach(), factor.detach())
    while t < 1.0 and state.numel():
        h = min(h, 1.0 - t)
        proposal, new_slope, error, count = _try(equation, rule, state, slope, h, inside)
        worst = float(error.amax())
        if worst <= 1.0:
            state, slope = proposal, new_slope
            taken.append((h, count))
            t = 1.0 if h == 1.0 - t else t + h
        elif h <= SHORTEST_STEP or len(taken) >= _MOST_STEPS:
            reached = torch.where(error > 1.0, t, reached)
            lost = (reached < 1)[..., None, None]
            state, slope = torch.where(lost, torch.nan, state), torch.where(lost, torch.nan, slope)
            if not bool((reached == 1).any()):
                break
        growth = 0.9 * max(worst, 1e-30) ** (-1 / _NODES)
        h = max(h * min(2.0 if count <= _EASY else 0.8, max(0.3, growth)), SHORTEST_STEP)
    return Solution(state, reached, taken)


class OnValues(torch.autograd.Function):
    """Apply a function to plain values, where they can be looked at, from inside `torch.vmap` too.

    `OnValues.apply(function, rowwise, *tensors)`: the result has no derivative. Inside `vmap` the function sees the
    rows of all calls as one batch; its result is split among them if `rowwise`, else it is shared.
    """

    @staticmethod
    def forward(function: Callable[..., Any], rowwise: bool, *tensors: Tensor) -> Any:
        """The function's value."""
        del rowwise
        return function(*tensors)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Nothing is kept: there is no derivative."""
        del inputs
        ctx.mark_non_differentiable(*(output if isinstance(output, tuple) else (output,)))

    @staticmethod
    def vmap(info: Any, in_dims: Any, *arguments: Any) -> Any:
        """One call for all rows."""
        function, rowwise, *tensors = arguments
        rows: list[Tensor] = [
            t.expand(info.batch_size, *t.shape) if dim is None else t.movedim(dim, 0)
            for t, dim in zip(tensors, in_dims[2:], strict=True)
        ]
        value = OnValues.apply(function, rowwise, *rows)
        out = 0 if rowwise else None
        return value, (out,) * len(value) if isinstance(value, tuple) else out


def readable(*tensors: Tensor) -> bool:
    """Whether the values may steer Python: not inside `torch.vmap`."""
    try:
        for t in tensors:
            bool(t.isnan().any())
    except RuntimeError:
        return False
    return True


# ---- one piece ------------------------------------------------------------------------------------------------------


class CollocationRule(NamedTuple):
    """Gauss' nodes on (0, 1), the integrals of an interpolant to each node and to 1, its last two coefficients."""

    times: Tensor  # (s, 1)
    integrals: Tensor  # (s, s)
    weights: Tensor  # (s)
    tail: Tensor  # (2, s)

    @staticmethod
    def like(state: Tensor) -> CollocationRule:
        """The rule in the dtype and on the device of a state."""
        return CollocationRule(*(torch.as_tensor(a, dtype=state.dtype, device=state.device) for a in _collocation()))


@cache
def _collocation() -> tuple[np.ndarray, ...]:
    """The rule in float64: Legendre coefficients by quadrature, and ∫P_k = (P_{k+1} - P_{k-1}) / (2k + 1)."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    values = np.polynomial.legendre.legvander(nodes, _NODES)  # P_k at the nodes, k up to s
    odd = 2 * np.arange(_NODES) + 1
    coefficients = odd[:, None] / 2 * weights * values[:, :-1].T
    before = np.concatenate([-np.ones((_NODES, 1)), values[:, :-2]], 1)  # P_{-1} = -1 makes ∫P_0 = x + 1
    integrals = (values[:, 1:] - before) / odd
    return (1 + nodes)[:, None] / 2, integrals @ coefficients / 2, weights / 2, coefficients[-2:]


def _iterate(
    equation: GeodesicEquation, rule: CollocationRule, state: Tensor, nodes: Tensor, h: float
) -> tuple[Tensor, Tensor, Tensor]:
    """One Picard iteration: new states at the nodes, the slopes that made them, the metric's factors there."""
    slopes, factors = equation(nodes)
    return torch.add(state, torch.tensordot(rule.integrals, slopes, 1), alpha=h), slopes, factors


def _guess(rule: CollocationRule, state: Tensor, slope: Tensor, h: float) -> Tensor:
    """The states at the nodes on the straight line with the slope at the piece's beginning."""
    return torch.add(state, torch.tensordot(rule.times, slope.unsqueeze(0), 1), alpha=h)


def _repeat(
    equation: GeodesicEquation, rule: CollocationRule, state: Tensor, slope: Tensor, h: float, count: int
) -> tuple[Tensor, Tensor]:
    """The state at the end of a piece after a given number of iterations, and the slope there."""
    nodes, slopes = _guess(rule, state, slope, h), slope
    for _ in range(count):
        nodes, slopes, _ = _iterate(equation, rule, state, nodes, h)
    return torch.add(state, torch.tensordot(rule.weights, slopes, 1), alpha=h), slopes[-1]


def _try(
    equation: GeodesicEquation, rule: CollocationRule, state: Tensor, slope: Tensor, h: float, inside: Inside
) -> tuple[Tensor, Tensor, Tensor, int]:
    """A piece, iterated to round-off: its end, the slope there, its error in units of what is allowed, iterations.

    The error is infinite in rows that did not converge or left the chart, and 0 in rows that were lost before.
    """
    nodes, lost = _guess(rule, state, slope, h), state[..., 0, 0].isnan()
    eps = torch.finfo(state.dtype).eps
    count, before, stuck = 0, torch.full_like(state[..., 0, 0], torch.inf), ~lost
    while True:
        new, slopes, factors = _iterate(equation, rule, state, nodes, h)
        count += 1
        with torch.no_grad():
            change = (_lengths(new - nodes, factors) / _scale(new, factors)).amax((0, -1)).nan_to_num(torch.inf)
            nodes = new
            steady = (change <= 64 * eps) | (change <= eps**0.7) & (change > before / 2)
            stuck = ~(steady | lost)
            hopeless = stuck & ((change == torch.inf) | (count > 6) & (change >= before))
            if count == _MOST_ITERATIONS or bool(hopeless.any()) or not bool(stuck.any()):
                break
            before = change
    with torch.no_grad():
        middle = factors[_NODES // 2]
        tail = (_lengths(h * torch.tensordot(rule.tail, slopes, 1), middle) / _scale(nodes[_NODES // 2], middle)).amax(
            (0, -1)
        )
        left = ~inside(equation.start + nodes[..., 0, :]).all(0)
        error = torch.where(stuck | left, torch.inf, (tail / eps**0.5).nan_to_num(torch.inf))
    end = torch.add(state, torch.tensordot(rule.weights, slopes, 1), alpha=h)
    return end, slopes[-1], torch.where(lost, 0.0, error), count


def _scale(state: Tensor, factor: Tensor) -> Tensor:
    """What an error in each part counts relative to: the geodesic's length, and that of each covector."""
    scale = _lengths(state, factor)
    return torch.cat([scale[..., 1:2], scale[..., 1:]], -1) + torch.finfo(state.dtype).tiny


def _lengths(state: Tensor, factor: Tensor) -> Tensor:
    """The lengths in the metric L Lᵀ of a vector, `|Lᵀu|`, and of the covectors below it, `|L⁻¹p|`: `(*batch, m)`."""
    covectors = torch.linalg.solve_triangular(factor, state[..., 1:, :].mT, upper=False).mT
    return torch.linalg.vector_norm(torch.cat([state[..., :1, :] @ factor, covectors], -2), dim=-1)


def _first_step(slope: Tensor, factor: Tensor) -> float:
    """The time in which the momentum changes by its own length; step control mends a bad guess."""
    if slope.numel() == 0:
        return 1.0
    speed, force = _lengths(slope, factor)[..., :2].unbind(-1)
    rate = float((force / (speed + torch.finfo(slope.dtype).tiny)).nan_to_num(0.0, 0.0, 0.0).amax())
    return 1.0 / max(rate, 1.0)


# ---- derivatives of the metric --------------------------------------------------------------------------------------


def _pairs(d: int) -> int:
    return d * (d + 1) // 2


def _all_derivatives(pull: Callable[[Tensor], Tensor], g: Tensor) -> Tensor:
    """`∂_k g_ij` as `(*batch, i, j, k)`, by one reverse pass over a copy of the points for every pair i <= j."""
    d = g.shape[-1]
    rows, columns = torch.triu_indices(d, d, device=g.device)
    unit = torch.zeros(len(rows), d, d, dtype=g.dtype, device=g.device)
    unit[torch.arange(len(rows)), rows, columns] += 0.5
    unit[torch.arange(len(rows)), columns, rows] += 0.5
    weights = unit.reshape(len(rows), *(1 for _ in range(g.dim() - 3)), d, d).expand_as(g)
    which = torch.zeros(d, d, dtype=torch.long, device=g.device)
    which[rows, columns] = which[columns, rows] = torch.arange(len(rows), device=g.device)
    return pull(weights)[which].movedim((0, 1), (-3, -2))
