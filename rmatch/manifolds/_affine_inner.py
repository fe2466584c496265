"""The affine-invariant inner product `tr(x⁻¹ u x⁻¹ v)`, by the faster of two ways for the size.

Neither forms the inverse of x, which would lose twice the digits of its condition. Symmetric matrices may be read
transposed: then they lie in memory as the solvers of LAPACK want them, and nothing is copied.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rmatch.manifolds._symmetric import Gradients, Needed, Saved, divide, transpose
from rmatch.manifolds._twin import TwinFunction, gradient_twin

_SMALL = 3  # size up to which a solve by LU is faster than Cholesky's factor and triangular solves


def affine_inner(x: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """The inner product of symmetric `u`, `v` at `x`, shape `(*batch)`."""
    if not x.shape == u.shape == v.shape:
        x, u, v = torch.broadcast_tensors(x, u, v)
    if x.shape[-1] <= _SMALL:
        with torch.no_grad():
            quotients = _quotients(x, u, v)
        return _ByQuotients.apply(quotients, x, u, v)  # type: ignore[no-any-return]
    with torch.no_grad():
        factor = torch.linalg.cholesky(x)
        first, second = _sandwich(factor, u, v).unbind(-3)
    return _ByWhitening.apply(factor, first, second, x, u, v)  # type: ignore[no-any-return]


class _Inner(TwinFunction):
    @staticmethod
    def twin(*arguments: Tensor) -> Tensor:
        x, u, v = arguments
        factor = torch.linalg.cholesky(x)
        return (divide(factor, u) * divide(factor, v)).sum((-2, -1))


class _InnerGradient(TwinFunction):
    """The gradients `-2 sym(x⁻¹ u w)`, `w = x⁻¹ v x⁻¹` and `x⁻¹ u x⁻¹`, stacked."""

    @staticmethod
    def twin(*arguments: Tensor) -> Tensor:
        return gradient_twin(_Inner, *arguments)


# ---- by the quotients x⁻¹ u, x⁻¹ v ----------------------------------------------------------------------------------


def _quotients(x: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """The matrices `[x⁻¹ uᵀ, x⁻¹ vᵀ]`, side by side."""
    return torch.linalg.solve(transpose(x), transpose(torch.cat([u, v], -2)))


class _ByQuotientsGradient(_InnerGradient):
    constants = 1

    @staticmethod
    def forward(quotients: Tensor, x: Tensor, u: Tensor, v: Tensor, grad: Tensor) -> Tensor:
        first, second = quotients.chunk(2, -1)
        by_second, by_first = _quotients(x, first, second).chunk(2, -1)
        by_point = first @ by_first
        bend = torch.sub(-by_point, transpose(by_point))
        return torch.stack((bend, by_first, by_second), -3).mul_(grad[..., None, None, None])


class _ByQuotients(_Inner):
    """Of the quotients, as constants, and (x, u, v)."""

    constants = 1

    @staticmethod
    def forward(quotients: Tensor, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        first, second = quotients.chunk(2, -1)
        return (first * transpose(second)).sum((-2, -1))

    @classmethod
    def cotangents(cls, saved: Saved, needed: Needed, grad: Tensor) -> Gradients:
        return None, *_ByQuotientsGradient.evaluate(*saved[:-1], grad).unbind(-3)


# ---- by the whitened vectors L⁻¹ u L⁻ᵀ, L⁻¹ v L⁻ᵀ -------------------------------------------------------------------


def _sandwich(factor: Tensor, *matrices: Tensor, inverse_of_transpose: bool = False) -> Tensor:
    """The matrices `L⁻¹ a L⁻ᵀ` (or `L⁻ᵀ a L⁻¹`) of k symmetric ones, `(*batch, k, n, n)`, in two solves."""
    size = len(matrices), factor.shape[-1]
    divisor = factor if inverse_of_transpose else transpose(factor)
    rows = factor
    for _ in range(2):
        rows = transpose(torch.cat(matrices, -1))  # the solver takes it as it lies in memory
        rows = torch.linalg.solve_triangular(divisor, rows, upper=not inverse_of_transpose, left=False)
        matrices = rows.split(size[1], -2)
    return rows.unflatten(-2, size)


class _ByWhiteningGradient(_InnerGradient):
    constants = 3

    @staticmethod
    def forward(factor: Tensor, first: Tensor, second: Tensor, x: Tensor, u: Tensor, v: Tensor, grad: Tensor) -> Tensor:
        product = first @ second
        bend = torch.sub(-product, transpose(product))
        return _sandwich(factor, bend, second, first, inverse_of_transpose=True).mul_(grad[..., None, None, None])


class _ByWhitening(_Inner):
    """Of L and the whitened vectors, as constants, and (x, u, v)."""

    constants = 3

    @staticmethod
    def forward(factor: Tensor, first: Tensor, second: Tensor, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        return (first * second).sum((-2, -1))

    @classmethod
    def cotangents(cls, saved: Saved, needed: Needed, grad: Tensor) -> Gradients:
        return None, None, None, *_ByWhiteningGradient.evaluate(*saved[:-1], grad).unbind(-3)
