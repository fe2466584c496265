"""The codec between the columns of a table and points on a manifold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import torch

from rmatch._errors import DataError, OptionError, ShapeError
from rmatch.manifolds import Manifold, Sphere, Torus

FloatArray: TypeAlias = npt.NDArray[np.float64]
Kind: TypeAlias = Literal["latlon", "xyz", "angles"]
Unit: TypeAlias = Literal["degrees", "radians"]

# How far from length 1 a row of x, y, z may be: what five printed decimals leave. It is normalised afterwards.
NORM_TOLERANCE = 1e-4
# Seven printed digits of π/2, π or 2π may lie this far beyond it.
_ANGLE_SLACK = 1e-6


class Problem(NamedTuple):
    """The first cell of a table that is no coordinate of a point: its row and column, counted from 0, and why."""

    row: int
    column: int | None
    message: str


@dataclass(frozen=True)
class Coordinates:
    """What the columns of a table mean as points of a manifold, both ways.

    A latitude φ and a longitude λ are the point (cos φ cos λ, cos φ sin λ, sin φ) of S²; x, y, ... columns are a
    unit vector; angles are the torus' own coordinates, taken modulo one turn.

    Args:
        kind: `"latlon"` (S², the latitude's column first), `"xyz"` (S^{k-1}) or `"angles"` (T^k).
        columns: Names of the k columns.
        unit: `"degrees"` or `"radians"`; `None` for `"xyz"`.
        nonnegative: Per column, whether points are given back in [0, 360) degrees (`True`) or in (-180, 180].
            All `False` when left out. Latitudes and unit vectors are always `False`.

    Raises:
        OptionError: The fields do not fit together.

    Example:
        >>> import numpy as np
        >>> from rmatch.datasets import Coordinates
        >>> coordinates = Coordinates("latlon", ("lat", "lon"), "degrees")
        >>> points = coordinates.to_points(np.array([[0.0, -180.0], [90.0, 0.0]]))
        >>> points.round(decimals=3).tolist()
        [[-1.0, -0.0, 0.0], [0.0, 0.0, 1.0]]
        >>> coordinates.to_table(points).tolist()
        [[0.0, 180.0], [90.0, 0.0]]
    """

    kind: Kind
    columns: tuple[str, ...]
    unit: Unit | None
    nonnegative: tuple[bool, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in ("latlon", "xyz", "angles"):
            raise OptionError(f"coordinates of an unknown kind {self.kind!r}; the kinds are latlon, xyz and angles")
        width, least = len(self.columns), {"latlon": 2, "xyz": 2, "angles": 1}[self.kind]
        if width < least or (self.kind == "latlon" and width != 2):
            raise OptionError(f"{self.kind} coordinates cannot have {width} column{'' if width == 1 else 's'}")
        if self.kind == "xyz" and self.unit is not None:
            raise OptionError(
                f"x, y, z columns are unit vectors and have no unit, got unit={self.unit!r}: leave it out"
            )
        if self.kind != "xyz" and self.unit not in ("degrees", "radians"):
            raise OptionError(f"the unit of an angle is 'degrees' or 'radians', got {self.unit!r}")
        if not self.nonnegative:
            object.__setattr__(self, "nonnegative", (False,) * width)
        if len(self.nonnegative) != width:
            raise OptionError(f"coordinates have {width} columns but {len(self.nonnegative)} ranges")
        if (self.kind == "xyz" and any(self.nonnegative)) or (self.kind == "latlon" and self.nonnegative[0]):
            raise OptionError("only longitudes and torus angles can be given back in [0, 360)")

    @classmethod
    def of_table(cls, kind: Kind, columns: Sequence[str], unit: Unit | None, values: FloatArray) -> Coordinates:
        """The coordinates that give points back in the ranges in which a table has its angles.

        A column goes back to [0, 360) when it has no negative value and either has one beyond 180 or stands in a
        torus table without any negative value; every other one goes to (-180, 180].

        Args:
            kind: As for the constructor.
            columns: Names of the k columns.
            unit: As for the constructor.
            values: The table, `(N, k)`, in that unit.

        Returns:
            The coordinates.

        Example:
            >>> import numpy as np
            >>> from rmatch.datasets import Coordinates
            >>> table = np.array([[-60.0, 10.0], [50.0, 350.0]])
            >>> Coordinates.of_table("angles", ("phi", "chi"), "degrees", table).nonnegative
            (False, True)
        """
        if kind == "xyz":
            return cls(kind, tuple(columns), unit)
        half = _turn(unit) / 2
        positive, beyond = values.min(axis=0) >= 0, values.max(axis=0) > half
        ranges = positive & (beyond | (kind == "angles" and bool(positive.all())))
        if kind == "latlon":
            ranges[0] = False
        return cls(kind, tuple(columns), unit, tuple(ranges.tolist()))

    @property
    def manifold(self) -> Manifold:
        """The manifold whose points these are."""
        width = len(self.columns)
        if self.kind == "latlon":
            return Sphere(2)
        return Sphere(width - 1) if self.kind == "xyz" else Torus(width)

    def problem(self, values: FloatArray) -> Problem | None:
        """The first row that is no point: an angle out of range, a vector off the sphere, a number that is not finite.

        Latitudes lie in [-90, 90] degrees, longitudes in [-180, 360], torus angles in [-360, 360], and the length of
        x, y, z is 1 to within 1e-4.

        Args:
            values: The table, `(N, k)`, in the unit of these coordinates.

        Returns:
            The problem, or `None`.
        """
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            row, column = (int(index) for index in bad[0])
            return Problem(row, column, f"{values[row, column]} is not a finite number")
        if self.kind == "xyz":
            return _off_sphere(values)
        turn, slack = _turn(self.unit), _ANGLE_SLACK
        names = ("latitude", "longitude") if self.kind == "latlon" else ("angle",) * values.shape[1]
        bounds = [(-turn / 4, turn / 4), (-turn / 2, turn)] if self.kind == "latlon" else [(-turn, turn)] * len(names)
        low, high = (np.array(side) for side in zip(*bounds, strict=True))
        bad = np.argwhere((values < low - slack) | (values > high + slack))
        if not len(bad):
            return None
        row, column = (int(index) for index in bad[0])
        what = (
            f"{names[column]} {values[row, column]:.10g} is outside [{low[column]:.6g}, {high[column]:.6g}] {self.unit}"
        )
        return Problem(row, column, what + self._remedy(values, column))

    def to_points(self, values: npt.ArrayLike) -> torch.Tensor:
        """Points of the rows of a table.

        Args:
            values: The table, `(N, k)`, in the unit of these coordinates.

        Returns:
            Points `(N, *point_shape)`, float64, on the CPU.

        Raises:
            ShapeError: The table does not have k columns.
            DataError: A row is no point; the text names it, counted from 1.
        """
        table = np.asarray(values, dtype=np.float64)
        if table.ndim != 2 or table.shape[1] != len(self.columns):
            raise ShapeError(f"a table of shape {table.shape} given, expected (N, {len(self.columns)})")
        if (problem := self.problem(table)) is not None:
            where = "" if problem.column is None else f", column {self.columns[problem.column]!r}"
            raise DataError(f"row {problem.row + 1}{where}: {problem.message}")
        if self.kind == "xyz":
            return torch.from_numpy(table / np.linalg.norm(table, axis=1, keepdims=True))
        angles = np.deg2rad(table) if self.unit == "degrees" else table
        if self.kind == "angles":
            return self.manifold.project(torch.tensor(angles))
        latitude, longitude = angles.T
        x, y = np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude)
        return torch.from_numpy(np.stack([x, y, np.sin(latitude)], axis=-1))

    def to_table(self, points: torch.Tensor) -> FloatArray:
        """Rows of the table for points: the inverse of `to_points`, in the table's unit and ranges.

        Args:
            points: `(N, *point_shape)`, any real dtype, on any device.

        Returns:
            The table, `(N, k)`. Longitudes and angles are in (-180, 180] or [0, 360) degrees, or the same in radians.

        Raises:
            ShapeError: The points have another shape.
        """
        values: FloatArray = points.detach().cpu().to(torch.float64).numpy()
        width = 3 if self.kind == "latlon" else len(self.columns)
        if values.ndim != 2 or values.shape[1] != width:
            raise ShapeError(f"points of shape {tuple(points.shape)} given, expected (N, {width})")
        if self.kind == "xyz":
            return values.copy()
        angles = values
        if self.kind == "latlon":
            x, y, z = values.T
            # atan2 keeps the last digit of a latitude next to a pole, where arcsin would lose half of them.
            angles = np.stack([np.arctan2(z, np.hypot(x, y)), np.arctan2(y, x)], axis=-1)
        table = np.rad2deg(angles) if self.unit == "degrees" else angles.copy()
        first = 1 if self.kind == "latlon" else 0
        for column in range(first, len(self.columns)):
            table[:, column] = _wrap(table[:, column], _turn(self.unit), nonnegative=self.nonnegative[column])
        return table

    def to_dict(self) -> dict[str, Any]:
        """These coordinates as plain JSON values.

        Example:
            >>> from rmatch.datasets import Coordinates
            >>> Coordinates("xyz", ("x", "y", "z"), None).to_dict()["columns"]
            ['x', 'y', 'z']
        """
        return {
            "kind": self.kind,
            "columns": list(self.columns),
            "unit": self.unit,
            "nonnegative": list(self.nonnegative),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Coordinates:
        """The coordinates that `to_dict` wrote.

        Args:
            values: What `to_dict` returned, for example after a trip through a JSON file.

        Returns:
            The coordinates.

        Raises:
            DataError: A field is missing or of the wrong type.
            OptionError: The fields do not fit together.
        """
        missing = [name for name in ("kind", "columns", "unit", "nonnegative") if name not in values]
        if missing:
            raise DataError(f"stored coordinates have no {missing[0]!r}; they were not written by Coordinates.to_dict")
        columns, ranges = values["columns"], values["nonnegative"]
        if not _all_of(columns, str) or not _all_of(ranges, bool):
            raise DataError(f"stored coordinates have columns {columns!r} and ranges {ranges!r}, expected two lists")
        return cls(cast("Kind", values["kind"]), tuple(columns), cast("Unit | None", values["unit"]), tuple(ranges))

    def _remedy(self, values: FloatArray, column: int) -> str:
        """What to do about an angle that is out of range."""
        turn = _turn(self.unit)
        if self.kind == "latlon" and column == 0 and bool((np.abs(values[:, 1]) <= turn / 4).all()):
            return "; are latitude and longitude swapped? Name the latitude's column first"
        if self.unit == "radians":
            return "; is the table in degrees? Then say unit='degrees'"
        return "; correct the row or remove it"


def _off_sphere(values: FloatArray) -> Problem | None:
    """The first row whose length is not 1."""
    with np.errstate(over="ignore"):  # a length beyond the largest float is off the sphere too
        norms = np.linalg.norm(values, axis=1)
    bad = np.flatnonzero(~(np.abs(norms - 1) <= NORM_TOLERANCE))
    if not len(bad):
        return None
    row = int(bad[0])
    text = f"the point's length is {norms[row]:.8g}, off the unit sphere by {abs(norms[row] - 1):.3g}"
    return Problem(
        row, None, f"{text} (at most {NORM_TOLERANCE:g} is put down to rounding); divide each row by its length"
    )


def _turn(unit: Unit | None) -> float:
    """One full turn."""
    return 360.0 if unit == "degrees" else 2 * math.pi


def _wrap(angles: FloatArray, turn: float, *, nonnegative: bool) -> FloatArray:
    """Angles modulo one turn, in [0, turn) or in (-turn/2, turn/2]."""
    angles = np.where(np.abs(angles) > turn, np.mod(angles, turn), angles)
    if nonnegative:
        # np.mod returns the turn itself for a negative angle that is smaller than its last digit.
        wrapped = np.mod(angles, turn)
        return np.where(wrapped >= turn, 0.0, wrapped)
    # Angles that are in range are not touched, so that they come back to the last digit.
    wrapped = np.where(angles > turn / 2, angles - turn, angles)
    return np.where(wrapped <= -turn / 2, wrapped + turn, wrapped)


def _all_of(values: object, kind: type) -> bool:
    """Whether the value is a list or tuple of that type."""
    return isinstance(values, list | tuple) and all(isinstance(value, kind) for value in cast("list[Any]", values))
