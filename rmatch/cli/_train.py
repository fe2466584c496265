"""The work of `rmatch train`."""

from __future__ import annotations

import contextlib
import math
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rmatch._errors import CheckpointError, DependencyError, OptionError, OutputError
from rmatch.cli._baselines import Baselines, score_baselines, shared_sites
from rmatch.cli._data import asked_manifold, is_built_in, read_points
from rmatch.cli._evaluate import evaluate_run
from rmatch.cli._float32 import require_float32
from rmatch.cli._request import TrainRequest
from rmatch.datasets import Dataset, Split, split
from rmatch.distributions import default_base
from rmatch.fields import TangentMLP
from rmatch.manifolds import ManifoldSpec
from rmatch.solvers import DormandPrince
from rmatch.training import DataSource, Evaluation, FitResult, ProgressBar, Report, Run, RunConfig, RunOptions, fit
from rmatch.training.config import base_scale
from rmatch.training.evaluation import held_out_nll
from rmatch.training.metrics import MetricsLog
from rmatch.training.options import SCORE_ROWS, SCORE_TOLERANCE
from rmatch.training.progress import duration
from rmatch.training.recipe import Recipe
from rmatch.training.run import (
    CHECKPOINT_FILE,
    METRICS_FILE,
    PICTURE_FILE,
    RUN_FILES,
    SAMPLES_FILE,
    build_field,
    draw,
    holds_run,
    save_model,
    write_table,
)

_SAMPLES = 1000
_PICTURE_ROWS = 64  # a quick one; rmatch plot draws a finer one


def run_training(request: TrainRequest) -> int:
    """Train as asked; returns the exit status."""
    if request.folder.exists() and not request.folder.is_dir():
        raise OptionError(f"-o {request.folder} is a file; name a folder")
    job = _resume(request) if request.resume else _begin(request)
    result = job.train()
    if result.interrupted:
        print(
            f"rmatch: interrupted at step {result.steps}, nothing is lost; "
            f"go on with: rmatch train --resume -o {request.folder}",
            file=sys.stderr,
        )
        return 130
    job.finish(result)
    return 0


class _Job:
    """One training in a run folder, and what follows it."""

    def __init__(self, folder: Path, config: RunConfig, field: TangentMLP, data: Dataset, *, resume: bool) -> None:
        self.folder, self.config, self.field, self.data, self.resume = folder, config, field, data, resume
        self.parts: Split = split(len(data), config.options.seed)
        self.metrics: MetricsLog | None = None

    def train(self) -> FitResult:
        """Train to the end or to an interrupt, and write the model."""
        options = self.config.options
        recipe = Recipe.of(options.objective, self.field, self.config.base)
        created = _make_folder(self.folder)
        try:
            with ProgressBar(score_name="validation NLL") as bar:

                def listen(report: Report) -> None:
                    self._commit(report)
                    bar(report)

                result = fit(
                    recipe.model,
                    recipe.objective,
                    self.data.points[self.parts.train],
                    steps=options.steps,
                    budget=options.budget,
                    batch_size=options.batch_size,
                    lr=options.lr,
                    seed=options.seed,
                    warmup=options.warmup,
                    clip=options.clip,
                    weight_decay=options.weight_decay,
                    ema=options.ema,
                    score=_score(recipe, self.data.points[self.parts.validation]),
                    device=options.device,
                    progress=listen,
                    checkpoint=self.folder / CHECKPOINT_FILE,
                    resume=self.resume,
                )
        finally:
            if self.metrics is None and created:
                with contextlib.suppress(OSError):  # nothing was trained: leave no empty folder behind
                    self.folder.rmdir()
        self.field.cpu()
        save_model(self.folder, self.config, self.field)
        return result

    def finish(self, result: FitResult) -> None:
        """Score, sample and draw, and print the table."""
        run = Run(self.folder, self.config, self.field)
        print(f"scoring {len(self.parts.test):,} test rows", file=sys.stderr)
        evaluation = evaluate_run(run, self.data.points[self.parts.test])
        baselines = score_baselines(self.config.manifold, self.data.points, self.parts)
        metrics = self.metrics or MetricsLog(self.folder / METRICS_FILE, after=result.steps)
        metrics.append(
            "test", {"step": result.steps, "best_step": result.best_step} | asdict(evaluation) | _named(baselines)
        )
        write_table(
            self.folder / SAMPLES_FILE, self.config.coordinates, draw(run, _SAMPLES, seed=self.config.options.seed)
        )
        picture = self._draw(run)
        for line in _summary(result, evaluation, baselines, shared_sites(self.data.points, self.parts)):
            print(line)
        print(f"wrote {', '.join(name for name in RUN_FILES if (self.folder / name).exists())} in {self.folder}")
        if picture is not None:
            print(picture, file=sys.stderr)

    def _commit(self, report: Report) -> None:
        """On the first report, when the training has begun and its checkpoint is on disk, take the folder over."""
        if self.metrics is None:
            if not self.resume:
                self.config.write(self.folder)
                for name in RUN_FILES:
                    if name not in ("config.json", CHECKPOINT_FILE):
                        (self.folder / name).unlink(missing_ok=True)
            self.metrics = MetricsLog(self.folder / METRICS_FILE, after=report.step - 1 if self.resume else None)
        self.metrics(report)

    def _draw(self, run: Run) -> str | None:
        """Draw the picture; without matplotlib, the line that tells how to get it."""
        try:
            from rmatch.cli._picture import draw_picture

            draw_picture(run, self.folder / PICTURE_FILE, self.data, resolution=_PICTURE_ROWS)
        except DependencyError as error:
            return f"no picture was drawn: {error}, then: rmatch plot {self.folder}"
        return None


def _begin(request: TrainRequest) -> _Job:
    """A new run; everything that can be wrong with the request is found here, before the folder is touched."""
    folder = request.folder
    if holds_run(folder) and not request.overwrite:
        raise OptionError(f"{folder} already holds a run; go on with it by --resume, or replace it by --overwrite")
    if request.data is None:
        raise OptionError("say what to train on: a built-in data set such as airports, or a file")
    options = RunOptions.of(request.options)
    _require_device(options.device)
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
        versions=_versions(),
        base_scale=base_scale(base),
    )
    return _Job(folder, config, field, data, resume=False)


def _resume(request: TrainRequest) -> _Job:
    """The run in the folder; options that the user repeats must be those that it has."""
    config = RunConfig.read(request.folder)
    differing = list(_differences(request, config))
    if differing:
        raise OptionError(
            f"{request.folder} was begun with other options ({'; '.join(differing)}); "
            "--resume takes all of them from the folder, so leave them out"
        )
    if not (request.folder / CHECKPOINT_FILE).exists():
        raise CheckpointError(f"{request.folder} has no {CHECKPOINT_FILE} to go on from; train again with --overwrite")
    _require_device(config.options.device)
    return _Job(request.folder, config, build_field(config), config.data.read(config.coordinates), resume=True)


def _differences(request: TrainRequest, config: RunConfig) -> list[str]:
    """What the user asked for beside what the run has, where they differ."""
    source = config.data
    own_data = source.name if source.path is None else source.path
    asked_data = request.data
    if asked_data is not None and not (source.path is None and is_built_in(asked_data)):
        asked_data = str(Path(asked_data).resolve())
    pairs: list[tuple[str, Any, tuple[Any, ...]]] = [
        ("data", asked_data, (own_data,)),
        ("--manifold", *_manifolds(request, config)),
        ("--columns", request.columns, (source.columns, config.coordinates.columns)),
        ("--unit", request.unit, (source.unit, config.coordinates.unit)),
    ]
    own = asdict(config.options)
    pairs += [(f"--{name.replace('_', '-')}", value, (own[name],)) for name, value in request.options.items()]
    return [f"{name} {held[-1]}, not {asked}" for name, asked, held in pairs if asked is not None and asked not in held]


def _manifolds(request: TrainRequest, config: RunConfig) -> tuple[str | None, tuple[str]]:
    """The manifold that the user asked for, unless the run's is as asked, and the run's, told as fully as needed."""
    asked, own = asked_manifold(request.manifold), config.coordinates.spec
    if asked is None or asked.covers(own):
        return None, (str(own),)
    return str(asked), (str(own if asked.family == own.family else ManifoldSpec.of(config.manifold)),)


def _score(recipe: Recipe, validation: torch.Tensor) -> Callable[[nn.Module], float]:
    solver = DormandPrince(SCORE_TOLERANCE, SCORE_TOLERANCE)
    return held_out_nll(lambda model: recipe.flow(solver, model), validation, most=SCORE_ROWS)


def _make_folder(folder: Path) -> bool:
    """Make the folder; whether it was not there before."""
    if folder.is_dir():
        return False
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror or error}") from error
    return True


def _require_device(name: str) -> None:
    try:
        torch.Generator(torch.zeros(1, device=name).device)
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise OptionError(
            f"--device {name} cannot be used here ({reason}); leave it out to train on the cpu"
        ) from error


def _versions() -> dict[str, str]:
    own = str(vars(sys.modules["rmatch"])["__version__"])
    return {"rmatch": own, "torch": str(torch.__version__), "python": platform.python_version()}


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
