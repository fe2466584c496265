"""What a distribution on a manifold is."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from rmatch._errors import ShapeError
from rmatch._typing import Shape
from rmatch.manifolds import Manifold

__all__ = ["Distribution"]


class Distribution(ABC):
    """A probability law on a manifold that has a density.

    A member supplies `sample` and `log_prob`, and sets `manifold`; it may override `score` by a closed form.

    Attributes:
        manifold: Where the points live.
    """

    manifold: Manifold

    @abstractmethod
    def sample(
        self,
        shape: Shape = (),
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
    ) -> Tensor:
        """Independent points, `(*shape, *point_shape)`.

        Args:
            shape: Shape of the batch.
            generator: Source of the random numbers, on the device of the points; the same state gives the same points.
            dtype: Type of the coordinates.
            device: Where the points are made.
        """

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density at `x` in nats, with respect to the Riemannian volume dV_g, shape `(*batch)`."""

    def score(self, x: Tensor) -> Tensor:
        """The score `∇ log p(x)`, a tangent vector: the Riemannian gradient of `log_prob`."""
        return self.manifold.gradient(self.log_prob)(x)


def require_shape(manifold: Manifold, x: Tensor) -> None:
    """Raise `ShapeError` where `x` has not the shape of points of the manifold, for example those of another one."""
    rank = len(manifold.point_shape)
    if tuple(x.shape[x.dim() - rank :]) != manifold.point_shape:
        wanted = ", ".join(("*batch", *map(str, manifold.point_shape)))
        raise ShapeError(f"points on {manifold!r} have shape ({wanted}), got {tuple(x.shape)}")
