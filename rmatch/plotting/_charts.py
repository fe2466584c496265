"""Coordinates of any manifold for panels of pairs, and the ranges to show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rmatch._errors import OptionError
from rmatch.manifolds import (
    SPD,
    Lorentz,
    Manifold,
    PoincareBall,
    Product,
    SpecialOrthogonal,
    Sphere,
    Torus,
)
from rmatch.plotting._evaluate import as_points
from rmatch.plotting._pairs import PairAxis
from rmatch.plotting.hyperbolic import to_disc
from rmatch.plotting.rotations import rotation_vectors
from rmatch.plotting.spd import as_matrices

Array = NDArray[np.float64]


def chart_values(manifold: Manifold, points: Tensor, name: str) -> Array:
    """Points in coordinates that a person can read, `(N, k)`.

    Angles and rotation vectors in degrees, hyperbolic points in the unit ball, positive matrices by the upper triangle
    of their logarithm, points of spheres relative to the radius, anything else by its own coordinates.

    Args:
        manifold: The manifold.
        points: `(N, *point_shape)`.
        name: The argument's name, for an error.

    Raises:
        ShapeError: The points have another shape.
        PointError: A point is not on the manifold.
    """
    if isinstance(manifold, Torus):
        angles = as_points(points, manifold.dim, name) * (360.0 / np.asarray(manifold.periods))
        return np.mod(angles + 180.0, 360.0) - 180.0
    if isinstance(manifold, SpecialOrthogonal):
        return rotation_vectors(manifold, points, name)
    if isinstance(manifold, PoincareBall | Lorentz):
        return to_disc(manifold, points, name)
    if isinstance(manifold, SPD):
        values, vectors = np.linalg.eigh(as_matrices(points, manifold.point_shape[0], name))
        logarithms = (vectors * np.log(values)[:, None, :]) @ vectors.swapaxes(1, 2)
        return logarithms[:, *np.triu_indices(manifold.point_shape[0])]
    if isinstance(manifold, Product):
        flat = torch.from_numpy(as_points(points, manifold.point_shape[0], name))
        parts = zip(manifold.factors, manifold.split(flat), strict=True)
        return np.concatenate([chart_values(factor, part, name) for factor, part in parts], axis=1)
    array = as_points(torch.as_tensor(points).flatten(1), int(np.prod(manifold.point_shape)), name)
    if len(array):
        shaped = torch.from_numpy(array).reshape(-1, *manifold.point_shape)
        manifold.require_point(shaped, tolerance=1e-3)  # of a sphere: relative to its radius
    return array / manifold.radius if isinstance(manifold, Sphere) else array


def chart_axes(manifold: Manifold, labels: Sequence[str] | None, clouds: Sequence[Array]) -> list[PairAxis]:
    """Name and range of each of the coordinates of `chart_values`.

    Args:
        manifold: The manifold.
        labels: Names, where the table's columns are these coordinates; else they are made up.
        clouds: All points that are drawn, in these coordinates; where a coordinate has no bounds, they set the range.

    Raises:
        OptionError: There are names, but not as many as coordinates.
    """
    count = clouds[0].shape[1]
    if isinstance(manifold, Product):
        axes: list[PairAxis] = []
        for factor in manifold.factors:
            width = chart_values(factor, factor.origin(dtype=torch.float64).unsqueeze(0), "origin").shape[1]
            start = len(axes)
            axes += chart_axes(factor, None, [cloud[:, start : start + width] for cloud in clouds])
        return axes
    names = list(_names(manifold, count)) if labels is None else list(labels)
    if len(names) != count:
        raise OptionError(f"labels are {names}, {len(names)} of them; give one for each of the {count} coordinates")
    bound = _bound(manifold)
    if bound is not None:
        return [PairAxis(name, -bound, bound) for name in names]
    values = np.concatenate(clouds)
    low, high = np.quantile(values, 0.002, axis=0), np.quantile(values, 0.998, axis=0)
    margin = 0.08 * np.maximum(high - low, 1e-6 + 1e-6 * np.abs(high))
    return [
        PairAxis(name, float(bottom), float(top), bounded=False)
        for name, bottom, top in zip(names, low - margin, high + margin, strict=True)
    ]


def _bound(manifold: Manifold) -> float | None:
    """The largest size of a coordinate, or `None` where there is none."""
    if isinstance(manifold, Torus | SpecialOrthogonal):
        return 180.0
    return 1.0 if isinstance(manifold, Sphere | PoincareBall | Lorentz) else None


def _names(manifold: Manifold, count: int) -> Sequence[str]:
    if isinstance(manifold, Torus):
        return [f"θ{index + 1}" for index in range(count)]
    if isinstance(manifold, SpecialOrthogonal):
        return [f"angle {axis}" for axis in "xyz"]
    if isinstance(manifold, SPD):
        rows, columns = np.triu_indices(manifold.point_shape[0])
        return [f"log {row + 1}{column + 1}" for row, column in zip(rows, columns, strict=True)]
    return [f"x{index + 1}" for index in range(count)]
