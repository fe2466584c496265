"""Symmetric positive definite matrices: by their upper triangle, or by all entries."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from rmatch.datasets.coordinates.base import ROUNDING, Coordinates, FloatArray, Problem


@dataclass(frozen=True)
class UpperTriangles(Coordinates):
    """The n(n+1)/2 entries on and above the diagonal, row by row: a11, a12, a13, a22, a23, a33."""

    kind: ClassVar[str] = "upper-triangle"
    family: ClassVar[str] = "spd"
    word: ClassVar[str] = "triangle"
    noun: ClassVar[str] = "entries of matrices"

    @classmethod
    def width(cls, size: int) -> int | None:
        """The triangular number."""
        return size * (size + 1) // 2

    @classmethod
    def size(cls, width: int) -> int | None:
        """The n of a triangular number."""
        n = (math.isqrt(8 * width + 1) - 1) // 2
        return n if n >= 1 and n * (n + 1) // 2 == width else None

    def _problem(self, values: FloatArray) -> Problem | None:
        return _indefinite(self._matrices(values))

    def _to_points(self, values: FloatArray) -> torch.Tensor:
        return torch.from_numpy(self._matrices(values))

    def _to_table(self, points: FloatArray) -> FloatArray:
        return points[:, *np.triu_indices(points.shape[-1])]

    def _matrices(self, values: FloatArray) -> FloatArray:
        n = self.manifold.point_shape[0]
        rows, columns = np.triu_indices(n)
        matrices = np.empty((len(values), n, n))
        matrices[:, rows, columns] = values
        matrices[:, columns, rows] = values
        return matrices


@dataclass(frozen=True)
class SymmetricMatrices(Coordinates):
    """All n² entries row by row, symmetric to within 1e-4 of the largest; the mean of both halves is taken."""

    kind: ClassVar[str] = "symmetric-matrix"
    family: ClassVar[str] = "spd"
    word: ClassVar[str] = "matrix"
    noun: ClassVar[str] = "entries of matrices"

    @classmethod
    def width(cls, size: int) -> int | None:
        """The square."""
        return size * size

    @classmethod
    def size(cls, width: int) -> int | None:
        """The root of a square number."""
        n = math.isqrt(width)
        return n if n >= 1 and n * n == width else None

    def _problem(self, values: FloatArray) -> Problem | None:
        matrices = self._matrices(values)
        gaps = np.abs(matrices - matrices.swapaxes(1, 2))
        bad = np.flatnonzero(~(gaps.max(axis=(1, 2)) <= ROUNDING * np.abs(matrices).max(axis=(1, 2))))
        asymmetric = None
        if len(bad):
            row = int(bad[0])
            i, j = (int(index) for index in np.unravel_index(np.argmax(gaps[row]), gaps[row].shape))
            entries = f"entry ({i + 1}, {j + 1}) is {matrices[row, i, j]:.8g}, entry ({j + 1}, {i + 1}) is"
            what = f"the matrix is not symmetric: {entries} {matrices[row, j, i]:.8g}; correct the row or remove it"
            asymmetric = Problem(row, None, what)
        indefinite = _indefinite((matrices + matrices.swapaxes(1, 2)) / 2)
        if asymmetric is None or (indefinite is not None and indefinite.row < asymmetric.row):
            return indefinite
        return asymmetric

    def _to_points(self, values: FloatArray) -> torch.Tensor:
        matrices = self._matrices(values)
        return torch.from_numpy((matrices + matrices.swapaxes(1, 2)) / 2)

    def _to_table(self, points: FloatArray) -> FloatArray:
        return points.reshape(len(points), -1).copy()

    def _matrices(self, values: FloatArray) -> FloatArray:
        n = self.manifold.point_shape[0]
        return values.reshape(-1, n, n)


def _indefinite(matrices: FloatArray) -> Problem | None:
    """The first of the symmetric matrices `(N, n, n)` that is not positive definite to the rounding of its entries."""
    if not len(matrices):
        return None
    eigenvalues = np.linalg.eigvalsh(matrices)
    smallest, largest = eigenvalues[:, 0], eigenvalues[:, -1]
    bad = np.flatnonzero(~(smallest > matrices.shape[-1] * np.finfo(np.float64).eps * np.abs(largest)))
    if not len(bad):
        return None
    row = int(bad[0])
    value = f"its smallest eigenvalue is {smallest[row]:.6g}"
    if smallest[row] > 0 or abs(smallest[row]) < 1e-12 * abs(largest[row]):
        value += f", zero beside its largest of {largest[row]:.6g}"
    return Problem(row, None, f"the matrix is not positive definite: {value}; correct the row or remove it")
