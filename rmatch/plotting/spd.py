"""A density on positive definite 2 × 2 matrices: which ellipses they are, and where they lie in their cone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rmatch._errors import OptionError
from rmatch.manifolds import SPD
from rmatch.plotting._evaluate import DiscImage, LogDensity, as_points, require_resolution
from rmatch.plotting._figure import DATA_COLOUR, INK, MODEL_COLOUR, NORMAL, add_axes, add_colour_bar, new_figure, plural
from rmatch.plotting._frames import cone_places, cone_top, draw_cone, draw_dots, draw_ellipse
from rmatch.plotting.hyperbolic import show_disc

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

# Trapezoid rule over the logarithm of the size: ± 3.5 standard deviations in 11 steps is exact for what is bell-shaped.
_SIZES = np.linspace(-3.5, 3.5, 11)
# Circles of equal ratio q of an ellipse's axes: a matrix of ratio q lies at (q - 1)/(q + 1) from the centre.
_RATIOS = (2, 4, 10)


def plot_spd(
    manifold: SPD,
    log_density: LogDensity,
    *,
    points: Tensor | None = None,
    samples: Tensor,
    title: str | None = None,
    resolution: int = 128,
) -> Figure:
    """Draw a density on SPD(2): by the shape of the ellipses, and the data and the samples in the cone of matrices.

    A matrix is an ellipse: its size sqrt(det), the ratio of its axes, and their direction. The disc shows the density
    of the shape, whatever the size (which is integrated over): circles in the centre, long ellipses at the rim, in the
    direction of the white signs. The cone has the trace upwards, and around it the same directions.

    Args:
        manifold: `SPD(2)`, with either metric.
        log_density: Takes points, a tensor of torch's default dtype on the CPU, shape `(N, 2, 2)`; returns nats with
            respect to the volume of the manifold, shape `(N,)`. Called without gradients.
        points: Data, shape `(P, 2, 2)`.
        samples: Draws from the density, shape `(S, 2, 2)`; they tell over which sizes to integrate.
        title: A line above the picture.
        resolution: Twice the rows of the disc's grid; the density is evaluated about `2.2 * resolution**2` times.

    Returns:
        The figure, with the axes density, colour bar, data points and samples.

    Raises:
        OptionError: The manifold is not of 2 × 2 matrices, or there are no samples.
        ShapeError: An argument, or what `log_density` returns, has the wrong shape.
        PointError: A point is not on the manifold.
        InputError: `log_density` returned NaN or +inf.
        DependencyError: matplotlib is not installed.
    """
    if manifold.point_shape != (2, 2):
        raise OptionError(f"the cone is a picture of 2 × 2 matrices, not of {manifold!r}")
    require_resolution(resolution)
    drawn = as_matrices(samples, 2, "samples")
    if not len(drawn):
        raise OptionError(
            "a picture of SPD(2) is made of samples; give samples, for example 5,000 draws from the model"
        )
    clouds = [(drawn, "sample", MODEL_COLOUR)]
    if points is not None:
        clouds.insert(0, (as_matrices(points, 2, "points"), "data point", DATA_COLOUR))
    image = DiscImage(lambda disc: _shape_density(log_density, disc, drawn), max(8, resolution // 2))
    side, first, wide = 4.0, 5.45, 4.9
    figure = new_figure(first + len(clouds) * wide, 4.75 + (0.35 if title else 0.0), title)
    disc = add_axes(figure, 0.25, 0.25, side, side)
    show_disc(disc, image, [((q - 1) / (q + 1), f"{q}:1") for q in _RATIOS])
    draw_ellipse(disc, np.zeros(2), 1.0, 0.0, 0.09, "white")
    for angle in np.arange(8) * np.pi / 4.0:
        draw_ellipse(disc, 0.9 * np.array([np.cos(angle), np.sin(angle)]), 5.0, angle / 2.0, 0.06, "white")
    disc.set_title("density of the shape", fontsize=NORMAL, color=INK)
    add_colour_bar(figure, *image.range, "log density (nats per unit of area)", 0.25 + side + 0.15, 0.45, side - 0.4)
    top = cone_top([values for values, _, _ in clouds if len(values)])
    for index, (values, noun, colour) in enumerate(clouds):
        axes = add_axes(figure, first + index * wide, 0.25, wide, side)
        axes.set_label(f"{noun}s")
        draw_cone(axes, top)
        shown_part = values[values[:, 0, 0] + values[:, 1, 1] <= top]
        places = cone_places(shown_part)
        draw_dots(axes, places[:, 0], places[:, 1], colour)
        beyond = f", {len(values) - len(shown_part):,} beyond the rim" if len(shown_part) < len(values) else ""
        axes.set_title(plural(len(values), noun) + beyond, fontsize=NORMAL, color=INK)
    return figure


def as_matrices(points: Tensor, n: int, name: str) -> Array:
    """Matrices as an array `(N, n, n)`, checked to be positive definite."""
    array = as_points(torch.as_tensor(points).flatten(1), n * n, name).reshape(-1, n, n)
    if len(array):
        SPD(n).require_point(torch.from_numpy(array), tolerance=1e-3)
    return array


def shape_matrices(disc: Tensor) -> Tensor:
    """The matrices of determinant 1 at places of the unit disc `(N, 2)`, as `(N, 2, 2)`.

    With s = (a + c)/2, d = (a - c)/2 they are the hyperboloid s² - d² - b² = 1, of which this is the Poincaré disc.
    """
    inner = 1.0 - disc.square().sum(-1)
    s, (d, b) = 2.0 / inner - 1.0, (2.0 * disc / inner[:, None]).unbind(-1)
    return torch.stack([torch.stack([s + d, b], -1), torch.stack([b, s - d], -1)], -2)


def _shape_density(log_density: LogDensity, disc: Tensor, samples: Array) -> Tensor:
    """The log-density of the shape: ∫ p(e^u Y) √2 du over the logarithm u of the size, a unit of which is √2 long."""
    logs = np.log(np.linalg.det(samples)) / 2.0
    spread = max(float(logs.std()), 1e-3)
    shapes = shape_matrices(disc)
    values = [log_density(shapes * float(np.exp(logs.mean() + spread * step))) for step in _SIZES]
    weight = np.log(np.sqrt(2.0) * spread * (_SIZES[1] - _SIZES[0]))
    return torch.stack(values).logsumexp(0) + float(weight)
