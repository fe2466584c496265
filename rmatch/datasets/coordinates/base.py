"""The codec between the columns of a table and points on a manifold."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Self, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from rmatch._errors import DataError, OptionError, ShapeError
from rmatch.manifolds import Manifold, ManifoldSpec

FloatArray: TypeAlias = npt.NDArray[np.float64]
Unit: TypeAlias = Literal["degrees", "radians"]

# How far from its manifold a row may be, relative to its size: what five printed decimals leave. It is projected.
ROUNDING = 1e-4


class Problem(NamedTuple):
    """The first cell of a table that is no coordinate of a point: its row and column, counted from 0, and why."""

    row: int
    column: int | None
    message: str


@dataclass(frozen=True)
class Coordinates(ABC):
    """What the columns of a table mean as points of a manifold, both ways.

    Each kind of columns is a member: latitude and longitude, unit vectors, angles, quaternions and so on. A member says
    how many columns a manifold has, which rows are points, and how rows and points become each other.

    Args:
        manifold: The manifold whose points these are.
        columns: Names of the k columns.
        unit: `"degrees"` or `"radians"` where the columns are angles, else `None`.
        nonnegative: Per column, whether angles are given back in [0, 360) degrees (`True`) or in (-180, 180]. All
            `False` when left out, and where a column does not go around in a circle.

    Raises:
        OptionError: The fields do not fit together.

    Example:
        >>> import numpy as np, rmatch as rm
        >>> from rmatch.datasets import LatitudeLongitude
        >>> coordinates = LatitudeLongitude(rm.Sphere(2), ("lat", "lon"), "degrees")
        >>> points = coordinates.to_points(np.array([[0.0, -180.0], [90.0, 0.0]]))
        >>> points.round(decimals=3).tolist()
        [[-1.0, -0.0, 0.0], [0.0, 0.0, 1.0]]
        >>> coordinates.to_table(points).tolist()
        [[0.0, 180.0], [90.0, 0.0]]
    """

    manifold: Manifold
    columns: tuple[str, ...]
    unit: Unit | None = None
    nonnegative: tuple[bool, ...] = ()

    kind: ClassVar[str]
    """The name of this kind of columns in a stored configuration."""
    family: ClassVar[str]
    """The manifolds that it is for, as `parse_manifold` calls them."""
    word: ClassVar[str]
    """What a user calls it after a manifold's name, as in `so3:quaternion`."""
    noun: ClassVar[str]
    """What the rows are, in the plural."""

    # ---- what a member supplies -------------------------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def width(cls, size: int) -> int | None:
        """How many columns a point has on the manifold of this size; `None` where it has no such columns."""

    @classmethod
    @abstractmethod
    def size(cls, width: int) -> int | None:
        """The size of the manifold whose points have so many columns; `None` where there is none."""

    @abstractmethod
    def _problem(self, values: FloatArray) -> Problem | None:
        """The first row of finite numbers that is no point."""

    @abstractmethod
    def _to_points(self, values: FloatArray) -> torch.Tensor:
        """The points of good rows."""

    @abstractmethod
    def _to_table(self, points: FloatArray) -> FloatArray:
        """The rows of points, a new array."""

    # ---- hooks with a default ---------------------------------------------------------------------------------------

    @classmethod
    def has_unit(cls, manifold: Manifold) -> bool:
        """Whether the columns are angles, in degrees or radians."""
        del manifold
        return False

    def _circular(self) -> tuple[bool, ...]:
        """Per column, whether it goes around in a circle, so that its range is a choice."""
        return (False,) * len(self.columns)

    @classmethod
    def of_table(cls, manifold: Manifold, columns: Sequence[str], unit: Unit | None, values: FloatArray) -> Coordinates:
        """The coordinates that give points back in the ranges in which a table has its angles.

        Args:
            manifold: As for the constructor.
            columns: Names of the k columns.
            unit: As for the constructor.
            values: The table, `(N, k)`, in that unit.
        """
        del values
        return cls(manifold, tuple(columns), unit)

    @property
    def formats(self) -> tuple[str, ...]:
        """Per column, how a number of it is written: 6 decimals of a degree are 0.1 m on the Earth."""
        return ({"degrees": ".6f", "radians": ".9f"}.get(self.unit or "", ".9g"),) * len(self.columns)

    # ---- what everyone gets -----------------------------------------------------------------------------------------

    def __post_init__(self) -> None:
        spec = ManifoldSpec.of(self.manifold)
        width = self.width(spec.known_size or 0) if spec.family == self.family else None
        if width is None:
            raise OptionError(f"{self.kind} coordinates are not for {self.manifold!r}")
        if width != len(self.columns):
            raise OptionError(
                f"{self.kind} coordinates of {self.manifold!r} have {_counted(width)}, got {len(self.columns)}"
            )
        if not self.has_unit(self.manifold) and self.unit is not None:
            raise OptionError(f"{self.noun} have no unit, got unit={self.unit!r}: leave it out")
        if self.has_unit(self.manifold) and self.unit not in ("degrees", "radians"):
            raise OptionError(f"the unit of an angle is 'degrees' or 'radians', got {self.unit!r}")
        if not self.nonnegative:
            object.__setattr__(self, "nonnegative", (False,) * width)
        if len(self.nonnegative) != width:
            raise OptionError(f"coordinates have {_counted(width)} but {len(self.nonnegative)} ranges")
        if any(chosen and not free for chosen, free in zip(self.nonnegative, self._circular(), strict=True)):
            raise OptionError("only longitudes and torus angles can be given back in [0, 360)")

    @property
    def spec(self) -> ManifoldSpec:
        """The manifold with the words for this kind and unit: what makes `read_table` read such a table again."""
        words = (self.word,) if self.unit is None else (self.word, self.unit)
        return ManifoldSpec.of(self.manifold).with_words(*words)

    def problem(self, values: FloatArray) -> Problem | None:
        """The first row that is no point: a number that is not finite, out of range, or off the manifold.

        Args:
            values: The table, `(N, k)`, in the unit of these coordinates.

        Returns:
            The problem, or `None`.
        """
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            row, column = (int(index) for index in bad[0])
            return Problem(row, column, f"{values[row, column]} is not a finite number")
        return self._problem(values)

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
        table = np.array(values, dtype=np.float64)
        if table.ndim != 2 or table.shape[1] != len(self.columns):
            raise ShapeError(f"a table of shape {table.shape} given, expected (N, {len(self.columns)})")
        if (problem := self.problem(table)) is not None:
            where = "" if problem.column is None else f", column {self.columns[problem.column]!r}"
            raise DataError(f"row {problem.row + 1}{where}: {problem.message}")
        return self._to_points(table)

    def to_table(self, points: torch.Tensor) -> FloatArray:
        """Rows of the table for points: the inverse of `to_points`, in the table's unit and ranges.

        Args:
            points: `(N, *point_shape)`, any real dtype, on any device.

        Returns:
            The table, `(N, k)`. Longitudes and angles are in (-180, 180] or [0, 360) degrees, or the same in radians.

        Raises:
            ShapeError: The points have another shape.
        """
        expected = self.manifold.point_shape
        if points.dim() != 1 + len(expected) or tuple(points.shape[1:]) != tuple(expected):
            wanted = ", ".join(("N", *map(str, expected)))
            raise ShapeError(f"points of shape {tuple(points.shape)} given, expected ({wanted})")
        return self._to_table(points.detach().cpu().to(torch.float64).numpy())

    def to_dict(self) -> dict[str, Any]:
        """These coordinates as plain JSON values; `coordinates_from_dict` reads them.

        The manifold is left out where kind and columns tell it.

        Example:
            >>> import rmatch as rm
            >>> from rmatch.datasets import UnitVectors
            >>> UnitVectors(rm.Sphere(2), ("x", "y", "z")).to_dict()["columns"]
            ['x', 'y', 'z']
        """
        spec = ManifoldSpec.of(self.manifold)
        return {
            "kind": self.kind,
            "columns": list(self.columns),
            "unit": self.unit,
            "nonnegative": list(self.nonnegative),
        } | ({"manifold": str(spec)} if spec.options else {})

    @classmethod
    def of_width(cls, columns: Sequence[str], **fields: Any) -> Self:
        """Coordinates on the usual manifold of so many columns.

        Raises:
            OptionError: There is none, or the fields do not fit together.
        """
        size = cls.size(len(columns))
        if size is None:
            raise OptionError(f"{cls.kind} coordinates cannot have {_counted(len(columns))}")
        return cls(ManifoldSpec(cls.family).build(size), tuple(columns), **fields)


def _counted(width: int) -> str:
    return f"{width} column" + ("" if width == 1 else "s")
