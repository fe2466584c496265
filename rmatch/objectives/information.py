"""Entropy and Kullback–Leibler divergence of distributions."""

from __future__ import annotations

import torch
from torch import Tensor

from rmatch._errors import OptionError
from rmatch.distributions import Distribution
from rmatch.manifolds import Integral
from rmatch.objectives._expectation import (
    Budget,
    Method,
    Nodes,
    expectation,
    needing_density,
    require_density,
    require_laws,
    rule_nodes,
    sample_nodes,
)


@torch.no_grad()
def kl(
    p: Distribution,
    q: Distribution,
    *,
    method: Method = "auto",
    degree: int = 60,
    samples: int = 4096,
    generator: torch.Generator | None = None,
) -> Integral:
    """The divergence `KL[p || q] = ∫ p log(p/q) dV_g`, in nats, with its error.

    Args:
        p: The law under which the expectation is taken.
        q: The law that it is compared with, on the same manifold.
        method: `"quadrature"`, `"samples"`, or `"auto"`: quadrature where the manifold has a spectral rule.
        degree: Degree of the rule.
        samples: Number of samples of `p`.
        generator: Source of the samples.

    Returns:
        The value and its error: the difference to a coarser rule, or the standard error. Infinite where p has mass at
        points to which q gives none.

    Raises:
        OptionError: The manifolds differ, a law has no density, or an option is out of range.
        InputError: A log-density is NaN.

    Example:
        >>> import math, torch, rmatch as rm
        >>> M = rm.Torus(1)
        >>> p = rm.WrappedNormal(M, torch.tensor([1.0], dtype=torch.float64), 0.25)
        >>> value = rm.kl(p, rm.Uniform(M)).value  # log 2π - the entropy of the normal law, which hardly wraps
        >>> math.isclose(value, math.log(2 * math.pi) - 0.5 * math.log(2 * math.pi * math.e * 0.25**2), abs_tol=1e-9)
        True
    """
    require_laws(p, q)
    if p.manifold != q.manifold:
        raise OptionError(f"the laws are on {p.manifold!r} and {q.manifold!r}; take two on one manifold")
    nodes = _nodes(p, Budget.of(p.manifold, method, degree, samples), generator)
    log_p, log_q = (_log_density(law, nodes.points) for law in (p, q))
    return expectation(nodes, log_p, log_p - log_q)


@torch.no_grad()
def entropy(
    p: Distribution,
    *,
    method: Method = "auto",
    degree: int = 60,
    samples: int = 4096,
    generator: torch.Generator | None = None,
) -> Integral:
    """The differential entropy `H(p) = -∫ p log p dV_g`, in nats, with its error; arguments as for `kl`.

    Raises:
        OptionError: The law has no density, or an option is out of range.
        InputError: The log-density is NaN.

    Example:
        >>> import rmatch as rm
        >>> round(float(rm.entropy(rm.Uniform(rm.Sphere(2))).value), 6)  # log 4π
        2.531024
    """
    require_laws(p)
    nodes = _nodes(p, Budget.of(p.manifold, method, degree, samples), generator)
    log_p = _log_density(p, nodes.points)
    return expectation(nodes, log_p, -log_p)


def _nodes(p: Distribution, budget: Budget, generator: torch.Generator | None) -> Nodes:
    if budget.method == "quadrature":
        return rule_nodes(p.manifold, budget.degree)
    return sample_nodes(p, budget.samples, generator)


def _log_density(law: Distribution, x: Tensor) -> Tensor:
    with needing_density(repr(law)):
        return require_density(law.log_prob(x), x, repr(law))
