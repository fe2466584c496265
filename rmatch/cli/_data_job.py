"""Training on data: rows for training, validation and test, and a table of scores beside the baselines."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from torch import Tensor, nn

from rmatch._errors import OptionError
from rmatch.cli._baselines import Baselines, score_baselines, shared_sites
from rmatch.cli._data import asked_manifold, is_built_in, read_points
from rmatch.cli._evaluate import evaluate_run
from rmatch.cli._float32 import require_float32
from rmatch.cli._job import Job, Outcome, versions
from rmatch.cli._request import TrainRequest
from rmatch.datasets import Dataset, split
from rmatch.distributions import default_base
from rmatch.fields import TangentMLP
from rmatch.solvers import DormandPrince
from rmatch.training import DataSource, Evaluation, FitResult, Run, RunConfig, RunOptions
from rmatch.training.config import base_scale
from rmatch.training.evaluation import held_out_nll
from rmatch.training.options import SCORE_ROWS, SCORE_TOLERANCE
from rmatch.training.progress import duration
from rmatch.training.recipe import Recipe


class DataJob(Job):
    """A training on the points of a data set; arguments as for `Job`, and the data set."""

    score = ("validation NLL", "nll")

    def __init__(self, folder: Path, config: RunConfig, field: TangentMLP, data: Dataset, *, resume: bool) -> None:
        super().__init__(folder, config, field, resume=resume)
        self.data = data
        self.parts = split(len(data), config.options.seed)

    @classmethod
    def begin(cls, request: TrainRequest, options: RunOptions) -> DataJob:
        """A new run; everything that can be wrong with the request is found here, before the folder is touched."""
        if request.data is None:
            raise OptionError("say what to train on: a built-in data set such as airports, or a file")
        if ".py:" in request.data:
            raise OptionError(f"{request.data} is a function, not a table; learn its density by --objective reverse-kl")
        data = read_points(request.data, asked_manifold(request.manifold), request.columns, request.unit)
        parts = split(len(data), options.seed)
        base = default_base(data.manifold, data.points[parts.train])
        require_float32(data, base)
        field = TangentMLP.for_data(
            data.manifold, data.points[parts.train], options.width, options.depth, seed=options.seed
        )
        path = None if is_built_in(request.data) else Path(request.data)
        config = RunConfig(
            data=DataSource.of(data, path, request.columns, request.unit),
            coordinates=data.coordinates,
            split=(len(parts.train), len(parts.validation), len(parts.test)),
            field=field.config,
            options=options,
            versions=versions(),
            base_scale=base_scale(base),
        )
        return cls(request.folder, config, field, data, resume=False)

    def recipe(self) -> Recipe:
        """The objective's."""
        return Recipe.of(self.config.options.objective, self.field, self.config.base)

    def points(self) -> Tensor:
        """The training rows."""
        return self.data.points[self.parts.train]

    def scorer(self, recipe: Recipe) -> Callable[[nn.Module], float]:
        """The likelihood of the validation rows."""
        solver = DormandPrince(SCORE_TOLERANCE, SCORE_TOLERANCE)
        rows = self.data.points[self.parts.validation]
        return held_out_nll(lambda model: recipe.flow(solver, model), rows, most=SCORE_ROWS)

    def outcome(self, run: Run, result: FitResult) -> Outcome:
        """The likelihood of the test rows, beside that under models that need no training."""
        print(f"scoring {len(self.parts.test):,} test rows", file=sys.stderr)
        evaluation = evaluate_run(run, self.data.points[self.parts.test])
        baselines = score_baselines(self.config.manifold, self.data.points, self.parts)
        lines = _summary(result, evaluation, baselines, shared_sites(self.data.points, self.parts))
        return Outcome("test", asdict(evaluation) | _named(baselines), lines)

    def picture(self, run: Run, target: Path, resolution: int) -> None:
        """The density with the data."""
        from rmatch.cli._picture import draw_picture

        draw_picture(run, target, self.data, resolution=resolution)


def _named(baselines: Baselines) -> dict[str, float | None]:
    return {
        "uniform_nll": baselines.uniform,
        "kernel_density_nll": baselines.kernel_density,
        "kernel_density_nll_stderr": baselines.kernel_density_stderr,
    }


def _summary(result: FitResult, evaluation: Evaluation, baselines: Baselines, note: str | None) -> list[str]:
    def row(name: str, value: float | None, error: float | None, reason: str) -> str:
        if value is None:
            return f"  {name:<24}    none: {reason}"
        shown = f" ± {error:.3f}" if error is not None and math.isfinite(error) else ""
        return f"  {name:<24}{value:>8.3f}{shown}"

    lines = [
        f"trained {result.steps:,} steps in {duration(result.seconds)}; the best weights are those of step "
        f"{result.best_step:,}" + ("" if result.score is None else f" (validation NLL {result.score:.3f})"),
        f"NLL per row on {evaluation.n:,} held-out test rows, in nats; lower is better",
        row("flow", evaluation.nll, evaluation.nll_stderr, ""),
        row(
            "kernel density estimate",
            baselines.kernel_density,
            baselines.kernel_density_stderr,
            "no kernel is known on this manifold",
        ),
        row("uniform density", baselines.uniform, None, "the volume is infinite"),
    ]
    return lines if note is None else [*lines, note]
