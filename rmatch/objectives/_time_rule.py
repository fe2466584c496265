"""Integration over time by the Clenshaw–Curtis rule, with the size of what it cannot see."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from rmatch._errors import OptionError

_TAIL = 3  # the last coefficients, which aliasing folds the unseen ones onto


class TimeIntegral(NamedTuple):
    """An integral over time, the error that the values bring in, and the error of the rule."""

    value: Tensor
    from_values: Tensor
    of_rule: Tensor

    @property
    def error(self) -> Tensor:
        """Both errors together."""
        return self.from_values + self.of_rule


def nodes(count: int) -> Tensor:
    """The Chebyshev points `(1 - cos(πk/n))/2`, k = 0 ... n, of [0, 1], both ends included: `(count,)`, increasing."""
    if count < 5:
        raise OptionError(f"an integral over time with an error needs at least 5 times, got {count}")
    k = torch.arange(count, dtype=torch.float64)
    return (math.pi / 2 * k / (count - 1)).sin().square()


def integrate(values: Tensor, errors: Tensor) -> TimeIntegral:
    """The integral over [0, 1] of a function given at `nodes(len(values))`, with its error.

    The interpolant is `Σ_j c_j T_j`, and `∫ T_j` over [0, 1] is `1/(1 - j²)` for even j, else 0 (Trefethen,
    "Approximation Theory and Approximation Practice", 2013, chapter 19).

    Args:
        values: `(K,)`.
        errors: Of the values, `(K,)`: they are added with the rule's weights, as for a bias that all times share.

    Returns:
        The integral with its errors; that of the rule is the size of the last coefficients of the interpolant.
    """
    transform, moments = _transform(len(values))
    coefficients = transform @ values
    weights = moments @ transform
    return TimeIntegral(weights @ values, weights.abs() @ errors, coefficients[-_TAIL:].abs().sum())


def _transform(count: int) -> tuple[Tensor, Tensor]:
    """The matrix from values to Chebyshev coefficients (a cosine transform), and the integrals of the polynomials."""
    n = count - 1
    j = torch.arange(count, dtype=torch.float64)
    halves = torch.ones(count, dtype=torch.float64)
    halves[0] = halves[-1] = 0.5
    cosines = (math.pi / n * torch.outer(j, n - j)).cos()  # T_j at the k-th node, which is cos(π (n - k)/n) on [-1, 1]
    transform = 2 / n * halves[:, None] * cosines * halves
    moments = torch.where(j % 2 == 0, 1 / (1 - j.square()), 0.0)
    return transform, moments
