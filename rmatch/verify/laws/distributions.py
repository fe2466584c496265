"""Laws of distributions: the density integrates to one, and sampler and score belong to it."""

from __future__ import annotations

import torch
from torch import Tensor

from rmatch._typing import TangentFunction
from rmatch.distributions import Distribution
from rmatch.manifolds import Manifold
from rmatch.verify._derivatives import along
from rmatch.verify._integrals import equals, integrals
from rmatch.verify._tolerances import norm, norm_of_normal_part, rounding
from rmatch.verify.base import Inputs, Need, Residual, law
from rmatch.verify.draw import Draw
from rmatch.verify.functions import RandomFunction
from rmatch.verify.subject import EVERYWHERE, NO_DISTRIBUTION, Subject

_DRAWS = 4000
_STANDARD_ERRORS = 5.0
"""A normal variable is beyond 5 with probability 6e-7."""


def _without_distributions(subject: Subject) -> str | None:
    return None if subject.distributions else NO_DISTRIBUTION


DISTRIBUTION = Need("a distribution", _without_distributions)


def _law(draw: Draw) -> Inputs:
    return {"p": draw.distribution()}


def _sampled(draw: Draw) -> Inputs:
    p = draw.distribution()
    return {"p": p, "x": p.sample((draw.rows,), generator=draw.generator, dtype=torch.float64), "seed": draw.level}


@law(
    "density-normalised",
    "∫ p dV = 1",
    catches="a density against another measure, a wrapped law without its preimages, a constant that is off",
    inputs=_law,
    needs=(
        EVERYWHERE,
        DISTRIBUTION,
    ),
)
def density_normalised(M: Manifold, p: Distribution) -> Residual:
    return equals(M, lambda x: p.log_prob(x).exp().unsqueeze(-1), 1.0)


@law(
    "sampler-matches-density",
    "mean of f(X_i) = ∫ f p dV for X_i ~ p",
    catches="a sampler of another law than the density's",
    inputs=lambda draw: {"p": draw.distribution(), "f": _bounded(draw), "seed": draw.level},
    needs=(
        EVERYWHERE,
        DISTRIBUTION,
    ),
)
def sampler_matches_density(M: Manifold, p: Distribution, f: RandomFunction, seed: int) -> Residual:
    """For each ridge of f, and for log p; within five standard errors and the error of the integral."""
    x = p.sample((_DRAWS,), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    def columns(z: Tensor) -> Tensor:
        return torch.cat([f.ridges(z), p.log_prob(z).unsqueeze(-1)], -1)

    def weighted(z: Tensor) -> Tensor:
        values = columns(z)
        density = values[:, -1:].exp()
        return torch.where(density > 0, density * values, 0.0)

    seen, wanted = columns(x), integrals(M, weighted)
    gap = (seen.mean(0) - wanted.value).abs()
    return Residual(gap, _STANDARD_ERRORS * seen.std(0) / _DRAWS**0.5 + wanted.error + 1e-12)


def _bounded(draw: Draw) -> RandomFunction:
    """Waves without a bell: the density decays."""
    return draw.waves(8)


@law(
    "score",
    "g(∇log p, v) = d/dt log p(exp_x tv) at t = 0",
    catches="a score in closed form that is not the gradient of the density, or not tangent",
    inputs=lambda draw: {**(given := _sampled(draw)), "v": draw.tangents(given["x"])},
    needs=(
        EVERYWHERE,
        DISTRIBUTION,
    ),
)
def score(M: Manifold, p: Distribution, x: Tensor, seed: int, v: Tensor) -> Residual:
    """The condition of log p adds to the rounding of its points: a density of width s varies at rate 1/s."""
    del seed
    score, wanted = p.score(x), along(M, p.log_prob, x, v)
    size = (1 + norm(M, x, score)) * norm(M, x, v)
    normal = norm_of_normal_part(M, x, score) * norm(M, x, v)
    off = (M.inner(x, score, v) - wanted).abs() + normal
    return Residual(off, 10 * rounding(M, x) * size * (1 + norm(M, x, score)))


@law(
    "stein-identity",
    "E_p[Div V + ⟨V, ∇log p⟩] = 0",
    catches="samples, scores and divergences that do not belong together",
    inputs=lambda draw: {"p": draw.distribution(), "V": draw.field(), "seed": draw.level},
    needs=(
        EVERYWHERE,
        DISTRIBUTION,
    ),
)
def stein_identity(M: Manifold, p: Distribution, V: TangentFunction, seed: int) -> Residual:
    """By samples, within five standard errors."""
    x = p.sample((_DRAWS,), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    value, divergence = M.value_and_divergence(V)(x)
    terms = divergence + M.inner(x, value, p.score(x))
    return Residual(terms.mean().abs(), _STANDARD_ERRORS * terms.std() / _DRAWS**0.5 + 1e-12)


LAWS = (density_normalised, sampler_matches_density, score, stein_identity)
