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
        return _ByQuotients.apply(_quotients(x, u, v).detach(), x, u, v)  # type: ignore[no-any-return]
    factor = torch.linalg.cholesky(x.detach())
    first, second = _sandwich(factor, u.detach(), v.detach())
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
        return grad[..., None, None, None] * torch.stack((-by_point - transpose(by_point), by_first, by_second), -3)


class _ByQuotients(_Inner):
    """Of the quotients, as constants, and (x, u, v)."""

    constants = 1

    @staticmethod
    def forward(quotients: Tensor, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        first, second = quotients.chunk(2, -1)
        return (first * transpose(second)).sum((-2, -1))

    @classmethod
    def cotangents(cls, saved: Saved, needed: Needed, grad: Tensor) -> Gradients:
        return None, *_ByQuotientsGradient.apply(*saved[:-1], grad).unbind(-3)


# ---- by the whitened vectors L⁻¹ u L⁻ᵀ, L⁻¹ v L⁻ᵀ -------------------------------------------------------------------


def _sandwich(factor: Tensor, *matrices: Tensor, inverse_of_transpose: bool = False) -> tuple[Tensor, ...]:
    """The matrices `L⁻¹ a L⁻ᵀ` (or `L⁻ᵀ a L⁻¹`) of symmetric ones, by two solves from the right for all together."""
    divisor = factor if inverse_of_transpose else transpose(factor)
    for _ in range(2):
        rows = transpose(torch.cat(matrices, -1))
        rows = torch.linalg.solve_triangular(divisor, rows, upper=not inverse_of_transpose, left=False)
        matrices = rows.split(factor.shape[-1], -2)
    return matrices


class _ByWhiteningGradient(_InnerGradient):
    constants = 3

    @staticmethod
    def forward(factor: Tensor, first: Tensor, second: Tensor, x: Tensor, u: Tensor, v: Tensor, grad: Tensor) -> Tensor:
        product = first @ second
        back = _sandwich(factor, product + transpose(product), second, first, inverse_of_transpose=True)
        return grad[..., None, None, None] * torch.stack((-back[0], back[1], back[2]), -3)


class _ByWhitening(_Inner):
    """Of L and the whitened vectors, as constants, and (x, u, v)."""

    constants = 3

    @staticmethod
    def forward(factor: Tensor, first: Tensor, second: Tensor, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        return (first * second).sum((-2, -1))

    @classmethod
    def cotangents(cls, saved: Saved, needed: Needed, grad: Tensor) -> Gradients:
        return None, None, None, *_ByWhiteningGradient.apply(*saved[:-1], grad).unbind(-3)
