"""Points of the Poincaré ball in its own coordinates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from rmatch.datasets.coordinates.base import Coordinates, FloatArray, Problem
from rmatch.manifolds import PoincareBall


@dataclass(frozen=True)
class BallPoints(Coordinates):
    """The coordinates of a point inside the ball of radius 1/sqrt(-curvature), one column each."""

    kind: ClassVar[str] = "ball"
    family: ClassVar[str] = "poincare"
    word: ClassVar[str] = "ball"
    noun: ClassVar[str] = "points of the ball"

    @classmethod
    def width(cls, size: int) -> int | None:
        """One for each dimension."""
        return size

    @classmethod
    def size(cls, width: int) -> int | None:
        """One for each dimension."""
        return width if width >= 1 else None

    def _problem(self, values: FloatArray) -> Problem | None:
        radius = 1 / math.sqrt(-self.manifold.curvature) if isinstance(self.manifold, PoincareBall) else 1.0
        with np.errstate(over="ignore"):
            norms = np.linalg.norm(values, axis=1)
        bad = np.flatnonzero(~(norms < radius))
        if not len(bad):
            return None
        row = int(bad[0])
        where = "on the boundary of" if norms[row] == radius else "outside"
        return Problem(
            row,
            None,
            f"the point's length is {norms[row]:.10g}, {where} the ball of radius {radius:.6g}; correct the row or "
            "remove it",
        )

    def _to_points(self, values: FloatArray) -> torch.Tensor:
        return torch.from_numpy(values)

    def _to_table(self, points: FloatArray) -> FloatArray:
        return points.copy()
