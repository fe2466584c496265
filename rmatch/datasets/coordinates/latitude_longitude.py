"""Latitude and longitude: points of the globe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from rmatch.datasets.coordinates._circle import out_of_bounds, outside, turn, wrap
from rmatch.datasets.coordinates.base import Coordinates, FloatArray, Problem, Unit
from rmatch.manifolds import Manifold, Sphere


@dataclass(frozen=True)
class LatitudeLongitude(Coordinates):
    """A latitude φ and a longitude λ as the point r (cos φ cos λ, cos φ sin λ, sin φ) of a sphere of radius r.

    Latitudes lie in [-90, 90] degrees, longitudes in [-180, 360]. The latitude's column is the first.
    """

    kind: ClassVar[str] = "latlon"
    family: ClassVar[str] = "sphere"
    word: ClassVar[str] = "latlon"
    noun: ClassVar[str] = "latitudes and longitudes"

    @classmethod
    def width(cls, size: int) -> int | None:
        """Two, on S² only."""
        return 2 if size == 2 else None

    @classmethod
    def size(cls, width: int) -> int | None:
        """Two columns are of S²."""
        return 2 if width == 2 else None

    @classmethod
    def has_unit(cls, manifold: Manifold) -> bool:
        """They are angles."""
        del manifold
        return True

    @classmethod
    def of_table(
        cls, manifold: Manifold, columns: Sequence[str], unit: Unit | None, values: FloatArray
    ) -> LatitudeLongitude:
        """Longitudes go back to [0, 360) when none is negative and one is beyond 180."""
        longitudes = values[:, 1]
        around = bool(longitudes.min() >= 0 and longitudes.max() > turn(unit) / 2)
        return cls(manifold, tuple(columns), unit, (False, around))

    def _circular(self) -> tuple[bool, ...]:
        return (False, True)

    def _problem(self, values: FloatArray) -> Problem | None:
        whole = turn(self.unit)
        low, high = np.array([-whole / 4, -whole / 2]), np.array([whole / 4, whole])
        place = out_of_bounds(values, low, high)
        if place is None:
            return None
        problem = outside(values, place, ("latitude", "longitude"), low, high, f" {self.unit}")
        remedy = "; correct the row or remove it"
        if place[1] == 0 and bool((np.abs(values[:, 1]) <= whole / 4).all()):
            remedy = "; are latitude and longitude swapped? Name the latitude's column first"
        elif self.unit == "radians":
            remedy = "; is the table in degrees? Then say unit='degrees'"
        return problem._replace(message=problem.message + remedy)

    def _to_points(self, values: FloatArray) -> torch.Tensor:
        latitude, longitude = (np.deg2rad(values) if self.unit == "degrees" else values).T
        x, y = np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude)
        return torch.from_numpy(self._radius * np.stack([x, y, np.sin(latitude)], axis=-1))

    def _to_table(self, points: FloatArray) -> FloatArray:
        x, y, z = points.T
        # atan2 keeps the last digit of a latitude next to a pole, where arcsin would lose half of them.
        angles = np.stack([np.arctan2(z, np.hypot(x, y)), np.arctan2(y, x)], axis=-1)
        table = np.rad2deg(angles) if self.unit == "degrees" else angles
        table[:, 1] = wrap(table[:, 1], turn(self.unit), nonnegative=self.nonnegative[1])
        return table

    @property
    def _radius(self) -> float:
        return self.manifold.radius if isinstance(self.manifold, Sphere) else 1.0
