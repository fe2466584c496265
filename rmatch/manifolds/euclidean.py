"""Euclidean space R^n."""

from __future__ import annotations

import math

import torch
from torch import Tensor

import rmatch.manifolds._quadrature as _quadrature
from rmatch._errors import OptionError
from rmatch.manifolds.base import Quadrature
from rmatch.manifolds.embedded import EmbeddedManifold


class FlatManifold(EmbeddedManifold):
    """A manifold with the Euclidean metric in its coordinates: transporting or projecting a vector changes nothing."""

    def to_tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """`v` itself, with the batch of the points: every array is tangent."""
        return v if v.shape == x.shape else v.expand(torch.broadcast_shapes(x.shape, v.shape))

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """`v` itself, with the batch of the points."""
        return v.expand(torch.broadcast_shapes(x.shape, y.shape, v.shape))

    def frame(self, x: Tensor) -> Tensor:
        """The unit coordinate vectors: `(*batch, n, n)`."""
        return torch.eye(self.dim, dtype=x.dtype, device=x.device).expand(*x.shape[:-1], self.dim, self.dim)

    def metric(self, x: Tensor) -> Tensor:
        """The identity matrix: `(*batch, n, n)`."""
        return self.frame(x)

    def volume_form(self, x: Tensor, vectors: Tensor) -> Tensor:
        """The oriented volume `det[v_1, ..., v_n]`."""
        del x
        return torch.linalg.det(vectors)

    def log_det_exp(self, x: Tensor, v: Tensor) -> Tensor:
        """Zero: `exp` is a translation."""
        return (x + v).new_zeros(torch.broadcast_shapes(x.shape, v.shape)[:-1])

    def origin(self, *, dtype: torch.dtype | None = None, device: torch.device | None = None) -> Tensor:
        """The zero vector."""
        return torch.zeros(self.dim, dtype=dtype, device=device)


class Euclidean(FlatManifold):
    """The vector space R^n with the standard inner product.

    Args:
        n: Dimension, at least 1.

    Raises:
        OptionError: `n` is less than 1.

    Example:
        >>> import torch, rmatch as rm
        >>> M = rm.Euclidean(2)
        >>> M.exp(torch.zeros(2), torch.tensor([3.0, 4.0]))
        tensor([3., 4.])
    """

    def __init__(self, n: int) -> None:
        if n < 1:
            raise OptionError(f"a Euclidean space has dimension 1 or more, got Euclidean({n})")
        self.dim = n
        self.point_shape = (n,)
        self.volume = math.inf

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """The point `x + v`."""
        return x + v

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """The vector `y - x`."""
        return y - x

    def project(self, x: Tensor) -> Tensor:
        """`x` itself."""
        return x

    def magnitude(self, x: Tensor) -> Tensor:
        """`|x|`, for each coordinate."""
        return x.abs()

    def geodesic_with_velocity(self, x: Tensor, y: Tensor, t: Tensor | float) -> tuple[Tensor, Tensor]:
        """The point `x + t (y - x)` and the constant velocity `y - x`."""
        v = y - x
        return x + self._over_points(t) * v, v

    def quadrature(
        self, degree: int = 60, *, dtype: torch.dtype = torch.float64, device: torch.device | None = None
    ) -> Quadrature:
        """Gauss–Hermite product rules: exact for polynomials up to `degree` times the standard normal density.

        For n > 3, scrambled Sobol points mapped by the normal quantile function, in 8 independent blocks.
        """
        rule = _quadrature.normal_rule if self.quadrature_is_exact(degree) else _quadrature.normal_sequence
        return Quadrature(*rule(self.dim, degree, dtype, device))

    def quadrature_is_exact(self, degree: int) -> bool:
        """Whether the product rule is used: for n <= 3."""
        del degree
        return self.dim <= 3
