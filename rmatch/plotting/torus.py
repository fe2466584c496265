"""A density on the torus T^d: a curve, a periodic square, or panels for every pair of angles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rmatch._errors import OptionError
from rmatch.plotting._evaluate import LogDensity, as_points, evaluate, require_resolution, torus_image
from rmatch.plotting._figure import (
    DATA_COLOUR,
    FAINT,
    INK,
    MODEL_COLOUR,
    NORMAL,
    SMALL,
    add_axes,
    add_colour_bar,
    density_colours,
    new_figure,
    plural,
)
from rmatch.plotting._pairs import PairAxis, plot_pairs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

_PIXELS = 720
_MANY = 2000  # from so many dots on, a vector file holds them as pixels


def plot_torus(
    log_density: LogDensity | None,
    dim: int,
    *,
    points: Tensor | None = None,
    samples: Tensor | None = None,
    labels: Sequence[str] | None = None,
    title: str | None = None,
    resolution: int = 128,
) -> Figure:
    """Draw a density on the torus T^d, angles from -180 to 180 degrees.

    - d = 1: the density as a curve over the histograms of the data and the samples, per radian.
    - d = 2: a periodic square of log p in nats per square radian, from the largest value down to 7 nats below it, and
      beside it the data and the samples.
    - d >= 3: for each pair of angles the two-dimensional histogram, below the diagonal of the samples and above it of
      the data, on one scale; on the diagonal the histograms of each angle.

    Args:
        log_density: Takes angles in [0, 2π), a tensor of torch's default dtype on the CPU, shape `(N, d)`; returns
            nats, shape `(N,)`. Called without gradients, at most 4096 points at a time. Not used, and may be None, for
            d >= 3.
        dim: The number of angles d.
        points: Angles of the data in radians, shape `(P, d)`.
        samples: Angles drawn from the model in radians, shape `(S, d)`; needed for d >= 3.
        labels: Names of the angles; θ1, θ2, … by default.
        title: A line above the picture.
        resolution: Nodes per axis of the grid on which the density is evaluated, for d <= 2.

    Returns:
        The figure.

    Raises:
        OptionError: `dim` is below 1, `labels` are not `dim` names, or what the dimension needs is missing.
        ShapeError: An argument, or what `log_density` returns, has the wrong shape.
        PointError: An angle is not finite.
        InputError: `log_density` returned NaN or +inf.
        DependencyError: matplotlib is not installed.

    Example:
        >>> from rmatch.plotting import plot_torus
        >>> figure = plot_torus(lambda x: x.cos().sum(-1), 2, labels=("phi", "psi"), resolution=16)
        >>> figure.axes[0].get_xlabel()
        'phi (degrees)'
    """
    names = _names(dim, labels)
    data = None if points is None else _degrees(as_points(points, dim, "points"))
    drawn = None if samples is None else _degrees(as_points(samples, dim, "samples"))
    if dim >= 3:
        if drawn is None or not len(drawn):
            raise OptionError(
                f"a picture of T^{dim} is made of samples; give samples, for example 10,000 draws from the model"
            )
        return plot_pairs([PairAxis(name, -180.0, 180.0) for name in names], drawn, data, title, cell="6° × 6°")
    if log_density is None:
        raise OptionError(f"a picture of T^{dim} needs log_density")
    if dim == 1:
        return _plot_curve(log_density, names[0], data, drawn, title, resolution)
    return _plot_square(log_density, names, data, drawn, title, resolution)


def _plot_curve(
    log_density: LogDensity, name: str, data: Array | None, drawn: Array | None, title: str | None, resolution: int
) -> Figure:
    """T^1: the curve over the histograms."""
    require_resolution(resolution)
    figure = new_figure(8.0, 4.35 + (0.35 if title else 0.0), title)
    axes = add_axes(figure, 0.95, 0.65, 6.75, 3.5)
    axes.set_label("density")
    for values, colour, noun in ((data, DATA_COLOUR, "data point"), (drawn, MODEL_COLOUR, "sample")):
        if values is not None and len(values):
            weights = np.full(len(values), 1.0 / (len(values) * np.radians(360.0 / 72)))
            label = plural(len(values), noun)
            axes.hist(values[:, 0], bins=_edges(72), weights=weights, color=colour, alpha=0.35, label=label)
    angles = np.linspace(-180.0, 180.0, 4 * resolution + 1)
    density = np.exp(evaluate(log_density, np.mod(np.radians(angles), 2.0 * np.pi)[:, None]))
    axes.plot(angles, density, color=INK, linewidth=1.8, label="density")
    axes.set(xlim=(-180.0, 180.0), ylim=(0.0, None), xticks=range(-180, 181, 60))
    axes.set_xlabel(f"{name} (degrees)", fontsize=NORMAL, color=INK)
    axes.set_ylabel("density (per radian)", fontsize=NORMAL, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    _style(axes)
    axes.legend(frameon=False, fontsize=SMALL, labelcolor=INK)
    return figure


def _plot_square(
    log_density: LogDensity,
    names: list[str],
    data: Array | None,
    drawn: Array | None,
    title: str | None,
    resolution: int,
) -> Figure:
    """T^2: the density and, each in a square of its own, the data and the samples."""
    clouds = [
        (values, noun, colour)
        for values, noun, colour in ((data, "data point", DATA_COLOUR), (drawn, "sample", MODEL_COLOUR))
        if values is not None
    ]
    side, left, first, gap = 4.0, 0.85, 6.3, 0.5
    width = first + len(clouds) * (side + gap) - 0.2
    figure = new_figure(width, 5.0 + (0.35 if title else 0.0), title)
    square = add_axes(figure, left, 0.65, side, side)
    square.set_label("density")
    pixels, (low, high) = torus_image(log_density, resolution, _PIXELS)
    extent = (-180.0, 180.0, -180.0, 180.0)
    square.imshow(pixels, cmap=density_colours(), vmin=low, vmax=high, extent=extent, origin="lower")
    _dress_square(square, names, "density", "white")
    label = "log density (nats per square radian)"
    add_colour_bar(figure, low, high, label, left + side + 0.15, 0.65, side)
    for index, (values, noun, colour) in enumerate(clouds):
        cloud = add_axes(figure, first + index * (side + gap), 0.65, side, side)
        cloud.set_label(f"{noun}s")
        size = float(np.clip(6000.0 / max(len(values), 1), 0.5, 12.0))
        many = len(values) > _MANY
        cloud.scatter(values[:, 0], values[:, 1], s=size, c=colour, alpha=0.6, linewidths=0.0, rasterized=many)
        _dress_square(cloud, names, plural(len(values), noun), FAINT)
        cloud.set_ylabel("")
        cloud.tick_params(labelleft=False)
    return figure


def _edges(bins: int) -> list[float]:
    """The edges of so many equal bins of the circle, in degrees."""
    return np.linspace(-180.0, 180.0, bins + 1).tolist()


def _dress_square(axes: Axes, names: list[str], heading: str, grid: str) -> None:
    """The periodic square of a Ramachandran plot: both axes -180 to 180 degrees, a tick and a line each 60."""
    ticks = range(-180, 181, 60)
    axes.set(xlim=(-180.0, 180.0), ylim=(-180.0, 180.0), xticks=ticks, yticks=ticks, aspect="equal")
    axes.set_axisbelow(False)
    axes.grid(color=grid, alpha=0.25, linewidth=0.6)
    axes.set_title(heading, fontsize=NORMAL, color=INK)
    axes.set_xlabel(f"{names[0]} (degrees)", fontsize=NORMAL, color=INK)
    axes.set_ylabel(f"{names[1]} (degrees)", fontsize=NORMAL, color=INK, labelpad=0)
    _style(axes)


def _style(axes: Axes) -> None:
    """Small, grey ticks."""
    axes.tick_params(labelsize=SMALL, colors=INK, width=0.8)
    for spine in axes.spines.values():
        spine.set(color=INK, linewidth=0.8)


def _names(dim: int, labels: Sequence[str] | None) -> list[str]:
    """The labels, or θ1, θ2 and so on."""
    if dim < 1:
        raise OptionError(f"dim is {dim}; a torus has 1 or more angles")
    names = [f"θ{index + 1}" for index in range(dim)] if labels is None else list(labels)
    if len(names) != dim:
        raise OptionError(f"labels are {names}, {len(names)} of them; give one for each of the {dim} angles")
    return names


def _degrees(angles: Array) -> Array:
    """Angles in radians as degrees in [-180, 180)."""
    return np.mod(np.degrees(angles) + 180.0, 360.0) - 180.0
