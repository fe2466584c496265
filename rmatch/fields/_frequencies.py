"""Which features a network should see, read off the data."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from rmatch.manifolds import Manifold, Sphere, Torus

_QUERIES, _REFERENCES = 512, 8192  # points whose neighbours are sought, and among which; spread over the table
_FRACTION = 0.12  # finest wavelength scale in units of 1 / (median distance between neighbours)
_RATIO = 8.0  # between one frequency and the next
_HARMONICS = 2.5  # highest harmonic in units of the finest frequency
_MOST_HARMONICS = 16


class FeatureChoice(NamedTuple):
    """Frequencies of the Fourier features and the number of harmonics of each angle; see `TangentMLP`."""

    frequencies: tuple[float, ...]
    harmonics: int


def choose_features(manifold: Manifold, x1: Tensor) -> FeatureChoice:
    """Features from frequency 1 up to what the spacing of the data can carry.

    The finest is `0.12 / s`, with s the median distance from a point to its nearest distinct neighbour (in a table
    thinned to at most 8192 rows, distances in radians on spheres and tori of any size): structure finer
    than a few neighbours is noise. From 1 to there they are spaced evenly in the logarithm, at most a factor of 8
    apart.

    On a torus of more than two angles random waves across all of them would only tell single points apart: there the
    harmonics of each angle up to 2.5 times the finest frequency take their place.

    Args:
        manifold: Supplies the distance.
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
    finest = max(1.0, _FRACTION / _spacing(*_unit_sized(manifold, x1)))
    if isinstance(manifold, Torus) and manifold.dim > 2:
        return FeatureChoice((), min(round(_HARMONICS * finest), _MOST_HARMONICS))
    steps = math.ceil(math.log(finest) / math.log(_RATIO))
    return FeatureChoice(tuple(finest ** (k / max(steps, 1)) for k in range(steps + 1)), 0)


def _unit_sized(manifold: Manifold, x1: Tensor) -> tuple[Manifold, Tensor]:
    """The unit sphere or the torus of turns 2π with the points there: what `Manifold.features` sees of larger ones."""
    if isinstance(manifold, Sphere):
        return Sphere(manifold.dim), manifold.features(x1)
    if isinstance(manifold, Torus):
        return Torus(manifold.dim), manifold.to_angles(x1)
    return manifold, x1


def _spacing(manifold: Manifold, x1: Tensor) -> float:
    """The median distance from a point to its nearest distinct neighbour, of a thinned table; inf for a single site."""
    references = x1[:: math.ceil(len(x1) / _REFERENCES) or 1]
    nearest: list[Tensor] = []
    for query in references[:: math.ceil(len(references) / _QUERIES) or 1].split(16):
        d = manifold.dist(query.unsqueeze(1), references.unsqueeze(0))
        nearest.append(torch.where(d > 1e-9, d, math.inf).amin(1))
    distances = torch.cat(nearest) if nearest else x1.new_full((1,), math.inf)
    return float(distances.median())
