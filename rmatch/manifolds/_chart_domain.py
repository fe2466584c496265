"""A box of chart coordinates: what lies inside, what is identified, and how to integrate over it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

import rmatch.manifolds._quadrature as _quadrature
from rmatch._errors import OptionError

Predicate = Callable[[Tensor], Tensor]
"""Whether points `(*batch, d)` belong to the chart: booleans `(*batch)`."""

_FARTHEST = 1e8  # where a rule on an unbounded axis ends: an integrand that matters beyond has no integral in float64


class Box(NamedTuple):
    """Open intervals, one an axis; on a periodic axis the two ends are the same point."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    periodic: tuple[bool, ...]

    @staticmethod
    def of(dim: int, bounds: Sequence[tuple[float, float]] | None, periodic: Sequence[int]) -> Box:
        """The box of the constructor's arguments, checked."""
        pairs = [(-math.inf, math.inf)] * dim if bounds is None else [(float(a), float(b)) for a, b in bounds]
        if len(pairs) != dim:
            raise OptionError(f"the domain of a chart of dimension {dim} has {dim} pairs of bounds, got {len(pairs)}")
        for axis, (a, b) in enumerate(pairs):
            if not a < b:
                raise OptionError(f"the bounds of axis {axis} must be in order, got ({a:g}, {b:g})")
        for axis in periodic:
            if not 0 <= axis < dim or not all(map(math.isfinite, pairs[axis])):
                raise OptionError(f"a periodic axis needs two finite bounds in the domain, and axis {axis} has none")
        low, high = zip(*pairs, strict=True)
        return Box(low, high, tuple(axis in periodic for axis in range(dim)))

    @property
    def bounded(self) -> bool:
        """Whether every axis has two finite ends."""
        return all(map(math.isfinite, (*self.low, *self.high)))

    def contains(self, x: Tensor) -> Tensor:
        """Where every coordinate that is not periodic lies between its ends; NaN lies nowhere."""
        low = torch.tensor(self.low, dtype=x.dtype, device=x.device)
        high = torch.tensor(self.high, dtype=x.dtype, device=x.device)
        periodic = torch.tensor(self.periodic, device=x.device)
        return (((x > low) & (x < high)) | (periodic & x.isfinite())).all(-1)

    def wrap(self, x: Tensor) -> Tensor:
        """Periodic coordinates brought to `[low, high)`; the others as they are."""
        if not any(self.periodic):
            return x
        columns = list(x.unbind(-1))
        for axis, period in self._periods():
            turned = torch.remainder(columns[axis] - self.low[axis], period)
            columns[axis] = torch.where(turned < period, turned, 0.0) + self.low[axis]
        return torch.stack(columns, -1)

    def difference(self, x: Tensor, y: Tensor) -> Tensor:
        """The chart's `y - x`, the shortest one on a periodic axis."""
        d = y - x
        if not any(self.periodic):
            return d
        columns = list(d.unbind(-1))
        for axis, period in self._periods():
            columns[axis] = columns[axis] - period * torch.round(columns[axis].detach() / period)
        return torch.stack(columns, -1)

    def middle(self) -> tuple[float, ...]:
        """The centre of bounded axes, 0 on an unbounded one, one unit inside the end of a half-bounded one."""
        return tuple(_middle(a, b) for a, b in zip(self.low, self.high, strict=True))

    def rule_is_product(self, degree: int) -> bool:
        """Whether a product rule of that degree fits in memory."""
        return (degree + 1) ** len(self.low) <= _quadrature.LARGEST_RULE

    def rule(self, degree: int) -> _quadrature.Rule:
        """Nodes and weights of the product rule for the Lebesgue measure, in float64."""
        axes = [self._axis_rule(axis, degree) for axis in range(len(self.low))]
        nodes = torch.cartesian_prod(*[n for n, _ in axes]).reshape(-1, len(axes))
        weights = torch.cartesian_prod(*[w for _, w in axes]).reshape(-1, len(axes)).prod(-1)
        return nodes, weights

    def stretch(self, u: Tensor) -> _quadrature.Rule:
        """The unit cube's points `(N, dim)` carried to the box, and the volumes of the map."""
        columns = [self._stretch(axis, column) for axis, column in enumerate(u.unbind(-1))]
        return torch.stack([x for x, _ in columns], -1), torch.stack([w for _, w in columns], -1).prod(-1)

    def _axis_rule(self, axis: int, degree: int) -> _quadrature.Rule:
        """Trapezoid on a periodic axis, Gauss–Legendre on a bounded one, double-exponential on an unbounded one."""
        bounded = math.isfinite(self.low[axis]) and math.isfinite(self.high[axis])
        if bounded and not self.periodic[axis]:
            from scipy.special import roots_legendre

            roots, root_weights = (torch.as_tensor(a, dtype=torch.float64) for a in roots_legendre(degree + 1))
            x, w = self._stretch(axis, (1 + roots) / 2)
            return x, w * root_weights / 2
        u = torch.arange(degree + 1, dtype=torch.float64) / (degree + 1) + (0 if bounded else 0.5 / (degree + 1))
        x, w = self._stretch(axis, u)
        return x, w / (degree + 1)

    def _stretch(self, axis: int, u: Tensor) -> _quadrature.Rule:
        """The map of (0, 1) to the axis, and its derivative.

        An unbounded axis is `x = sinh(½π sinh s)`, a half-bounded one `exp` of the same (Takahasi and Mori,
        "Double exponential formulas for numerical integration", 1974), with s as far as |x| or 1/x stays in range.
        """
        low, high = self.low[axis], self.high[axis]
        if math.isfinite(low) and math.isfinite(high):
            return low + (high - low) * u, torch.full_like(u, high - low)
        reach = math.asinh(math.log(2 * _FARTHEST) * 2 / math.pi)
        s = reach * (2 * u - 1)
        inner, rate = math.pi / 2 * s.sinh(), math.pi / 2 * s.cosh() * 2 * reach
        if math.isfinite(low):
            return low + inner.exp(), inner.exp() * rate
        if math.isfinite(high):
            return high - inner.exp(), inner.exp() * rate
        return inner.sinh(), inner.cosh() * rate

    def _periods(self) -> list[tuple[int, float]]:
        return [(axis, self.high[axis] - self.low[axis]) for axis, is_one in enumerate(self.periodic) if is_one]


def _middle(low: float, high: float) -> float:
    if math.isfinite(low) and math.isfinite(high):
        return (low + high) / 2
    return low + 1 if math.isfinite(low) else high - 1 if math.isfinite(high) else 0.0
