"""The affine-invariant metric of positive definite matrices."""

from __future__ import annotations

import torch
from torch import Tensor

from rmatch.manifolds._affine_inner import affine_inner
from rmatch.manifolds._pencil import pencil_distance, pencil_exp, pencil_geodesic, pencil_log, pencil_transport
from rmatch.manifolds._spd_metric import SPDMetric
from rmatch.manifolds._symmetric import divide, log_det_sinhc, multiply, transpose


class AffineInvariant(SPDMetric):
    """`g_x(u, v) = tr(x⁻¹ u x⁻¹ v)`, the same after every congruence `a x aᵀ`.

    With the Cholesky factor x = L Lᵀ, `whiten(x, v) = L⁻¹ v L⁻ᵀ` moves everything to the identity, where geodesics are
    exponentials.
    """

    def whiten(self, x: Tensor, v: Tensor) -> Tensor:
        """The matrix `L⁻¹ v L⁻ᵀ`."""
        return divide(torch.linalg.cholesky(x), v)

    def colour(self, x: Tensor, s: Tensor) -> Tensor:
        """The matrix `L s Lᵀ`."""
        return multiply(torch.linalg.cholesky(x), s)

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """The number `tr(x⁻¹ u x⁻¹ v)`."""
        return affine_inner(x, u, v)

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """The matrix `L e^w Lᵀ` with w = L⁻¹ v L⁻ᵀ."""
        return pencil_exp(x, v)

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """The matrix `L w Lᵀ` with e^w = L⁻¹ y L⁻ᵀ."""
        return pencil_log(x, y)

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """The root of the sum of the squared logarithms of the eigenvalues of `x⁻¹ y`."""
        return pencil_distance(x, y)

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """The matrix `e v eᵀ` with `e = (y x⁻¹)^{1/2} = L (L⁻¹ y L⁻ᵀ)^{1/2} L⁻¹`."""
        return pencil_transport(x, y, v)

    def geodesic_with_velocity(self, x: Tensor, y: Tensor, s: Tensor | float) -> tuple[Tensor, Tensor]:
        """The matrices `L e^{sw} Lᵀ` and `L e^{sw} w Lᵀ` with e^w = L⁻¹ y L⁻ᵀ."""
        if not isinstance(s, Tensor):
            return pencil_geodesic(x, y, x.new_full((1, 1), s))
        return pencil_geodesic(x, y, s if s.dim() else s.to(x).reshape(1, 1))

    def sharp(self, x: Tensor, df: Tensor) -> Tensor:
        """The matrix `x df x`, as `L (Lᵀ df L) Lᵀ`: a product with x itself would lose the condition a second time."""
        factor = torch.linalg.cholesky(x)
        return multiply(factor, multiply(transpose(factor), df))

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
