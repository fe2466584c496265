"""One network trained by one objective, with all that a comparison of objectives shows about it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rmatch._errors import SolverError
from rmatch.datasets import Split
from rmatch.distributions import Distribution
from rmatch.fields import TangentMLP
from rmatch.manifolds import Manifold
from rmatch.objectives import pairing
from rmatch.objectives.pairing import Pairing
from rmatch.paths import FlowPath
from rmatch.solvers import DormandPrince
from rmatch.training.evaluation import Evaluation, evaluate, held_out_nll
from rmatch.training.fit import fit
from rmatch.training.options import EVALUATION_TOLERANCE, SCORE_ROWS, SCORE_TOLERANCE, RunOptions
from rmatch.training.recipe import Recipe
from rmatch.training.report import Listener, Report

_SAMPLES = 1000
_REFERENCE = 1000  # training rows to which distances are measured
_NEAR = 0.99  # the share of test rows that count as near the training rows
_PAIRING_TOLERANCE = 1e-2  # its expectations have a standard error of several per cent


@dataclass(frozen=True)
class Contender:
    """What one objective made of the network.

    Args:
        objective: `"flow"`, `"score"` or `"kl"`.
        flow: The trained flow, in float32.
        steps: Steps done.
        seconds: Time that they took, scores included.
        step_seconds: Time of one step, scores not included.
        curve: Seconds and NLL of the validation rows, one pair for each score; infinite where the flow could not be
            integrated.
        evaluation: The score of the test rows; `None` where the flow cannot be integrated.
        samples: Draws from the flow, `(N, *point_shape)`; `None` likewise.
        astray: The share of samples that lie farther from the training rows than 99 % of the test rows do: 1 % for
            the law of the data, more for a flow that spills into gaps; `None` without samples.
        failure: Why the flow cannot be integrated.
    """

    objective: str
    flow: FlowPath
    steps: int
    seconds: float
    step_seconds: float
    curve: tuple[tuple[float, float], ...]
    evaluation: Evaluation | None
    samples: Tensor | None
    astray: float | None
    failure: str | None = None


def contend(
    network: TangentMLP,
    base: Distribution,
    points: Tensor,
    parts: Split,
    options: RunOptions,
    *,
    progress: Listener | None = None,
) -> Contender:
    """Train a network by one objective and look at what it learned.

    Args:
        network: The network, untrained; it is trained in place.
        base: The law that a flow starts from.
        points: All points, `(N, *point_shape)`.
        parts: Their split.
        options: How to train; `options.objective` says by what.
        progress: Called with each `Report`.

    Returns:
        What came of it. A flow that cannot be integrated is a result too, and told as such.

    Raises:
        OptionError: The objective is not known on this manifold.
        TrainingError: The loss became infinite or NaN.

    Example:
        >>> import rmatch as rm
        >>> from rmatch.training import RunOptions, contend
        >>> M = rm.Torus(1)
        >>> x = rm.Uniform(M).sample((100,))
        >>> network, options = rm.TangentMLP(M, width=8, depth=1), RunOptions(steps=3, objective="score")
        >>> contend(network, rm.Uniform(M), x, rm.datasets.split(100, seed=0), options).steps
        3
    """
    recipe = Recipe.of(options.objective, network, base)
    clock = _Clock(progress)
    solver = DormandPrince(SCORE_TOLERANCE, SCORE_TOLERANCE)
    result = fit(
        recipe.model,
        recipe.objective,
        points[parts.train],
        steps=options.steps,
        budget=options.budget,
        batch_size=options.batch_size,
        lr=options.lr,
        seed=options.seed,
        warmup=options.warmup,
        clip=options.clip,
        weight_decay=options.weight_decay,
        ema=options.ema,
        score=held_out_nll(lambda model: recipe.flow(solver, model), points[parts.validation], most=SCORE_ROWS),
        device=options.device,
        progress=clock,
    )
    recipe.model.cpu().eval()
    flow = recipe.flow(DormandPrince(EVALUATION_TOLERANCE, EVALUATION_TOLERANCE))
    evaluation, samples, astray, failure = None, None, None, None
    try:
        evaluation = evaluate(flow, points[parts.test].float())
        with torch.no_grad():
            generator = torch.Generator().manual_seed(options.seed)
            samples = flow.sample(1.0, (_SAMPLES,), generator=generator, dtype=torch.float32)
        astray = share_astray(flow.manifold, samples, points[parts.train], points[parts.test])
    except SolverError as error:
        failure = str(error)
    return Contender(
        options.objective,
        flow,
        result.steps,
        result.seconds,
        clock.step_seconds,
        tuple(clock.curve),
        evaluation,
        samples,
        astray,
        failure,
    )


def share_astray(manifold: Manifold, samples: Tensor, train: Tensor, test: Tensor) -> float:
    """The share of samples farther from all training rows than 99 % of the test rows are.

    Args:
        manifold: The manifold.
        samples: Draws from a model, `(N, *point_shape)`.
        train: Rows to measure the distance to; the first 1000 count.
        test: Rows that tell which distances are usual.

    Example:
        >>> import torch, rmatch as rm
        >>> from rmatch.training.comparison import share_astray
        >>> data = torch.linspace(0, 1, 100)[:, None]
        >>> share_astray(rm.Torus(1), torch.tensor([[0.505], [3.0]]), data, data + 0.005)
        0.5
    """
    reference = train[:_REFERENCE].double()

    def nearest(x: Tensor) -> Tensor:
        parts = x.double().split(64)
        return torch.cat([manifold.dist(part.unsqueeze(1), reference.unsqueeze(0)).amin(1) for part in parts])

    with torch.no_grad():
        usual = torch.quantile(nearest(test[:_REFERENCE]), _NEAR)
        return float((nearest(samples) > usual).double().mean())


def pair(p: Contender, q: Contender, *, times: int = 9, samples: int = 64, seed: int = 0) -> Pairing | None:
    """The pairing of the flows of two contenders, under the law of the first, by samples.

    A rule of quadrature that resolves flows trained on real data takes minutes; samples tell their standard error.

    Args:
        p: Under whose law the expectations are.
        q: With what it is compared.
        times: Times to look at.
        samples: Samples at each of them.
        seed: Of the samples.

    Returns:
        The numbers with their errors, or `None` where one of the flows cannot be integrated.
    """
    generator = torch.Generator().manual_seed(seed)
    try:
        return pairing(
            _in_float64(p.flow),
            _in_float64(q.flow),
            method="samples",
            times=times,
            samples=samples,
            generator=generator,
        )
    except SolverError:
        return None


def _in_float64(flow: FlowPath) -> FlowPath:
    field: Any = copy.deepcopy(flow.field)
    if isinstance(field, nn.Module):
        field = field.double()
    return FlowPath(field, flow.base, DormandPrince(_PAIRING_TOLERANCE, _PAIRING_TOLERANCE))


class _Clock:
    """A listener that keeps the scores and the time of a step, and passes the reports on."""

    def __init__(self, progress: Callable[[Report], None] | None) -> None:
        self.progress = progress
        self.curve: list[tuple[float, float]] = []
        self._steps, self._seconds, self._last = 0, 0.0, 0

    @property
    def step_seconds(self) -> float:
        """The mean time of a step."""
        return self._seconds / max(self._steps, 1)

    def __call__(self, report: Report) -> None:
        if report.step > self._last and report.rate > 0:
            self._steps += report.step - self._last
            self._seconds += (report.step - self._last) / report.rate
            self._last = report.step
        if report.score is not None:
            self.curve.append((report.seconds, report.score))
        if self.progress is not None:
            self.progress(report)
