"""One front door to the pictures: the manifold decides which one is drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from torch import Tensor

from rmatch._errors import OptionError
from rmatch.manifolds import SPD, Lorentz, Manifold, PoincareBall, Product, SpecialOrthogonal, Sphere, Torus
from rmatch.plotting._evaluate import LogDensity
from rmatch.plotting.hyperbolic import plot_hyperbolic
from rmatch.plotting.product import plot_coordinates, plot_product
from rmatch.plotting.rotations import plot_rotations
from rmatch.plotting.spd import plot_spd
from rmatch.plotting.sphere import plot_sphere
from rmatch.plotting.torus import plot_torus

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Labels: TypeAlias = Sequence[str] | Sequence[Sequence[str] | None]


def plot_density(
    manifold: Manifold,
    log_density: LogDensity | None,
    *,
    points: Tensor | None = None,
    samples: Tensor | None = None,
    labels: Labels | None = None,
    title: str | None = None,
    coastlines: bool = True,
    resolution: int = 128,
) -> Figure:
    """Draw a density on its manifold: each has a picture of its own.

    A world map and a globe for S², a periodic square for T², the Poincaré disc for the hyperbolic plane, the shapes and
    the cone for SPD(2), the ball of rotation vectors for SO(3), one panel for each factor of a product, and elsewhere
    panels for pairs of coordinates.

    Args:
        manifold: The manifold.
        log_density: Takes points of the manifold, a tensor of torch's default dtype on the CPU, shape
            `(N, *point_shape)`; returns nats with respect to the volume of the manifold, shape `(N,)`. For a trained
            flow, `flow.at(1.0).log_prob`. Called without gradients. Not used, and may be None, on products and where
            pairs of coordinates are drawn.
        points: Data to show beside or on the density, shape `(P, *point_shape)`.
        samples: Draws from the density, shape `(S, *point_shape)`: what all but S², T¹, T² and the hyperbolic plane are
            made of. T¹, T² and the hyperbolic plane show them beside the data; S² does not.
        labels: Names of the coordinates, where the picture has such axes; for a product one list, or None, per factor.
        title: A line above the picture.
        coastlines: Whether to draw the Earth's coastlines on S².
        resolution: Rows of the grid on which the density is evaluated: about `1.27 * resolution**2` points on S²,
            `resolution**2` on T², `0.8 * resolution**2` in the disc.

    Returns:
        The figure; `save_figure` writes it to a file.

    Raises:
        OptionError: What the picture needs is missing, or the labels do not fit.
        PointError: A point is off the manifold by more than 1e-3, or not finite.
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
    if isinstance(manifold, Product):
        return plot_product(
            manifold, points=points, samples=_needed(manifold, samples), labels=_factor_labels(labels), title=title
        )
    names = _own_labels(labels)
    if isinstance(manifold, Torus):
        return plot_torus(
            None if log_density is None else _of_unit_size(log_density, manifold.radii, math.prod(manifold.radii)),
            manifold.dim,
            points=None if points is None else manifold.to_angles(points),
            samples=None if samples is None else manifold.to_angles(samples),
            labels=_in_turns(manifold, names),
            title=title,
            resolution=resolution,
        )
    if isinstance(manifold, Sphere) and manifold.dim == 2:
        density = _needed_density(manifold, log_density)
        return plot_sphere(
            _of_unit_size(density, (manifold.radius,) * 3, manifold.radius**2),
            points=None if points is None else manifold.features(points),
            title=title,
            coastlines=coastlines,
            resolution=resolution,
        )
    if isinstance(manifold, PoincareBall | Lorentz) and manifold.dim == 2:
        density = _needed_density(manifold, log_density)
        return plot_hyperbolic(manifold, density, points=points, samples=samples, title=title, resolution=resolution)
    drawn = _needed(manifold, samples)
    if isinstance(manifold, SPD) and manifold.n == 2:
        density = _needed_density(manifold, log_density)
        return plot_spd(manifold, density, points=points, samples=drawn, title=title, resolution=resolution)
    if isinstance(manifold, SpecialOrthogonal):
        density = _needed_density(manifold, log_density)
        return plot_rotations(manifold, density, points=points, samples=drawn, title=title)
    return plot_coordinates(manifold, points=points, samples=drawn, labels=names, title=title)


def shows_density(manifold: Manifold) -> bool:
    """Whether `plot_density` draws the density itself, and not samples of it alone.

    Example:
        >>> import rmatch as rm
        >>> from rmatch.plotting import shows_density
        >>> [shows_density(rm.Torus(d)) for d in (1, 2, 3)]
        [True, True, False]
    """
    if isinstance(manifold, SPD):
        return manifold.n == 2
    if isinstance(manifold, Sphere | PoincareBall | Lorentz):
        return manifold.dim == 2
    return isinstance(manifold, SpecialOrthogonal) or (isinstance(manifold, Torus) and manifold.dim <= 2)


def _of_unit_size(log_density: LogDensity, radii: Sequence[float], volume: float) -> LogDensity:
    """The density on the unit sphere or of angles in radians: per steradian or radian, whose volume was `volume`."""
    if set(radii) == {1.0}:
        return log_density
    return lambda x: log_density(x * x.new_tensor(radii)) + math.log(volume)


def _in_turns(manifold: Torus, names: list[str] | None) -> list[str] | None:
    """The names of the angles; of another period than 2π, for example `hour × 15`, for that is shown as degrees."""
    if set(manifold.radii) == {1.0}:
        return names
    plain = [f"θ{index + 1}" for index in range(manifold.dim)] if names is None else names
    return [f"{name} × {360 / period:.4g}" for name, period in zip(plain, manifold.periods, strict=False)]


def _needed(manifold: Manifold, samples: Tensor | None) -> Tensor:
    if samples is None:
        raise OptionError(f"a picture of {manifold!r} is made of samples; give samples, for example 5,000 draws")
    return samples


def _needed_density(manifold: Manifold, log_density: LogDensity | None) -> LogDensity:
    if log_density is None:
        raise OptionError(f"a picture of {manifold!r} needs log_density")
    return log_density


def _own_labels(labels: Labels | None) -> list[str] | None:
    """The names of one manifold's coordinates."""
    if labels is None:
        return None
    names = [name for name in labels if isinstance(name, str)]
    if len(names) != len(labels):
        raise OptionError("lists of labels for each factor are for products only; give one list of names")
    return names


def _factor_labels(labels: Labels | None) -> list[Sequence[str] | None] | None:
    """The names of the coordinates of each factor."""
    if labels is None:
        return None
    if any(isinstance(own, str) for own in labels):
        raise OptionError("the labels of a product are one list of names, or None, for each factor")
    return [own for own in labels if not isinstance(own, str)]
