"""Densities without a picture of their whole: a product factor by factor, and any manifold by pairs of coordinates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rmatch._errors import OptionError
from rmatch.manifolds import SPD, Lorentz, Manifold, PoincareBall, Product, SpecialOrthogonal, Sphere
from rmatch.plotting._charts import chart_axes, chart_values
from rmatch.plotting._evaluate import as_points
from rmatch.plotting._figure import DATA_COLOUR, FAINT, INK, MODEL_COLOUR, NORMAL, SMALL, add_axes, new_figure, plural
from rmatch.plotting._frames import cone_places, cone_top, draw_ball, draw_cone, draw_disc, draw_dots
from rmatch.plotting._pairs import PairAxis, plot_pairs
from rmatch.plotting.hyperbolic import distance_circles, to_disc
from rmatch.plotting.projections import (
    MOLLWEIDE_HALF_HEIGHT,
    MOLLWEIDE_HALF_WIDTH,
    mollweide,
    to_longitude_latitude,
)
from rmatch.plotting.rotations import rotation_vectors
from rmatch.plotting.spd import as_matrices

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

_SIDE, _MOST_ACROSS = 3.3, 17.0  # inches: the height of a panel, and the width of all of them
_MOST_PAIRED = 8  # more coordinates make panels too small to see


class _Panel(NamedTuple):
    """A view of one factor: its heading, its width in heights, and how to draw a cloud of its points in a colour."""

    heading: str
    width: float
    draw: Callable[[Axes, int, str], None]


def plot_product(
    manifold: Product,
    *,
    points: Tensor | None = None,
    samples: Tensor,
    labels: Sequence[Sequence[str] | None] | None = None,
    title: str | None = None,
) -> Figure:
    """Draw a density on a product by its samples, one panel for each factor, and the data below them.

    A sphere S² is a map, a torus and a Euclidean space are squares of two coordinates or a histogram of one, the
    hyperbolic plane is a disc, SPD(2) its cone, SO(3) three views of its ball, and any other factor squares of pairs of
    its coordinates.

    Args:
        manifold: The product.
        points: Data, shape `(P, size)`.
        samples: Draws from the density, shape `(S, size)`.
        labels: For each factor the names of its coordinates, or `None`.
        title: A line above the picture.

    Returns:
        The figure, with the axes samples 0, data 0, samples 1, data 1 and so on.

    Raises:
        OptionError: There are no samples, or the labels do not fit.
        ShapeError: An argument has the wrong shape.
        PointError: A point is not on the manifold.
        DependencyError: matplotlib is not installed.
    """
    if not len(samples):
        raise OptionError(f"a picture of {manifold!r} is made of samples; give samples, for example 5,000 draws")
    names = [None] * len(manifold.factors) if labels is None else list(labels)
    if len(names) != len(manifold.factors):
        raise OptionError(f"labels are {names}; give one list of names for each of the {len(manifold.factors)} factors")
    clouds = [(samples, "sample", MODEL_COLOUR)]
    if points is not None and len(points):
        clouds.append((points, "data point", DATA_COLOUR))
    size = manifold.point_shape[0]
    split = [manifold.split(torch.from_numpy(as_points(cloud, size, f"{noun}s"))) for cloud, noun, _ in clouds]
    panels: list[_Panel] = []
    for index, (factor, own) in enumerate(zip(manifold.factors, names, strict=True)):
        panels += _panels(factor, [parts[index] for parts in split], own)
    side = min(_SIDE, _MOST_ACROSS / sum(panel.width for panel in panels))
    widths = [panel.width * side for panel in panels]
    rows, top = len(clouds), 0.45 + (0.4 if title else 0.0)
    left, gap, across = 0.95, 0.75, 0.65
    width = left + sum(widths) + across * (len(panels) - 1) + 0.25
    figure = new_figure(width, rows * (side + gap) + top, title)
    for row, (cloud, noun, colour) in enumerate(clouds):
        place, bottom = left, (rows - 1 - row) * (side + gap) + 0.65
        figure.text(
            0.25 / width,
            (bottom + side / 2.0) / figure.get_size_inches()[1],
            plural(len(cloud), noun),
            fontsize=NORMAL,
            color=colour,
            rotation=90,
            ha="center",
            va="center",
        )
        for column, panel in enumerate(panels):
            axes = add_axes(figure, place, bottom, widths[column], side)
            axes.set_label(f"{'samples' if noun == 'sample' else 'data'} {column}")
            panel.draw(axes, row, colour)
            if row == 0:
                axes.set_title(panel.heading, fontsize=NORMAL, color=INK, pad=12)
            place += widths[column] + across
    return figure


def plot_coordinates(
    manifold: Manifold,
    *,
    points: Tensor | None = None,
    samples: Tensor,
    labels: Sequence[str] | None = None,
    title: str | None = None,
) -> Figure:
    """Draw a density on any manifold by its samples, one panel for each pair of coordinates, with the data beside.

    Below the diagonal are the histograms of the samples, above it those of the data, on one scale; on it those of each
    coordinate. The coordinates are degrees on tori and rotations, the unit ball for hyperbolic spaces, the entries of
    the matrix logarithm on SPD, and the points' own elsewhere. Of more than 8 coordinates the first 8 are shown.

    Args:
        manifold: The manifold.
        points: Data, shape `(P, *point_shape)`.
        samples: Draws from the density, shape `(S, *point_shape)`.
        labels: Names of the coordinates.
        title: A line above the picture.

    Returns:
        The figure.

    Raises:
        OptionError: There are no samples, or the labels do not fit.
        ShapeError: An argument has the wrong shape.
        PointError: A point is not on the manifold.
        DependencyError: matplotlib is not installed.
    """
    if not len(samples):
        raise OptionError(f"a picture of {manifold!r} is made of samples; give samples, for example 5,000 draws")
    drawn = chart_values(manifold, samples, "samples")
    data = None if points is None or not len(points) else chart_values(manifold, points, "points")
    axes = chart_axes(manifold, labels, [drawn] if data is None else [drawn, data])[:_MOST_PAIRED]
    kept = slice(len(axes))
    return plot_pairs(axes, drawn[:, kept], None if data is None else data[:, kept], title)


def _panels(factor: Manifold, clouds: list[Tensor], labels: Sequence[str] | None) -> list[_Panel]:
    """The views of a factor."""
    name = repr(factor)
    if isinstance(factor, Sphere) and factor.dim == 2:
        places = [mollweide(*to_longitude_latitude(chart_values(factor, cloud, "points"))) for cloud in clouds]
        return [_Panel(name, 2.0, lambda axes, row, colour: _draw_map(axes, places[row][0], places[row][1], colour))]
    if isinstance(factor, PoincareBall | Lorentz) and factor.dim == 2:
        discs = [to_disc(factor, cloud, "points") for cloud in clouds]

        def draw_hyperbolic(axes: Axes, row: int, colour: str) -> None:
            draw_disc(axes, distance_circles(factor), FAINT)
            draw_dots(axes, discs[row][:, 0], discs[row][:, 1], colour)

        return [_Panel(name, 1.0, draw_hyperbolic)]
    if isinstance(factor, SPD) and factor.point_shape == (2, 2):
        matrices = [as_matrices(cloud, 2, "points") for cloud in clouds]
        top = cone_top(matrices)

        def draw_matrices(axes: Axes, row: int, colour: str) -> None:
            draw_cone(axes, top)
            places = cone_places(matrices[row])
            draw_dots(axes, places[:, 0], places[:, 1], colour)

        return [_Panel(name, 1.2, draw_matrices)]
    if isinstance(factor, SpecialOrthogonal):
        vectors = [rotation_vectors(factor, cloud, "points") for cloud in clouds]
        views = ((1, 2, "x"), (2, 0, "y"), (0, 1, "z"))
        return [_Panel(f"{name}, along {axis}", 1.0, _ball_view(vectors, x, y)) for x, y, axis in views]
    values = [chart_values(factor, cloud, "points") for cloud in clouds]
    axes = chart_axes(factor, labels, values)
    panels = [_Panel(name, 1.0, _square(values, axes, first)) for first in range(0, len(axes) - 1, 2)]
    return [*panels, _Panel(name, 1.0, _histogram(values, axes[-1]))] if len(axes) % 2 else panels


def _ball_view(vectors: list[Array], across: int, up: int) -> Callable[[Axes, int, str], None]:
    def draw(axes: Axes, row: int, colour: str) -> None:
        draw_ball(axes, "xyz"[across], "xyz"[up])
        draw_dots(axes, vectors[row][:, across], vectors[row][:, up], colour)

    return draw


def _square(values: list[Array], coordinates: list[PairAxis], first: int) -> Callable[[Axes, int, str], None]:
    """Two coordinates as a square of dots."""
    x, y = coordinates[first], coordinates[first + 1]

    def draw(axes: Axes, row: int, colour: str) -> None:
        draw_dots(axes, values[row][:, first], values[row][:, first + 1], colour)
        axes.set(xlim=(x.low, x.high), ylim=(y.low, y.high))
        axes.set_xticks(x.ticks, [x.label(tick) for tick in x.ticks])
        axes.set_yticks(y.ticks, [y.label(tick) for tick in y.ticks])
        axes.set_xlabel(x.name, fontsize=NORMAL, color=INK, labelpad=1)
        axes.set_ylabel(y.name, fontsize=NORMAL, color=INK, labelpad=-4)
        _style(axes)

    return draw


def _histogram(values: list[Array], coordinate: PairAxis) -> Callable[[Axes, int, str], None]:
    """One coordinate, the last, as a histogram."""
    edges = coordinate.edges(72)
    high = 1.1 * max(float(np.histogram(cloud[:, -1], bins=edges, density=True)[0].max()) for cloud in values)

    def draw(axes: Axes, row: int, colour: str) -> None:
        axes.hist(values[row][:, -1], bins=edges, density=True, color=colour, alpha=0.6)
        axes.set(xlim=(coordinate.low, coordinate.high), ylim=(0.0, high), yticks=[])
        axes.set_xticks(coordinate.ticks, [coordinate.label(tick) for tick in coordinate.ticks])
        axes.set_xlabel(coordinate.name, fontsize=NORMAL, color=INK, labelpad=1)
        axes.spines[["top", "right", "left"]].set_visible(False)
        _style(axes)

    return draw


def _style(axes: Axes) -> None:
    axes.tick_params(labelsize=SMALL, colors=INK, width=0.8)
    for spine in axes.spines.values():
        spine.set(color=INK, linewidth=0.8)


def _draw_map(axes: Axes, x: Array, y: Array, colour: str) -> None:
    """The sphere as a Mollweide map."""
    from matplotlib.patches import Ellipse

    across, up = MOLLWEIDE_HALF_WIDTH, MOLLWEIDE_HALF_HEIGHT
    outline = Ellipse((0.0, 0.0), 2.0 * across, 2.0 * up)
    axes.add_patch(outline)
    outline.set(facecolor="none", edgecolor=INK, linewidth=1.0)
    for latitude in (-60.0, -30.0, 0.0, 30.0, 60.0):
        line = mollweide(np.linspace(-180.0, 180.0, 61), np.full(61, latitude))
        axes.plot(*line, color=FAINT, linewidth=0.5, alpha=0.5)
    for longitude in (-120.0, -60.0, 0.0, 60.0, 120.0):
        line = mollweide(np.full(61, longitude), np.linspace(-90.0, 90.0, 61))
        axes.plot(*line, color=FAINT, linewidth=0.5, alpha=0.5)
    draw_dots(axes, x, y, colour)
    axes.set(xlim=(-1.01 * across, 1.01 * across), ylim=(-1.01 * up, 1.01 * up), aspect="equal", xticks=[], yticks=[])
    axes.axis("off")
