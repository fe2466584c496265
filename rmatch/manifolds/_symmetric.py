"""Functions of a symmetric matrix, differentiable any number of times, also where eigenvalues coincide.

With X = Q diag(z) Qᵀ, the derivatives of exp are multilinear in symmetric directions (Daleckii and Krein, 1965),

    Qᵀ Dᵏexp(X)[H_1, ..., H_k] Q = Σ_π Σ_chains exp[z_i, z_a, ..., z_j] Ĥ_π1,ia ... Ĥ_πk,bj,   Ĥ = Qᵀ H Q,

with `exp[...]` divided differences. These are smooth in the eigenvalues; 1/(z_i - z_j) appears nowhere. Everything else
follows from exp: log is its inverse, and the derivative of log at exp(Z) is the inverse of Dexp(Z).

The decomposition (Q, z) is passed on beside the matrix so that it is computed once; no derivative is taken through it.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from rmatch._numerics import sqrt
from rmatch.manifolds._divided_differences import (
    decay,
    exp_divided_differences,
    langevin,
    langevin_divided_difference,
)
from rmatch.manifolds._eigh import eigh

Spectrum = tuple[Tensor, Tensor]
"""Orthogonal matrices Q `(*batch, n, n)` and eigenvalues z `(*batch, n)`, as constants."""

Saved = tuple[Tensor, ...]
Needed = tuple[bool, ...]
Gradients = tuple[Tensor | None, ...]


def transpose(a: Tensor) -> Tensor:
    """The transposed matrices."""
    return a.transpose(-1, -2)


def symmetrise(a: Tensor) -> Tensor:
    """The symmetric part."""
    return (a + transpose(a)) / 2


def spectrum(a: Tensor) -> Spectrum:
    """The spectral decomposition of symmetric matrices, as constants."""
    values, vectors = eigh(a)
    return vectors, values


def from_spectrum(vectors: Tensor, values: Tensor) -> Tensor:
    """The matrices `Q diag(z) Qᵀ`."""
    return (vectors * values.unsqueeze(-2)) @ transpose(vectors)


def symmetric_exp(a: Tensor) -> Tensor:
    """The exponential of symmetric matrices `(*batch, n, n)`."""
    return _apply(_ExpDerivative, spectrum(a), a)


def symmetric_log(a: Tensor, decomposition: Spectrum | None = None) -> Tensor:
    """The logarithm of positive definite matrices `(*batch, n, n)`.

    Args:
        a: The matrices.
        decomposition: Their eigenvectors and the *logarithms* of their eigenvalues, where these are known better than
            from the entries of `a`.
    """
    if decomposition is None:
        vectors, values = spectrum(a)
        decomposition = vectors, values.log()
    return _apply(_Log, decomposition, a)


def exp_derivative(a: Tensor, *directions: Tensor, decomposition: Spectrum | None = None) -> Tensor:
    """The derivative `Dᵏexp(a)[h_1, ..., h_k]` in symmetric directions."""
    return _apply(_ExpDerivative, spectrum(a) if decomposition is None else decomposition, a, *directions)


def exp_derivative_inverse(a: Tensor, image: Tensor, *, decomposition: Spectrum | None = None) -> Tensor:
    """The symmetric h with `Dexp(a)[h] = image`: the derivative of the logarithm at exp(a)."""
    return _apply(_ExpDerivativeInverse, spectrum(a) if decomposition is None else decomposition, a, image)


def log_det_sinhc(a: Tensor) -> Tensor:
    """The sum `Σ_{i<j} log(sinh(h_ij) / h_ij)`, h_ij half the difference of the eigenvalues, shape `(*batch)`."""
    return _apply(_LogDetSinhc, spectrum(a), a)


def divide(factor: Tensor, a: Tensor) -> Tensor:
    """The matrix `L⁻¹ a L⁻ᵀ`."""
    half = torch.linalg.solve_triangular(factor, a, upper=False)
    return torch.linalg.solve_triangular(transpose(factor), half, upper=True, left=False)


def multiply(factor: Tensor, a: Tensor) -> Tensor:
    """The matrix `L a Lᵀ`."""
    return factor @ a @ transpose(factor)


def frobenius_norm(a: Tensor) -> Tensor:
    """The Frobenius norm, whose derivatives at 0 are finite."""
    return sqrt((a * a).sum((-2, -1)))


def symmetric_basis(n: int, dtype: torch.dtype, device: torch.device | None = None) -> Tensor:
    """The Frobenius-orthonormal basis E_ii and (E_ij + E_ji)/√2, i < j, of symmetric matrices: `(n(n+1)/2, n, n)`."""
    rows, columns = torch.triu_indices(n, n, device=device)
    basis = torch.zeros(len(rows), n, n, dtype=dtype, device=device)
    size = _weights(rows == columns, 0.5**0.5, basis)
    index = torch.arange(len(rows), device=device)
    basis[index, rows, columns] = size
    basis[index, columns, rows] = size
    return basis


def to_coordinates(a: Tensor) -> Tensor:
    """The coefficients of symmetric matrices on `symmetric_basis`: `(*batch, n, n) -> (*batch, n(n+1)/2)`."""
    n = a.shape[-1]
    rows, columns = torch.triu_indices(n, n, device=a.device)
    return a[..., rows, columns] * _weights(rows == columns, 2**0.5, a)


def from_coordinates(c: Tensor, n: int) -> Tensor:
    """The symmetric matrices with given coefficients on `symmetric_basis`."""
    rows, columns = torch.triu_indices(n, n, device=c.device)
    place = torch.empty(n, n, dtype=torch.long, device=c.device)
    place[rows, columns] = place[columns, rows] = torch.arange(len(rows), device=c.device)
    entries = c * _weights(rows == columns, 0.5**0.5, c)
    return entries[..., place.flatten()].unflatten(-1, (n, n))


def _weights(diagonal: Tensor, other: float, like: Tensor) -> Tensor:
    """1 on the diagonal and `other` elsewhere, in the precision of `like`."""
    one = torch.ones((), dtype=like.dtype, device=like.device)
    return torch.where(diagonal, one, other * one)


# ---- autograd functions: (Q, z, matrix, ...) -> result ---------------------------------------------------------------


def _apply(function: type[SpectralFunction], decomposition: Spectrum, *matrices: Tensor) -> Tensor:
    """Call a function with all arguments brought to one batch shape, as its vmap rule needs."""
    vectors, values = decomposition
    batch = torch.broadcast_shapes(values.shape[:-1], *(a.shape[:-2] for a in matrices))
    n = values.shape[-1]
    square = (*batch, n, n)
    return function.apply(vectors.expand(square), values.expand(*batch, n), *(a.expand(square) for a in matrices))  # type: ignore[no-any-return]


class SpectralFunction(torch.autograd.Function):
    """A function of (Q, z, X, ...), X = Q f(z) Qᵀ, whose derivatives are written in terms of others of its kind."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs, output)
        ctx.save_for_forward(*inputs, output)

    @classmethod
    def backward(cls, ctx: Any, *grads: Any) -> Gradients:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The gradients with respect to every input."""
        return cls.cotangents(ctx.saved_tensors, ctx.needs_input_grad, grads[0])

    @staticmethod
    def cotangents(saved: Saved, needed: Needed, grad: Tensor) -> Gradients:
        """The gradients with respect to every input (None where it is not needed), at the saved inputs and output."""
        raise NotImplementedError

    @classmethod
    def jvp(cls, ctx: Any, *tangents: Any) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The derivative along `tangents`, at the saved tensors without their own tangents.

        torch switches forward mode off in here. That would lose, without a word, the tangents of an outer transform
        (jacfwd of jacfwd); so it is switched on again, and the tangents of this level are taken off by hand.
        """
        with forward_ad._set_fwd_grad_enabled(True):  # pyright: ignore[reportPrivateUsage]
            return cls.tangent(tuple(forward_ad.unpack_dual(saved).primal for saved in ctx.saved_tensors), tangents)

    @staticmethod
    def tangent(saved: Saved, tangents: Gradients) -> Tensor:
        """The derivative along `tangents` (None: zero) at the saved inputs and output."""
        raise NotImplementedError

    @classmethod
    def vmap(cls, info: Any, in_dims: tuple[int | None, ...], *arguments: Tensor) -> tuple[Tensor, int]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The mapped axis becomes one more batch axis."""
        aligned = [
            a.expand(info.batch_size, *a.shape) if axis is None else a.movedim(axis, 0)
            for a, axis in zip(arguments, in_dims, strict=True)
        ]
        return cls.apply(*aligned), 0  # type: ignore[no-any-return]


class _ExpDerivative(SpectralFunction):
    """`Dᵏexp(X)[H_1, ..., H_k]`; paired with a symmetric matrix it is symmetric in all k + 1 of them."""

    @staticmethod
    def forward(vectors: Tensor, values: Tensor, matrix: Tensor, *directions: Tensor) -> Tensor:
        del matrix
        k = len(directions)
        if k == 0:
            return from_spectrum(vectors, values.exp())
        if k > 1:
            values, order = values.sort(-1)
            vectors = vectors.gather(-1, order.unsqueeze(-2).expand(vectors.shape))
        turned = [transpose(vectors) @ h @ vectors for h in directions]
        table = exp_divided_differences(values, k)
        letters = "abcdefghij"[: k + 1]
        factors = ",".join(f"...{p}{q}" for p, q in itertools.pairwise(letters))
        equation = f"...{letters},{factors}->...{letters[0]}{letters[-1]}"
        total = sum(
            (torch.einsum(equation, table, *chain) for chain in itertools.permutations(turned)),
            torch.zeros_like(turned[0]),
        )
        return vectors @ total @ transpose(vectors)

    @staticmethod
    def cotangents(saved: Saved, needed: Needed, grad: Tensor) -> Gradients:
        vectors, values, matrix, *directions, _ = saved
        grad = symmetrise(grad)
        by_matrix = _ExpDerivative.apply(vectors, values, matrix, *directions, grad) if needed[2] else None
        by_direction = [
            _ExpDerivative.apply(vectors, values, matrix, *directions[:j], grad, *directions[j + 1 :])
            if needed[3 + j]
            else None
            for j in range(len(directions))
        ]
        return None, None, by_matrix, *by_direction

    @staticmethod
    def tangent(saved: Saved, tangents: Gradients) -> Tensor:
        vectors, values, matrix, *directions, output = saved
        total = torch.zeros_like(output)
        if tangents[2] is not None:
            total = total + _ExpDerivative.apply(vectors, values, matrix, *directions, tangents[2])
        for j, tangent in enumerate(tangents[3:]):
            if tangent is not None:
                others = (*directions[:j], tangent, *directions[j + 1 :])
                total = total + _ExpDerivative.apply(vectors, values, matrix, *others)
        return total


class _Log(SpectralFunction):
    """`log X`, given the logarithms z of the eigenvalues."""

    @staticmethod
    def forward(vectors: Tensor, values: Tensor, matrix: Tensor) -> Tensor:
        del matrix
        return from_spectrum(vectors, values)

    @staticmethod
    def cotangents(saved: Saved, needed: Needed, grad: Tensor) -> Gradients:
        vectors, values, _, output = saved
        return None, None, _ExpDerivativeInverse.apply(vectors, values, output, symmetrise(grad))

    @staticmethod
    def tangent(saved: Saved, tangents: Gradients) -> Tensor:
        vectors, values, _, output = saved
        return _ExpDerivativeInverse.apply(vectors, values, output, tangents[2])  # type: ignore[no-any-return]


class _ExpDerivativeInverse(SpectralFunction):
    """The H with `Dexp(X)[H] = G`, so that `dH = Dexp(X)⁻¹[dG - D²exp(X)[H, dX]]`; it is self-adjoint in G."""

    @staticmethod
    def forward(vectors: Tensor, values: Tensor, matrix: Tensor, image: Tensor) -> Tensor:
        del matrix
        turned = transpose(vectors) @ image @ vectors
        return vectors @ (turned / exp_divided_differences(values, 1)) @ transpose(vectors)

    @staticmethod
    def cotangents(saved: Saved, needed: Needed, grad: Tensor) -> Gradients:
        vectors, values, matrix, _, output = saved
        by_image = _ExpDerivativeInverse.apply(vectors, values, matrix, symmetrise(grad))
        by_matrix = -_ExpDerivative.apply(vectors, values, matrix, output, by_image) if needed[2] else None
        return None, None, by_matrix, by_image

    @staticmethod
    def tangent(saved: Saved, tangents: Gradients) -> Tensor:
        vectors, values, matrix, _, output = saved
        change = torch.zeros_like(output) if tangents[3] is None else tangents[3]
        if tangents[2] is not None:
            change = change - _ExpDerivative.apply(vectors, values, matrix, output, tangents[2])
        return _ExpDerivativeInverse.apply(vectors, values, matrix, change)  # type: ignore[no-any-return]


class _LogDetSinhc(SpectralFunction):
    """`Σ_{i<j} log sinhc(h_ij)`."""

    @staticmethod
    def forward(vectors: Tensor, values: Tensor, matrix: Tensor) -> Tensor:
        del matrix, vectors
        gap = (values.unsqueeze(-1) - values.unsqueeze(-2)).abs()
        return (gap / 2 + decay(gap).log()).sum((-2, -1)) / 2

    @staticmethod
    def cotangents(saved: Saved, needed: Needed, grad: Tensor) -> Gradients:
        vectors, values, matrix, _ = saved
        return None, None, grad[..., None, None] * _LogDetSinhcGradient.apply(vectors, values, matrix)

    @staticmethod
    def tangent(saved: Saved, tangents: Gradients) -> Tensor:
        vectors, values, matrix, _ = saved
        return (_LogDetSinhcGradient.apply(vectors, values, matrix) * tangents[2]).sum((-2, -1))


class _LogDetSinhcGradient(SpectralFunction):
    """Its gradient `Q diag(Σ_k L(h_ik) / 2) Qᵀ`, with Langevin's function L(h) = coth h - 1/h."""

    @staticmethod
    def forward(vectors: Tensor, values: Tensor, matrix: Tensor) -> Tensor:
        del matrix
        half = (values.unsqueeze(-1) - values.unsqueeze(-2)) / 2
        return from_spectrum(vectors, langevin(half).sum(-1) / 2)

    @staticmethod
    def cotangents(saved: Saved, needed: Needed, grad: Tensor) -> Gradients:
        vectors, values, matrix, _ = saved
        return None, None, _LogDetSinhcHessian.apply(vectors, values, matrix, symmetrise(grad))

    @staticmethod
    def tangent(saved: Saved, tangents: Gradients) -> Tensor:
        vectors, values, matrix, _ = saved
        return _LogDetSinhcHessian.apply(vectors, values, matrix, tangents[2])  # type: ignore[no-any-return]


class _LogDetSinhcHessian(SpectralFunction):
    """The derivative of that gradient along H; it is self-adjoint in H.

    Off the diagonal `Σ_k L[h_ik, h_jk] / 4 Ĥ_ij`, on it `Σ_k L'(h_ik) (Ĥ_ii - Ĥ_kk) / 4`, in the eigenvectors' basis.
    """

    @staticmethod
    def forward(vectors: Tensor, values: Tensor, matrix: Tensor, direction: Tensor) -> Tensor:
        del matrix
        turned = transpose(vectors) @ direction @ vectors
        half = (values.unsqueeze(-1) - values.unsqueeze(-2)) / 2
        slopes = langevin_divided_difference(half.unsqueeze(-2), half.unsqueeze(-3))  # [*batch, i, j, k]
        diagonal = turned.diagonal(dim1=-2, dim2=-1)
        pairs = slopes.diagonal(dim1=-3, dim2=-2)  # [*batch, k, i]: L'(h_ik)
        on = (pairs * (diagonal.unsqueeze(-2) - diagonal.unsqueeze(-1))).sum(-2)
        off = slopes.sum(-1) * turned
        off = off - torch.diag_embed(off.diagonal(dim1=-2, dim2=-1))
        return vectors @ (off + torch.diag_embed(on)) @ transpose(vectors) / 4

    @staticmethod
    def cotangents(saved: Saved, needed: Needed, grad: Tensor) -> Gradients:
        vectors, values, matrix, *_ = saved
        if needed[2]:
            raise NotImplementedError(_NO_THIRD_DERIVATIVE)
        return None, None, None, _LogDetSinhcHessian.apply(vectors, values, matrix, symmetrise(grad))

    @staticmethod
    def tangent(saved: Saved, tangents: Gradients) -> Tensor:
        vectors, values, matrix, *_ = saved
        if tangents[2] is not None:
            raise NotImplementedError(_NO_THIRD_DERIVATIVE)
        return _LogDetSinhcHessian.apply(vectors, values, matrix, tangents[3])  # type: ignore[no-any-return]


_NO_THIRD_DERIVATIVE = (
    "the volume of SPD (log_det_exp, log-Euclidean log_volume_density) has two derivatives, not three"
)
