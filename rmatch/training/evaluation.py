"""How well a flow describes points that it has not seen."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rmatch._errors import DataError, SolverError
from rmatch.paths import FlowPath

_CHUNK = 4096


@dataclass(frozen=True)
class Evaluation:
    """The score of a flow on some points.

    Args:
        nll: Negative log-likelihood per point, in nats with respect to dV_g; lower is better.
        nll_stderr: Its standard error over the points; NaN for a single point.
        n: Number of points.
        nfe: Number of evaluations of the field to solve for one batch of points, the most over the batches.
        constraint_violation: How far a trajectory left the manifold at most.
    """

    nll: float
    nll_stderr: float
    n: int
    nfe: int
    constraint_violation: float


def evaluate(flow: FlowPath, x: Tensor, *, chunk: int = _CHUNK) -> Evaluation:
    """The negative log-likelihood of points under a flow, with the cost and the accuracy of the solve.

    Args:
        flow: The flow; its density at time 1 is scored.
        x: Points `(N, *point_shape)`, in the precision in which to solve.
        chunk: Points that are solved for together.

    Returns:
        The score.

    Raises:
        DataError: There are no points.
        PointError: The points do not lie on the flow's manifold.
        SolverError: The flow cannot be integrated.

    Example:
        >>> import rmatch as rm
        >>> from rmatch.training import evaluate
        >>> M = rm.Sphere(2)
        >>> flow = rm.FlowPath(rm.TangentMLP(M, width=8, depth=1), base=rm.Uniform(M))  # untrained: the zero field
        >>> nodes, _ = M.quadrature(degree=4)
        >>> round(evaluate(flow, nodes).nll, 4)  # log 4π
        2.531
    """
    if not len(x):
        raise DataError("there are no points to evaluate on")
    flow.manifold.require_point(x, tolerance=1e-4)
    values: list[Tensor] = []
    evaluations, violation = 0, 0.0
    with torch.no_grad():
        for part in x.split(chunk):
            back = flow.solve(part, 1.0, 0.0, divergence="exact")
            change = back.log_density_change
            if change is None:
                raise SolverError(f"{flow.solver!r} followed no log-density; choose another solver")
            values.append((flow.base.log_prob(back.point) - change).double().cpu())
            evaluations = max(evaluations, back.evaluations)
            violation = max(violation, float(back.constraint_violation))
    nll, stderr = mean_and_error(-torch.cat(values))
    return Evaluation(nll, stderr, len(x), evaluations, violation)


def mean_and_error(values: Tensor) -> tuple[float, float]:
    """The mean of numbers `(N,)` and its standard error, which is NaN for N = 1."""
    if len(values) < 2:
        return float(values.mean()), math.nan
    return float(values.mean()), float(values.std() / math.sqrt(len(values)))


def held_out_nll(flow_of: Callable[[Any], FlowPath], points: Tensor, *, most: int) -> Callable[[nn.Module], float]:
    """A score for `fit`: the negative log-likelihood of held-out points under the flow of a model.

    Where the flow cannot be integrated, which happens early in a training, the score is infinite.

    Args:
        flow_of: The flow of a model.
        points: Held-out points `(N, *point_shape)`.
        most: How many of the points to use; the first ones. A split is in random order, so these are a fair sample.
    """
    chosen = points[:most]

    def score(field: Any) -> float:
        weights = next(field.parameters())
        try:
            return evaluate(flow_of(field), chosen.to(weights.device, weights.dtype)).nll
        except SolverError:
            return math.inf

    return score
