"""The training loop."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rmatch._errors import DataError, OptionError, TrainingError
from rmatch.distributions import Distribution
from rmatch.manifolds import Manifold
from rmatch.training._interrupt import Interrupt
from rmatch.training._schedule import Horizon
from rmatch.training._trainer import FitOptions, Objective, Trainer
from rmatch.training.report import Listener, Report

_REPORT_SECONDS = 0.5
_SAVE_SECONDS = 30.0
_SCORES = 10  # scores in one training when the caller does not say how often
_SCORE_SHARE = 0.2  # of a budget goes into scores at most, the last one aside
_VALIDATION_DRAWS = 8  # times and base points per held-out point, when the objective is the score

Score = Callable[[nn.Module], float]


@dataclass(frozen=True)
class FitResult:
    """How a training ended.

    Args:
        steps: Steps done, those before a resume included.
        seconds: Time spent on them.
        loss: Mean loss of the last steps, NaN if there were none.
        score: The best score, or `None` when none was taken.
        best_step: The step whose averaged weights had it; the last step without scores.
        interrupted: Whether Ctrl-C or SIGTERM ended it; the checkpoint has the rest.
    """

    steps: int
    seconds: float
    loss: float
    score: float | None
    best_step: int
    interrupted: bool


def fit(
    field: nn.Module,
    objective: Objective,
    x1: Tensor | None,
    *,
    steps: int | None = None,
    budget: float | None = None,
    batch_size: int = 512,
    lr: float = 1e-3,
    seed: int = 0,
    warmup: float = 0.02,
    clip: float = 1.0,
    weight_decay: float = 0.0,
    ema: float = 0.999,
    validation: Tensor | None = None,
    score: Score | None = None,
    score_every: int | None = None,
    device: torch.device | str | None = None,
    progress: Listener | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
) -> FitResult:
    """Train a field, in place: AdamW, a cosine schedule with warm-up, clipped gradients, averaged weights.

    At the end the field holds the exponential moving average of its weights: the one with the lowest score on held-out
    data when there is a score, else the last. The result depends on the arguments only: random numbers come from
    generators made of `seed`, and torch's global ones are not touched. With `budget` it depends on the clock too.

    With a `checkpoint`, Ctrl-C (or SIGTERM) finishes the step, writes the checkpoint and returns; a second Ctrl-C stops
    at once. A training that was interrupted after any step and resumed ends, on a CPU, with the same bits as one that
    was not, provided that `steps` decides its length.

    Args:
        field: The network, `field(t, x)`.
        objective: Called as `objective(field, batch, generator=...)`; returns a scalar.
        x1: Training points `(N, *point_shape)`; they are converted to the dtype and device of the field's weights. None
            for an objective that draws its own samples, such as `ReverseKL`.
        steps: How many steps to make. Give this or `budget`.
        budget: How many seconds to train, scores included; the schedule is fitted to it.
        batch_size: Points in a batch. May be larger than N: every point is then drawn again after all others.
        lr: The highest learning rate.
        seed: Of the batches and of the objective's randomness.
        warmup: The fraction of the training in which the learning rate rises.
        clip: The largest norm of a gradient; larger ones are scaled down to it.
        weight_decay: AdamW's decoupled weight decay.
        ema: Decay of the moving average per step; it starts smaller, so that the first weights are soon forgotten.
        validation: Held-out points; the score is then the objective's mean on them, always with the same random draws.
        score: Any other score of a field, lower is better; called without gradients. NaN and inf are never the best.
        score_every: Steps between scores; by default there are 10, evenly over the training.
        device: Where to train; the field is moved there. By default it stays where it is.
        progress: Called with a `Report` about twice a second and after each score.
        checkpoint: A file to write after the first step, every 30 seconds and at the end.
        resume: Go on from `checkpoint`, which must be there. All other arguments must be as they were.

    Returns:
        How it ended.

    Raises:
        OptionError: An option is out of range or contradicts another, or the checkpoint was made with others.
        DataError: There are no training points, or one is not finite.
        PointError: The training points do not lie on the field's manifold.
        CheckpointError: The checkpoint is missing, damaged, or of another field or other data.
        OutputError: The checkpoint could not be written; the one before it stays.
        TrainingError: The loss became infinite or NaN. The field and the checkpoint hold the last good state.

    References:
        Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019 (AdamW);
        "SGDR", ICLR 2017, equation 5 (the cosine schedule).

    Example:
        >>> import torch, rmatch as rm
        >>> M = rm.Torus(2)
        >>> x1 = rm.WrappedNormal(M, torch.zeros(2), 0.5).sample((256,), generator=torch.Generator().manual_seed(0))
        >>> field = rm.TangentMLP(M, width=16, depth=2)
        >>> objective = rm.FlowMatching(rm.GeodesicPath(M), base=rm.Uniform(M))
        >>> result = rm.fit(field, objective, x1, steps=10, batch_size=64, validation=x1[:64])
        >>> result.steps, result.interrupted
        (10, False)
    """
    options = FitOptions(steps, budget, batch_size, lr, seed, warmup, clip, weight_decay, ema, score_every)
    if validation is not None and score is not None:
        raise OptionError("give validation (points) or score (a function), not both")
    if resume and checkpoint is None:
        raise OptionError("resume needs checkpoint, the file to go on from")
    if device is not None:
        field.to(device)
    if x1 is None:
        x1 = _no_data(objective, batch_size)
    _check_points(field, x1, "x1")
    trainer = Trainer(field, objective, x1, options)
    if validation is not None:
        _check_points(field, validation, "validation")
        score = _objective_score(objective, validation.detach().to(trainer.x1), seed)
    if resume and checkpoint is not None:
        trainer.load(checkpoint)
    return _Loop(trainer, score, progress, checkpoint).run()


class _Loop:
    """Steps, scores, reports and checkpoints, each when it is due."""

    def __init__(
        self,
        trainer: Trainer,
        score: Score | None,
        listener: Listener | None,
        checkpoint: str | os.PathLike[str] | None,
    ) -> None:
        self.trainer, self.score, self.listener, self.checkpoint = trainer, score, listener, checkpoint
        options = trainer.options
        self.horizon = Horizon(options.steps, options.budget)
        self.begin = time.perf_counter() - trainer.elapsed
        self.started = self.saved = self.reported = time.perf_counter()
        self.spent = 0.0  # seconds of scores, all in all
        self.paused = 0.0  # seconds of scores and checkpoints since the last report
        self.reported_step = trainer.step_count
        self.loss = self.rate = math.nan

    def run(self) -> FitResult:
        trainer, interrupted = self.trainer, False
        trainer.field.train()
        with ExitStack() as stack:
            request = stack.enter_context(Interrupt()) if self.checkpoint is not None else Interrupt()
            progress, first = self._progress(), True
            while progress < 1.0 and not interrupted:
                self._step()
                if first:
                    self._save()  # at once, so that a disk that takes no checkpoint is found before hours of work
                    self._report()
                before, progress = progress, self._progress()
                if self.score is not None and self._score_is_due(before, progress):
                    self._take_score(self.score)
                    progress = self._progress()
                interrupted = request.requested and progress < 1.0
                if interrupted or progress >= 1.0 or time.perf_counter() - self.saved > _SAVE_SECONDS:
                    self._save()
                if interrupted or progress >= 1.0 or time.perf_counter() - self.reported > _REPORT_SECONDS:
                    self._report()
                first = False
        trainer.finish()
        best = None if trainer.best is None else trainer.best_score
        best_step = trainer.step_count if trainer.best is None else trainer.best_step
        return FitResult(trainer.step_count, trainer.elapsed, self.loss, best, best_step, interrupted)

    def _step(self) -> None:
        trainer = self.trainer
        try:
            trainer.step(self.horizon.middle(trainer.step_count, trainer.elapsed))
        except TrainingError as error:
            if self.checkpoint is None or not trainer.is_finite():
                raise
            self._save()
            raise TrainingError(f"{error}; the state before this step is in {self.checkpoint}") from error
        trainer.elapsed = time.perf_counter() - self.begin

    def _progress(self) -> float:
        return self.horizon.progress(self.trainer.step_count, self.trainer.elapsed)

    def _score_is_due(self, before: float, progress: float) -> bool:
        every = self.trainer.options.score_every
        if progress >= 1.0:
            return True
        if every is not None:
            return self.trainer.step_count % every == 0
        running = time.perf_counter() - self.started
        if self.horizon.budget is not None and self.spent > _SCORE_SHARE * running:
            return False  # the clock decides anyway when a budget ends, so it may also decide what it is spent on
        return int(progress * _SCORES) > int(before * _SCORES)

    def _take_score(self, score: Score) -> None:
        trainer, start = self.trainer, time.perf_counter()
        with trainer.averaged() as field, torch.no_grad():
            value = float(score(field))
        trainer.offer(value)
        trainer.elapsed = time.perf_counter() - self.begin
        duration = time.perf_counter() - start
        self.horizon.reserve = min(duration, _SCORE_SHARE * (self.horizon.budget or 0.0))
        self.spent += duration
        self.paused += duration
        self._report(value)

    def _save(self) -> None:
        if self.checkpoint is not None:
            start = time.perf_counter()
            if not self.trainer.is_finite():
                raise TrainingError(
                    f"the weights are no longer finite at step {self.trainer.step_count}; train again with a smaller lr"
                )
            self.trainer.save(self.checkpoint)
            self.saved = time.perf_counter()
            self.paused += self.saved - start

    def _report(self, score: float | None = None) -> None:
        trainer, now = self.trainer, time.perf_counter()
        if trainer.step_count > self.reported_step:
            self.loss = trainer.mean_loss()
            working = max(now - self.reported - self.paused, 1e-9)
            self.rate = (trainer.step_count - self.reported_step) / working
        self.reported, self.reported_step, self.paused = now, trainer.step_count, 0.0
        if self.listener is None:
            return
        progress = self._progress()
        self.listener(
            Report(
                step=trainer.step_count,
                steps=trainer.options.steps,
                progress=progress,
                loss=self.loss,
                lr=trainer.lr,
                rate=self.rate,
                seconds=trainer.elapsed,
                remaining=trainer.elapsed * (1.0 - progress) / max(progress, 1e-9),
                score=score,
                best=None if trainer.best is None else trainer.best_score,
            )
        )


def _check_points(field: nn.Module, x: Tensor, name: str) -> None:
    if x.dim() == 0 or not len(x):
        raise DataError(f"{name} holds no points: its shape is {tuple(x.shape)}")
    manifold = getattr(field, "manifold", None)
    if isinstance(manifold, Manifold):
        manifold.require_point(x, tolerance=1e-4)
    elif not bool(x.isfinite().all()):
        raise DataError(f"{name} has values that are not finite; drop or mend those rows")


def _no_data(objective: Objective, batch_size: int) -> Tensor:
    """Points that only say how many samples an objective is to draw."""
    if getattr(objective, "needs_data", True):
        raise OptionError(f"{objective!r} needs training points; only an objective such as ReverseKL does without x1")
    base: Distribution = getattr(objective, "base")  # noqa: B009 (the protocol of objectives does not ask for one)
    return base.sample((batch_size,), generator=torch.Generator().manual_seed(0))


def _objective_score(objective: Objective, points: Tensor, seed: int) -> Score:
    """The objective on held-out points with random draws that are the same every time."""

    def score(field: nn.Module) -> float:
        generator = torch.Generator(points.device).manual_seed(seed)
        losses = [float(objective(field, points, generator=generator)) for _ in range(_VALIDATION_DRAWS)]
        return sum(losses) / len(losses)

    return score
