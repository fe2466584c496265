"""Points of the hyperboloid in its own coordinates, the time first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from rmatch.datasets.coordinates.base import ROUNDING, Coordinates, FloatArray, Problem
from rmatch.manifolds import Lorentz


@dataclass(frozen=True)
class HyperboloidPoints(Coordinates):
    """A time t and space coordinates s with t² = |s|² - 1/curvature and t > 0.

    The time may be off by 1e-4 of itself, which rounding leaves; it is computed again from the others, which determine
    the point.
    """

    kind: ClassVar[str] = "hyperboloid"
    family: ClassVar[str] = "lorentz"
    word: ClassVar[str] = "hyperboloid"
    noun: ClassVar[str] = "points of the hyperboloid"

    @classmethod
    def width(cls, size: int) -> int | None:
        """One more than the dimension."""
        return size + 1

    @classmethod
    def size(cls, width: int) -> int | None:
        """One less than the columns."""
        return width - 1 if width >= 2 else None

    def _problem(self, values: FloatArray) -> Problem | None:
        with np.errstate(over="ignore"):
            wanted = self._time(values)
        bad = np.flatnonzero(~(np.abs(values[:, 0] - wanted) <= ROUNDING * wanted))
        if not len(bad):
            return None
        row = int(bad[0])
        time, there = values[row, 0], f"{wanted[row]:.8g}"
        sheet = np.abs(time + wanted[row]) <= ROUNDING * wanted[row]
        what = (
            f"the point lies on the lower sheet of the hyperboloid: its time is {time:.8g}, not {there}; "
            "change the sign of the row"
            if sheet
            else f"the point is off the hyperboloid: with these space coordinates its time, the first column, is "
            f"{there}, not {time:.8g} (at most {ROUNDING * wanted[row]:.2g} is put down to rounding); is the time the "
            "first column? Else choose the order with columns (--columns)"
        )
        return Problem(row, 0, what)

    def _to_points(self, values: FloatArray) -> torch.Tensor:
        return torch.from_numpy(np.concatenate([self._time(values)[:, None], values[:, 1:]], axis=1))

    def _to_table(self, points: FloatArray) -> FloatArray:
        return points.copy()

    def _time(self, values: FloatArray) -> FloatArray:
        """The time that belongs to the space coordinates, `(N,)`."""
        curvature = self.manifold.curvature if isinstance(self.manifold, Lorentz) else -1.0
        return np.hypot(np.linalg.norm(values[:, 1:], axis=1), (-curvature) ** -0.5)
