"""Submanifolds of Euclidean space with the metric that they inherit from it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rmatch._numerics import last_sum, standard_normal
from rmatch.manifolds.base import Manifold


class EmbeddedManifold(Manifold):
    """A manifold whose metric is the ambient Euclidean inner product restricted to its tangent spaces.

    This earns three defaults that would be wrong elsewhere: a covector is raised by the tangent projection, the
    gradient is hence the tangent part of the ambient gradient, and the volume is the surface measure (density 1).
    """

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """The Euclidean inner product of the two arrays, shape `(*batch)`."""
        product = last_sum((u * v).flatten(-len(self.point_shape)))
        batch = self._batch(x)
        return product if product.shape == batch else product.expand(torch.broadcast_shapes(product.shape, batch))

    def sharp(self, x: Tensor, df: Tensor) -> Tensor:
        """The tangent part of the ambient covector."""
        return self.to_tangent(x, df)

    def log_volume_density(self, x: Tensor) -> Tensor:
        """Zero: the reference measure is the surface measure."""
        return x.new_zeros(self._batch(x))

    def density_drift(self, x: Tensor, v: Tensor) -> Tensor | None:
        """None: the density is constant."""
        del x, v
        return None

    def coordinate_frame(self, x: Tensor) -> Tensor:
        """The orthonormal frame: metric and reference measure agree."""
        return self.frame(x)

    def features(self, x: Tensor) -> Tensor:
        """The ambient coordinates, flat."""
        return x.flatten(-len(self.point_shape))

    def error_size(self, x: Tensor, y: Tensor, v: Tensor, *, rtol: float, atol: float) -> Tensor:
        """The root mean square over the coordinates, each divided by `atol + rtol` times its `magnitude`."""
        scale = atol + rtol * torch.maximum(self.magnitude(x), self.magnitude(y))
        return (v / scale).square().flatten(-len(self.point_shape)).mean(-1).sqrt()

    @property
    def span_size(self) -> int:
        """The size of an ambient array."""
        return math.prod(self.point_shape)

    def span(self, x: Tensor, coefficients: Tensor) -> Tensor:
        """The tangent part of an ambient array: a sphere of even dimension has no smooth frame to combine."""
        return self.to_tangent(x, coefficients.reshape(x.shape))

    def random_tangent(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """A standard normal array, projected: it is standard normal in the tangent space."""
        return self.to_tangent(x, standard_normal(x.shape, x, generator))

    def random_probe(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """A random tangent vector, smooth in `x`, as no combination of a frame on a whole sphere can be.

        An adaptive solver needs that: where a frame jumps, so would the estimate, even with the same random numbers.
        """
        return self.random_tangent(x, generator=generator)
