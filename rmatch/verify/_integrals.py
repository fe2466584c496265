"""Integrals over a manifold with the error that a law may be missed by because of them.

Where the rule is spectral its degree is raised until a rule of two thirds the degree agrees; the error is what is left
of the difference, and the rounding of the integrand. Elsewhere it is a multiple of the standard error over the
independent scramblings of the quasi-Monte Carlo rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from rmatch.manifolds import Manifold, Quadrature
from rmatch.manifolds._quadrature import REPLICATES
from rmatch.verify._tolerances import rounding
from rmatch.verify.base import Residual

_DEGREES = (12, 20, 30, 60, 100, 160)
_FIRST = 2
"""Where in the list it begins, or before where that rule has too many nodes."""
_MOST_NODES = 40_000
_SETTLED = 1e-12
"""Relative difference to the smaller rule at which the degree is not raised any more."""
_UNSETTLED = 1e-8
"""A rule that says it is spectral must be this good, relative to the integral of the absolute values."""
_LIMITED = 10.0
"""The factor by which the error is raised where the degree could not be."""
_WEIGHTS = 1e-13
"""Relative accuracy of the nodes and weights of Gauss rules of these degrees, which are roots found numerically."""
_SAMPLED_DEGREE = 15
STANDARD_ERRORS = 10.0
"""Student's t with 7 degrees of freedom is beyond 10 with probability 2e-5."""
_CHUNK = 1 << 14


class Integrals(NamedTuple):
    """Integrals of m functions, their errors, the integrals of their absolute values, `(m)` each.

    `limited` says that a higher degree would have had too many nodes: the rules may not have begun to converge, and the
    difference of two of them is an error only up to a factor.
    """

    value: Tensor
    error: Tensor
    size: Tensor
    limited: bool


Integrand = Callable[[Tensor], Tensor]
"""Points `(N, *point_shape)` to m numbers for each, `(N, m)`."""


def integrals(M: Manifold, integrand: Integrand) -> Integrals:
    """The integrals of all columns over the manifold."""
    start = _FIRST
    if not M.quadrature_is_exact(_DEGREES[start]):
        return _sampled(M, integrand)
    while start and len(M.quadrature(_DEGREES[start]).weights) > _MOST_NODES:
        start -= 1
    result = _spectral(M, integrand, _DEGREES[start])
    for degree in _DEGREES[start + 1 :]:
        if bool((result.error <= _SETTLED * result.size).all()):
            break
        if not M.quadrature_is_exact(degree) or len(M.quadrature(degree).weights) > _MOST_NODES:
            return result._replace(error=_LIMITED * result.error, limited=True)
        result = _spectral(M, integrand, degree)
    return result


def vanishes(M: Manifold, integrand: Integrand) -> Residual:
    """How far the sum of the columns is from the integral 0, in units of the integrals of their absolute values."""

    def with_sum(x: Tensor) -> Tensor:
        terms = integrand(x)
        unit = rounding(M, x).unsqueeze(-1).to(terms.dtype)
        rounded = torch.where(terms == 0, 0.0, terms.abs() * unit)
        return torch.cat([terms.sum(-1, keepdim=True), terms.abs(), rounded], -1)

    result = integrals(M, with_sum)
    count = (len(result.value) - 1) // 2
    size = result.value[1 : 1 + count].sum()
    rounded = result.value[1 + count :].sum()
    error = result.error[0] + rounded + _WEIGHTS * size
    if M.quadrature_is_exact(_DEGREES[_FIRST]) and not result.limited:
        error = error.clamp(max=_UNSETTLED * size)
    return Residual(result.value[0].abs() / size, error / size)


def equals(M: Manifold, integrand: Integrand, wanted: float) -> Residual:
    """How far the integral of the one column is from a number, relative to it."""
    result = integrals(M, integrand)
    error = result.error[0] + _WEIGHTS * result.size[0]
    if M.quadrature_is_exact(_DEGREES[_FIRST]) and not result.limited:
        error = error.clamp(max=_UNSETTLED * abs(wanted))
    return Residual((result.value[0] - wanted).abs() / abs(wanted), error / abs(wanted))


def _spectral(M: Manifold, integrand: Integrand, degree: int) -> Integrals:
    rule = M.quadrature(degree)
    terms = _terms(rule, integrand)
    smaller = _terms(M.quadrature(2 * degree // 3), integrand)
    value = terms.sum(0)
    return Integrals(value, (value - smaller.sum(0)).abs(), terms.abs().sum(0), limited=False)


def _sampled(M: Manifold, integrand: Integrand) -> Integrals:
    terms = _terms(M.quadrature(_SAMPLED_DEGREE), integrand)
    blocks = terms.reshape(REPLICATES, -1, terms.shape[-1]).sum(1) * REPLICATES
    error = STANDARD_ERRORS * blocks.std(0) / math.sqrt(REPLICATES)
    return Integrals(terms.sum(0), error, terms.abs().sum(0), limited=False)


def _terms(rule: Quadrature, integrand: Integrand) -> Tensor:
    values = torch.cat([integrand(block) for block in rule.nodes.split(_CHUNK)])
    return values * rule.weights.unsqueeze(-1)
