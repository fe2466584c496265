"""A density on the hyperbolic plane, in the Poincaré disc."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rmatch._errors import OptionError
from rmatch.manifolds import Lorentz, PoincareBall, lorentz_to_poincare, poincare_to_lorentz
from rmatch.plotting._evaluate import DiscImage, LogDensity, as_points
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
from rmatch.plotting._frames import draw_disc, draw_dots

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

Array = NDArray[np.float64]


def plot_hyperbolic(
    manifold: PoincareBall | Lorentz,
    log_density: LogDensity,
    *,
    points: Tensor | None = None,
    samples: Tensor | None = None,
    title: str | None = None,
    resolution: int = 128,
) -> Figure:
    """Draw a density on the hyperbolic plane as a disc, and beside it the data and the samples.

    Shown is log p in nats per unit of hyperbolic area, from the largest value down to 7 nats below it. Circles are at
    equal steps of hyperbolic distance from the centre. The hyperboloid is shown through its isometry to the ball.

    Args:
        manifold: `PoincareBall(2)` or `Lorentz(2)`, of any curvature.
        log_density: Takes points, a tensor of torch's default dtype on the CPU, shape `(N, *point_shape)`; returns nats
            with respect to the hyperbolic area, shape `(N,)`. Called without gradients, at most 4096 points at a time.
        points: Data, shape `(P, *point_shape)`.
        samples: Draws from the density, shape `(S, *point_shape)`.
        title: A line above the picture.
        resolution: Rows of the grid on which the density is evaluated; it has about `0.8 * resolution**2` nodes.

    Returns:
        The figure, with the axes density and colour bar, and data points and samples where they are given.

    Raises:
        OptionError: The manifold is not of dimension 2.
        ShapeError: An argument, or what `log_density` returns, has the wrong shape.
        PointError: A point is not on the manifold.
        InputError: `log_density` returned NaN or +inf.
        DependencyError: matplotlib is not installed.

    Example:
        >>> import torch, rmatch as rm
        >>> from rmatch.plotting import plot_hyperbolic
        >>> M = rm.PoincareBall(2)
        >>> figure = plot_hyperbolic(M, lambda x: -M.dist(torch.zeros(2), x) ** 2, resolution=16)
        >>> [axes.get_label() for axes in figure.axes]
        ['density', 'colour bar']
    """
    if manifold.dim != 2:
        raise OptionError(f"the disc is a picture of dimension 2, not of {manifold!r}")
    clouds = [
        (to_disc(manifold, values, f"{noun}s"), noun, colour)
        for values, noun, colour in ((points, "data point", DATA_COLOUR), (samples, "sample", MODEL_COLOUR))
        if values is not None
    ]
    image = DiscImage(lambda disc: log_density(_from_disc(manifold, disc)), resolution)
    side, left, first, gap = 4.0, 0.25, 5.45, 0.35
    width = first + len(clouds) * (side + gap) - (0.1 if clouds else 0.0)
    figure = new_figure(width, 4.95 + (0.35 if title else 0.0), title)
    disc = add_axes(figure, left, 0.45, side, side)
    show_disc(disc, image, distance_circles(manifold))
    disc.set_title("density", fontsize=NORMAL, color=INK)
    names = [label for _, label in distance_circles(manifold)]
    note = f"circles: distance {', '.join(names[:-1])} and {names[-1]} from the centre"
    disc.text(0.0, -1.05, note, fontsize=SMALL, color=FAINT, ha="center", va="top")
    add_colour_bar(figure, *image.range, "log density (nats per unit of area)", left + side + 0.15, 0.65, side - 0.4)
    for index, (values, noun, colour) in enumerate(clouds):
        axes = add_axes(figure, first + index * (side + gap), 0.45, side, side)
        axes.set_label(f"{noun}s")
        draw_disc(axes, distance_circles(manifold), FAINT)
        draw_dots(axes, values[:, 0], values[:, 1], colour)
        axes.set_title(plural(len(values), noun), fontsize=NORMAL, color=INK)
    return figure


def to_disc(manifold: PoincareBall | Lorentz, points: Tensor, name: str) -> Array:
    """Points of the hyperbolic plane in the unit disc, `(N, 2)`."""
    array = torch.from_numpy(as_points(points, manifold.point_shape[0], name))
    if len(array):
        manifold.require_point(array, tolerance=1e-3)
    ball = array if isinstance(manifold, PoincareBall) else lorentz_to_poincare(array, manifold.curvature)
    return (ball * (-manifold.curvature) ** 0.5).numpy()


def distance_circles(manifold: PoincareBall | Lorentz) -> list[tuple[float, str]]:
    """Circles at distances 1, 2, 3 times the radius of curvature: the distance r is at tanh(r/2) in the unit disc."""
    unit = (-manifold.curvature) ** -0.5
    return [(float(np.tanh(step / 2.0)), f"{step * unit:.3g}") for step in (1, 2, 3)]


def show_disc(axes: Axes, image: DiscImage, circles: list[tuple[float, str]]) -> AxesImage:
    """The density as an image that ends at the outline of the disc."""
    axes.set_label("density")
    outline = draw_disc(axes, circles, "white")
    extent = (-1.0, 1.0, -1.0, 1.0)
    low, high = image.range
    shown = axes.imshow(
        image.pixels(), cmap=density_colours(), vmin=low, vmax=high, extent=extent, origin="lower", zorder=0
    )
    shown.set_clip_path(outline)
    axes.set(xlim=(-1.02, 1.02), ylim=(-1.02, 1.02))
    return shown


def _from_disc(manifold: PoincareBall | Lorentz, disc: Tensor) -> Tensor:
    """Points of the unit disc on the manifold."""
    ball = disc * (-manifold.curvature) ** -0.5
    return ball if isinstance(manifold, PoincareBall) else poincare_to_lorentz(ball, manifold.curvature)
