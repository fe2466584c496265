"""Premetrics: what may stand for the geodesic distance in a conditional path."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

from torch import Tensor

from rmatch.manifolds import Manifold


class Premetric(ABC):
    """A function d(x, y) that says how far x still is from y.

    It is not negative, it is 0 for x = y alone, and its gradient in x vanishes nowhere else, or on a set of measure 0
    as at the cut locus. Neither symmetry nor the triangle inequality is asked for. A member supplies `dist`; the
    gradient is by autodiff unless it knows better.

    References:
        Chen and Lipman, "Flow matching on general geometries", ICLR 2024, section 3.
    """

    manifold: Manifold

    @property
    def largest(self) -> float:
        """The least upper bound of d, where it is known: no base point lies farther out. Else `inf`."""
        return math.inf

    @abstractmethod
    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """The premetric d(x, y), shape `(*batch)`; the batches broadcast."""

    def gradient(self, x: Tensor, y: Tensor) -> Tensor:
        """The Riemannian gradient of `d(·, y)` at `x`, shape `(*batch, *point_shape)`."""
        shape = (x - y).shape
        return self.manifold.gradient(lambda z: self.dist(z, y))(x.expand(shape))

    def dist_and_gradient(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Both, for members that have them at little more than the price of one."""
        return self.dist(x, y), self.gradient(x, y)

    def profile(self, r: Tensor) -> tuple[Tensor, Tensor] | None:
        """The premetric and its derivative as functions of the geodesic distance r up to `reach`, if it is one of it.

        Paths then run along geodesics and need no solver. None where it depends on more than the distance.
        """
        del r
        return None

    @property
    def reach(self) -> float:
        """Up to which geodesic distance `profile` holds, by default everywhere."""
        return math.inf


class GeodesicDistance(Premetric):
    """The geodesic distance, with which a `PremetricPath` is the `GeodesicPath`.

    Args:
        manifold: Where it measures.

    Example:
        >>> import torch, rmatch as rm
        >>> d = rm.GeodesicDistance(rm.Torus(1))
        >>> d.dist_and_gradient(torch.tensor([0.25]), torch.tensor([6.25]))
        (tensor(0.2832), tensor([1.]))
    """

    def __init__(self, manifold: Manifold) -> None:
        self.manifold = manifold

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """The manifold's distance."""
        return self.manifold.dist(x, y)

    def gradient(self, x: Tensor, y: Tensor) -> Tensor:
        """The unit vector that points away from `y`; 0 for x = y."""
        log = self.manifold.log(x, y)
        length = self.manifold.norm(x, log)
        length = length + (length == 0).to(length)
        return -log / length.reshape(*length.shape, *(1 for _ in self.manifold.point_shape))

    def profile(self, r: Tensor) -> tuple[Tensor, Tensor]:
        """The distance itself."""
        return r, r.new_ones(r.shape)

    def __repr__(self) -> str:
        """The constructor call."""
        return f"GeodesicDistance({self.manifold!r})"
