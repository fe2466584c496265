"""Reverse KL: a flow that samples from an unnormalised density."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from rmatch._errors import InputError, OptionError, ShapeError
from rmatch._numerics import vjp
from rmatch._typing import ScalarFunction
from rmatch.distributions import Distribution
from rmatch.fields import VectorField
from rmatch.manifolds import Integral, Manifold
from rmatch.objectives._expectation import require_laws
from rmatch.objectives.maximum_likelihood import parameters_of
from rmatch.paths import FlowPath
from rmatch.solvers import RK4, Solver


class ReverseKL:
    """The divergence `KL[q_θ || π] = E_{q_θ} (log q_θ - log π)`, up to the constant log ∫ exp(log_density).

    The gradient is the path gradient: with x_1(θ) the end of a trajectory from x_0,

        ∇_θ KL = E < ∇ log q_θ(x_1) - ∇ log π(x_1), ∂x_1/∂θ >,

    where the part of the total derivative whose mean is zero is left out; its variance vanishes as q_θ comes to π. The
    score of q_θ is carried along the trajectory by its own equation, so no second derivative of the network is stored.

    Args:
        log_density: The logarithm of the target, up to a constant: points `(*batch, *point_shape)` to `(*batch)`.
        base: The law of the flow at t = 0, which has to reach all of the target: a sampler cannot find modes of which
            no sample ever learns.
        solver: How to integrate the flow; eight steps of RK4 by default.

    References:
        Vaitl, Nicoli, Nakajima and Kessel, "Path-gradient estimators for continuous normalizing flows", ICML 2022.
        Rezende et al., "Normalizing flows on tori and spheres", ICML 2020, section 4 (reverse KL on tori and spheres).

    Example:
        >>> import torch, rmatch as rm
        >>> M = rm.Sphere(2)
        >>> pole = torch.tensor([0.0, 0.0, 1.0])
        >>> objective = rm.ReverseKL(lambda x: 4 * x @ pole, base=rm.Uniform(M))
        >>> field = rm.TangentMLP(M, width=16, depth=1, frequencies=())
        >>> result = rm.fit(field, objective, None, steps=20, batch_size=64)
        >>> result.steps
        20
    """

    needs_data = False

    def __init__(self, log_density: ScalarFunction, base: Distribution, *, solver: Solver | None = None) -> None:
        self.log_density = log_density
        self.base = base
        self.solver = RK4(steps=8) if solver is None else solver

    def __call__(self, field: VectorField, x1: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The loss, a scalar: its value is the estimate of the divergence, its gradient the path gradient.

        Args:
            field: The field to train.
            x1: Says how many samples to draw and of which type, `(B, *point_shape)`; its values are not used.
            generator: Source of the base points.

        Raises:
            ShapeError: The target does not return one number for each point.
            InputError: It returns NaN or an infinity: where the density is 0, the divergence of any flow is infinite.
                Or its derivative is not finite.
        """
        flow = FlowPath(field, base=self.base, solver=self.solver)
        x0 = self.base.sample((len(x1),), generator=generator, dtype=x1.dtype, device=x1.device)
        with torch.no_grad():
            log_base, pull = vjp(self.base.log_prob, x0)
            (start,) = pull(torch.ones_like(log_base))
            end = flow.solve(x0, 0.0, 1.0, divergence="exact", differential=start)
            log_target, pull = vjp(self._target, end.point)
            (of_target,) = pull(torch.ones_like(log_target))
            _require_slope(self.log_density, end.point, of_target)
        if end.log_density_change is None or end.differential is None:
            raise InputError(f"{self.solver!r} returned no log-density although it was asked for one")
        value = (log_base + end.log_density_change - log_target).mean()
        force = end.differential - of_target
        moved = flow.solve(x0, 0.0, 1.0, parameters=parameters_of(field)).point
        path = (force * moved).sum() / max(len(x1), 1)
        return value + path - path.detach()

    def _target(self, x: Tensor) -> Tensor:
        return log_density_at(self.log_density, self.base.manifold, x, positive=True)

    def __repr__(self) -> str:
        """The constructor call."""
        return f"ReverseKL({_name(self.log_density)}, {self.base!r}, solver={self.solver!r})"


@torch.no_grad()
def effective_sample_size(
    q: Distribution, log_density: ScalarFunction, samples: int = 4096, *, generator: torch.Generator | None = None
) -> Integral:
    """The fraction of samples of q that count as samples of a target, `(Σ w)² / (N Σ w²)` with w = π/q, in (0, 1].

    It is 1 where q is the target, and 1/N where a single sample has all the weight. Weights of modes that q never
    visits are not seen.

    Args:
        q: The law to sample from, for example `flow.at(1.0)`.
        log_density: The logarithm of the target, up to a constant.
        samples: How many samples to draw.
        generator: Their source.

    Returns:
        The fraction, and its standard error over ten parts of the samples.

    Raises:
        ShapeError: The target does not return one number for each point.
        InputError: It returns NaN or +inf, or is 0 at all samples.
        OptionError: There are fewer than 20 samples.

    References:
        Kong, Liu and Wong, "Sequential imputations and Bayesian missing data problems", JASA 89 (1994).

    Example:
        >>> import rmatch as rm
        >>> q = rm.Uniform(rm.Torus(2))
        >>> round(float(rm.effective_sample_size(q, lambda x: 0 * x.sum(-1), 100).value), 6)
        1.0
    """
    require_laws(q)
    x = q.sample((samples,), generator=generator)
    return effective_fraction(log_density_at(log_density, q.manifold, x) - q.log_prob(x))


def effective_fraction(log_weights: Tensor) -> Integral:
    """The effective sample size of weights given by their logarithms `(N,)`, as a fraction of N, with its error.

    Raises:
        OptionError: There are fewer than 20 weights.
        InputError: All weights are 0, or one is NaN.
    """
    if len(log_weights) < 2 * _PARTS:
        raise OptionError(f"an effective sample size with an error needs {2 * _PARTS} samples, got {len(log_weights)}")
    log_weights = log_weights.double()
    if not bool(log_weights.amax().isfinite()):
        raise InputError(f"the effective sample size is not known: the largest log weight is {log_weights.amax()}")
    parts = torch.stack([_fraction(part) for part in log_weights.chunk(_PARTS)])
    return Integral(_fraction(log_weights), parts.std() / math.sqrt(len(parts)))


def log_density_at(log_density: ScalarFunction, manifold: Manifold, x: Tensor, *, positive: bool = False) -> Tensor:
    """The logarithm of an unnormalised density that somebody wrote, looked at before it is used.

    Args:
        log_density: Points `(*batch, *point_shape)` to `(*batch)`.
        manifold: Where the points lie.
        x: The points.
        positive: Whether the density must not be 0 anywhere.

    Raises:
        ShapeError: It does not return one number for each point.
        InputError: It returns NaN or +inf, or -inf where it must be positive; the text has the point.
    """
    value: Any = log_density(x)  # what a user wrote returns anything
    name = _name(log_density)
    if not isinstance(value, Tensor):
        raise InputError(f"{name} returned {type(value).__name__}, not a tensor; compute the log-density by torch")
    batch = x.shape[: x.dim() - len(manifold.point_shape)]
    if value.shape != batch:
        raise ShapeError(
            f"{name} returned shape {tuple(value.shape)} at points of shape {tuple(x.shape)}; "
            f"it must return one number for each point, {tuple(batch)}"
        )
    bad = ~value.isfinite() if positive else value.isnan() | (value == math.inf)
    if bool(bad.any()):
        row = tuple(bad.nonzero()[0].tolist())
        least = "a finite number" if positive else "a number below +inf"
        raise InputError(f"{name} is {float(value[row].detach())} at {x[row].tolist()}; it must be {least} everywhere")
    return value


_PARTS = 10


def _require_slope(log_density: ScalarFunction, x: Tensor, differential: Tensor) -> None:
    bad = ~differential.isfinite().reshape(len(x), -1).all(-1)
    if bool(bad.any()):
        row = int(bad.nonzero()[0])
        raise InputError(
            f"the derivative of {_name(log_density)} is not finite at {x[row].tolist()}; "
            "write it so that torch can differentiate it there"
        )


def _name(log_density: ScalarFunction) -> str:
    name: str = getattr(log_density, "__name__", type(log_density).__name__)
    return "log_density" if name == "<lambda>" else name


def _fraction(log_weights: Tensor) -> Tensor:
    """All of it 0 in a part that has no weight."""
    if not bool(log_weights.amax().isfinite()):
        return log_weights.new_zeros(())
    return (2 * log_weights.logsumexp(0) - (2 * log_weights).logsumexp(0)).exp() / len(log_weights)
