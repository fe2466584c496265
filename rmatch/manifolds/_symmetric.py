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

Spectrum = tuple[Tensor, Tensor]
"""Orthogonal matrices Q `(*batch, n, n)` and eigenvalues z `(*batch, n)`, as constants."""

Saved = tuple[Tensor, ...]
Needed = tuple[bool, ...]
Gradients = tuple[Tensor | None, ...]

# Arguments within it share a Taylor series; a quotient of differences over a larger gap loses no more than a digit.
_CLOSE = 0.5
_TERMS = 14  # of that series: (0.25)^14 / 14! is 1e-20


def transpose(a: Tensor) -> Tensor:
    """The transposed matrices."""
    return a.transpose(-1, -2)


def symmetrise(a: Tensor) -> Tensor:
    """The symmetric part."""
    return (a + transpose(a)) / 2


def spectrum(a: Tensor) -> Spectrum:
    """The spectral decomposition of symmetric matrices, as constants."""
    values, vectors = torch.linalg.eigh(a.detach())
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


def exp_divided_differences(z: Tensor, order: int) -> Tensor:
    """The table `exp[z_i0, ..., z_ik]` of divided differences, k = `order`: `(*batch, n) -> (*batch, n, ..., n)`.

    The first is `exp(max) (1 - exp(-d)) / d`, d = |z_i - z_j|. A higher one is the quotient of a difference over the
    gap of the outermost two arguments, or, where these are close, the Taylor series `exp(c) Σ_m h_m / (m + k)!` about
    their mean c, h_m the complete homogeneous polynomial of the offsets from c.

    Args:
        z: Eigenvalues in ascending order.
        order: At least 1.
    """
    n = z.shape[-1]
    first, second = z.unsqueeze(-1), z.unsqueeze(-2)
    table = torch.maximum(first, second).exp() * decay((first - second).abs())
    for k in range(2, order + 1):
        tuples = torch.combinations(torch.arange(n, device=z.device), r=k + 1, with_replacement=True)  # ascending
        arguments = z[..., tuples]  # [*batch, tuples, k + 1]
        flat = table.flatten(z.dim() - 1)
        rise = flat[..., _code(tuples[:, 1:], n)] - flat[..., _code(tuples[:, :-1], n)]
        gap = arguments[..., -1] - arguments[..., 0]
        close = gap < _CLOSE
        unique = torch.where(close, _taylor(arguments), rise / torch.where(close, 1.0, gap))
        everywhere = torch.cartesian_prod(*[torch.arange(n, device=z.device)] * (k + 1)).sort(-1).values
        lookup = torch.searchsorted(_code(tuples, n), _code(everywhere, n))
        table = unique[..., lookup].unflatten(-1, (n,) * (k + 1))
    return table


def decay(d: Tensor) -> Tensor:
    """The function `(1 - exp(-d)) / d` of d >= 0."""
    zero = d == 0
    return torch.where(zero, 1.0, -torch.expm1(-d) / (d + zero))


def _code(tuples: Tensor, n: int) -> Tensor:
    """Each row of indices as one number in base n."""
    return (tuples * n ** torch.arange(tuples.shape[-1] - 1, -1, -1, device=tuples.device)).sum(-1)


def _taylor(arguments: Tensor) -> Tensor:
    """The divided difference of exp over the last axis, ascending and close together."""
    k = arguments.shape[-1] - 1
    centre = (arguments[..., 0] + arguments[..., -1]) / 2
    offsets = (arguments - centre.unsqueeze(-1)).unbind(-1)
    homogeneous = [torch.ones_like(centre)] * (k + 1)  # h_m of the first 1, 2, ..., k + 1 offsets
    factor = 1.0
    for m in range(1, k + 1):
        factor /= m
    total = factor * homogeneous[-1]
    for m in range(1, _TERMS):
        previous, homogeneous = homogeneous, [homogeneous[0] * offsets[0]]
        for offset, value in zip(offsets[1:], previous[1:], strict=True):
            homogeneous.append(homogeneous[-1] + offset * value)
        factor /= m + k
        total = total + factor * homogeneous[-1]
    return centre.exp() * total


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
        return from_spectrum(vectors, _langevin(half).sum(-1) / 2)

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
        slopes = _langevin_divided_difference(half.unsqueeze(-2), half.unsqueeze(-3))  # [*batch, i, j, k]
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


def _langevin_divided_difference(a: Tensor, b: Tensor) -> Tensor:
    """The divided difference `L[a, b]`; for close a, b it is `1/(ab) - sinhc(a - b) / (sinh a sinh b)`."""
    gap = a - b
    close = gap.abs() < _CLOSE / 2
    near = close & (a.abs() < _CLOSE) & (b.abs() < _CLOSE)
    p, q = torch.where(near, a, 0.0), torch.where(near, b, 0.0)
    square_p, square_q = p * p, q * q
    # Horner's scheme for Σ c_k h_{2k-2}(p, q), h_m the complete homogeneous polynomials
    value, slope = torch.zeros_like(p), torch.zeros_like(p)
    for coefficient in _LANGEVIN:
        slope = slope * square_p + value
        value = value * square_q + coefficient
    series = value + p * (p + q) * slope
    middle = close & ~near
    p, q = torch.where(middle, a, 1.0), torch.where(middle, b, 1.0)
    apart = (p - q).abs()
    between = 1 / (p * q) - apart.exp() * decay(2 * apart) / (p.sinh() * q.sinh())
    rise = (_langevin(a) - _langevin(b)) / torch.where(close, 1.0, gap)
    return torch.where(near, series, torch.where(middle, between, rise))


def _langevin(h: Tensor) -> Tensor:
    """The odd function `coth h - 1/h`."""
    small = h.abs() < _CLOSE
    square = torch.where(small, h * h, 0.0)
    series = torch.zeros_like(h)
    for coefficient in _LANGEVIN:
        series = series * square + coefficient
    away = torch.where(small, 1.0, h)
    return torch.where(small, h * series, 1 / torch.tanh(away) - 1 / away)


# Taylor coefficients 2^{2k} B_{2k} / (2k)! of coth h - 1/h, k = 10, ..., 1 (B_k: Bernoulli's numbers).
_LANGEVIN = (
    -349222 / 1531329465290625,
    87734 / 38979295480125,
    -3617 / 162820783125,
    4 / 18243225,
    -1382 / 638512875,
    2 / 93555,
    -1 / 4725,
    2 / 945,
    -1 / 45,
    1 / 3,
)
