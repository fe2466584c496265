"""One front door to the pictures: the manifold decides which one is drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from rmatch._errors import OptionError
from rmatch.manifolds import Manifold, Sphere, Torus
from rmatch.plotting._evaluate import LogDensity
from rmatch.plotting.sphere import plot_sphere
from rmatch.plotting.torus import plot_torus

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_density(
    manifold: Manifold,
    log_density: LogDensity | None,
    *,
    points: Tensor | None = None,
    samples: Tensor | None = None,
    labels: Sequence[str] | None = None,
    title: str | None = None,
    coastlines: bool = True,
    resolution: int = 128,
) -> Figure:
    """Draw a density on its manifold: a world map and a globe for S², a periodic square for T², panels for T^d.

    Args:
        manifold: `Sphere(2)` or `Torus(d)`, of any radius or periods: a turn is drawn as 360 degrees.
        log_density: Takes points of the manifold, a tensor of torch's default dtype on the CPU, shape
            `(N, *point_shape)`; returns nats with respect to the volume of the manifold, shape `(N,)`. For a trained
            flow, `flow.at(1.0).log_prob`. Called without gradients. Not used on T^d with d >= 3, where it may be None.
        points: Data to show beside or on the density, shape `(P, *point_shape)`.
        samples: Draws from the density, shape `(S, *point_shape)`: what the panels of T^d with d >= 3 are made of. T¹
            and T² show them beside the data; S² does not.
        labels: Names of the angles of a torus.
        title: A line above the picture.
        coastlines: Whether to draw the Earth's coastlines on S².
        resolution: Rows of the grid on which the density is evaluated: about `1.27 * resolution**2` points on S²,
            `resolution**2` on T².

    Returns:
        The figure; `save_figure` writes it to a file.

    Raises:
        OptionError: The manifold has no picture, or what it needs is missing.
        PointError: A point of the data is off the sphere by more than 1e-3, or an angle is not finite.
        ShapeError: An argument, or what `log_density` returns, has the wrong shape.
        InputError: `log_density` returned NaN or +inf.
        DependencyError: matplotlib is not installed.

    Example:
        >>> import rmatch as rm
        >>> from rmatch.plotting import plot_density
        >>> figure = plot_density(rm.Torus(2), lambda x: x.cos().sum(-1), resolution=16)
        >>> [axes.get_label() for axes in figure.axes]
        ['density', 'colour bar']
    """
    if isinstance(manifold, Sphere) and manifold.dim == 2:
        if log_density is None:
            raise OptionError("a picture of Sphere(2) needs log_density")
        return plot_sphere(
            _of_unit_size(log_density, (manifold.radius,) * 3, manifold.radius**2),
            points=None if points is None else manifold.features(points),
            title=title,
            coastlines=coastlines,
            resolution=resolution,
        )
    if isinstance(manifold, Torus):
        return plot_torus(
            None if log_density is None else _of_unit_size(log_density, manifold.radii, math.prod(manifold.radii)),
            manifold.dim,
            points=None if points is None else manifold.to_angles(points),
            samples=None if samples is None else manifold.to_angles(samples),
            labels=labels,
            title=title,
            resolution=resolution,
        )
    raise OptionError(f"{manifold!r} has no picture; these have one: Sphere(2), and Torus(d) for every d")


def _of_unit_size(log_density: LogDensity, radii: Sequence[float], volume: float) -> LogDensity:
    """The density on the unit sphere or of angles in radians: per steradian or radian, whose volume was `volume`."""
    if set(radii) == {1.0}:
        return log_density
    return lambda x: log_density(x * x.new_tensor(radii)) + math.log(volume)
