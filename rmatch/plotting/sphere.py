"""A density on the sphere S²: on a map of the world, and as a globe seen from where the density is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rmatch.manifolds import Sphere
from rmatch.plotting._evaluate import LogDensity, SphereImage, as_points
from rmatch.plotting._figure import DOT_COLOUR, FAINT, INK, NORMAL, SMALL, add_axes, density_colours, new_figure, plural
from rmatch.plotting.coastlines import coastlines as coastline_lines
from rmatch.plotting.projections import (
    MOLLWEIDE_HALF_HEIGHT,
    MOLLWEIDE_HALF_WIDTH,
    mollweide,
    mollweide_inverse,
    mollweide_lines,
    orthographic_inverse,
    orthographic_lines,
    to_longitude_latitude,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from matplotlib.patches import Patch

Array = NDArray[np.float64]

_UNIT = "log density (nats per steradian)"
_PIXELS = 900  # up the map and across the globe
_GRATICULE = 30  # degrees


def plot_sphere(
    log_density: LogDensity,
    *,
    points: Tensor | None = None,
    title: str | None = None,
    coastlines: bool = True,
    resolution: int = 128,
) -> Figure:
    """Draw a density on S² as a Mollweide world map with the data, beside a globe seen from its densest side.

    Both show log p in nats per steradian, from the largest value down to 7 nats (a factor of 1100) below it.
    The map is equal-area: equal areas of one colour hold equal probability. The globe is the orthographic view.

    Args:
        log_density: Takes points, a tensor of torch's default dtype on the CPU, shape `(N, 3)`; returns nats with
            respect to the area of the unit sphere, shape `(N,)`. Called without gradients, at most 4096 points at a
            time.
        points: Unit vectors of data to show as dots on the map, shape `(P, 3)`. North is +z, and longitude 0 is +x.
        title: A line above the picture.
        coastlines: Whether to draw those of the Earth; without them the map's meridians are labelled.
        resolution: Rows of the grid on which the density is evaluated; the grid has about `1.27 * resolution**2` nodes,
            20,900 for the default, 1.4 degrees apart.

    Returns:
        The figure, with the axes map, globe and colour bar.

    Raises:
        ShapeError: `points`, or what `log_density` returns, has the wrong shape.
        PointError: A coordinate of `points` is not finite, or a point is off the sphere by more than 1e-3.
        InputError: `log_density` returned NaN or +inf.
        DependencyError: matplotlib is not installed.

    Source:
        J. P. Snyder, "Map Projections: A Working Manual", USGS Professional Paper 1395 (1987), chapters 20 and 31.

    Example:
        >>> from rmatch.plotting import plot_sphere
        >>> figure = plot_sphere(lambda x: 3.0 * x[:, 2], resolution=16, title="A density")
        >>> [axes.get_label() for axes in figure.axes]
        ['map', 'globe', 'colour bar']
    """
    data = None if points is None else as_points(points, 3, "points")
    if data is not None:
        Sphere(2).require_point(torch.from_numpy(data), tolerance=1e-3)  # less than a dot's size
    top = 0.55 if title is not None else 0.2
    figure = new_figure(13.2, 5.05 + top, title)
    image = SphereImage(log_density, resolution)
    shore = coastline_lines() if coastlines else []
    _draw_map(add_axes(figure, 0.5, 1.0, 8.0, 4.0), image, shore, data)
    globe = add_axes(figure, 8.95, 1.0, 4.0, 4.0)
    shown = _draw_globe(globe, image, shore, data)
    _draw_colour_bar(figure, shown)
    return figure


def _draw_map(axes: Axes, image: SphereImage, shore: list[Array], data: Array | None) -> None:
    """The Mollweide map with the data as dots."""
    from matplotlib.patches import Ellipse

    axes.set_label("map")
    across, up = MOLLWEIDE_HALF_WIDTH, MOLLWEIDE_HALF_HEIGHT
    outline = Ellipse((0.0, 0.0), 2.0 * across, 2.0 * up)
    _draw_density(axes, outline, (across, up), lambda x, y: image(*mollweide_inverse(x, y)))
    _draw_lines(axes, outline, [piece for line in _graticule() for piece in mollweide_lines(line)], 0.4, 0.3)
    _draw_lines(axes, outline, [piece for line in shore for piece in mollweide_lines(line)], 0.7, 0.75)
    if data is not None:
        x, y = mollweide(*to_longitude_latitude(data))
        _draw_dots(axes, outline, x, y, len(data))
    if not shore:
        for longitude in range(-120, 121, 60):
            x, y = mollweide(longitude, 0.0)
            axes.text(float(x) + 0.03, float(y) + 0.02, _degrees(longitude, "E", "W"), fontsize=SMALL, color="white")
    for latitude in range(-60, 61, _GRATICULE):
        x, y = mollweide(-180.0, latitude)
        text = _degrees(latitude, "N", "S")
        offset = (-5.0, latitude / 12.0)  # outwards from the ellipse, which leans more the further from the equator
        axes.annotate(
            text,
            (float(x), float(y)),
            offset,
            textcoords="offset points",
            fontsize=SMALL,
            color=FAINT,
            ha="right",
            va="center",
        )


def _draw_globe(axes: Axes, image: SphereImage, shore: list[Array], data: Array | None) -> AxesImage:
    """The orthographic view from the densest side."""
    from matplotlib.patches import Circle

    axes.set_label("globe")
    centre = image.densest()
    outline = Circle((0.0, 0.0), 1.0)
    shown = _draw_density(axes, outline, (1.0, 1.0), lambda x, y: image(*orthographic_inverse(x, y, centre)))
    _draw_lines(axes, outline, [piece for line in _graticule() for piece in orthographic_lines(line, centre)], 0.4, 0.3)
    _draw_lines(axes, outline, [piece for line in shore for piece in orthographic_lines(line, centre)], 0.7, 0.75)
    longitude, latitude = to_longitude_latitude(centre)
    seen = f"seen from {_degrees(float(latitude), 'N', 'S')}, {_degrees(float(longitude), 'E', 'W')}"
    axes.text(0.0, -1.05, seen, fontsize=SMALL, color=FAINT, ha="center", va="top")
    return shown


def _draw_density(
    axes: Axes, outline: Patch, half: tuple[float, float], value: Callable[[Array, Array], Array]
) -> AxesImage:
    """Colour every pixel inside the outline by the density at its own place on the sphere."""
    across, up = half
    columns = round(_PIXELS * across / up)
    x = (np.arange(columns) + 0.5) * (2.0 * across / columns) - across
    y = (np.arange(_PIXELS) + 0.5) * (2.0 * up / _PIXELS) - up
    # Pixels that the outline cuts have their centre outside it: a hair inwards, every one of them has a value.
    grid_x, grid_y = np.meshgrid(x, y)
    radius = np.hypot(grid_x / across, grid_y / up)
    inwards: Array = np.where((radius > 0.9995) & (radius < 1.01), 0.9995 / radius, 1.0)
    pixels = np.ma.masked_invalid(value(grid_x * inwards, grid_y * inwards))
    extent = (-across, across, -up, up)
    shown = axes.imshow(pixels, cmap=density_colours(), extent=extent, origin="lower", aspect="equal")
    axes.set(xlim=(-1.01 * across, 1.01 * across), ylim=(-1.01 * up, 1.01 * up))
    axes.axis("off")
    axes.add_patch(outline)
    outline.set(facecolor="none", edgecolor=INK, linewidth=0.8, zorder=5)
    shown.set_clip_path(outline)
    return shown


def _draw_lines(axes: Axes, outline: Patch, pieces: list[Array], width: float, opacity: float) -> None:
    """White lines over the density, cut at the outline."""
    from matplotlib.collections import LineCollection

    lines = LineCollection(pieces, colors="white", linewidths=width, alpha=opacity, capstyle="round")
    axes.add_collection(lines, autolim=False)
    lines.set_clip_path(outline)


def _draw_dots(axes: Axes, outline: Patch, x: Array, y: Array, count: int) -> None:
    """The data as dots, smaller the more there are of them."""
    size = float(np.clip(6000.0 / max(count, 1), 0.6, 12.0))
    dots = axes.scatter(x, y, s=size, c=DOT_COLOUR, alpha=0.7, linewidths=0.0, zorder=4, rasterized=count > 2000)
    dots.set_clip_path(outline)
    axes.scatter([], [], s=14.0, c=DOT_COLOUR, label=plural(count, "data point"))
    axes.legend(
        loc="lower left",
        frameon=False,
        fontsize=NORMAL,
        labelcolor=INK,
        handletextpad=0.1,
        borderpad=0.0,
        borderaxespad=0.0,
    )


def _draw_colour_bar(figure: Figure, shown: AxesImage) -> None:
    """One horizontal bar under both views."""
    bar_axes = add_axes(figure, 3.9, 0.62, 5.6, 0.16)
    bar_axes.set_label("colour bar")
    bar = figure.colorbar(shown, cax=bar_axes, orientation="horizontal", extend="min")
    bar.set_label(_UNIT, fontsize=NORMAL, color=INK)
    bar.ax.tick_params(labelsize=SMALL, colors=INK)


def _graticule() -> list[Array]:
    """Meridians and parallels each 30 degrees, as longitude and latitude."""
    lines = [
        np.stack(np.broadcast_arrays(longitude, np.linspace(-90.0, 90.0, 181)), axis=-1)
        for longitude in np.arange(-180.0 + _GRATICULE, 181.0, _GRATICULE)
    ]
    lines += [
        np.stack(np.broadcast_arrays(np.linspace(-180.0, 180.0, 361), latitude), axis=-1)
        for latitude in np.arange(-90.0 + _GRATICULE, 90.0, _GRATICULE)
    ]
    return lines


def _degrees(value: float, positive: str, negative: str) -> str:
    """For example `30° N`, and `0°`."""
    rounded = round(abs(value))
    return f"{rounded}°" + (f" {positive if value > 0 else negative}" if rounded else "")
