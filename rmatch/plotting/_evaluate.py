"""Evaluate a log-density on a grid, a chunk at a time, and interpolate it between the nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rmatch._errors import InputError, OptionError, PointError, ShapeError
from rmatch.plotting.projections import to_unit_vectors

Array = NDArray[np.float64]
LogDensity = Callable[[Tensor], Tensor]

# Points per call of the log-density: enough to keep a network busy, few enough for a solver's working memory.
CHUNK = 4096
# The pictures show densities down to e^-7, about a thousandth, of the largest, and at least a range of 1 nat.
SHOWN_NATS = 7.0
LEAST_NATS = 1.0
# Interpolation runs on values cut off this far below what is shown, so that the cut does not show.
MARGIN_NATS = 3.0


def evaluate(log_density: LogDensity, points: Array) -> Array:
    """The log-density at the points, without gradients; -inf where the density is zero.

    Args:
        log_density: Takes a tensor of torch's default dtype, shape `(N, k)`; returns nats, shape `(N,)`.
        points: Shape `(N, k)`.

    Returns:
        Nats, shape `(N,)`.

    Raises:
        ShapeError: The callable returned another shape.
        InputError: It returned NaN or +inf, or -inf everywhere.
    """
    chunks: list[Array] = []
    with torch.no_grad():
        for chunk in torch.as_tensor(points, dtype=torch.get_default_dtype()).split(CHUNK):
            values = log_density(chunk)
            if values.shape != chunk.shape[:1]:
                raise ShapeError(
                    f"log_density returned shape {tuple(values.shape)} for points of shape {tuple(chunk.shape)}; "
                    f"return one number per point, shape ({len(chunk)},)"
                )
            chunks.append(values.detach().to("cpu", torch.float64).numpy())
    result = np.concatenate(chunks)
    bad = np.flatnonzero(np.isnan(result) | (result == np.inf))
    if bad.size:
        raise InputError(
            f"log_density is {result[bad[0]]} at {bad.size} of {result.size} points of the grid, the first of them "
            f"{points[bad[0]].tolist()}; only finite values and -inf can be drawn"
        )
    if not np.any(np.isfinite(result)):
        raise InputError(f"log_density is -inf at all {result.size} points of the grid; there is nothing to draw")
    return result


def shown_range(values: Array) -> tuple[float, float]:
    """The least and the largest log-density that the colours span, in nats."""
    top = float(values.max())
    return float(np.clip(values.min(), top - SHOWN_NATS, top - LEAST_NATS)), top


class SphereImage:
    """A log-density on the sphere, known on a grid and interpolated anywhere.

    The grid has `resolution` rows of equal latitude; a row at latitude φ has about 2 cos φ times as many nodes, so that
    nodes are equally far apart everywhere and none is wasted at the poles.
    """

    def __init__(self, log_density: LogDensity, resolution: int) -> None:
        require_resolution(resolution)
        latitudes = (np.arange(resolution) + 0.5) * 180.0 / resolution - 90.0
        counts = np.maximum(8, np.rint(2 * resolution * np.cos(np.radians(latitudes)))).astype(int)
        rows = [(np.arange(count) + 0.5) * 360.0 / count - 180.0 for count in counts]
        self.nodes = to_unit_vectors(np.concatenate(rows), np.repeat(latitudes, counts))
        self.values = evaluate(log_density, self.nodes)
        self.range = shown_range(self.values)
        self._resolution = resolution
        self._table = self._fill(np.split(self.values, np.cumsum(counts)[:-1]))

    def __call__(self, longitude: Array, latitude: Array) -> Array:
        """The log-density, cut to the shown range; NaN where the arguments are."""
        from scipy.ndimage import map_coordinates

        step = 180.0 / self._resolution
        rows = (latitude + 90.0) / step - 0.5 + _PAD
        columns = (longitude + 180.0) / step - 0.5 + _PAD
        where = np.isfinite(rows) & np.isfinite(columns)
        result = np.full(rows.shape, np.nan)
        result[where] = map_coordinates(self._table, [rows[where], columns[where]], order=3, mode="nearest")
        return np.clip(result, *self.range)

    def densest(self) -> Array:
        """The unit vector c with the largest ∫ p(x) max(<c, x>, 0)⁴ dV: the view with most of the probability in front.

        The best of 1000 evenly spread directions.
        """
        index = np.arange(1000) + 0.5
        golden = 180.0 * (3.0 - np.sqrt(5.0))
        directions = to_unit_vectors(golden * index, np.degrees(np.arcsin(1.0 - 2.0 * index / 1000)))
        density = np.exp(self.values - self.range[1])
        seen = np.maximum(directions @ self.nodes.T, 0.0) ** 4 @ density
        return directions[np.argmax(seen)]

    def _fill(self, rows: list[Array]) -> Array:
        """The regular table, twice as wide as high, continued over the poles and the date line."""
        from scipy.ndimage import map_coordinates

        width, floor = 2 * self._resolution, self.range[0] - MARGIN_NATS
        columns = (np.arange(width) + 0.5) / width
        table = np.stack(
            [
                map_coordinates(np.maximum(row, floor), [columns * len(row) - 0.5], order=3, mode="grid-wrap")
                for row in rows
            ]
        )
        across = np.roll(table, self._resolution, axis=1)  # beyond a pole lies the meridian half a turn away
        table = np.concatenate([across[:_PAD][::-1], table, across[-_PAD:][::-1]])
        return np.pad(table, ((0, 0), (_PAD, _PAD)), mode="wrap")


# Rows and columns by which the table goes over its edges; the spline forgets an edge by a factor of 4 per node.
_PAD = 12


class DiscImage:
    """A log-density on the unit disc, known on a square grid of `resolution` rows and interpolated between nodes."""

    # The outermost places that are evaluated: at 6 times the radius of curvature from the centre of the Poincaré disc.
    _EDGE = 0.995

    def __init__(self, log_density: LogDensity, resolution: int) -> None:
        require_resolution(resolution)
        self._resolution = resolution
        centres = (np.arange(resolution) + 0.5) * 2.0 / resolution - 1.0
        second, first = np.meshgrid(centres, centres, indexing="ij")
        radius = np.hypot(first, second)
        # Nodes a little outside serve the interpolation at the rim, with the values of the places next to them.
        inside = radius < 1.0 + 8.0 / resolution
        inwards: Array = np.minimum(1.0, self._EDGE / np.maximum(radius, 1e-9))
        nodes = np.stack([first * inwards, second * inwards], axis=-1)[inside]
        values = evaluate(log_density, nodes)
        self.range = shown_range(values)
        self._table = np.full(radius.shape, self.range[0] - MARGIN_NATS)
        self._table[inside] = np.maximum(values, self.range[0] - MARGIN_NATS)

    def pixels(self, count: int = 720) -> Array:
        """The log-density at the centres of `count` × `count` pixels of the square around the disc, cut to range."""
        from scipy.ndimage import map_coordinates

        centres = (np.arange(count) + 0.5) * self._resolution / count - 0.5
        places = np.meshgrid(centres, centres, indexing="ij")
        return np.clip(map_coordinates(self._table, places, order=3, mode="nearest"), *self.range)


def torus_image(log_density: LogDensity, resolution: int, pixels: int) -> tuple[Array, tuple[float, float]]:
    """A log-density on T², evaluated on a square grid and interpolated to a finer one.

    Args:
        log_density: As for `evaluate`, on angles in [0, 2π), shape `(N, 2)`.
        resolution: Nodes per axis.
        pixels: Pixels per axis.

    Returns:
        The log-density at the centres of pixels that tile [-180, 180) degrees, rows for the second angle, shape
        `(pixels, pixels)`; and its shown range.
    """
    from scipy.ndimage import map_coordinates

    require_resolution(resolution)
    angles = np.mod((np.arange(resolution) + 0.5) * 2.0 * np.pi / resolution - np.pi, 2.0 * np.pi)
    second, first = np.meshgrid(angles, angles, indexing="ij")
    values = evaluate(log_density, np.stack([first.ravel(), second.ravel()], axis=-1))
    shown = shown_range(values)
    table = np.maximum(values, shown[0] - MARGIN_NATS).reshape(resolution, resolution)
    centres = (np.arange(pixels) + 0.5) * resolution / pixels - 0.5
    image = map_coordinates(table, np.meshgrid(centres, centres, indexing="ij"), order=3, mode="grid-wrap")
    return np.clip(image, *shown), shown


def require_resolution(resolution: int) -> None:
    """Raise OptionError unless the grid has at least 8 nodes per axis."""
    if resolution < 8:
        raise OptionError(f"resolution is {resolution}; give 8 or more rows of the grid, for example 128")


def as_points(points: Any, width: int, name: str) -> Array:
    """The points as a float64 array.

    Args:
        points: A tensor or array of shape `(N, width)`.
        width: The number of coordinates of a point.
        name: The argument's name, for the error.

    Returns:
        The array, shape `(N, width)`.

    Raises:
        ShapeError: The shape is another.
        PointError: A coordinate is not finite.
    """
    array = np.asarray(points.detach().cpu() if isinstance(points, Tensor) else points, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != width:
        raise ShapeError(f"{name} has shape {array.shape}; give one row of {width} coordinates per point, (N, {width})")
    bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if bad.size:
        raise PointError(f"{name} row {bad[0]} is {array[bad[0]].tolist()}; remove the {bad.size} rows not finite")
    return array
