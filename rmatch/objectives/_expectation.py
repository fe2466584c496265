"""Expectations under a density, by quadrature where the manifold has a spectral rule and by samples elsewhere."""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from rmatch._errors import InputError, OptionError
from rmatch.distributions import Distribution
from rmatch.manifolds import Integral, Manifold
from rmatch.paths import ProbabilityPath

Method = Literal["auto", "quadrature", "samples"]


class Budget(NamedTuple):
    """How expectations are taken: the degree of a rule, or the number of samples."""

    method: Literal["quadrature", "samples"]
    degree: int
    samples: int

    @classmethod
    def of(cls, manifold: Manifold, method: Method, degree: int, samples: int) -> Budget:
        """The budget of a call; `"auto"` takes the rule where it is spectral."""
        if method not in ("auto", "quadrature", "samples"):
            raise OptionError(f"unknown method {method!r}; use 'auto', 'quadrature' or 'samples'")
        if samples < 2:
            raise OptionError(f"an expectation with an error needs at least 2 samples, got samples={samples}")
        if method == "auto":
            method = "quadrature" if manifold.quadrature_is_exact(degree) else "samples"
        return cls(method, degree, samples)


class Nodes(NamedTuple):
    """Points `(N, *point_shape)`, and their volume weights `(N,)`, None for samples.

    The first `fine` points are those of a rule; a rule of two thirds its degree, whose points follow, tells its error.
    """

    points: Tensor
    weights: Tensor | None
    fine: int


def rule_nodes(manifold: Manifold, degree: int) -> Nodes:
    """The nodes of a spectral rule and of the coarser one that tells its error."""
    fine, coarse = manifold.quadrature(degree), manifold.quadrature(max(1, 2 * degree // 3))
    return Nodes(torch.cat([fine.nodes, coarse.nodes]), torch.cat([fine.weights, coarse.weights]), len(fine.nodes))


def sample_nodes(law: Distribution, count: int, generator: torch.Generator | None) -> Nodes:
    """Samples of a law, in float64."""
    return Nodes(law.sample((count,), generator=generator, dtype=torch.float64), None, count)


def expectation(nodes: Nodes, log_density: Tensor, values: Tensor) -> Integral:
    """The mean of `values` under a density, and its error.

    Args:
        nodes: Where the values were taken.
        log_density: The density's logarithm there, `(N,)`; not looked at for samples, which have it already.
        values: `(N,)`. Where the density is zero they do not count, whatever they are.

    Returns:
        By quadrature, the difference of the two rules is the error; by samples, the standard error.
    """
    if nodes.weights is None:
        return Integral(values.mean(), values.std() / math.sqrt(len(values)))
    density = log_density.exp()
    terms = torch.where(density > 0, density * values, 0.0)
    terms = nodes.weights * terms
    fine, coarse = terms[: nodes.fine].sum(), terms[nodes.fine :].sum()
    return Integral(fine, torch.where(fine == coarse, 0.0, (fine - coarse).abs()))  # also where both are infinite


def require_laws(*laws: object) -> None:
    """Raise `OptionError` where a path stands for the law at one of its times."""
    for law in laws:
        if isinstance(law, ProbabilityPath):
            raise OptionError(f"{law!r} is a path; take its law at a time: path.at(1.0)")


def require_density(log_density: Tensor, x: Tensor, what: str) -> Tensor:
    """The log-density at the points x; a NaN in it, which would only spoil the sums later, is an error."""
    bad = log_density.isnan()
    if bool(bad.any()):
        first = x[int(bad.nonzero()[0])].tolist()
        raise InputError(f"the log-density of {what} is NaN at {int(bad.sum())} of {len(bad)} points, first at {first}")
    return log_density


@contextmanager
def needing_density(what: str) -> Generator[None]:
    """Name what has no density where the block asks for it."""
    try:
        yield
    except NotImplementedError as error:
        raise OptionError(f"{what} has no density, and KL, entropy and the pairing need one") from error
