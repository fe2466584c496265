"""The work of `rmatch evaluate`."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from torch import Tensor

from rmatch._errors import OptionError
from rmatch.cli._data import is_built_in, read_points
from rmatch.manifolds import ManifoldSpec
from rmatch.solvers import DormandPrince
from rmatch.training import Evaluation, Run, evaluate, load_run
from rmatch.training.options import EVALUATION_TOLERANCE


def run_evaluation(
    folder: str, data: str | None, *, split: str | None, columns: str | None, unit: str | None, as_json: bool
) -> int:
    """Score a run and print the result.

    Args:
        folder: The run folder.
        data: A table or built-in data set to score, or `None`.
        split: The part of the run's own rows to score; test by default.
        columns: The table's columns, when not the run's.
        unit: The table's unit, when not the run's.
        as_json: Whether to print one JSON object.
    """
    if data is not None and split is not None:
        raise OptionError(f"--split chooses among the run's own rows; leave it out to score {data}")
    run = load_run(folder)
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


def _json(result: Evaluation) -> dict[str, Any]:
    """JSON has no NaN, so the standard error of a single row is null."""
    return {name: value if math.isfinite(value) else None for name, value in asdict(result).items()}
