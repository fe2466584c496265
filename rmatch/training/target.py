"""How well a flow samples a density that is known up to a constant."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rmatch._errors import OptionError, SolverError
from rmatch._typing import ScalarFunction
from rmatch.objectives.reverse_kl import effective_fraction, log_density_at
from rmatch.paths import FlowPath
from rmatch.training.evaluation import mean_and_error

_CHUNK = 4096


@dataclass(frozen=True)
class TargetEvaluation:
    """How well the samples x of a flow q stand for a target π = exp(log_density) / Z, by their weights exp(log π Z/q).

    Args:
        ess: The effective sample size as a fraction of the samples, in (0, 1].
        ess_stderr: Its standard error.
        log_z: The logarithm of Z, of the mean weight.
        log_z_stderr: Its standard error.
        kl: `KL[q || π]` in nats.
        kl_stderr: Its standard error.
        unnormalised_kl: `E_q (log q - log_density)`, which is `kl - log_z` and what training minimises.
        unnormalised_kl_stderr: Its standard error.
        n: Number of samples.
        nfe: Number of evaluations of the field to solve for one batch of samples, the most over the batches.
        constraint_violation: How far a trajectory left the manifold at most.
    """

    ess: float
    ess_stderr: float
    log_z: float
    log_z_stderr: float
    kl: float
    kl_stderr: float
    unnormalised_kl: float
    unnormalised_kl_stderr: float
    n: int
    nfe: int
    constraint_violation: float


def evaluate_target(
    flow: FlowPath, log_density: ScalarFunction, samples: int = 10_000, *, seed: int = 0, chunk: int = _CHUNK
) -> TargetEvaluation:
    """Draw from a flow and weigh the samples by a target that is known up to a constant.

    All numbers but `unnormalised_kl` are blind to modes of the target that the flow never visits.

    Args:
        flow: The flow; its law at time 1 is looked at.
        log_density: The logarithm of the target, up to a constant: float32 points `(N, *point_shape)` to `(N,)`.
        samples: How many samples to draw, 20 or more.
        seed: Of the samples.
        chunk: Samples that are solved for together.

    Returns:
        The numbers with their standard errors.

    Raises:
        OptionError: There are fewer than 20 samples.
        ShapeError: The target does not return one number for each point.
        InputError: It returns NaN or +inf, or is 0 at all samples.
        SolverError: The flow cannot be integrated.

    References:
        Nicoli et al., "Asymptotically unbiased estimation of physical observables with neural samplers", Physical
        Review E 101 (2020), section II (the weights, and log Z with its error).

    Example:
        >>> import rmatch as rm
        >>> from rmatch.training import evaluate_target
        >>> M = rm.Torus(2)
        >>> flow = rm.FlowPath(rm.TangentMLP(M, width=8, depth=1), base=rm.Uniform(M))  # untrained: the zero field
        >>> found = evaluate_target(flow, lambda x: 0 * x.sum(-1), 100)
        >>> round(found.ess, 4), round(found.log_z, 3), abs(found.kl) < 1e-4  # Z is the area (2π)²
        (1.0, 3.676, True)
    """
    if samples < 20:
        raise OptionError(f"an evaluation needs 20 samples or more, got {samples}")
    drawn = weigh(flow, log_density, samples, seed=seed, chunk=chunk)
    w = drawn.log_weights
    ess, ess_error = effective_fraction(w)
    log_z = w.logsumexp(0) - math.log(samples)
    relative = (w - log_z).exp()
    divergence, divergence_error = mean_and_error(-w)
    return TargetEvaluation(
        ess=float(ess),
        ess_stderr=float(ess_error),
        log_z=float(log_z),
        log_z_stderr=mean_and_error(relative)[1],
        kl=divergence + float(log_z),
        kl_stderr=mean_and_error(relative - w)[1],  # both means come from the same samples
        unnormalised_kl=divergence,
        unnormalised_kl_stderr=divergence_error,
        n=samples,
        nfe=drawn.evaluations,
        constraint_violation=drawn.violation,
    )


class Weighed(NamedTuple):
    """Samples of a flow `(N, *point_shape)`, the logarithms of their weights `(N,)` float64, and what they cost."""

    points: Tensor
    log_weights: Tensor
    evaluations: int
    violation: float


@torch.no_grad()
def weigh(flow: FlowPath, log_density: ScalarFunction, samples: int, *, seed: int, chunk: int = _CHUNK) -> Weighed:
    """Samples of a flow in float32 with the logarithms of their weights, `log_density - log q`; see `evaluate_target`.

    The samples and their densities come from one solve, forward from the base.
    """
    generator = torch.Generator().manual_seed(seed)
    base = flow.base.sample((samples,), generator=generator, dtype=torch.float32)
    if isinstance(flow.field, nn.Module):
        base = base.to(next(flow.field.parameters()).device)
    points: list[Tensor] = []
    logs: list[Tensor] = []
    evaluations, violation = 0, 0.0
    for part in base.split(chunk):
        end = flow.solve(part, 0.0, 1.0, divergence="exact")
        if end.log_density_change is None:
            raise SolverError(f"{flow.solver!r} followed no log-density; choose another solver")
        log_q = flow.base.log_prob(part) + end.log_density_change
        points.append(end.point)
        logs.append((log_density_at(log_density, flow.manifold, end.point) - log_q).double().cpu())
        evaluations = max(evaluations, end.evaluations)
        violation = max(violation, float(end.constraint_violation))
    return Weighed(torch.cat(points), torch.cat(logs), evaluations, violation)


def divergence_score(
    flow_of: Callable[[Any], FlowPath], log_density: ScalarFunction, *, samples: int
) -> Callable[[nn.Module], float]:
    """A score for `fit`: `E_q (log q - log_density)` over the same draws of the base each time.

    Where the flow cannot be integrated, which happens early in a training, the score is infinite.

    Args:
        flow_of: The flow of a model.
        log_density: The target.
        samples: How many draws.
    """

    def score(field: Any) -> float:
        try:
            return -float(weigh(flow_of(field), log_density, samples, seed=0).log_weights.mean())
        except SolverError:
            return math.inf

    return score
