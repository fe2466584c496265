"""Points of a product: the columns of its factors side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar

import numpy as np
import torch

from rmatch._errors import OptionError
from rmatch.datasets.coordinates.base import Coordinates, FloatArray, Problem, Unit
from rmatch.manifolds import ManifoldSpec, Product


@dataclass(frozen=True)
class FactorColumns(Coordinates):
    """Each factor's columns by a kind of their own, in the order of the factors; `of` builds them from the parts.

    Args:
        parts: The coordinates of each factor.

    Example:
        >>> import rmatch as rm
        >>> from rmatch.datasets import Angles, FactorColumns, LatitudeLongitude
        >>> place = LatitudeLongitude(rm.Sphere(2), ("lat", "lon"), "degrees")
        >>> FactorColumns.of([place, Angles(rm.Torus(1), ("wind",), "degrees")]).columns
        ('lat', 'lon', 'wind')
    """

    parts: tuple[Coordinates, ...] = ()

    kind: ClassVar[str] = "product"
    family: ClassVar[str] = "product"
    word: ClassVar[str] = ""
    noun: ClassVar[str] = "coordinates of factors"

    @classmethod
    def of(cls, parts: Sequence[Coordinates]) -> FactorColumns:
        """The coordinates of a product from those of its factors."""
        units: set[Unit] = {part.unit for part in parts if part.unit is not None}
        return cls(
            manifold=Product(*(part.manifold for part in parts)),
            columns=tuple(chain.from_iterable(part.columns for part in parts)),
            unit=units.pop() if len(units) == 1 else None,
            nonnegative=tuple(chain.from_iterable(part.nonnegative for part in parts)),
            parts=tuple(parts),
        )

    def __post_init__(self) -> None:
        if not self.parts or self.columns != tuple(chain.from_iterable(part.columns for part in self.parts)):
            raise OptionError("the columns of a product are those of its parts; build it with FactorColumns.of")

    @classmethod
    def width(cls, size: int) -> int | None:
        """Told by the factors, not by a size."""
        del size

    @classmethod
    def size(cls, width: int) -> int | None:
        """Told by the factors, not by the number of columns."""
        del width

    @property
    def formats(self) -> tuple[str, ...]:
        """Those of the parts."""
        return tuple(chain.from_iterable(part.formats for part in self.parts))

    @property
    def spec(self) -> ManifoldSpec:
        """The product of the parts' own."""
        return ManifoldSpec("product", factors=tuple(part.spec for part in self.parts))

    def to_dict(self) -> dict[str, Any]:
        """The parts as plain JSON values."""
        return {"kind": self.kind, "parts": [part.to_dict() for part in self.parts]}

    def _problem(self, values: FloatArray) -> Problem | None:
        found: list[Problem] = []
        for part, start, stop in self._slices():
            problem = part.problem(values[:, start:stop])
            if problem is not None:
                column = start if problem.column is None else start + problem.column
                found.append(Problem(problem.row, column, problem.message))
        return min(found, key=lambda problem: problem.row, default=None)

    def _to_points(self, values: FloatArray) -> torch.Tensor:
        parts = [part.to_points(values[:, start:stop]) for part, start, stop in self._slices()]
        return self._product.join(parts)

    def _to_table(self, points: FloatArray) -> FloatArray:
        pieces = self._product.split(torch.from_numpy(points))
        tables = [part.to_table(piece) for part, piece in zip(self.parts, pieces, strict=True)]
        return np.concatenate(tables, axis=1)

    def _slices(self) -> Iterator[tuple[Coordinates, int, int]]:
        start = 0
        for part in self.parts:
            yield part, start, start + len(part.columns)
            start += len(part.columns)

    @property
    def _product(self) -> Product:
        if not isinstance(self.manifold, Product):
            raise OptionError(f"the manifold of factors is a Product, not {self.manifold!r}")
        return self.manifold
