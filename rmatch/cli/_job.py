"""One training in a run folder: what trainings on data and on densities have in common."""

from __future__ import annotations

import contextlib
import platform
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from rmatch._errors import DependencyError, OptionError, OutputError
from rmatch.fields import TangentMLP
from rmatch.training import FitResult, ProgressBar, Report, Run, RunConfig, fit
from rmatch.training.metrics import MetricsLog
from rmatch.training.recipe import Recipe
from rmatch.training.run import (
    CHECKPOINT_FILE,
    METRICS_FILE,
    PICTURE_FILE,
    RUN_FILES,
    SAMPLES_FILE,
    draw,
    save_model,
    write_table,
)

_SAMPLES = 1000
_PICTURE_ROWS = 64  # a quick one; rmatch plot draws a finer one


class Outcome(NamedTuple):
    """What is said about a trained model: the kind of its line in the metrics, the numbers, and the text."""

    kind: str
    numbers: Mapping[str, Any]
    lines: list[str]


class Job(ABC):
    """One training in a run folder, and what follows it.

    Args:
        folder: The run folder.
        config: Its configuration.
        field: The network, untrained.
        resume: Whether to go on from the checkpoint in the folder.
    """

    score: ClassVar[tuple[str, str]]
    """What the score is called in the progress bar and in the metrics."""

    def __init__(self, folder: Path, config: RunConfig, field: TangentMLP, *, resume: bool) -> None:
        self.folder, self.config, self.field, self.resume = folder, config, field, resume
        self.metrics: MetricsLog | None = None

    # ---- what a member supplies -------------------------------------------------------------------------------------

    @abstractmethod
    def recipe(self) -> Recipe:
        """What is trained, and by what."""

    @abstractmethod
    def points(self) -> Tensor | None:
        """The points to train on, if there are any."""

    @abstractmethod
    def scorer(self, recipe: Recipe) -> Callable[[nn.Module], float]:
        """The score that chooses the weights to keep."""

    @abstractmethod
    def outcome(self, run: Run, result: FitResult) -> Outcome:
        """How good the trained model is."""

    @abstractmethod
    def picture(self, run: Run, target: Path, resolution: int) -> None:
        """Draw the model."""

    # ---- what everyone gets -----------------------------------------------------------------------------------------

    def train(self) -> FitResult:
        """Train to the end or to an interrupt, and write the model."""
        options = self.config.options
        recipe = self.recipe()
        created = _make_folder(self.folder)
        try:
            with ProgressBar(score_name=self.score[0]) as bar:

                def listen(report: Report) -> None:
                    self._commit(report)
                    bar(report)

                result = fit(
                    recipe.model,
                    recipe.objective,
                    self.points(),
                    steps=options.steps,
                    budget=options.budget,
                    batch_size=options.batch_size,
                    lr=options.lr,
                    seed=options.seed,
                    warmup=options.warmup,
                    clip=options.clip,
                    weight_decay=options.weight_decay,
                    ema=options.ema,
                    score=self.scorer(recipe),
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
        outcome = self.outcome(run, result)
        metrics = self.metrics or MetricsLog(self.folder / METRICS_FILE, after=result.steps)
        metrics.append(outcome.kind, {"step": result.steps, "best_step": result.best_step} | dict(outcome.numbers))
        write_table(
            self.folder / SAMPLES_FILE, self.config.coordinates, draw(run, _SAMPLES, seed=self.config.options.seed)
        )
        note = self._draw(run)
        for line in outcome.lines:
            print(line)
        print(f"wrote {', '.join(name for name in RUN_FILES if (self.folder / name).exists())} in {self.folder}")
        if note is not None:
            print(note, file=sys.stderr)

    def _commit(self, report: Report) -> None:
        """On the first report, when the training has begun and its checkpoint is on disk, take the folder over."""
        if self.metrics is None:
            if not self.resume:
                self.config.write(self.folder)
                for name in RUN_FILES:
                    if name not in ("config.json", CHECKPOINT_FILE):
                        (self.folder / name).unlink(missing_ok=True)
            after = report.step - 1 if self.resume else None
            self.metrics = MetricsLog(self.folder / METRICS_FILE, after=after, score_name=self.score[1])
        self.metrics(report)

    def _draw(self, run: Run) -> str | None:
        """Draw the picture; without matplotlib, the line that tells how to get it."""
        try:
            self.picture(run, self.folder / PICTURE_FILE, _PICTURE_ROWS)
        except DependencyError as error:
            return f"no picture was drawn: {error}, then: rmatch plot {self.folder}"
        return None


def require_device(name: str) -> None:
    """Raise OptionError where torch cannot train on a device."""
    try:
        torch.Generator(torch.zeros(1, device=name).device)
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise OptionError(
            f"--device {name} cannot be used here ({reason}); leave it out to train on the cpu"
        ) from error


def versions() -> dict[str, str]:
    """Of the libraries that a run is begun with."""
    own = str(vars(sys.modules["rmatch"])["__version__"])
    return {"rmatch": own, "torch": str(torch.__version__), "python": platform.python_version()}


def _make_folder(folder: Path) -> bool:
    """Make the folder; whether it was not there before."""
    if folder.is_dir():
        return False
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror or error}") from error
    return True
