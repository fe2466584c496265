"""A density on the rotations of space, in the ball of their axes times their angles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rmatch._errors import OptionError
from rmatch.manifolds import SpecialOrthogonal
from rmatch.plotting._evaluate import LogDensity, as_points, evaluate, shown_range
from rmatch.plotting._figure import (
    DATA_COLOUR,
    INK,
    NORMAL,
    add_axes,
    add_colour_bar,
    density_colours,
    new_figure,
    plural,
)
from rmatch.plotting._frames import draw_ball, draw_dots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

# The views along x, y and z: which components of the rotation vector go across and up.
_VIEWS = ((1, 2, "x"), (2, 0, "y"), (0, 1, "z"))
_MOST_COLOURED = 4000


def plot_rotations(
    manifold: SpecialOrthogonal,
    log_density: LogDensity,
    *,
    points: Tensor | None = None,
    samples: Tensor,
    title: str | None = None,
) -> Figure:
    """Draw a density on SO(3): samples coloured by their density, and the data, in three views of the ball.

    A rotation is the vector along its axis whose length is its angle, up to 180 degrees: a ball of which opposite
    points of the surface are the same half turn. It is seen along x, y and z, the first row with the samples, the
    second with the data.

    Args:
        manifold: `SpecialOrthogonal(3)`.
        log_density: Takes points, a tensor of torch's default dtype on the CPU, shape `(N, 3, 3)`; returns nats with
            respect to the bi-invariant volume, shape `(N,)`. Called without gradients, on at most 4000 samples.
        points: Data, shape `(P, 3, 3)`.
        samples: Draws from the density, shape `(S, 3, 3)`.
        title: A line above the picture.

    Returns:
        The figure, with the axes samples x, samples y, samples z, data x, data y, data z and colour bar.

    Raises:
        OptionError: There are no samples.
        ShapeError: An argument, or what `log_density` returns, has the wrong shape.
        PointError: A point is not on the manifold.
        InputError: `log_density` returned NaN or +inf.
        DependencyError: matplotlib is not installed.
    """
    if not len(samples):
        raise OptionError("a picture of SO(3) is made of samples; give samples, for example 4,000 draws from the model")
    drawn = rotation_vectors(manifold, samples[:_MOST_COLOURED], "samples")
    data = None if points is None else rotation_vectors(manifold, points, "points")
    matrices = torch.as_tensor(samples[:_MOST_COLOURED]).detach().cpu().double().flatten(1).numpy()
    values = evaluate(lambda flat: log_density(flat.reshape(-1, 3, 3)), matrices)
    order = np.argsort(values)  # the densest on top
    side, rows = 3.3, 1 if data is None else 2
    width, height = 3 * side + 1.45, rows * (side + 0.35) + 0.15 + (0.4 if title else 0.0)
    figure = new_figure(width, height, title)
    base = (rows - 1) * (side + 0.35) + 0.1
    low, high = shown_range(values)
    for column, (across, up, axis) in enumerate(_VIEWS):
        axes = add_axes(figure, 0.1 + column * side, base, side, side)
        axes.set_label(f"samples {axis}")
        draw_ball(axes, "xyz"[across], "xyz"[up])
        draw_dots(
            axes,
            drawn[order, across],
            drawn[order, up],
            np.clip(values[order], low, high),
            cmap=density_colours(),
            vmin=low,
            vmax=high,
        )
        axes.set_title(f"{plural(len(drawn), 'sample')}, along {axis}", fontsize=NORMAL, color=INK)
        if data is not None:
            below = add_axes(figure, 0.1 + column * side, 0.1, side, side)
            below.set_label(f"data {axis}")
            draw_ball(below, "xyz"[across], "xyz"[up])
            draw_dots(below, data[:, across], data[:, up], DATA_COLOUR)
            below.set_title(f"{plural(len(data), 'data point')}, along {axis}", fontsize=NORMAL, color=INK)
    label = "log density (nats per unit of volume)"
    add_colour_bar(figure, low, high, label, 3 * side + 0.3, base + 0.25, side - 0.5)
    return figure


def rotation_vectors(manifold: SpecialOrthogonal, points: Tensor, name: str) -> Array:
    """Axis times angle in degrees, `(N, 3)`, checked to be of rotations."""
    from scipy.spatial.transform import Rotation

    array = as_points(torch.as_tensor(points).flatten(1), 9, name).reshape(-1, 3, 3)
    if not len(array):
        return np.zeros((0, 3))
    manifold.require_point(torch.from_numpy(array), tolerance=1e-3)
    return np.rad2deg(np.asarray(Rotation.from_matrix(array).as_rotvec(), dtype=np.float64))
