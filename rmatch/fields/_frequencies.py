"""Which features a network should see, read off the data."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from rmatch.manifolds import Euclidean, Manifold, Product, Sphere, Torus

_QUERIES, _REFERENCES = 512, 8192  # points whose neighbours are sought, and among which; spread over the table
_FRACTION = 0.12  # finest wavelength scale in units of 1 / (median distance between neighbours)
_RATIO = 8.0  # between one frequency and the next
_HARMONICS = 2.5  # highest harmonic in units of the finest frequency
_MOST_HARMONICS = 16


class FeatureChoice(NamedTuple):
    """What a network should see of the data, as the arguments of `TangentMLP`.

    Args:
        frequencies: Of the Fourier features.
        harmonics: Of each angle.
        center: For each feature of the manifold, what is subtracted; empty for nothing.
        spread: For each feature, what it is then divided by; empty for nothing.
        speed: For each coefficient of the output, the velocity that 1 means; empty for 1.
    """

    frequencies: tuple[float, ...]
    harmonics: int = 0
    center: tuple[float, ...] = ()
    spread: tuple[float, ...] = ()
    speed: tuple[float, ...] = ()


def choose_features(manifold: Manifold, x1: Tensor) -> FeatureChoice:
    """Features from frequency 1 up to what the spacing of the data can carry.

    The finest is `0.12 / s`, with s the median distance from a point to its nearest distinct neighbour (in a table
    thinned to at most 8192 rows, distances in radians on spheres and tori of any size): structure finer
    than a few neighbours is noise. From 1 to there they are spaced evenly in the logarithm, at most a factor of 8
    apart.

    On a torus of more than two angles random waves across all of them would only tell single points apart: there the
    harmonics of each angle up to 2.5 times the finest frequency take their place.

    On a manifold of infinite volume the features have the scale of the data, whatever it is: they are centred and
    divided by their root mean square, and distances are those of the features so made. The velocities that the network
    has to give have a scale too: the root mean square distance to the origin per dimension, as `default_base` has it,
    or the radius of a sphere or an angle. A product has all these for each factor.

    Args:
        manifold: Supplies the distance and the features.
        x1: Data `(N, *point_shape)`.

    Returns:
        The choice; its frequencies are increasing.

    Example:
        >>> import torch, rmatch as rm
        >>> from rmatch.fields import choose_features
        >>> grid = torch.arange(0.0, 6.28, 0.01).reshape(-1, 1)
        >>> [round(f, 1) for f in choose_features(rm.Torus(1), grid).frequencies]
        [1.0, 3.5, 12.0]
    """
    with torch.no_grad():
        center, spread, speed = _scales(manifold, x1)
        finest = max(1.0, _FRACTION / _spacing(*_as_seen(manifold, x1, center, spread)))
    if isinstance(manifold, Torus) and manifold.dim > 2:
        return FeatureChoice((), min(round(_HARMONICS * finest), _MOST_HARMONICS), speed=speed)
    steps = math.ceil(math.log(finest) / math.log(_RATIO))
    frequencies = tuple(finest ** (k / max(steps, 1)) for k in range(steps + 1))
    return FeatureChoice(frequencies, 0, center, spread, speed)


def _scales(manifold: Manifold, x1: Tensor) -> tuple[tuple[float, ...], ...]:
    """The centre and the spread of the features and the speed of the coefficients, factor by factor."""
    factors, parts = ((manifold,), (x1,))
    if isinstance(manifold, Product):
        factors, parts = manifold.factors, manifold.split(x1)
    center: list[float] = []
    spread: list[float] = []
    speed: list[float] = []
    for factor, part in zip(factors, parts, strict=True):
        features = factor.features(part.double())
        bounded = math.isfinite(factor.volume)
        mean = features.new_zeros(features.shape[-1]) if bounded else features.mean(0)
        size = 1.0 if bounded else float((features - mean).square().sum(-1).mean().sqrt()) or 1.0
        center += mean.tolist()
        spread += [size] * features.shape[-1]
        speed += _speed(factor, part.double())
    center_matters, spread_matters = any(center), set(spread) != {1.0}
    return (
        tuple(center) if center_matters else (),
        tuple(spread) if spread_matters else (),
        tuple(speed) if set(speed) != {1.0} else (),
    )


def _speed(manifold: Manifold, x1: Tensor) -> list[float]:
    """For each coefficient of the output, the velocity that is about as large as the flow's."""
    if isinstance(manifold, Torus):
        return list(manifold.radii)
    if isinstance(manifold, Sphere):
        return [manifold.radius] * manifold.span_size
    if math.isfinite(manifold.volume):
        return [1.0] * manifold.span_size
    distances = manifold.dist(manifold.origin(dtype=x1.dtype, device=x1.device), x1)
    return [math.sqrt(float(distances.square().mean()) / manifold.dim) or 1.0] * manifold.span_size


def _as_seen(
    manifold: Manifold, x1: Tensor, center: tuple[float, ...], spread: tuple[float, ...]
) -> tuple[Manifold, Tensor]:
    """A space whose distances are those between the features: a unit sphere, a torus of turns 2π, else a flat space."""
    if isinstance(manifold, Sphere):
        return Sphere(manifold.dim), manifold.features(x1)
    if isinstance(manifold, Torus):
        return Torus(manifold.dim), manifold.to_angles(x1)
    features = manifold.features(x1.double())
    if center:
        features = features - features.new_tensor(center)
    if spread:
        features = features / features.new_tensor(spread)
    return Euclidean(features.shape[-1]), features


def _spacing(manifold: Manifold, x1: Tensor) -> float:
    """The median distance from a point to its nearest distinct neighbour, of a thinned table; inf for a single site."""
    references = x1[:: math.ceil(len(x1) / _REFERENCES) or 1]
    nearest: list[Tensor] = []
    for query in references[:: math.ceil(len(references) / _QUERIES) or 1].split(16):
        d = manifold.dist(query.unsqueeze(1), references.unsqueeze(0))
        nearest.append(torch.where(d > 1e-9, d, math.inf).amin(1))
    distances = torch.cat(nearest) if nearest else x1.new_full((1,), math.inf)
    return float(distances.median())
