"""A data set: points on a manifold, and how the table that they came from writes them."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from rmatch._errors import ShapeError
from rmatch.datasets.coordinates import Coordinates, FloatArray, Unit
from rmatch.manifolds import Manifold


@dataclass(frozen=True, eq=False)
class Dataset:
    """Points on a manifold with the coordinates of the table that they came from.

    Args:
        name: A short name.
        manifold: The manifold.
        points: `(N, *point_shape)`, float64.
        coordinates: The codec between the table's columns and points.
        source: Where the data come from: a file, or a package and its version.
        licence: Under which the data may be used; `"not stated"` for a user's file.

    Raises:
        ShapeError: The points have another shape than the manifold's.

    Example:
        >>> import torch
        >>> from rmatch.datasets import Dataset, LatitudeLongitude
        >>> from rmatch.manifolds import Sphere
        >>> poles = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]], dtype=torch.float64)
        >>> coordinates = LatitudeLongitude(Sphere(2), ("lat", "lon"), "degrees")
        >>> data = Dataset("poles", Sphere(2), poles, coordinates, source="made by hand", licence="CC0-1.0")
        >>> len(data), data.columns, data.to_table(data.points)[:, 0].tolist()
        (2, ('lat', 'lon'), [90.0, -90.0])
    """

    name: str
    manifold: Manifold
    points: torch.Tensor = field(repr=False)
    coordinates: Coordinates
    source: str
    licence: str

    def __post_init__(self) -> None:
        if self.points.ndim < 1 or tuple(self.points.shape[1:]) != tuple(self.manifold.point_shape):
            expected = ("N", *self.manifold.point_shape)
            raise ShapeError(f"points of shape {tuple(self.points.shape)} given, {self.manifold} has {expected}")

    def __len__(self) -> int:
        return len(self.points)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the table's columns, the latitude's before the longitude's."""
        return self.coordinates.columns

    @property
    def unit(self) -> Unit | None:
        """The unit of the table: `"degrees"`, `"radians"`, or `None` where no column is an angle."""
        return self.coordinates.unit

    @property
    def kind(self) -> str:
        """What the columns are: `"latlon"`, `"xyz"`, `"angles"`, `"quaternion"`, ..."""
        return self.coordinates.kind

    def to_table(self, points: torch.Tensor) -> FloatArray:
        """Any points of the manifold in the columns and units of the table that these points came from.

        Args:
            points: `(N, *point_shape)`, for example samples of a trained flow.

        Returns:
            `(N, k)`, one column for each of `columns`.

        Raises:
            ShapeError: The points have another shape.
        """
        return self.coordinates.to_table(points)


@dataclass(frozen=True)
class DatasetInfo:
    """What a built-in data set is, without its points.

    Args:
        name: The name that `load` takes.
        manifold: The manifold of its points.
        rows: How many points it has.
        source: The package that carries it.
        licence: Under which the data may be used.
        description: One line.
    """

    name: str
    manifold: Manifold
    rows: int
    source: str
    licence: str
    description: str
