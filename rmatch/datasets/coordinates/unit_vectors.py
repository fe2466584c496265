"""Vectors of one length: points of a sphere in its own coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from rmatch.datasets.coordinates.base import ROUNDING, Coordinates, FloatArray, Problem
from rmatch.manifolds import Sphere


@dataclass(frozen=True)
class UnitVectors(Coordinates):
    """Columns x, y, ... that are a point of the sphere, of its radius to within 1e-4 and normalised."""

    kind: ClassVar[str] = "xyz"
    family: ClassVar[str] = "sphere"
    word: ClassVar[str] = "xyz"
    noun: ClassVar[str] = "unit vectors"

    @classmethod
    def width(cls, size: int) -> int | None:
        """One more than the dimension."""
        return size + 1

    @classmethod
    def size(cls, width: int) -> int | None:
        """One less than the columns."""
        return width - 1 if width >= 2 else None

    @property
    def formats(self) -> tuple[str, ...]:
        """Nine decimals, since no entry is larger than the radius."""
        return (".9f",) * len(self.columns)

    def _problem(self, values: FloatArray) -> Problem | None:
        radius = self._radius
        with np.errstate(over="ignore"):  # a length beyond the largest float is off the sphere too
            norms = np.linalg.norm(values, axis=1)
        bad = np.flatnonzero(~(np.abs(norms - radius) <= ROUNDING * radius))
        if not len(bad):
            return None
        row = int(bad[0])
        gap, sphere = abs(norms[row] - radius), "unit sphere" if radius == 1 else f"sphere of radius {radius:g}"
        remedy = "divide each row by its length" + ("" if radius == 1 else f" and multiply it by {radius:g}")
        text = f"the point's length is {norms[row]:.8g}, off the {sphere} by {gap:.3g}"
        return Problem(row, None, f"{text} (at most {ROUNDING * radius:g} is put down to rounding); {remedy}")

    def _to_points(self, values: FloatArray) -> torch.Tensor:
        return torch.from_numpy(values / (np.linalg.norm(values, axis=1, keepdims=True) / self._radius))

    def _to_table(self, points: FloatArray) -> FloatArray:
        return points.copy()

    @property
    def _radius(self) -> float:
        return self.manifold.radius if isinstance(self.manifold, Sphere) else 1.0
