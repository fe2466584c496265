"""Divided differences of exp and of Langevin's function, to the last digits where the arguments come together."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Arguments within it share a Taylor series; a quotient of differences over a larger gap loses about a digit.
_CLOSE = 0.125
_TERMS = 9  # of that series: the next is below 4e-17 of the first
_LANGEVIN_CLOSE = 0.5


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
        arguments = [z.index_select(-1, column) for column in tuples.unbind(-1)]  # k + 1 times [*batch, tuples]
        flat = table.flatten(z.dim() - 1)
        rise = flat.index_select(-1, _code(tuples[:, 1:], n)) - flat.index_select(-1, _code(tuples[:, :-1], n))
        gap = arguments[-1] - arguments[0]
        close = gap < _CLOSE
        unique = torch.where(close, _taylor(arguments), rise / torch.where(close, 1.0, gap))
        everywhere = torch.cartesian_prod(*[torch.arange(n, device=z.device)] * (k + 1)).sort(-1).values
        lookup = torch.searchsorted(_code(tuples, n), _code(everywhere, n))
        table = unique.index_select(-1, lookup).unflatten(-1, (n,) * (k + 1))
    return table


def decay(d: Tensor) -> Tensor:
    """The function `(1 - exp(-d)) / d` of d >= 0."""
    zero = d == 0
    return torch.where(zero, 1.0, -torch.expm1(-d) / (d + zero))


def _code(tuples: Tensor, n: int) -> Tensor:
    """Each row of indices as one number in base n."""
    return (tuples * n ** torch.arange(tuples.shape[-1] - 1, -1, -1, device=tuples.device)).sum(-1)


def _taylor(arguments: list[Tensor]) -> Tensor:
    """The divided difference of exp at arguments that ascend and are close together."""
    k = len(arguments) - 1
    centre = (arguments[0] + arguments[-1]) / 2
    offsets = [argument - centre for argument in arguments]
    homogeneous = [torch.ones_like(centre)] * (k + 1)  # h_m of the first 1, 2, ..., k + 1 offsets
    factor = 1.0 / math.factorial(k)
    total = factor * homogeneous[-1]
    for m in range(1, _TERMS):
        previous, homogeneous = homogeneous, [homogeneous[0] * offsets[0]]
        for offset, value in zip(offsets[1:], previous[1:], strict=True):
            homogeneous.append(torch.addcmul(homogeneous[-1], offset, value))
        factor /= m + k
        total = torch.add(total, homogeneous[-1], alpha=factor)
    return centre.exp() * total


def langevin_divided_difference(a: Tensor, b: Tensor) -> Tensor:
    """The divided difference `L[a, b]`; for close a, b it is `1/(ab) - sinhc(a - b) / (sinh a sinh b)`."""
    gap = a - b
    close = gap.abs() < _LANGEVIN_CLOSE / 2
    near = close & (a.abs() < _LANGEVIN_CLOSE) & (b.abs() < _LANGEVIN_CLOSE)
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
    rise = (langevin(a) - langevin(b)) / torch.where(close, 1.0, gap)
    return torch.where(near, series, torch.where(middle, between, rise))


def langevin(h: Tensor) -> Tensor:
    """The odd function `coth h - 1/h`."""
    small = h.abs() < _LANGEVIN_CLOSE
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
