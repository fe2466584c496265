"""The affine-invariant metric of positive definite matrices."""

from __future__ import annotations

import torch
from torch import Tensor

from rmatch.manifolds._spd_metric import SPDMetric, frobenius_norm
from rmatch.manifolds._symmetric import Spectrum, log_det_sinhc, symmetric_exp, symmetric_log, transpose


class AffineInvariant(SPDMetric):
    """`g_x(u, v) = tr(x⁻¹ u x⁻¹ v)`, the same after every congruence `a x aᵀ`.

    With the Cholesky factor x = L Lᵀ, `whiten(x, v) = L⁻¹ v L⁻ᵀ` moves everything to the identity, where geodesics are
    exponentials.
    """

    def whiten(self, x: Tensor, v: Tensor) -> Tensor:
        """The matrix `L⁻¹ v L⁻ᵀ`."""
        return _divide(torch.linalg.cholesky(x), v)

    def colour(self, x: Tensor, s: Tensor) -> Tensor:
        """The matrix `L s Lᵀ`."""
        return _multiply(torch.linalg.cholesky(x), s)

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """The matrix `L e^w Lᵀ` with w = L⁻¹ v L⁻ᵀ."""
        factor = torch.linalg.cholesky(x)
        return _multiply(factor, symmetric_exp(_divide(factor, v)))

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """The matrix `L w Lᵀ` with e^w = L⁻¹ y L⁻ᵀ."""
        factor = torch.linalg.cholesky(x)
        return _multiply(factor, _whitened_log(factor, y))

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """The root of the sum of the squared logarithms of the eigenvalues of `x⁻¹ y`."""
        return frobenius_norm(_whitened_log(torch.linalg.cholesky(x), y))

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """The matrix `e v eᵀ` with `e = (y x⁻¹)^{1/2} = L (L⁻¹ y L⁻ᵀ)^{1/2} L⁻¹`."""
        factor = torch.linalg.cholesky(x)
        root = symmetric_exp(_whitened_log(factor, y) / 2)
        return _multiply(factor, root @ _divide(factor, v) @ root)

    def geodesic_with_velocity(self, x: Tensor, y: Tensor, s: Tensor | float) -> tuple[Tensor, Tensor]:
        """The matrices `L exp(s w) Lᵀ` and `L exp(s w) w Lᵀ` with w = log(L⁻¹ y L⁻ᵀ)."""
        factor = torch.linalg.cholesky(x)
        w = _whitened_log(factor, y)
        power = symmetric_exp(s * w)
        return _multiply(factor, power), _multiply(factor, power @ w)

    def sharp(self, x: Tensor, df: Tensor) -> Tensor:
        """The matrix `x df x`."""
        return x @ df @ x

    def metric(self, x: Tensor) -> Tensor:
        """The matrix `(p_ik p_jl + p_il p_jk) / 2` with p = x⁻¹, rows ij and columns kl."""
        p = torch.cholesky_inverse(torch.linalg.cholesky(x))
        gram = torch.einsum("...ik,...jl->...ijkl", p, p)
        return ((gram + gram.transpose(-1, -2)) / 2).flatten(-4, -3).flatten(-2)

    def log_volume_density(self, x: Tensor) -> Tensor:
        """The number `-(n+1)/2 log det x`."""
        diagonal = torch.linalg.cholesky(x).diagonal(dim1=-2, dim2=-1)
        return -(x.shape[-1] + 1) * diagonal.log().sum(-1)

    def density_drift(self, x: Tensor, v: Tensor) -> Tensor:
        """The number `-(n+1)/2 tr(x⁻¹ v)`."""
        trace = self.whiten(x, v).diagonal(dim1=-2, dim2=-1).sum(-1)
        return -(x.shape[-1] + 1) / 2 * trace

    def log_det_exp(self, x: Tensor, v: Tensor) -> Tensor:
        """The sum `Σ_{i<j} log(sinh(h_ij)/h_ij)`, h_ij half the difference of the whitened tangent's eigenvalues."""
        return log_det_sinhc(self.whiten(x, v))


def _divide(factor: Tensor, a: Tensor) -> Tensor:
    """The matrix `L⁻¹ a L⁻ᵀ`."""
    half = torch.linalg.solve_triangular(factor, a, upper=False)
    return torch.linalg.solve_triangular(transpose(factor), half, upper=True, left=False)


def _multiply(factor: Tensor, a: Tensor) -> Tensor:
    """The matrix `L a Lᵀ`."""
    return factor @ a @ transpose(factor)


def _whitened_log(factor: Tensor, y: Tensor) -> Tensor:
    """The logarithm of `L⁻¹ y L⁻ᵀ`."""
    return symmetric_log(_divide(factor, y), _whitened_spectrum(factor.detach(), y.detach()))


def _whitened_spectrum(factor: Tensor, y: Tensor) -> Spectrum:
    """Eigenvectors of `L⁻¹ y L⁻ᵀ` and the logarithms of its eigenvalues, by singular values.

    They are the squares of the singular values of `L⁻¹ L_y`, whose condition is only the root of that of the matrix
    itself: where that is 1e20 the small eigenvalues are still there.
    """
    ratio = torch.linalg.solve_triangular(factor, torch.linalg.cholesky(y), upper=False)
    vectors, singular, _ = torch.linalg.svd(ratio)
    return vectors, 2 * singular.log()
