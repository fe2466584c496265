"""The work of `rmatch evaluate`."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from torch import Tensor

from rmatch._errors import OptionError
from rmatch.cli._data import is_built_in, read_points
from rmatch.cli._density import UserDensity, density_of
from rmatch.manifolds import ManifoldSpec
from rmatch.solvers import DormandPrince
from rmatch.training import DensitySource, Evaluation, Run, TargetEvaluation, evaluate, evaluate_target, load_run
from rmatch.training.options import DENSITY_SAMPLES, EVALUATION_TOLERANCE


def run_evaluation(
    folder: str,
    data: str | None,
    *,
    split: str | None,
    columns: str | None,
    unit: str | None,
    number: int | None,
    as_json: bool,
) -> int:
    """Score a run and print the result.

    Args:
        folder: The run folder.
        data: A table or built-in data set to score, or `None`.
        split: The part of the run's own rows to score; test by default.
        columns: The table's columns, when not the run's.
        unit: The table's unit, when not the run's.
        number: How many samples to weigh, for a run that learned a density.
        as_json: Whether to print one JSON object.
    """
    if data is not None and split is not None:
        raise OptionError(f"--split chooses among the run's own rows; leave it out to score {data}")
    run = load_run(folder)
    if isinstance(run.config.data, DensitySource) and data is None:
        return _run_on_density(run, split=split, columns=columns, unit=unit, number=number, as_json=as_json)
    if number is not None:
        raise OptionError("--number is for runs that learned a density, whose samples are weighed; leave it out")
    if data is None:
        name = split or "test"
        points = run.data().points[getattr(run.split(), name)]
        what = f"{len(points):,} {name} rows"
    else:
        points = _table(run, data, columns, unit)
        what = f"{len(points):,} rows of {data}"
    result = evaluate_run(run, points)
    print(json.dumps(_json(result)) if as_json else _text(result, what))
    return 0


def evaluate_run(run: Run, points: Tensor) -> Evaluation:
    """The score of a run on points `(N, *point_shape)`, in the float32 that it was trained in."""
    flow = run.flow_by(DormandPrince(EVALUATION_TOLERANCE, EVALUATION_TOLERANCE))
    return evaluate(flow, points.float())


def evaluate_density(run: Run, density: UserDensity, number: int = DENSITY_SAMPLES) -> TargetEvaluation:
    """How well the samples of a run stand for the density that it learned, in the float32 that it was trained in."""
    flow = run.flow_by(DormandPrince(EVALUATION_TOLERANCE, EVALUATION_TOLERANCE))
    return evaluate_target(flow, density, number)


def target_lines(result: TargetEvaluation) -> list[str]:
    """An evaluation on a density as a person reads it."""
    return [
        f"effective sample size {result.ess:.1%} ± {result.ess_stderr:.1%} of {result.n:,} samples".replace("%", " %"),
        f"log Z {result.log_z:.4f} ± {result.log_z_stderr:.4f}, the log of the integral of exp(log density)",
        f"KL from flow to density {result.kl:.4f} ± {result.kl_stderr:.4f} nats; "
        f"up to log Z {result.unnormalised_kl:.4f} ± {result.unnormalised_kl_stderr:.4f}",
        f"field evaluations {result.nfe}, largest constraint violation {result.constraint_violation:.1e}",
    ]


def _run_on_density(
    run: Run, *, split: str | None, columns: str | None, unit: str | None, number: int | None, as_json: bool
) -> int:
    for name, value in (("--split", split), ("--columns", columns), ("--unit", unit)):
        if value is not None:
            raise OptionError(f"{name} is about tables, and this run learned a density; leave it out, or give a table")
    result = evaluate_density(run, density_of(run), DENSITY_SAMPLES if number is None else number)
    print(json.dumps(_json(result)) if as_json else "\n".join(target_lines(result)))
    return 0


def _table(run: Run, data: str, columns: str | None, unit: str | None) -> Tensor:
    if is_built_in(data):
        return read_points(data, ManifoldSpec.of(run.manifold), None, None).points
    chosen = run.coordinates.columns if columns is None else tuple(columns.split(","))
    return read_points(data, run.coordinates.spec, chosen, unit, minimum_rows=1).points


def _text(result: Evaluation, what: str) -> str:
    error = f" ± {result.nll_stderr:.3f}" if math.isfinite(result.nll_stderr) else ""
    return (
        f"NLL {result.nll:.3f}{error} nats per row over {what}\n"
        f"field evaluations {result.nfe}, largest constraint violation {result.constraint_violation:.1e}"
    )


def _json(result: Evaluation | TargetEvaluation) -> dict[str, Any]:
    """JSON has no NaN, so the standard error of a single row is null."""
    return {name: value if math.isfinite(value) else None for name, value in asdict(result).items()}
