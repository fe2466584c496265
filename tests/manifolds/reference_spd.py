"""Positive definite matrices at 80 digits: what the fast code is measured against.

Inputs are tensors of floats, taken as exact numbers, and their symmetric part. The generalised eigenvalues of condition
1e20 that the hardest cases have need the digits.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import mpmath as mp
import torch
from torch import Tensor

Matrix: TypeAlias = Any  # mpmath.matrix, which comes without types
Number: TypeAlias = Any

DIGITS = 80


def exact(a: Tensor) -> Matrix:
    m = mp.matrix(a.detach().double().tolist())
    return (m + m.T) / 2


def function(a: Matrix, f: Callable[[Number], Number]) -> Matrix:
    """f of a symmetric matrix by its eigenvectors."""
    values, vectors = mp.eigsy(a)
    return vectors * mp.diag([f(value) for value in values]) * vectors.T


def whiten(x: Matrix, v: Matrix) -> Matrix:
    inverse = mp.cholesky(x) ** -1
    s = inverse * v * inverse.T
    return (s + s.T) / 2


def colour(x: Matrix, s: Matrix) -> Matrix:
    factor = mp.cholesky(x)
    return factor * s * factor.T


def frobenius(a: Matrix) -> Number:
    return mp.sqrt(mp.fsum(entry**2 for entry in a))


def dist(x: Tensor, y: Tensor) -> Number:
    with mp.workdps(DIGITS):
        values = mp.eigsy(whiten(exact(x), exact(y)), eigvals_only=True)
        return mp.sqrt(mp.fsum(mp.log(value) ** 2 for value in values))


def log(x: Tensor, y: Tensor) -> Matrix:
    with mp.workdps(DIGITS):
        a = exact(x)
        return colour(a, function(whiten(a, exact(y)), mp.log))


def exp(x: Tensor, v: Tensor) -> Matrix:
    with mp.workdps(DIGITS):
        a = exact(x)
        return colour(a, function(whiten(a, exact(v)), mp.exp))


def dist_gradient(x: Tensor, y: Tensor) -> Matrix:
    """The gradient in x as a symmetric covector: `-x⁻¹ log_x(y) x⁻¹ / dist`."""
    with mp.workdps(DIGITS):
        a = exact(x)
        inverse = a**-1
        return inverse * log(x, y) * inverse / -dist(x, y)


def matrix_function(a: Tensor, f: Callable[[Number], Number]) -> Matrix:
    with mp.workdps(DIGITS):
        return function(exact(a), f)


def error(value: Tensor, wanted: Matrix) -> float:
    """|value - wanted| / |wanted| in the Frobenius norm."""
    with mp.workdps(DIGITS):
        return float(frobenius(mp.matrix(value.detach().double().tolist()) - wanted) / frobenius(wanted))


def whitened_error(x: Tensor, value: Tensor, wanted: Matrix) -> float:
    """The same in the affine-invariant norm at x, which weighs all directions as the geometry does."""
    with mp.workdps(DIGITS):
        a = exact(x)
        return float(frobenius(whiten(a, exact(value) - wanted)) / frobenius(whiten(a, wanted)))


def matrix_of_condition(n: int, condition: float, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """A random rotation of eigenvalues that are spaced evenly in the logarithm around 1."""
    generator = torch.Generator().manual_seed(seed)
    q = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64))[0]
    values = torch.tensor([condition ** (k / max(n - 1, 1) - 0.5) for k in range(n)], dtype=torch.float64)
    a = (q * values) @ q.T
    return ((a + a.T) / 2).to(dtype)
