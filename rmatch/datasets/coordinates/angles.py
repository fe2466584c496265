"""Angles: points of a torus in its own coordinates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from rmatch.datasets.coordinates._circle import out_of_bounds, outside, turn, wrap
from rmatch.datasets.coordinates.base import Coordinates, FloatArray, Problem, Unit
from rmatch.manifolds import Manifold, Torus


@dataclass(frozen=True)
class Angles(Coordinates):
    """The torus' own coordinates, one column each, taken modulo one turn and given within one turn on either side.

    On a torus with other periods than 2π the columns are in the periods' unit, for example hours of a day.
    """

    kind: ClassVar[str] = "angles"
    family: ClassVar[str] = "torus"
    word: ClassVar[str] = "angles"
    noun: ClassVar[str] = "coordinates with a period"

    @classmethod
    def width(cls, size: int) -> int | None:
        """One for each angle."""
        return size

    @classmethod
    def size(cls, width: int) -> int | None:
        """One for each angle."""
        return width if width >= 1 else None

    @classmethod
    def has_unit(cls, manifold: Manifold) -> bool:
        """Whether all periods are 2π."""
        return isinstance(manifold, Torus) and all(period == 2 * math.pi for period in manifold.periods)

    @classmethod
    def of_table(cls, manifold: Manifold, columns: Sequence[str], unit: Unit | None, values: FloatArray) -> Angles:
        """The coordinates that give points back in the ranges in which a table has its angles.

        A column goes back to [0, 360) when it has no negative value and either has one beyond 180 or stands in a
        table without any negative value; every other one goes to (-180, 180].

        Args:
            manifold: As for the constructor.
            columns: Names of the k columns.
            unit: As for the constructor.
            values: The table, `(N, k)`, in that unit.

        Example:
            >>> import numpy as np, rmatch as rm
            >>> from rmatch.datasets import Angles
            >>> table = np.array([[-60.0, 10.0], [50.0, 350.0]])
            >>> Angles.of_table(rm.Torus(2), ("phi", "chi"), "degrees", table).nonnegative
            (False, True)
        """
        plain = cls(manifold, tuple(columns), unit)
        positive, beyond = values.min(axis=0) >= 0, values.max(axis=0) > plain._turns / 2
        ranges = positive & (beyond | bool(positive.all()))
        return cls(manifold, tuple(columns), unit, tuple(ranges.tolist()))

    def _circular(self) -> tuple[bool, ...]:
        return (True,) * len(self.columns)

    def _problem(self, values: FloatArray) -> Problem | None:
        turns = self._turns
        place = out_of_bounds(values, -turns, turns)
        if place is None:
            return None
        names = ("angle",) * len(self.columns) if self.unit else ("value",) * len(self.columns)
        unit = f" {self.unit}" if self.unit else f", one period {turns[place[1]]:g} on either side of 0"
        problem = outside(values, place, names, -turns, turns, unit)
        in_degrees = self.unit == "radians"
        remedy = "is the table in degrees? Then say unit='degrees'" if in_degrees else "correct the row or remove it"
        return problem._replace(message=f"{problem.message}; {remedy}")

    def _to_points(self, values: FloatArray) -> torch.Tensor:
        return self.manifold.project(torch.from_numpy(np.deg2rad(values) if self.unit == "degrees" else values))

    def _to_table(self, points: FloatArray) -> FloatArray:
        table = np.rad2deg(points) if self.unit == "degrees" else points.copy()
        for column, (period, nonnegative) in enumerate(zip(self._turns.tolist(), self.nonnegative, strict=True)):
            table[:, column] = wrap(table[:, column], period, nonnegative=nonnegative)
        return table

    @property
    def _turns(self) -> FloatArray:
        """One turn of each column, in the table's unit."""
        if self.unit is None and isinstance(self.manifold, Torus):
            return np.array(self.manifold.periods, dtype=np.float64)
        return np.full(len(self.columns), turn(self.unit))
