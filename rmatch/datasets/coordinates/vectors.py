"""Points of Euclidean space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from rmatch.datasets.coordinates.base import Coordinates, FloatArray, Problem


@dataclass(frozen=True)
class Vectors(Coordinates):
    """Any numbers, one column each."""

    kind: ClassVar[str] = "vector"
    family: ClassVar[str] = "euclidean"
    word: ClassVar[str] = "vector"
    noun: ClassVar[str] = "vectors"

    @classmethod
    def width(cls, size: int) -> int | None:
        """One for each dimension."""
        return size

    @classmethod
    def size(cls, width: int) -> int | None:
        """One for each dimension."""
        return width if width >= 1 else None

    def _problem(self, values: FloatArray) -> Problem | None:
        del values

    def _to_points(self, values: FloatArray) -> torch.Tensor:
        return torch.from_numpy(values)

    def _to_table(self, points: FloatArray) -> FloatArray:
        return points.copy()
