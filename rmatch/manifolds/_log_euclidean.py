"""The log-Euclidean metric of positive definite matrices."""

from __future__ import annotations

import torch
from torch import Tensor

from rmatch.manifolds._spd_metric import SPDMetric
from rmatch.manifolds._symmetric import (
    Spectrum,
    exp_derivative,
    exp_derivative_inverse,
    frobenius_norm,
    log_det_sinhc,
    spectrum,
    symmetric_basis,
    symmetric_exp,
    symmetric_log,
)


class LogEuclidean(SPDMetric):
    """`g_x(u, v) = tr(Dlog_x[u] Dlog_x[v])`: the matrix logarithm is an isometry to the symmetric matrices.

    It is a flat metric, invariant under rotation, scaling and inversion. `whiten(x, ·)` is Dlog_x.
    """

    def whiten(self, x: Tensor, v: Tensor) -> Tensor:
        """The derivative of the logarithm along `v`."""
        z, decomposition = _log(x)
        return exp_derivative_inverse(z, v, decomposition=decomposition)

    def colour(self, x: Tensor, s: Tensor) -> Tensor:
        """The derivative of the exponential at `log x` along `s`."""
        z, decomposition = _log(x)
        return exp_derivative(z, s, decomposition=decomposition)

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """The Frobenius product of the derivatives of the logarithm, from one decomposition."""
        z, decomposition = _log(x)
        first = exp_derivative_inverse(z, u, decomposition=decomposition)
        second = first if u is v else exp_derivative_inverse(z, v, decomposition=decomposition)
        return (first * second).sum((-2, -1))

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """The matrix `exp(log x + Dlog_x[v])`."""
        z, decomposition = _log(x)
        return symmetric_exp(z + exp_derivative_inverse(z, v, decomposition=decomposition))

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """The vector `Dexp_{log x}[log y - log x]`."""
        z, decomposition = _log(x)
        return exp_derivative(z, symmetric_log(y) - z, decomposition=decomposition)

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """The Frobenius norm of `log y - log x`."""
        z, w = symmetric_log(torch.stack(torch.broadcast_tensors(x, y))).unbind(0)
        return frobenius_norm(w - z)

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """The vector with the same derivative of the logarithm, whatever the way."""
        return self.colour(y, self.whiten(x, v))

    def geodesic_with_velocity(self, x: Tensor, y: Tensor, s: Tensor | float) -> tuple[Tensor, Tensor]:
        """The matrix `exp(z)`, `z = (1 - s) log x + s log y`, and the velocity `Dexp_z[log y - log x]`."""
        start = symmetric_log(x)
        change = symmetric_log(y) - start
        z = start + s * change
        decomposition = spectrum(z)
        point = exp_derivative(z, decomposition=decomposition)
        return point, exp_derivative(z, change, decomposition=decomposition)

    def sharp(self, x: Tensor, df: Tensor) -> Tensor:
        """The vector `Dexp_z[Dexp_z[df]]`, `z = log x`, for the derivative is self-adjoint."""
        z, decomposition = _log(x)
        return exp_derivative(z, exp_derivative(z, df, decomposition=decomposition), decomposition=decomposition)

    def metric(self, x: Tensor) -> Tensor:
        """The product of the symmetric n² × n² matrix of Dlog_x with itself."""
        n = x.shape[-1]
        units = torch.eye(n * n, dtype=x.dtype, device=x.device).reshape(n * n, n, n)
        rows = self.whiten(x.unsqueeze(-3), (units + units.transpose(-1, -2)) / 2).flatten(-2)
        return rows @ rows.transpose(-1, -2)

    def log_volume_density(self, x: Tensor) -> Tensor:
        """The logarithm of the determinant of Dlog_x: `-(n+1)/2 log det x - Σ_{i<j} log(sinh(h_ij)/h_ij)`.

        Here h_ij is half the difference of the eigenvalues of `log x`.
        """
        z = symmetric_log(x)
        return -(x.shape[-1] + 1) / 2 * z.diagonal(dim1=-2, dim2=-1).sum(-1) - log_det_sinhc(z)

    def density_drift(self, x: Tensor, v: Tensor) -> Tensor:
        """The derivative of `log_volume_density` along `v`: `-Σ_k <Dlog_x B_k, D²exp_z[B_k, Dlog_x v]>`."""
        z = symmetric_log(x)
        basis = symmetric_basis(x.shape[-1], x.dtype, x.device)
        inverse = exp_derivative_inverse(z.unsqueeze(-3), basis)
        velocity = exp_derivative_inverse(z, v).unsqueeze(-3)
        return -(exp_derivative(z.unsqueeze(-3), basis, velocity) * inverse).sum((-3, -2, -1))

    def log_det_exp(self, x: Tensor, v: Tensor) -> Tensor:
        """Zero: in the logarithm `exp` is a translation."""
        return (x + v).new_zeros(torch.broadcast_shapes(x.shape, v.shape)[:-2])


def _log(x: Tensor) -> tuple[Tensor, Spectrum]:
    """The logarithm and its spectral decomposition."""
    vectors, values = spectrum(x)
    decomposition = vectors, values.log()
    return symmetric_log(x, decomposition), decomposition
