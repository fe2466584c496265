"""Angles in a table: units, turns and ranges."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rmatch.datasets.coordinates.base import FloatArray, Problem, Unit

# Seven printed digits of π/2, π or 2π may lie this far beyond it.
ANGLE_SLACK = 1e-6


def turn(unit: Unit | None) -> float:
    """One full turn in the unit."""
    return 360.0 if unit == "degrees" else 2 * math.pi


def wrap(angles: FloatArray, period: float, *, nonnegative: bool) -> FloatArray:
    """Angles modulo one period, in [0, period) or in (-period/2, period/2].

    Args:
        angles: `(N,)`.
        period: One turn.
        nonnegative: Which of the two ranges.
    """
    angles = np.where(np.abs(angles) > period, np.mod(angles, period), angles)
    if nonnegative:
        # np.mod returns the turn itself for a negative angle that is smaller than its last digit.
        wrapped = np.mod(angles, period)
        return np.where(wrapped >= period, 0.0, wrapped)
    # Angles that are in range are not touched, so that they come back to the last digit.
    wrapped = np.where(angles > period / 2, angles - period, angles)
    return np.where(wrapped <= -period / 2, wrapped + period, wrapped)


def out_of_bounds(values: FloatArray, low: FloatArray, high: FloatArray) -> tuple[int, int] | None:
    """The row and column of the first value beyond its column's bounds, with some slack.

    Args:
        values: `(N, k)`.
        low: `(k,)`.
        high: `(k,)`.
    """
    slack = ANGLE_SLACK * np.maximum(1.0, np.abs(high) / 360.0)
    bad = np.argwhere((values < low - slack) | (values > high + slack))
    return (int(bad[0, 0]), int(bad[0, 1])) if len(bad) else None


def outside(
    values: FloatArray, place: tuple[int, int], names: Sequence[str], low: FloatArray, high: FloatArray, unit: str
) -> Problem:
    """The problem of a value beyond its bounds; what to do about it is for the caller to add."""
    row, column = place
    bounds = f"[{low[column]:.6g}, {high[column]:.6g}]"
    what = f"{names[column]} {values[row, column]:.10g} is outside {bounds}{unit}"
    return Problem(row, column, what)
