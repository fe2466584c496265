"""Positive definite matrices at 80 digits, with either metric."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath as mp
import torch
from torch import Tensor

import rmatch as rm
from tests.manifolds import reference_spd as spd
from tools.accuracy.space import F32, F64, ROWS, Exact, Number, Pair, Space, generator, rounded


class Definite(Space):
    """SPD(3) with either metric: pairs of matrices of a condition, independent or a thousandth apart."""

    columns = ("condition", "pair")
    digits = spd.DIGITS

    def __init__(self, metric: rm.SPD) -> None:
        self.affine = metric.metric_name == "affine-invariant"
        self.key = "spd" if self.affine else "spd-log-euclidean"
        self.title = f"Positive definite matrices SPD(3), {metric.metric_name}"
        self.member = metric

    def cases(self, dtype: torch.dtype) -> list[tuple[Any, ...]]:
        """Conditions, as far as Cholesky's method takes them in that dtype."""
        conditions = ("1", "1e2", "1e4") if dtype == F32 else ("1", "1e3", "1e6", "1e10")
        return [(condition, pair) for condition in conditions for pair in ("independent", "1e-3 apart")]

    def pair(self, case: tuple[Any, ...], seed: int, dtype: torch.dtype) -> Pair:
        """Random eigenvectors, eigenvalues spaced evenly in the logarithm; at condition 1 the second is not far off."""
        condition = float(case[0])
        x = spd.matrix_of_condition(3, condition, seed)
        if case[1] == "independent" and condition > 1:
            return x.to(dtype), spd.matrix_of_condition(3, condition, seed + 100).to(dtype)
        s = torch.randn(3, 3, generator=generator(seed), dtype=F64)
        step = (s + s.mT) / 2 * (1e-3 if case[1] == "1e-3 apart" else 1.0)
        y = spd.colour(spd.exact(x), spd.function(spd.exact(step), mp.exp))
        return x.to(dtype), rounded(y, dtype)

    def point(self, x: Tensor) -> Exact:
        """The symmetric part."""
        return spd.exact(x)

    def holds(self, x: Tensor) -> bool:
        """Whether all eigenvalues are positive."""
        return bool(min(mp.eigsy(spd.exact(x), eigvals_only=True)) > 0)

    def vector(self, p: Exact, v: Tensor) -> Exact:
        """The symmetric part."""
        del p
        return spd.exact(v)

    def raised(self, p: Exact, covector: Tensor) -> Exact:
        """`x c x`, or `Dexp Dexp c`."""
        c = spd.exact(covector)
        if self.affine:
            return p * c * p
        return differential(spd.function(p, mp.log), mp.exp, differential(spd.function(p, mp.log), mp.exp, c))

    def dist(self, p: Exact, q: Exact) -> Number:
        """The length of the difference of the logarithms, of the whitened point or of both."""
        if self.affine:
            return spd.frobenius(spd.function(spd.whiten(p, q), mp.log))
        return spd.frobenius(spd.function(q, mp.log) - spd.function(p, mp.log))

    def log(self, p: Exact, q: Exact) -> Exact:
        """By whitening, or `Dexp_{log p}[log q - log p]`."""
        if self.affine:
            return spd.colour(p, spd.function(spd.whiten(p, q), mp.log))
        z = spd.function(p, mp.log)
        return differential(z, mp.exp, spd.function(q, mp.log) - z)

    def exp(self, p: Exact, v: Exact) -> Exact:
        """By whitening, or `e^{log p + Dlog_p[v]}`."""
        if self.affine:
            return spd.colour(p, spd.function(spd.whiten(p, v), mp.exp))
        return spd.function(spd.function(p, mp.log) + differential(p, mp.log, v), mp.exp)

    def length(self, p: Exact, v: Exact) -> Number:
        """In the metric at `p`."""
        return spd.frobenius(spd.whiten(p, v) if self.affine else differential(p, mp.log, v))

    def combine(self, a: Number, v: Exact, b: Number, w: Exact) -> Exact:
        """Of matrices."""
        return a * v + b * w

    def floats(self, p: Exact, dtype: torch.dtype) -> Tensor:
        """Entry by entry."""
        return rounded(p, dtype)

    def tensor(self, p: Exact, v: Exact, dtype: torch.dtype) -> Tensor:
        """Entry by entry."""
        del p
        return rounded(v, dtype)

    def lowered(self, p: Exact, v: Exact, dtype: torch.dtype) -> Tensor:
        """`x⁻¹ v x⁻¹`, or `Dlog Dlog v`, for Dlog is self-adjoint."""
        if self.affine:
            inverse = p**-1
            return rounded(inverse * v * inverse, dtype)
        return rounded(differential(p, mp.log, differential(p, mp.log, v)), dtype)

    def hard(self, dtype: torch.dtype) -> dict[str, Pair]:
        """Equal matrices, equal eigenvalues, and large conditions."""
        one = torch.eye(3, dtype=dtype).expand(ROWS, 3, 3)
        x, y = (self._batch(3.0, seed, dtype) for seed in (0, ROWS))
        frame = torch.linalg.qr(x).Q
        double = frame @ torch.diag(torch.tensor([2.0, 2.0, 1.0], dtype=dtype)) @ frame.mT
        far = ("1e3", "1e6", "1e10") if dtype == F64 else ("1e2", "1e4")
        return {
            "random": (x, y),
            "x = y = 1": (one, one),
            "x = y": (x, x),
            "y = 2x": (x, 2 * x),
            "x = 1, two eigenvalues of y equal": (one, (double + double.mT) / 2),
            **{f"condition {c}": (self._batch(float(c), 0, dtype), self._batch(float(c), ROWS, dtype)) for c in far},
        }

    @staticmethod
    def _batch(condition: float, seed: int, dtype: torch.dtype) -> Tensor:
        rows = [spd.matrix_of_condition(3, condition, seed + row) for row in range(ROWS)]
        return torch.stack(rows).to(dtype)


def differential(a: Exact, f: Callable[[Number], Number], v: Exact) -> Exact:
    """The derivative of the matrix function f at `a` along v: divided differences times the entries in a's eigenbasis.

    Differences of equal eigenvalues are the derivative, exp for exp and 1/λ for log.
    """
    values, vectors = mp.eigsy(a)
    inner = vectors.T * v * vectors
    images = [f(value) for value in values]
    for i, j in ((i, j) for i in range(len(values)) for j in range(len(values))):
        gap = values[i] - values[j]
        close = abs(gap) <= mp.mpf(10) ** (-mp.mp.dps // 3) * (abs(values[i]) + abs(values[j]))
        slope = (images[i] if f is mp.exp else 1 / values[i]) if close else (images[i] - images[j]) / gap
        inner[i, j] *= slope
    return vectors * inner * vectors.T
