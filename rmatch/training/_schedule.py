"""How far a training is, and the learning rate there."""

from __future__ import annotations

import math
from dataclasses import dataclass


def learning_rate_factor(progress: float, warmup: float) -> float:
    """A linear rise from 0 to 1 over the first `warmup` of the training, then half a cosine down to 0 at its end.

    Args:
        progress: How much of the training is over, in [0, 1].
        warmup: The fraction of it that rises, in [0, 1).

    Example:
        >>> from rmatch.training._schedule import learning_rate_factor
        >>> [round(learning_rate_factor(p, 0.2), 3) for p in (0.1, 0.2, 0.6, 1.0)]
        [0.5, 1.0, 0.5, 0.0]
    """
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, (progress - warmup) / (1.0 - warmup))))


def average_decay(step: int, decay: float) -> float:
    """The decay of the averaged weights after `step` steps, small at first so that the start is soon forgotten.

    `min(decay, (1 + step) / (10 + step))`, as in TensorFlow's ExponentialMovingAverage.
    """
    return min(decay, (1.0 + step) / (10.0 + step))


@dataclass
class Horizon:
    """Where a training ends: after a number of steps, or after a time.

    Args:
        steps: The number of steps, or `None`.
        budget: Seconds, or `None`.
        reserve: Seconds to leave for the last score; only with a budget.
    """

    steps: int | None
    budget: float | None
    reserve: float = 0.0

    def progress(self, step: int, elapsed: float) -> float:
        """How much of the training is over, in [0, 1].

        Args:
            step: Steps done.
            elapsed: Seconds spent on them.
        """
        if self.steps is not None:
            return min(1.0, step / self.steps)
        budget = self.budget or 0.0  # fit has made sure of one of them
        return min(1.0, elapsed / max(budget - self.reserve, 1e-9))

    def middle(self, step: int, elapsed: float) -> float:
        """The progress in the middle of the step that comes next, for its learning rate."""
        if self.steps is not None:
            return (step + 0.5) / self.steps
        return self.progress(step, elapsed)
