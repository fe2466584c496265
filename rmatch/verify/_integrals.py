"""Integrals over a manifold with the error that a law may be missed by because of them.

Where the rule is spectral its degree is raised until a rule of two thirds the degree agrees; the error is what is left
of the difference, and the rounding of the integrand. Elsewhere it is a multiple of the standard error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from rmatch.manifolds import Manifold
from rmatch.verify._tolerances import rounding
from rmatch.verify.base import Residual

_DEGREES = (13, 20, 30, 44, 66, 100, 150)  # by a factor of 3/2: each is the smaller rule of the next
_FIRST = 2
"""Where in the list it begins, or before where that rule has too many nodes."""
_MOST_NODES = 40_000
_SETTLED, _SETTLED_OPEN = 1e-11, 1e-9
"""Relative difference to the smaller rule at which the degree is not raised any more; where the volume is infinite
rules converge slowly.
"""
_UNSETTLED = 1e-8
"""A rule that says it is spectral must be this good, relative to the integral of the absolute values."""
_LIMITED = 10.0
"""The factor by which the error is raised where the degree could not be."""
_WEIGHTS = 1e-13
"""Relative accuracy of the nodes and weights of Gauss rules of these degrees, which are roots found numerically."""
_SAMPLED_DEGREE = 30
_INDEPENDENT_ERRORS = 8.0
"""Standard errors: five, with room for integrands on which a scrambled net is somewhat worse than chance."""
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


def integrals(M: Manifold, integrand: Integrand, *, smooth: int | None = None) -> Integrals:
    """The integrals of all columns over the manifold.

    The first `smooth` columns decide about the degree: absolute values have kinks, and need not be known so well.
    """
    start = _FIRST
    if not M.quadrature_is_exact(_DEGREES[start]):
        return _sampled(M, integrand)
    while start and len(M.quadrature(_DEGREES[start]).weights) > _MOST_NODES:
        start -= 1
    settled = _SETTLED if math.isfinite(M.volume) else _SETTLED_OPEN
    result = _compared(_terms(M, 2 * _DEGREES[start] // 3, integrand), terms := _terms(M, _DEGREES[start], integrand))
    for degree in _DEGREES[start + 1 :]:
        if bool((result.error[:smooth] <= settled * result.size.amax()).all()):
            break
        if not M.quadrature_is_exact(degree) or len(M.quadrature(degree).weights) > _MOST_NODES:
            return result._replace(error=_LIMITED * result.error, limited=True)
        smaller, terms = terms, _terms(M, degree, integrand)
        result = _compared(smaller, terms)
    return result


def _compared(smaller: Tensor, terms: Tensor) -> Integrals:
    """The integrals by one rule, with the difference to a smaller one as the error."""
    value = terms.sum(0)
    return Integrals(value, (value - smaller.sum(0)).abs(), terms.abs().sum(0), limited=False)


def vanishes(M: Manifold, integrand: Integrand) -> Residual:
    """How far the sum of the columns is from the integral 0, in units of the integrals of their absolute values."""

    def with_sum(x: Tensor) -> Tensor:
        terms = integrand(x)
        unit = rounding(M, x).unsqueeze(-1).to(terms.dtype)
        rounded = torch.where(terms == 0, 0.0, terms.abs() * unit)
        return torch.cat([terms.sum(-1, keepdim=True), terms.abs(), rounded], -1)

    result = integrals(M, with_sum, smooth=1)
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


def _sampled(M: Manifold, integrand: Integrand) -> Integrals:
    """With the error of as many independent points, for those of a scrambled net spread more evenly than these."""
    terms = _terms(M, _SAMPLED_DEGREE, integrand)
    count = len(terms)
    error = _INDEPENDENT_ERRORS * terms.std(0) * math.sqrt(count)
    return Integrals(terms.sum(0), error, terms.abs().sum(0), limited=False)


def _terms(M: Manifold, degree: int, integrand: Integrand) -> Tensor:
    rule = M.quadrature(degree)
    values = torch.cat([integrand(block) for block in rule.nodes.split(_CHUNK)])
    return values * rule.weights.unsqueeze(-1)
