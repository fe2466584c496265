"""Rotations: as quaternions, as axis times angle, or as matrices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from rmatch.datasets.coordinates._circle import turn
from rmatch.datasets.coordinates.base import ROUNDING, Coordinates, FloatArray, Problem
from rmatch.manifolds import Manifold

# Quaternions of two printed decimals are this far from length 1. Any length names the same rotation, but another one
# tells of columns that are no quaternion.
_LENGTH_TOLERANCE = 0.02


@dataclass(frozen=True)
class Quaternions(Coordinates):
    """Unit quaternions w, x, y, z, the scalar first; q and -q are one rotation, given back with w >= 0."""

    kind: ClassVar[str] = "quaternion"
    family: ClassVar[str] = "so3"
    word: ClassVar[str] = "quaternion"
    noun: ClassVar[str] = "quaternions"

    @classmethod
    def width(cls, size: int) -> int | None:
        """Four."""
        return 4 if size == 3 else None

    @classmethod
    def size(cls, width: int) -> int | None:
        """Rotations of space."""
        return 3 if width == 4 else None

    @property
    def formats(self) -> tuple[str, ...]:
        """Nine decimals, since no entry is larger than 1."""
        return (".9f",) * 4

    def _problem(self, values: FloatArray) -> Problem | None:
        with np.errstate(over="ignore"):
            norms = np.linalg.norm(values, axis=1)
        bad = np.flatnonzero(~(np.abs(norms - 1) <= _LENGTH_TOLERANCE))
        if not len(bad):
            return None
        row = int(bad[0])
        if norms[row] == 0:
            return Problem(row, None, "the quaternion has length 0, which is no rotation; correct the row or remove it")
        return Problem(
            row,
            None,
            f"the quaternion's length is {norms[row]:.8g}, not 1; are these the columns w, x, y, z? If so, divide each "
            "row by its length",
        )

    def _to_points(self, values: FloatArray) -> torch.Tensor:
        from scipy.spatial.transform import Rotation

        return _matrices(Rotation.from_quat(values[:, [1, 2, 3, 0]]).as_matrix() if len(values) else None)

    def _to_table(self, points: FloatArray) -> FloatArray:
        from scipy.spatial.transform import Rotation

        if not len(points):
            return np.zeros((0, 4))
        return np.asarray(Rotation.from_matrix(points).as_quat(canonical=True))[:, [3, 0, 1, 2]]


@dataclass(frozen=True)
class AxisAngles(Coordinates):
    """The rotation vector: the unit axis times the angle, at most one turn, given back with an angle up to π."""

    kind: ClassVar[str] = "axis-angle"
    family: ClassVar[str] = "so3"
    word: ClassVar[str] = "axis-angle"
    noun: ClassVar[str] = "rotation vectors"

    @classmethod
    def width(cls, size: int) -> int | None:
        """Three."""
        return 3 if size == 3 else None

    @classmethod
    def size(cls, width: int) -> int | None:
        """Rotations of space."""
        return 3 if width == 3 else None

    @classmethod
    def has_unit(cls, manifold: Manifold) -> bool:
        """The vector's length is an angle."""
        del manifold
        return True

    def _problem(self, values: FloatArray) -> Problem | None:
        whole = turn(self.unit)
        with np.errstate(over="ignore"):
            angles = np.linalg.norm(values, axis=1)
        bad = np.flatnonzero(~(angles <= whole * (1 + 1e-6)))
        if not len(bad):
            return None
        row = int(bad[0])
        radians = self.unit == "radians"
        remedy = "is the table in degrees? Then say unit='degrees'" if radians else "correct the row or remove it"
        what = f"the vector's length, the angle, is {angles[row]:.8g} {self.unit}, more than one turn ({whole:.6g})"
        return Problem(row, None, f"{what}; {remedy}")

    def _to_points(self, values: FloatArray) -> torch.Tensor:
        from scipy.spatial.transform import Rotation

        vectors = np.deg2rad(values) if self.unit == "degrees" else values
        return _matrices(Rotation.from_rotvec(vectors).as_matrix() if len(values) else None)

    def _to_table(self, points: FloatArray) -> FloatArray:
        from scipy.spatial.transform import Rotation

        if not len(points):
            return np.zeros((0, 3))
        vectors = np.asarray(Rotation.from_matrix(points).as_rotvec())
        return np.rad2deg(vectors) if self.unit == "degrees" else vectors


@dataclass(frozen=True)
class RotationMatrices(Coordinates):
    """All nine entries row by row, orthonormal to within 1e-3 and of determinant 1; the nearest rotation is taken."""

    kind: ClassVar[str] = "rotation-matrix"
    family: ClassVar[str] = "so3"
    word: ClassVar[str] = "matrix"
    noun: ClassVar[str] = "entries of matrices"

    @classmethod
    def width(cls, size: int) -> int | None:
        """Nine."""
        return 9 if size == 3 else None

    @classmethod
    def size(cls, width: int) -> int | None:
        """Rotations of space."""
        return 3 if width == 9 else None

    @property
    def formats(self) -> tuple[str, ...]:
        """Nine decimals, since no entry is larger than 1."""
        return (".9f",) * 9

    def _problem(self, values: FloatArray) -> Problem | None:
        matrices = values.reshape(-1, 3, 3)
        with np.errstate(over="ignore", invalid="ignore"):
            gaps = np.abs(matrices.swapaxes(1, 2) @ matrices - np.eye(3)).max(axis=(1, 2), initial=0.0)
            reflected = np.linalg.det(matrices) < 0
        bad = np.flatnonzero(~(gaps <= 10 * ROUNDING) | reflected)
        if not len(bad):
            return None
        row = int(bad[0])
        if gaps[row] <= 10 * ROUNDING:
            what = "the matrix has determinant -1, a reflection and no rotation; change the sign of one of its columns"
        else:
            what = f"the matrix is no rotation: its columns are off orthonormal by {gaps[row]:.3g} in the transpose "
            what += f"times itself (at most {10 * ROUNDING:g} is put down to rounding); correct the row or remove it"
        return Problem(row, None, what)

    def _to_points(self, values: FloatArray) -> torch.Tensor:
        return self.manifold.project(torch.from_numpy(values.reshape(-1, 3, 3)))

    def _to_table(self, points: FloatArray) -> FloatArray:
        return points.reshape(-1, 9).copy()


def _matrices(matrices: FloatArray | None) -> torch.Tensor:
    """As a tensor; scipy refuses to convert no rotations at all."""
    return torch.zeros(0, 3, 3, dtype=torch.float64) if matrices is None else torch.from_numpy(np.array(matrices))
