"""What a Riemannian metric on positive definite matrices supplies to `SPD`."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from rmatch.manifolds._symmetric import frobenius_norm, symmetric_basis, to_coordinates


class SPDMetric(ABC):
    """A metric that is the Frobenius product of whitened vectors: `g_x(u, v) = tr(W_x u W_x v)`.

    `whiten(x, ·)` is a linear isometry from the tangent space at `x` to the symmetric matrices with the Frobenius
    product, smooth in `x`, and `colour(x, ·)` its inverse.
    """

    @abstractmethod
    def whiten(self, x: Tensor, v: Tensor) -> Tensor:
        """The symmetric matrix `W_x v`."""

    @abstractmethod
    def colour(self, x: Tensor, s: Tensor) -> Tensor:
        """The tangent vector v with `W_x v = s`."""

    @abstractmethod
    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """The Frobenius product of the whitened vectors."""

    @abstractmethod
    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """The end of the geodesic."""

    @abstractmethod
    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """The initial velocity of the geodesic."""

    @abstractmethod
    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """The geodesic distance."""

    @abstractmethod
    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """Parallel transport."""

    @abstractmethod
    def geodesic_with_velocity(self, x: Tensor, y: Tensor, s: Tensor | float) -> tuple[Tensor, Tensor]:
        """Point and velocity at time `s`, which multiplies matrices."""

    @abstractmethod
    def sharp(self, x: Tensor, df: Tensor) -> Tensor:
        """The covector `df`, symmetric, raised."""

    @abstractmethod
    def metric(self, x: Tensor) -> Tensor:
        """The Gram matrix of the symmetric parts of the unit coordinate matrices, `(*batch, n², n²)`."""

    @abstractmethod
    def log_volume_density(self, x: Tensor) -> Tensor:
        """The log-density of the volume against Frobenius-orthonormal coordinates."""

    @abstractmethod
    def density_drift(self, x: Tensor, v: Tensor) -> Tensor:
        """The derivative of `log_volume_density` along `v`."""

    @abstractmethod
    def log_det_exp(self, x: Tensor, v: Tensor) -> Tensor:
        """`log |det d(exp_x)_v|` between orthonormal frames."""

    def norm(self, x: Tensor, u: Tensor) -> Tensor:
        """The Frobenius norm of the whitened vector."""
        return frobenius_norm(self.whiten(x, u))

    def frame(self, x: Tensor) -> Tensor:
        """The coloured Frobenius-orthonormal basis."""
        return self.colour(x.unsqueeze(-3), symmetric_basis(x.shape[-1], x.dtype, x.device))

    def volume_form(self, x: Tensor, vectors: Tensor) -> Tensor:
        """The determinant of the whitened vectors' coordinates."""
        return torch.linalg.det(to_coordinates(self.whiten(x.unsqueeze(-3), vectors)))
